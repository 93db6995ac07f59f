//! Measures two servers in turns, so that both see the same machine.

use std::time::Instant;

use crate::common::process;

/// The result of one round.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// How much was done, in the unit of the figure.
    pub amount: f64,
    /// How long it took.
    pub seconds: f64,
    /// The processor time that the server's processes used meanwhile.
    pub processor: f64,
}

impl Round {
    /// Measures work that these processes do.
    pub fn measure(processes: &[u32], amount: f64, work: impl FnOnce()) -> Self {
        let used = || processes.iter().map(|pid| process::processor_seconds(*pid)).sum::<f64>();
        let before = used();
        let begun = Instant::now();
        work();
        let seconds = begun.elapsed().as_secs_f64();
        Self { amount, seconds, processor: used() - before }
    }

    /// Returns the rate in a second.
    pub fn rate(&self) -> f64 {
        self.amount / self.seconds
    }
}

/// The rounds of one server.
#[derive(Debug, Default)]
pub struct Rounds(pub Vec<Round>);

impl Rounds {
    /// Returns the median of the rates.
    pub fn rate(&self) -> f64 {
        median(self.0.iter().map(Round::rate))
    }

    /// Returns the processor time of a unit over all rounds, because one round has few ticks of the clock.
    pub fn cost(&self) -> f64 {
        let total = |part: fn(&Round) -> f64| self.0.iter().map(part).sum::<f64>();
        total(|round| round.processor) / total(|round| round.amount)
    }
}

/// Measures the servers in turns, `rounds` times, after one round to warm up.
pub fn alternate<const N: usize>(rounds: usize, servers: [&mut dyn FnMut() -> Round; N]) -> [Rounds; N] {
    let mut measured = rotate(rounds, servers.into()).into_iter();
    std::array::from_fn(|_| measured.next().unwrap())
}

/// Does the same for a number of servers that depends on the machine.
pub fn rotate(rounds: usize, mut servers: Vec<&mut dyn FnMut() -> Round>) -> Vec<Rounds> {
    let mut measured: Vec<Rounds> = servers.iter().map(|_| Rounds::default()).collect();
    for number in 0..=rounds {
        for (server, measured) in servers.iter_mut().zip(&mut measured) {
            let round = server();
            if number > 0 {
                measured.0.push(round);
            }
        }
    }
    measured
}

/// Returns the median.
pub fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN);
    f64::midpoint(lower, upper)
}
