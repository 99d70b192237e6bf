//! What stands before the protocols on the clients' port: TLS, the proxy's header, limits.

mod handshakes;
mod limits;
mod proxy;
mod tls;
