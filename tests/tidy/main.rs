//! Style as a test. Each message says what to do. What is known to be untidy is in `exceptions`, whose lists
//! may only shrink.
//!
//! | what | where |
//! |---|---|
//! | a room imports from lower layers only | `layers` |
//! | no circles of files, and none of a room's parts | `circles` |
//! | libraries, some types and asynchronous code stay in their places | `confined` |
//! | folders are small and described, no file is dead, tests have one name | `folders` |
//! | a type's name stands for one thing | `names` |
//! | files, functions and lines are short, and nothing is left behind | `sizes` |
//! | comments, log lines and documents use plain words | `language` |
//! | how sources are read: code and comments, modules, imports | `lexer`, `sources`, `imports` |
//! | how findings are compared with what is known | `report` |

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod circles;
mod confined;
mod exceptions;
mod folders;
mod imports;
mod language;
mod layers;
mod lexer;
mod names;
mod report;
mod sizes;
mod sources;
