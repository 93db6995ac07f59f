//! The power is cut while a store is looked after; and each place in the code that makes something durable is
//! left out once.

mod jobs;
mod sites;
