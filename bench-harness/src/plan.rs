//! When each request is due. Fixed before the run starts: a slow broker cannot move it (no coordinated omission).

use std::str::FromStr;

/// Spacing of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// One every 1/rate seconds.
    Constant,
    /// Exponential gaps, seeded: bursts as from many independent senders.
    Poisson,
}

impl FromStr for Arrival {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "constant" => Ok(Arrival::Constant),
            "poisson" => Ok(Arrival::Poisson),
            other => Err(format!("{other}: use constant or poisson")),
        }
    }
}

/// Nanoseconds after the start at which each request is due, ascending, for `seconds` at `rate` per second.
pub fn schedule(rate: f64, seconds: f64, arrival: Arrival, seed: u64) -> Vec<u64> {
    let (gap_ns, end_ns) = (1e9 / rate, seconds * 1e9);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut due = Vec::with_capacity((rate * seconds * 1.01) as usize + 16);
    let mut at = 0.0;
    while at < end_ns {
        due.push(at as u64);
        at += match arrival {
            Arrival::Constant => gap_ns,
            Arrival::Poisson => -gap_ns * unit(&mut state).ln(),
        };
    }
    due
}

/// Uniform in (0, 1], xorshift64*.
fn unit(state: &mut u64) -> f64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    let bits = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
    (bits + 1) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_schedule_is_even() {
        let due = schedule(1000.0, 2.0, Arrival::Constant, 1);
        assert_eq!(due.len(), 2000);
        assert!(due.windows(2).all(|w| w[1] - w[0] == 1_000_000));
    }

    #[test]
    fn poisson_schedule_repeats_by_seed_and_keeps_its_rate() {
        let due = schedule(10_000.0, 10.0, Arrival::Poisson, 7);
        assert_eq!(due, schedule(10_000.0, 10.0, Arrival::Poisson, 7));
        assert_ne!(due, schedule(10_000.0, 10.0, Arrival::Poisson, 8));
        assert!((98_000..102_000).contains(&due.len()), "{}", due.len());
        let long = due.windows(2).filter(|w| w[1] - w[0] > 100_000).count() as f64 / due.len() as f64;
        assert!(
            (long - (-1f64).exp()).abs() < 0.02,
            "share of gaps above the mean: {long}"
        );
    }
}
