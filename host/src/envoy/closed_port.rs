//! An address at which nobody listens, and nobody else will as long as this is there.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

/// A port of this machine that refuses every connection.
#[derive(Debug)]
pub(super) struct ClosedPort {
    address: SocketAddr,
    /// Bound, and never listened on.
    _socket: Socket,
}

impl ClosedPort {
    pub(super) fn new() -> std::io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        let address = socket.local_addr()?.as_socket().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { address, _socket: socket })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn it_refuses() {
        let port = ClosedPort::new().unwrap();
        let error = TcpStream::connect(port.address()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
