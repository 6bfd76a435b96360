//! `guildhall healthcheck`: asks a server on this machine whether it is well.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use guildhall_core::config::{Config, Problem, exposure};

/// Longest time for a connection, and for each wait on it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the server that `config` describes, at `port` if it is given.
///
/// # Errors
/// One line: nobody answers there, or the answer is not 200.
pub fn ask(config: &Config, port: Option<u16>) -> Result<(), Problem> {
    let addresses = exposure::client(config)?.addresses;
    let mut failure = None;
    for mut address in addresses {
        address.set_port(port.unwrap_or(config.socket.port));
        reachable(&mut address);
        match status_line(address) {
            Ok(line) if line.split(' ').nth(1) == Some("200") => return Ok(()),
            Ok(line) => {
                return Err(Problem::new(format!("the server at {address} is not well: {line}")));
            }
            Err(error) => {
                failure.get_or_insert(format!("no server answers at {address}: {error}"));
            }
        }
    }
    Err(Problem::new(failure.unwrap_or_default()))
}

/// A server that listens on every address answers on this machine's own.
fn reachable(address: &mut SocketAddr) {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
}

/// The first line of the answer to `GET /`.
fn status_line(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = [0; 64];
    let mut filled = 0;
    while filled < answer.len() && !answer[..filled].contains(&b'\n') {
        match stream.read(&mut answer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    let text = String::from_utf8_lossy(&answer[..filled]).into_owned();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{net::TcpListener, thread};

    use super::*;

    /// What is said of a server that answers with `answer`.
    fn against(answer: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let said = ask(&Config::default(), Some(port)).map_err(|problem| problem.to_string());
        server.join().unwrap();
        said.map_err(|line| line.replace(&port.to_string(), "PORT"))
    }

    #[test]
    fn a_server_is_well_if_it_answers_200() {
        assert_eq!(against("HTTP/1.1 200 OK\r\n\r\n"), Ok(()));
        let said = against("HTTP/1.1 503 Service Unavailable\r\n\r\n");
        assert_eq!(
            said.unwrap_err(),
            "the server at 127.0.0.1:PORT is not well: HTTP/1.1 503 Service Unavailable"
        );
    }

    #[test]
    fn a_server_that_is_not_there_is_named_by_its_address() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let said = ask(&Config::default(), Some(port)).unwrap_err().to_string();
        assert!(said.starts_with(&format!("no server answers at 127.0.0.1:{port}: ")), "{said}");
    }
}
