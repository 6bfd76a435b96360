//! Opens the sockets of a port.

use std::{
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
};

use guildhall_core::config::{Problem, exposure::Exposure};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Sockets that listen on the addresses of `exposure`, in their order. If the port is 0, the first
/// takes a free one and the others the same. `section` is that of the port's keys, for the message.
///
/// An address family that this machine lacks is left out, as long as another one is there.
///
/// # Errors
/// One line: the address, what failed, and what to do about a port that is taken.
pub fn listen(section: &str, exposure: &Exposure) -> Result<Vec<TcpListener>, Problem> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut lacking = None;
    for &(mut address) in &exposure.addresses {
        if let Some(first) = listeners.first().and_then(|first| first.local_addr().ok()) {
            address.set_port(first.port());
        }
        match open(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_lacking(&error) => lacking = Some((address, error)),
            Err(error) => return Err(failure(section, address, &error)),
        }
    }
    match lacking {
        Some((address, error)) if listeners.is_empty() => Err(failure(section, address, &error)),
        _ => Ok(listeners),
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own, which would be in the way of one for both.
        socket.set_only_v6(true)?;
    }
    // A port that was just left is free, but one that is in use stays taken.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether the address family, or this address of it, is not there at all.
fn is_lacking(error: &io::Error) -> bool {
    // The standard library has no kind for a family that the system does not support.
    const EAFNOSUPPORT: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

fn failure(section: &str, address: SocketAddr, error: &io::Error) -> Problem {
    let port_key = if section == "metrics" { "prometheus_port" } else { "port" };
    let advice = match error.kind() {
        ErrorKind::AddrInUse => {
            format!(
                "; another program has this port: stop it, or choose another by --{section}.{port_key}"
            )
        }
        ErrorKind::AddrNotAvailable => {
            format!("; --{section}.address expects an address of this machine")
        }
        ErrorKind::PermissionDenied => {
            format!(
                "; ports below 1024 need special rights: choose another by --{section}.{port_key}"
            )
        }
        _ => String::new(),
    };
    Problem::new(format!("cannot listen on {address}: {error}{advice}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::TcpStream;

    use super::*;

    fn exposure(addresses: &[&str]) -> Exposure {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Exposure { addresses, notice: None }
    }

    #[test]
    fn all_addresses_share_one_free_port() {
        for addresses in [["127.0.0.1:0", "[::1]:0"], ["0.0.0.0:0", "[::]:0"]] {
            let listeners = listen("socket", &exposure(&addresses)).unwrap();
            let ports: Vec<u16> =
                listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
            assert!(ports[0] > 0 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
            TcpStream::connect(("127.0.0.1", ports[0])).unwrap();
        }
    }

    #[test]
    fn a_port_in_use_is_named_with_the_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let problem = listen("socket", &exposure(&[&address])).unwrap_err().to_string();
        assert!(problem.starts_with(&format!("cannot listen on {address}: ")), "{problem}");
        assert!(problem.ends_with("choose another by --socket.port"), "{problem}");
    }

    #[test]
    fn an_address_of_another_machine_is_left_out_only_beside_one_of_ours() {
        let there = "192.0.2.1:0";
        assert_eq!(listen("socket", &exposure(&["127.0.0.1:0", there])).unwrap().len(), 1);
        let problem = listen("console", &exposure(&[there])).unwrap_err().to_string();
        assert!(
            problem.ends_with("--console.address expects an address of this machine"),
            "{problem}"
        );
    }
}
