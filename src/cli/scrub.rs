//! `pulk scrub`: reads all content now, and says what is damaged.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use crate::admin::Request;
use crate::cli::ask::ask;
use crate::cli::units::{count, size};
use crate::cli::{failed, print_json, printed, typed};
use crate::config::Config;
use crate::maintenance::ScrubReport;

/// Reads everything, and succeeds only when nothing is wrong.
pub(in crate::cli) fn scrub(config: &Config, json: bool) -> ExitCode {
    let answer = match ask(config, &Request::Scrub) {
        Ok(answer) => answer,
        Err(why) => return failed(&why),
    };
    let report: ScrubReport = match typed(answer.result.clone()) {
        Ok(report) => report,
        Err(error) => return failed(&error),
    };
    let shown = match json {
        true => print_json(&answer.result),
        false => printed(print(&mut io::stdout().lock(), &report)),
    };
    if report.is_sound() { shown } else { ExitCode::FAILURE }
}

fn print(out: &mut impl Write, report: &ScrubReport) -> io::Result<()> {
    for finding in &report.findings {
        writeln!(out, "{finding}")?;
    }
    let time = Duration::from_millis(report.ended_ms.saturating_sub(report.began_ms));
    writeln!(
        out,
        "read {} in {} and {} of the journal in {:.1} s: {}/s",
        size(report.bytes),
        count(report.blobs, "blob", "blobs"),
        size(report.journal_bytes),
        time.as_secs_f64(),
        size(per_second(report.bytes + report.journal_bytes, time))
    )?;
    if report.is_sound() {
        return writeln!(out, "nothing is damaged");
    }
    writeln!(
        out,
        "{} damaged or missing, {} unreadable, {} of the journal damaged",
        count(report.damaged, "blob", "blobs"),
        report.unreadable,
        count(report.journal_damaged, "line", "lines")
    )
}

/// Returns how many bytes a second that is.
pub(in crate::cli) fn per_second(bytes: u64, time: Duration) -> u64 {
    let millis = time.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1000 / millis).unwrap_or(u64::MAX)
}
