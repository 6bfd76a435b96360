//! Which addresses a port listens on, given that published keys must not leave this machine.
//!
//! Each port is judged by its own keys, so a default console password costs the client port nothing.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::keys::{
    Config, DEFAULT_CONSOLE_PASSWORD, DEFAULT_CONSOLE_SIGNING_KEY, DEFAULT_ENCRYPTION_KEY,
    DEFAULT_HTTP_KEY, DEFAULT_MFA_KEY, DEFAULT_REFRESH_ENCRYPTION_KEY, DEFAULT_SERVER_KEY,
};
use super::problem::Problem;
use super::value::{Protocol, Secret};

/// Where a port listens.
#[derive(Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The addresses to listen on. Where there are two, one for each family, a machine without IPv6 can
    /// serve the first alone.
    pub addresses: Vec<SocketAddr>,
    /// A line for the operator, if default keys decided the addresses or are at risk on them.
    pub notice: Option<String>,
}

/// Where the client port listens: `socket.port`, `socket.address`, `socket.protocol`.
///
/// # Errors
/// The address is none of this machine's, or lies beyond it while a key is a default.
pub fn client(config: &Config) -> Result<Exposure, Problem> {
    let keys = [
        Key::new("socket.server_key", &config.socket.server_key, DEFAULT_SERVER_KEY, 32),
        Key::new("runtime.http_key", &config.runtime.http_key, DEFAULT_HTTP_KEY, 32),
        Key::new(
            "session.encryption_key",
            &config.session.encryption_key,
            DEFAULT_ENCRYPTION_KEY,
            32,
        ),
        Key::new(
            "session.refresh_encryption_key",
            &config.session.refresh_encryption_key,
            DEFAULT_REFRESH_ENCRYPTION_KEY,
            32,
        ),
    ];
    let socket = &config.socket;
    expose("socket", &socket.address, socket.port, socket.protocol, &keys, config.dev)
}

/// Where the console's port listens: `console.port`, `console.address`.
///
/// # Errors
/// As for [`client`].
pub fn console(config: &Config) -> Result<Exposure, Problem> {
    let console = &config.console;
    let keys = [
        Key::new("console.password", &console.password, DEFAULT_CONSOLE_PASSWORD, 32),
        Key::new("console.signing_key", &console.signing_key, DEFAULT_CONSOLE_SIGNING_KEY, 32),
        Key::new(
            "mfa.storage_encryption_key",
            &config.mfa.storage_encryption_key,
            DEFAULT_MFA_KEY,
            16,
        ),
        Key::new(
            "console.mfa.storage_encryption_key",
            &console.mfa.storage_encryption_key,
            DEFAULT_MFA_KEY,
            16,
        ),
    ];
    expose("console", &console.address, console.port, Protocol::Tcp, &keys, config.dev)
}

/// Where the Prometheus page listens (`metrics.prometheus_port`), given where the client port does:
/// on this machine only where that does, else on all addresses, as in the reference.
pub fn metrics(config: &Config, client: &Exposure) -> Exposure {
    let local = client.addresses.iter().all(|address| address.ip().is_loopback());
    let hosts = if local {
        [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)]
    } else {
        [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)]
    };
    let port = config.metrics.prometheus_port;
    Exposure { addresses: hosts.map(|host| SocketAddr::new(host, port)).to_vec(), notice: None }
}

/// A key that guards a port.
struct Key {
    path: &'static str,
    is_default: bool,
    /// Random bytes in a key of one's own; it has twice as many hexadecimal digits.
    bytes: usize,
}

impl Key {
    fn new(path: &'static str, value: &Secret, default: &str, bytes: usize) -> Self {
        Self { path, is_default: value.reveal() == default, bytes }
    }
}

fn expose(
    section: &str,
    address: &str,
    port: u16,
    protocol: Protocol,
    keys: &[Key],
    dev: bool,
) -> Result<Exposure, Problem> {
    let defaults: Vec<&Key> = keys.iter().filter(|key| key.is_default).collect();
    let names = defaults.iter().map(|key| key.path).collect::<Vec<_>>().join(", ");
    let both = |v4: Ipv4Addr, v6: Ipv6Addr| match protocol {
        Protocol::Tcp => vec![IpAddr::from(v4), IpAddr::from(v6)],
        Protocol::Tcp4 => vec![IpAddr::from(v4)],
        Protocol::Tcp6 => vec![IpAddr::from(v6)],
    };
    let (hosts, notice) = match address {
        "" if defaults.is_empty() => (both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED), None),
        "" => {
            let line = format!(
                "{section}.port {port} listens on this machine only, since these keys have their published defaults: {names}"
            );
            (both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST), Some(line))
        }
        "localhost" => (both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST), None),
        address => {
            let host = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            let fits = |host: &IpAddr| match protocol {
                Protocol::Tcp => true,
                Protocol::Tcp4 => host.is_ipv4(),
                Protocol::Tcp6 => host.is_ipv6(),
            };
            let Some(host) = host.ok().filter(fits) else {
                return Err(Problem::new(format!(
                    "{section}.address is {address:?}, but expects the IP address of an interface of this \
                     machine that {section}.protocol allows, localhost, or nothing"
                )));
            };
            let reaches_beyond = !host.to_canonical().is_loopback() && !defaults.is_empty();
            if reaches_beyond && !dev {
                return Err(refusal(section, address, &defaults));
            }
            let line = || {
                format!(
                    "{section}.address {address} reaches beyond this machine with published keys: {names}"
                )
            };
            (vec![host], reaches_beyond.then(line))
        }
    };
    let addresses = hosts.into_iter().map(|host| SocketAddr::new(host, port)).collect();
    Ok(Exposure { addresses, notice })
}

/// What to do about default keys, ready to be copied.
fn refusal(section: &str, address: &str, defaults: &[&Key]) -> Problem {
    let mut text = format!(
        "{section}.address {address} reaches beyond this machine, but these keys have published defaults. \
         Make keys of your own once, keep them in a file, and start with --config keys.yml \
         (or try it on a network you trust with --dev):\n\n  {{\n"
    );
    for key in defaults {
        let _ = writeln!(text, "    echo \"{}: $(openssl rand -hex {})\"", key.path, key.bytes);
    }
    text.push_str("  } > keys.yml\n");
    Problem::new(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn config(args: &[&str]) -> Config {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Config::load(&args, std::iter::empty()).unwrap().config
    }

    const OWN_CLIENT_KEYS: [&str; 4] = [
        "--socket.server_key=a",
        "--runtime.http_key=b",
        "--session.encryption_key=c",
        "--session.refresh_encryption_key=d",
    ];

    fn addresses(exposure: Result<Exposure, Problem>) -> Vec<String> {
        exposure.unwrap().addresses.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn default_keys_keep_an_unset_address_on_this_machine_and_say_so() {
        let exposure = client(&Config::default()).unwrap();
        assert_eq!(
            exposure.notice.unwrap(),
            "socket.port 7350 listens on this machine only, since these keys have their published defaults: \
             socket.server_key, runtime.http_key, session.encryption_key, session.refresh_encryption_key"
        );
        assert_eq!(addresses(client(&Config::default())), ["127.0.0.1:7350", "[::1]:7350"]);
        assert_eq!(addresses(client(&config(&["--dev"]))), ["127.0.0.1:7350", "[::1]:7350"]);
        assert_eq!(addresses(client(&config(&["--socket.protocol=tcp4"]))), ["127.0.0.1:7350"]);
        assert_eq!(addresses(client(&config(&["--socket.protocol=tcp6"]))), ["[::1]:7350"]);
    }

    #[test]
    fn one_default_key_is_enough_to_stay_on_this_machine() {
        for left_out in 0..OWN_CLIENT_KEYS.len() {
            let mut keys = OWN_CLIENT_KEYS.to_vec();
            keys.remove(left_out);
            assert_eq!(addresses(client(&config(&keys))), ["127.0.0.1:7350", "[::1]:7350"]);
        }
    }

    #[test]
    fn own_keys_open_an_unset_address_whatever_the_console_has() {
        let config = config(&OWN_CLIENT_KEYS);
        assert_eq!(client(&config).unwrap().notice, None);
        assert_eq!(addresses(client(&config)), ["0.0.0.0:7350", "[::]:7350"]);
        assert_eq!(addresses(console(&config)), ["127.0.0.1:7351", "[::1]:7351"]);
    }

    #[test]
    fn an_address_beyond_this_machine_with_default_keys_is_refused_with_the_way_out() {
        for address in ["0.0.0.0", "::", "[::]", "192.168.1.5", "::ffff:10.0.0.1"] {
            let flag = format!("--socket.address={address}");
            let problem = client(&config(&[&flag, OWN_CLIENT_KEYS[0]])).unwrap_err().to_string();
            assert!(problem.contains(address), "{problem}");
            assert!(
                problem.contains("echo \"runtime.http_key: $(openssl rand -hex 32)\""),
                "{problem}"
            );
            assert!(!problem.contains("socket.server_key"), "{problem}");
        }
        let problem = console(&config(&["--console.address=0.0.0.0"])).unwrap_err().to_string();
        assert!(
            problem.contains("mfa.storage_encryption_key: $(openssl rand -hex 16)"),
            "{problem}"
        );
    }

    #[test]
    fn dev_or_own_keys_allow_any_address() {
        let dev = client(&config(&["--socket.address=0.0.0.0", "--dev"])).unwrap();
        assert!(dev.notice.unwrap().contains("published keys: socket.server_key"));
        let mut flags = OWN_CLIENT_KEYS.to_vec();
        flags.push("--socket.address=10.0.0.1");
        assert_eq!(addresses(client(&config(&flags))), ["10.0.0.1:7350"]);
        assert_eq!(client(&config(&flags)).unwrap().notice, None);
    }

    #[test]
    fn a_loopback_address_is_taken_with_default_keys() {
        for address in ["127.0.0.1", "127.0.0.9", "::1", "[::1]"] {
            let flag = format!("--socket.address={address}");
            assert_eq!(client(&config(&[&flag])).unwrap().notice, None);
        }
        assert_eq!(addresses(client(&config(&["--socket.address=localhost"]))).len(), 2);
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        let problem = client(&config(&["--socket.address=example.com"])).unwrap_err().to_string();
        assert!(
            problem.starts_with("socket.address is \"example.com\", but expects the IP address"),
            "{problem}"
        );
        assert!(client(&config(&["--socket.address=::1", "--socket.protocol=tcp4"])).is_err());
    }

    #[test]
    fn metrics_stay_on_this_machine_where_the_client_port_does() {
        let mut config = Config::default();
        config.metrics.prometheus_port = 9100;
        let local = client(&config).unwrap();
        let shown = |exposure: Exposure| {
            exposure.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(metrics(&config, &local)), "127.0.0.1:9100 [::1]:9100");
        let open = Exposure { addresses: vec!["0.0.0.0:7350".parse().unwrap()], notice: None };
        assert_eq!(shown(metrics(&config, &open)), "0.0.0.0:9100 [::]:9100");
    }
}
