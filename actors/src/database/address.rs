//! Where a database is and how to sign in to it: the values of `database.address`.
//!
//! The format is the reference's: `user:password@host:port/dbname?option=value`, with or without
//! `postgresql://` before it. Missing parts are user `root`, port 5432, database `nakama` and
//! `sslmode=prefer`. A user name, password or host with special characters is percent-encoded;
//! a host that begins with `/` is the folder of a Unix socket (percent-encoded, or as `?host=`).
//! A password never appears in what this file prints.

use std::{fmt, path::PathBuf, time::Duration};

use thiserror::Error;

/// How long one attempt to connect may take where the address does not say (`connect_timeout`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Options that drivers of other languages read and that mean nothing here.
const IGNORED_OPTIONS: [&str; 5] = [
    "default_query_exec_mode",
    "description_cache_capacity",
    "statement_cache_capacity",
    "channel_binding",
    "gssencmode",
];

/// One place where the database may be.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The role to sign in as.
    pub user: String,
    /// Its password, if it has one.
    pub password: Option<String>,
    /// The machine or socket folder.
    pub host: Host,
    /// The TCP port, or the number in the name of the socket file.
    pub port: u16,
    /// The database.
    pub database: String,
    /// Whether and how strictly the connection is encrypted.
    pub tls: TlsMode,
    /// A PEM file with the authorities to trust, in place of the system's.
    pub root_certificate: Option<PathBuf>,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// Session settings for the server, in the form of its `options` start-up parameter.
    pub options: String,
    /// The name the session carries in `pg_stat_activity`.
    pub application_name: String,
    /// Whether the server must accept writes (`target_session_attrs=read-write` or `primary`).
    pub read_write: bool,
}

/// The machine part of an [`Address`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name or an IP address.
    Tcp(String),
    /// A folder that holds the server's Unix socket.
    Unix(PathBuf),
}

/// The meaning of `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never encrypt.
    Disable,
    /// Encrypt where the server can (`prefer` and `allow`), trusting any certificate.
    Prefer,
    /// Encrypt or fail, trusting any certificate.
    Require,
    /// Encrypt, and the certificate must come from a trusted authority.
    VerifyCa,
    /// Encrypt, and the certificate must also name the host.
    VerifyFull,
}

/// Why a text is no address.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("database.address {address:?}: {problem}; expected user:password@host:port/dbname")]
pub struct AddressError {
    address: String,
    problem: String,
}

impl Address {
    /// Reads one value of `database.address`; several hosts in it (`a:5432,b:5432`) give several
    /// addresses, in order.
    ///
    /// # Errors
    /// [`AddressError`] with what is wrong; the password is left out of its text.
    pub fn parse(text: &str) -> Result<Vec<Self>, AddressError> {
        parse(text).map_err(|problem| AddressError { address: masked(text), problem })
    }

    /// An address of a server on a Unix socket in `folder`, without password.
    pub fn unix(folder: PathBuf, port: u16, user: &str, database: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: None,
            host: Host::Unix(folder),
            port,
            database: database.to_owned(),
            tls: TlsMode::Disable,
            root_certificate: None,
            connect_timeout: CONNECT_TIMEOUT,
            options: String::new(),
            application_name: "guildhall".to_owned(),
            read_write: false,
        }
    }

    /// The value to type after `--database.address` for this address, with the word `PASSWORD`
    /// in place of a password.
    pub fn to_type(&self) -> String {
        let password = if self.password.is_some() { ":PASSWORD" } else { "" };
        match &self.host {
            Host::Tcp(host) if host.contains(':') => {
                format!("{}{password}@[{host}]:{}/{}", self.user, self.port, self.database)
            }
            Host::Tcp(host) => {
                format!("{}{password}@{host}:{}/{}", self.user, self.port, self.database)
            }
            Host::Unix(folder) => format!(
                "'{}{password}@:{}/{}?host={}'",
                self.user,
                self.port,
                self.database,
                folder.display()
            ),
        }
    }
}

/// Host and port (or socket folder) alone, for messages.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Tcp(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Host::Tcp(host) => write!(f, "{host}:{}", self.port),
            Host::Unix(folder) => write!(f, "{}/.s.PGSQL.{}", folder.display(), self.port),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{self}/{}", self.user, self.database)
    }
}

fn parse(text: &str) -> Result<Vec<Address>, String> {
    let rest = text
        .strip_prefix("postgresql://")
        .or_else(|| text.strip_prefix("postgres://"))
        .unwrap_or(text);
    if rest.contains("://") {
        return Err("only postgresql:// may stand before it".to_owned());
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = match credentials.split_once(':') {
        Some((user, password)) => (user, Some(decode(password)?)),
        None => (credentials, None),
    };

    let mut base = Address::unix(PathBuf::new(), 5432, "root", "nakama");
    base.tls = TlsMode::Prefer;
    base.password = password.filter(|password| !password.is_empty());
    if !user.is_empty() {
        base.user = decode(user)?;
    }
    if !path.is_empty() {
        base.database = decode(path)?;
    }
    let mut hosts = hosts.to_owned();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| format!("option {pair:?} has no value"))?;
        set_option(&mut base, &mut hosts, name, &decode(value)?)?;
    }

    hosts.split(',').map(|host| at_host(&base, host)).collect()
}

fn at_host(base: &Address, text: &str) -> Result<Address, String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']').ok_or("[ without ]")?;
            (host, after.strip_prefix(':').filter(|port| !port.is_empty()))
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port).filter(|port| !port.is_empty())),
            None => (text, None),
        },
    };
    let host = decode(host)?;
    let mut address = base.clone();
    address.host = match host.as_str() {
        "" => Host::Tcp("localhost".to_owned()),
        folder if folder.starts_with('/') => Host::Unix(PathBuf::from(folder)),
        name => Host::Tcp(name.to_owned()),
    };
    if let Some(port) = port {
        address.port =
            port.parse().map_err(|_| format!("port {port:?} is not a number from 1 to 65535"))?;
    }
    if matches!(address.host, Host::Unix(_)) {
        address.tls = TlsMode::Disable;
    }
    Ok(address)
}

fn set_option(
    base: &mut Address,
    hosts: &mut String,
    name: &str,
    value: &str,
) -> Result<(), String> {
    match name {
        "sslmode" => {
            base.tls = match value {
                "disable" => TlsMode::Disable,
                "allow" | "prefer" => TlsMode::Prefer,
                "require" => TlsMode::Require,
                "verify-ca" => TlsMode::VerifyCa,
                "verify-full" => TlsMode::VerifyFull,
                _ => {
                    return Err(format!(
                        "sslmode {value:?} is none of disable, allow, prefer, require, verify-ca, verify-full"
                    ));
                }
            }
        }
        "sslrootcert" => base.root_certificate = Some(PathBuf::from(value)),
        "connect_timeout" => {
            let seconds: u64 = value
                .parse()
                .map_err(|_| format!("connect_timeout {value:?} is not in seconds"))?;
            if seconds > 0 {
                base.connect_timeout = Duration::from_secs(seconds);
            }
        }
        "application_name" => base.application_name = value.to_owned(),
        "target_session_attrs" => base.read_write = matches!(value, "read-write" | "primary"),
        "options" => push_option(&mut base.options, value),
        // A folder in place of a host keeps the port of the host part: `user@:5433/db?host=/run/x`.
        "host" => {
            let port = hosts.rsplit_once(':').map_or(String::new(), |(_, port)| format!(":{port}"));
            *hosts = format!("{}{port}", value.replace('%', "%25"));
        }
        "port" => *hosts = format!("{}:{value}", hosts.split(':').next().unwrap_or_default()),
        "user" => base.user = value.to_owned(),
        "password" => base.password = Some(value.to_owned()),
        "dbname" => base.database = value.to_owned(),
        "sslcert" | "sslkey" => {
            return Err(format!("{name} (client certificates) is not supported"));
        }
        name if IGNORED_OPTIONS.contains(&name) || name.starts_with("pool_") => {}
        // What is left is a setting of the session, as the reference's driver has it.
        name if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') => {
            let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
            push_option(&mut base.options, &format!("-c {name}={value}"));
        }
        name => return Err(format!("option {name:?} is unknown")),
    }
    Ok(())
}

fn push_option(options: &mut String, option: &str) {
    if !options.is_empty() {
        options.push(' ');
    }
    options.push_str(option);
}

/// Resolves `%41` and its like.
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let value = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .ok_or("% is not followed by two hexadecimal digits (write %25 for the sign itself)")?;
        bytes.push(value);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
}

/// `text` without what may be a password.
fn masked(text: &str) -> String {
    let (head, tail) = text.rsplit_once('@').map_or(("", text), |(head, tail)| (head, tail));
    let tail = match tail.split_once("password=") {
        Some((before, _)) => format!("{before}password=***"),
        None => tail.to_owned(),
    };
    if head.is_empty() {
        return tail;
    }
    let (scheme, credentials) =
        head.split_once("://").map_or(("", head), |(scheme, rest)| (scheme, rest));
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    match credentials.split_once(':') {
        Some((user, _)) => format!("{scheme}{user}:***@{tail}"),
        None => format!("{scheme}{credentials}@{tail}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn one(text: &str) -> Address {
        let mut addresses = Address::parse(text).unwrap();
        assert_eq!(addresses.len(), 1);
        addresses.remove(0)
    }

    #[test]
    fn missing_parts_have_the_references_defaults() {
        for (text, expected) in [
            ("root@localhost:26257", "root@localhost:26257/nakama"),
            ("localhost", "root@localhost:5432/nakama"),
            ("ann:secret@db.example.com/game", "ann:PASSWORD@db.example.com:5432/game"),
            ("postgresql://ann@[::1]:5433/game", "ann@[::1]:5433/game"),
            ("ann:a@b@host/game", "ann:PASSWORD@host:5432/game"),
        ] {
            assert_eq!(one(text).to_type(), expected);
        }
        assert_eq!(one("ann:a@b@host/game").password.as_deref(), Some("a@b"));
        assert_eq!(one("ann:p%2F%25@host").password.as_deref(), Some("p/%"));
        assert_eq!(one("host").tls, TlsMode::Prefer);
    }

    #[test]
    fn options_become_settings_of_the_connection() {
        let address = one(
            "ann@host/game?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=3&search_path=a%20b",
        );
        assert_eq!(address.tls, TlsMode::VerifyFull);
        assert_eq!(address.root_certificate, Some(PathBuf::from("/ca.pem")));
        assert_eq!(address.connect_timeout, Duration::from_secs(3));
        assert_eq!(address.options, "-c search_path=a\\ b");
    }

    #[test]
    fn a_socket_folder_is_a_host() {
        for text in [
            "ann@%2Frun%2Fpg:5433/game",
            "ann@:5433/game?host=/run/pg",
            "ann@/game?host=/run/pg&port=5433",
        ] {
            let address = one(text);
            assert_eq!(address.host, Host::Unix(PathBuf::from("/run/pg")), "{text}");
            assert_eq!((address.port, address.tls), (5433, TlsMode::Disable), "{text}");
        }
        let address = one("ann@%2Frun%2Fpg:5433/game");
        assert_eq!(one(address.to_type().trim_matches('\'')), address);
    }

    #[test]
    fn several_hosts_give_several_addresses() {
        let addresses = Address::parse("ann@a:1,b:2/game").unwrap();
        let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a:1", "b:2"]);
    }

    #[test]
    fn errors_name_the_problem_and_hide_the_password() {
        for (text, problem) in [
            ("ann:secret@host:x/game", "port \"x\""),
            ("ann:secret@host/game?sslmode=on", "sslmode"),
            ("mysql://ann:secret@host", "only postgresql://"),
            ("ann:secret%zz@host", "hexadecimal"),
            ("ann@host:x/game?password=secret", "port"),
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(!format!("{:?}", one("ann:secret@host/game")).contains("secret"));
    }
}
