//! The `pulk` program.

fn main() {}
