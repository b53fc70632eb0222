//! The kit's own promises: fresh databases, gone afterwards; calls and logs as tests need them.

#![expect(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

mod calls;
mod logs;
mod stages;
mod stripe;

use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The answer to a GET, head and body, as it comes over the wire.
async fn get(address: SocketAddr, path: &str, headers: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
