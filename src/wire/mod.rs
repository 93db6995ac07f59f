//! HTTP/1.1 connections on smol: heads, bodies, limits, answers.
//!
//! [`serve`] accepts connections on a [`Listener`] and hands each request to an application, any function
//! from the requests of `http_types` to its responses, such as a tide server's `respond`. Beside what these
//! types hold:
//!
//! - A request has the target as it was sent ([`RawTarget`]). Its body's length is
//!   not in the body (there it would be a `usize`) but in the `Content-Length` header. A body that ends
//!   early, is framed wrongly or stalls reads as an error: never as a shorter body.
//! - A response may carry a [`FileBody`] or a [`RangesBody`] that becomes its body, and an
//!   [`OnSent`] that is called when it was sent.
//!
//! What could be read in two ways is refused: see `request/`.
//!
//! | what | where |
//! |---|---|
//! | connections: accepted, counted, served, ended | `connection/` |
//! | a request's head, and its body as the application reads it | `request/` |
//! | a response's head, and its body from memory or from a file | `response/` |
//! | what a connection needs of its socket, over TCP and in memory | `stream/` |
//! | what the application hands in and gets | `contract`, `file_step` |
//! | who gets a place where there are not enough | `admission/` |
//! | limits, and what the transport itself refuses | `limits`, `idle_timeout`, `rejection`, `refusals` |

mod admission;
mod connection;
mod contract;
mod file_step;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod idle_timeout;
mod limits;
mod refusals;
mod rejection;
mod request;
mod response;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use admission::{Place, Places, Terms};
pub use connection::{
    BindError, BoundAddress, ListenAddress, ListenAddressError, Listener, ServeOptions, Stop, serve,
};
pub(crate) use connection::{SocketFile, connect_socket};
pub(crate) use contract::BodyPlace;
pub use contract::{BodyFile, FileBody, FileStepFuture, OnSent, RawTarget, Sent};
pub use file_step::FileStep;
pub use limits::WireLimits;
pub(crate) use refusals::{RefusalReason, Refusals};
pub use response::RangesBody;
pub(crate) use response::{civil, take_body};
