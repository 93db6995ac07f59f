//! A program on tokio that embeds a registry and uses it without HTTP. Any executor can poll the registry's
//! futures; here it is tokio.
//!
//! `cargo run --example embed_tokio`

#![expect(clippy::print_stdout, reason = "it prints its results")]

use std::error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = pulk::Server::start(pulk::ServerOptions::ephemeral()).await?;
    let registry = server.registry();
    let repo: pulk::RepoName = "greetings".parse()?;

    let hello: &[u8] = b"hello from tokio";
    let digest = pulk::ContentDigest::sha256_of(hello);
    let upload = registry.begin_upload(&repo, None).await?;
    let chunk = pulk::Chunk { body: hello, length: Some(hello.len() as u64), range: None };
    registry.finish_upload(&repo, upload, &digest.into(), chunk).await?;

    let size = registry.blob_size(&repo, &digest.into()).await?;
    println!("http://{}/v2/{repo}/blobs/{digest} has {size} bytes", server.local_addr().ok_or("no port")?);

    server.stop().await?;
    Ok(())
}
