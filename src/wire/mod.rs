//! HTTP/1.1 connections on smol: heads, bodies, limits, answers.
//!
//! [`serve`] accepts connections on a [`Listener`] and hands each request to an application, any function
//! from the requests of `http_types` to its responses, such as a tide server's `respond`. Beside what these
//! types hold:
//!
//! - A request has the target as it was sent ([`RawTarget`]). Its body's length is
//!   not in the body (there it would be a `usize`) but in the `Content-Length` header. A body that ends
//!   early, is framed wrongly or does not go on reads as an error: never as a shorter body.
//! - A response may carry a [`FileBody`] that becomes its body and an
//!   [`OnSent`] that is told how it went out.
//!
//! What could be read in two ways is refused: see `head_scanner`, `head`, `target` and `framing`.
//!
//! | what | where |
//! |---|---|
//! | listener: who may come in, and the end | `listener`, `admission`, `refusal`, `stop` |
//! | connection: one request after the other | `connection`, `next_head`, `half`, `gone`, `linger` |
//! | head of a request | `head_scanner`, `head`, `target` |
//! | body of a request | `framing`, `body`, `input`, `interim` |
//! | reply | `reply_head`, `reply`, `file_body`, `output`, `sent`, `date` |
//! | what it shares with the application | `contract`, `min_rate`, `client_address` |
//! | limits, and how they are waited for | `limits`, `patience` |

mod admission;
mod body;
mod client_address;
mod connection;
mod contract;
mod date;
mod file_body;
mod framing;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod gone;
mod half;
mod head;
mod head_scanner;
mod input;
mod interim;
mod limits;
mod linger;
mod listener;
mod min_rate;
mod next_head;
mod output;
mod patience;
mod refusal;
mod reply;
mod reply_head;
mod sent;
mod stop;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use client_address::SHARES;
pub use client_address::{OfSource, Source, Sources};
pub use contract::{BodyFile, FileBody, FileStepFuture, OnSent, RawTarget, Sent};
pub(crate) use date::civil;
pub use file_body::FileStep;
pub use limits::WireLimits;
pub use listener::{BindError, Listener, ServeOptions, serve};
pub use min_rate::Pace;
pub(crate) use min_rate::{PACE_MIN_BYTES, PACE_WINDOW};
pub use stop::Stop;
