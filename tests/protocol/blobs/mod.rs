//! Blobs: pushed, mounted and pulled.
//!
//! | what | where |
//! |---|---|
//! | pushed in one request | `monolithic` |
//! | pushed in several | `chunked` |
//! | mounted | `mount` |
//! | pulled | `pull` |

mod chunked;
mod monolithic;
mod mount;
mod pull;
