//! Looking at the metadata without changing it.

mod comparison;
mod fault;
mod inspect;
mod result;
mod verify;

pub use fault::{MetaFault, MetaFaultKind};
pub use result::Inspection;
pub use verify::verify_closed;
