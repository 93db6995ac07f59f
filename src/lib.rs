//! An OCI container registry for one machine that can lose power at any moment.

mod config;
