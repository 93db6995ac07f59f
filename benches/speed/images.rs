//! Pushing small images, compared with docker-registry.

use std::cell::Cell;

use crate::common::content::Content;
use crate::common::image::{LAYER_TYPE, MANIFEST_TYPE, manifest, small_image};
use crate::common::table;
use crate::load::{Load, request, request_head, with_digest};
use crate::rounds::{Round, alternate};
use crate::servers::Servers;

const CLIENTS: u64 = 8;
const ROUNDS: usize = 4;

/// How many images each client pushes in a round: each server is busy for at least a second.
const PULK_IMAGES: u64 = 100;
const OTHER_IMAGES: u64 = 12;

/// Images are identified by numbers; each round of each client has a range of this size.
const NUMBERS_A_CLIENT: u64 = 1_000;

/// Prints the images pushed in a second.
pub fn measure(servers: &Servers) {
    table::heading(
        "Pushing small images",
        &format!(
            "{CLIENTS} clients, each pushes images of config (1 KiB), one layer (64 KiB), manifest and a \
             new tag, one after the other, by POST and PUT, to its own repository; all of them new. \
             {ROUNDS} rounds of each server in turns, medians. docker-registry does not sync folders. \
             Aims: at least 8 × docker-registry, and more than 380 a second."
        ),
    );
    table::columns(&["server", "images a second", "ratio", "processor ms an image"]);
    let next = Cell::new(0);
    let mut pulk = || round(&servers.pulk.address, &[servers.pulk.pid()], PULK_IMAGES, &next);
    let row = |name: &str, rate: f64, ratio: String, cost: f64| {
        table::row(&[name.to_owned(), format!("{rate:.0}"), ratio, format!("{:.2}", cost * 1e3)]);
    };
    let Some(distribution) = &servers.distribution else {
        let [pulk] = alternate(ROUNDS, [&mut pulk]);
        return row("pulk", pulk.rate(), "-".to_owned(), pulk.cost());
    };
    let mut other = || round(&distribution.address, &[distribution.pid()], OTHER_IMAGES, &next);
    let [pulk, other] = alternate(ROUNDS, [&mut pulk, &mut other]);
    row("pulk", pulk.rate(), format!("**{:.1}**", pulk.rate() / other.rate()), pulk.cost());
    row("docker-registry", other.rate(), "-".to_owned(), other.cost());
}

/// An image ready to be sent.
struct Image {
    blobs: [(String, Vec<u8>); 2],
    manifest: Vec<u8>,
    tag: String,
}

impl Image {
    fn new(number: u64) -> Self {
        let blobs = small_image(number);
        let bytes = |blob: &Content| {
            let mut bytes = Vec::new();
            blob.write(&mut bytes).unwrap();
            (blob.digest.clone(), bytes)
        };
        Self {
            manifest: manifest(&blobs, number),
            blobs: blobs.each_ref().map(bytes),
            tag: format!("v{number}"),
        }
    }

    fn push(&self, load: &mut Load, repo: &str) {
        for (digest, bytes) in &self.blobs {
            load.send(&request("POST", &format!("/v2/{repo}/blobs/uploads/")));
            let location = load.answer("POST", 202).location.expect("a location");
            send(load, &with_digest(&location, digest), LAYER_TYPE, bytes);
        }
        send(load, &format!("/v2/{repo}/manifests/{}", self.tag), MANIFEST_TYPE, &self.manifest);
    }
}

fn send(load: &mut Load, target: &str, content_type: &str, bytes: &[u8]) {
    let mut request = request_head("PUT", target, content_type, bytes.len() as u64);
    request.extend_from_slice(bytes);
    load.send(&request);
    load.answer("PUT", 201);
}

/// Every client pushes new images.
pub fn round(address: &str, processes: &[u32], images_a_client: u64, next: &Cell<u64>) -> Round {
    let first = next.get();
    next.set(first + CLIENTS * NUMBERS_A_CLIENT);
    let images = |client| {
        let first = first + client * NUMBERS_A_CLIENT;
        (first..first + images_a_client).map(Image::new).collect::<Vec<_>>()
    };
    let all: Vec<Vec<Image>> = (0..CLIENTS).map(images).collect();
    Round::measure(processes, (CLIENTS * images_a_client) as f64, || {
        std::thread::scope(|scope| {
            for (client, images) in all.iter().enumerate() {
                scope.spawn(move || {
                    let repo = format!("team/app{client}");
                    let mut load = Load::connect(address);
                    images.iter().for_each(|image| image.push(&mut load, &repo));
                });
            }
        });
    })
}
