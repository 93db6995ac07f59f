//! A small client: one request for each connection, and pushes that ask with HEAD before they send.

use std::io::{Read, Write};
use std::net::TcpStream;

use pulk::ContentDigest;
use serde_json::json;

/// An image: its manifest, and its blobs by their bytes.
#[derive(Debug, Clone)]
pub struct Image {
    pub manifest: Vec<u8>,
    pub blobs: Vec<Vec<u8>>,
}

pub fn digest(bytes: &[u8]) -> String {
    ContentDigest::sha256_of(bytes).to_string()
}

impl Image {
    /// Makes an image of layers that others may share, and of a unique config.
    pub fn new(config: String, layers: Vec<Vec<u8>>) -> Self {
        let described = |media_type: &str, bytes: &[u8]| {
            let digest = digest(bytes);
            json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
        };
        let config = config.into_bytes();
        let layer = "application/vnd.oci.image.layer.v1.tar";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described("application/vnd.oci.image.config.v1+json", &config),
            "layers": layers.iter().map(|bytes| described(layer, bytes)).collect::<Vec<_>>(),
        });
        let blobs = [vec![config], layers].concat();
        Self { manifest: manifest.to_string().into_bytes(), blobs }
    }

    /// Returns the digests of its manifest and blobs.
    pub fn digests(&self) -> impl Iterator<Item = String> {
        self.blobs.iter().chain([&self.manifest]).map(|bytes| digest(bytes))
    }
}

/// A client of one repository.
#[derive(Debug, Clone)]
pub struct Client {
    pub address: String,
    pub repository: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Client {
    pub fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        Answer { status, head, body: answer[end + 4..].to_vec() }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.repository)
    }

    /// Pushes an image, and sends only missing blobs.
    pub fn push(&self, image: &Image, tag: &str) -> Result<(), String> {
        for blob in &image.blobs {
            let digest = digest(blob);
            let there = self.send("HEAD", &self.path(&format!("blobs/{digest}")), "", b"");
            if there.status == 200 {
                continue;
            }
            let begun = self.send("POST", &self.path("blobs/uploads/"), "", b"");
            let location = begun.header("Location").ok_or_else(|| format!("no upload: {begun:?}"))?;
            let end = format!("{location}{}digest={digest}", if location.contains('?') { "&" } else { "?" });
            expect(201, &self.send("PUT", &end, "Content-Type: application/octet-stream\r\n", blob))?;
        }
        let headers = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";
        expect(201, &self.send("PUT", &self.path(&format!("manifests/{tag}")), headers, &image.manifest))
    }

    /// Pulls an image and compares every byte.
    pub fn pull(&self, image: &Image, tag: &str) -> Result<(), String> {
        let manifest = self.send("GET", &self.path(&format!("manifests/{tag}")), "", b"");
        expect(200, &manifest)?;
        if manifest.body != image.manifest {
            return Err(format!("{tag} names another manifest"));
        }
        for blob in &image.blobs {
            let pulled = self.send("GET", &self.path(&format!("blobs/{}", digest(blob))), "", b"");
            expect(200, &pulled)?;
            if pulled.body != *blob {
                return Err(format!("{} has other bytes", digest(blob)));
            }
        }
        Ok(())
    }

    /// Deletes a tag, or by its digest a manifest with all tags that name it.
    pub fn delete(&self, reference: &str) -> Result<(), String> {
        expect(202, &self.send("DELETE", &self.path(&format!("manifests/{reference}")), "", b""))
    }
}

fn expect(status: u16, answer: &Answer) -> Result<(), String> {
    if answer.status == status {
        return Ok(());
    }
    Err(format!("expected {status}: {} {}", answer.head, String::from_utf8_lossy(&answer.body)))
}
