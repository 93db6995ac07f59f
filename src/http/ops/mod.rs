//! For operators: health, metrics, the access log, and answers during the start.

mod access_log;
pub(in crate::http) mod health;
mod metrics;
mod starting;

pub(in crate::http) use access_log::{AccessEntry, RequestId};
pub(in crate::http) use metrics::Metrics;
pub(in crate::http) use metrics::{InFlight, OPEN_METRICS};
pub use starting::respond_while_starting;
