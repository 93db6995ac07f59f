//! What commands write, how they end, and what the parser says of a refused value.
//!
//! | | |
//! |---|---|
//! | `table`, `units` | tables; sizes, counts and times |
//! | `damage` | damaged images, and how they are healed |
//! | `progress`, `logging`, `log_queue` | progress on a terminal; log lines |
//! | `run`, `source` | how a command ends; where a refused value came from |

mod damage;
mod log_queue;
pub(in crate::cli) mod logging;
mod progress;
mod run;
mod source;
pub(in crate::cli) mod table;
pub(in crate::cli) mod units;

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::Value;

pub(in crate::cli) use damage::print_damage;
pub(in crate::cli) use progress::Terminal;
pub(in crate::cli) use run::{CommandError, RunCommand};
pub(in crate::cli) use source::name_source;

/// Ends a command after its output, or after the attempt. A reader that closes the pipe early, as `head`
/// does, has all that it wants.
pub(in crate::cli) fn finish(printed: io::Result<()>, is_good: bool) -> Result<ExitCode, CommandError> {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ if is_good => Ok(ExitCode::SUCCESS),
        _ => Ok(ExitCode::FAILURE),
    }
}

/// Prints a value for programs, as one line.
pub(in crate::cli) fn print_json(value: &Value) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{value}")
}
