//! `pulk status`: what is stored, and how the server is.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::ask::ask;
use crate::cli::units::{count, duration, since, size, time};
use crate::cli::{failed, print_json, printed, typed};
use crate::config::Config;
use crate::control::{Request, StatusReport};

/// Says how the store and its server are.
pub(in crate::cli) fn status(config: &Config, json: bool) -> ExitCode {
    let answer = match ask(config, &Request::Status) {
        Ok(answer) => answer,
        Err(why) => return failed(&why),
    };
    if json {
        return print_json(&answer.result);
    }
    printed(typed(answer.result).and_then(|report| print(&mut io::stdout().lock(), config, &report)))
}

fn print(out: &mut impl Write, config: &Config, report: &StatusReport) -> io::Result<()> {
    let mut line = |name: &str, value: String| writeln!(out, "{name:<12}{value}");
    let server = match &report.server {
        Some(server) => format!(
            "pulk {}, http://{}, pid {}, up for {} (since {})",
            report.version,
            server.address,
            server.pid,
            duration(since(server.since)),
            time(server.since)
        ),
        None => "not running".to_owned(),
    };
    line("server", server)?;
    line("data", config.data.display().to_string())?;
    line("health", if report.ready { "ready" } else { "not ready" }.to_owned())?;
    for reason in &report.reasons {
        line("", reason.clone())?;
    }
    let usage = &report.repositories;
    line("stored", format!("{} in {}", size(report.blob_bytes), count(report.blobs, "blob", "blobs")))?;
    let counts = [
        count(usage.repositories, "repository", "repositories"),
        count(usage.tags, "tag", "tags"),
        count(usage.manifests, "manifest", "manifests"),
    ];
    line("", counts.join(", "))?;
    let saved = format!(
        "the repositories have {} together; sharing saves {}",
        size(usage.bytes),
        size(report.saved_bytes)
    );
    line("shared", saved)?;
    line("unlinked", format!("{} that no repository has", size(report.unlinked_bytes)))?;
    line("uploads", format!("{} unfinished", report.uploads))?;
    if let Some(free) = report.free_bytes {
        line(
            "disk",
            format!("{} free, {} of them kept from pushes", size(free), size(report.reserve_bytes)),
        )?;
    }
    Ok(())
}
