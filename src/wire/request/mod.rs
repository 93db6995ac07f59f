//! Requests: the head, and the body as the application reads it.

mod body;
mod continue_100;
mod framing;
mod head;
mod head_scanner;
mod input;
mod target;

pub(in crate::wire) use body::{BodyReader, BodySource};
pub(in crate::wire) use continue_100::BodySignals;
pub(in crate::wire) use framing::Framing;
#[cfg(any(test, fuzzing))]
pub(in crate::wire) use framing::Next;
pub(in crate::wire) use head::{BodyFraming, RequestHead};
pub(in crate::wire) use head_scanner::HeadScanner;
pub(in crate::wire) use input::Input;
