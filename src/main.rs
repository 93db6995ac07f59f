//! The `pulk` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    pulk::cli::main()
}
