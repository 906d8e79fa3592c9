//! Rates and latencies, drawn in place on a terminal, one line a second elsewhere.

use super::stats::{Seen, Stats};
use crate::client::Address;
use crate::metrics::Latency;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Widest line drawn.
const WIDTH: usize = 110;
/// Lines of the tail.
const TAIL: usize = 6;
/// Pause between two lines when not on a terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(1);

/// What the demo shows.
pub(super) struct Screen {
    bars: Option<Bars>,
    drawn: Instant,
    acked: u64,
    acked_bytes: u64,
    read: u64,
}

struct Bars {
    all: MultiProgress,
    lines: Vec<ProgressBar>,
}

/// Rates since the last drawing.
struct Rates {
    acked: f64,
    bytes: f64,
    read: f64,
}

impl Screen {
    /// Prints what to try, and prepares the lines.
    pub fn new(address: &Address) -> Screen {
        eprintln!("\n  feeding demo.logs and demo.metrics; try in another terminal:");
        eprintln!("    ringlog consume demo.logs -b {address}      kcat -C -b {address} -t demo.metrics -o end");
        eprintln!("  Ctrl-C ends\n");
        let bars = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
            let lines = (0..4 + TAIL)
                .map(|_| all.add(ProgressBar::new_spinner().with_style(style.clone())))
                .collect();
            Bars { all, lines }
        });
        Screen {
            bars,
            drawn: Instant::now(),
            acked: 0,
            acked_bytes: 0,
            read: 0,
        }
    }

    /// Shows the present state.
    pub fn draw(&mut self, stats: &Stats) {
        if self.bars.is_none() && self.drawn.elapsed() < PLAIN_EVERY {
            return;
        }
        let rates = self.rates(stats);
        let seen = stats.take_recent();
        match &self.bars {
            None => eprintln!("{}", plain(stats, &rates, &seen)),
            Some(bars) => bars.show(&block(stats, &rates, &seen)),
        }
    }

    fn rates(&mut self, stats: &Stats) -> Rates {
        let seconds = self.drawn.elapsed().as_secs_f64().max(1e-3);
        let (acked, bytes, read) = (stats.acked(), stats.acked_bytes(), stats.read());
        let rates = Rates {
            acked: (acked - self.acked) as f64 / seconds,
            bytes: (bytes - self.acked_bytes) as f64 / seconds,
            read: (read - self.read) as f64 / seconds,
        };
        (self.acked, self.acked_bytes, self.read) = (acked, bytes, read);
        self.drawn = Instant::now();
        rates
    }

    /// The last word.
    pub fn finish(self, stats: &Stats) {
        if let Some(bars) = self.bars {
            let _ = bars.all.clear();
        }
        let seen = stats.whole_run();
        let seconds = stats.started.elapsed().as_secs_f64();
        println!(
            "{} records acknowledged as durable in {seconds:.1} s, {} read back",
            grouped(stats.acked()),
            grouped(stats.read())
        );
        println!("  acknowledged after  {}", quantiles(&seen.ack));
        println!("  read after          {}", quantiles(&seen.end_to_end));
    }
}

impl Bars {
    fn show(&self, block: &[String]) {
        for (bar, text) in self.lines.iter().zip(block) {
            bar.set_message(text.chars().take(WIDTH).collect::<String>());
        }
    }
}

fn block(stats: &Stats, rates: &Rates, seen: &Seen) -> Vec<String> {
    let mut lines = vec![
        format!(
            "  acknowledged {:>11} records/s  {:>6.1} MB/s   {} in all",
            grouped(rates.acked as u64),
            rates.bytes / 1e6,
            grouped(stats.acked())
        ),
        format!(
            "  read back    {:>11} records/s                 {} in all",
            grouped(rates.read as u64),
            grouped(stats.read())
        ),
        format!(
            "  ack {}     produced to read {}",
            quantiles(&seen.ack),
            quantiles(&seen.end_to_end)
        ),
        String::new(),
    ];
    lines.extend(stats.samples().into_iter().map(|line| format!("  {line}")));
    lines
}

fn plain(stats: &Stats, rates: &Rates, seen: &Seen) -> String {
    format!(
        "{:>4.0} s  acked {}/s {:.1} MB/s  read {}/s  ack {}  read {}",
        stats.started.elapsed().as_secs_f64(),
        grouped(rates.acked as u64),
        rates.bytes / 1e6,
        grouped(rates.read as u64),
        quantiles(&seen.ack),
        quantiles(&seen.end_to_end)
    )
}

fn quantiles(latency: &Latency) -> String {
    let ms = |quantile| latency.quantile_ns(quantile) as f64 / 1e6;
    format!("p50 {:.2} ms  p99 {:.2} ms", ms(0.5), ms(0.99))
}

/// `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_readable() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
