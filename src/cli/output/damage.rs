//! Damaged images, and how they are healed.

use std::io::{self, Write};

use crate::cli::output::units::count;
use crate::registry::{DamageState, DamagedImage, DamagedKind};

/// Prints damaged images, the first `listed_max` of them, and how they are healed; `all` is the command that
/// lists all.
pub(in crate::cli) fn print_damage(
    out: &mut impl Write,
    state: &DamageState,
    listed_max: usize,
    all: &str,
) -> io::Result<()> {
    if state.is_sound() {
        return Ok(());
    }
    writeln!(
        out,
        "damaged: {}, {} that no tag leads to; {} missing",
        count(state.images, "image", "images"),
        count(state.others, "thing", "things"),
        count(state.blobs, "blob is", "blobs are"),
    )?;
    let listed = state.list.iter().take(listed_max);
    let left = (state.images + state.others).saturating_sub(listed.len() as u64);
    for one in listed {
        writeln!(out, "  {}", line(one))?;
    }
    if left > 0 {
        writeln!(out, "  and {left} more: {all}")?;
    }
    writeln!(
        out,
        "to heal them, push these images again, to any repository: that heals every repository; or remove \
         them (`pulk rm`)"
    )
}

fn line(one: &DamagedImage) -> String {
    let mut lacks: Vec<String> = one.lacks.iter().map(ToString::to_string).collect();
    let more = one.lacks_count.saturating_sub(one.lacks.len() as u64);
    if more > 0 {
        lacks.push(format!("and {more} more"));
    }
    let reference = one.reference();
    match one.kind {
        DamagedKind::Image => format!("{reference} lacks {}", lacks.join(", ")),
        DamagedKind::Manifest => format!("{reference} (untagged) lacks {}", lacks.join(", ")),
        DamagedKind::Blob => format!("{reference} (a blob that no readable manifest references)"),
    }
}
