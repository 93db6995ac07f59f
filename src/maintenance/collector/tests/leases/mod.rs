//! What clients rely on for longer than an answer takes.

mod pulled;
mod tags;
mod uploads;
