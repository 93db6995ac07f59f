//! See `pulk::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pulk::fuzzing::run("name", bytes));
