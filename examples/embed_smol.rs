//! A program on smol that embeds a registry. It pushes a blob over HTTP and finds it through the library.
//!
//! `cargo run --example embed_smol`

#![expect(clippy::print_stdout, reason = "it prints its results")]

use std::error::Error;

use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

const HELLO: &[u8] = b"hello from smol";

fn main() -> Result<(), Box<dyn Error>> {
    smol::block_on(async {
        let server = pulk::Server::start(pulk::ServerOptions::ephemeral()).await?;

        let digest = pulk::ContentDigest::sha256_of(HELLO);
        let mut connection = TcpStream::connect(server.local_addr().ok_or("no port")?).await?;
        let head = format!(
            "POST /v2/greetings/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: localhost\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n",
            HELLO.len()
        );
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(HELLO).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        println!("{}", answer.lines().next().unwrap_or_default());

        let size = server.registry().blob_size(&"greetings".parse()?, &digest.into()).await?;
        println!("the registry has {digest}, {size} bytes");

        server.stop().await?;
        Ok(())
    })
}
