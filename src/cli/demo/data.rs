//! Log lines and measurements as a small shop's machines would write them. Seeded, so each feeder has its own stream.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

const PATHS: [&str; 8] = [
    "/",
    "/cart",
    "/checkout",
    "/api/v1/orders",
    "/api/v1/items",
    "/search?q=lamp",
    "/static/app.js",
    "/healthz",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X)",
    "curl/8.14.1",
    "okhttp/5.1.0",
];
const SERVICES: [&str; 6] = ["checkout", "payment", "stock", "search", "mailer", "gateway"];
const EVENTS: [(&str, &str); 7] = [
    ("info", "request handled"),
    ("info", "payment accepted"),
    ("info", "cache refreshed"),
    ("debug", "connection reused"),
    ("warn", "slow query"),
    ("warn", "retrying upstream"),
    ("error", "upstream timed out"),
];
const MEASURES: [(&str, f64); 6] = [
    ("cpu_usage", 100.0),
    ("mem_used_bytes", 3.4e10),
    ("disk_io_ms", 40.0),
    ("net_rx_bytes", 1.2e8),
    ("http_requests", 900.0),
    ("queue_length", 64.0),
];

/// A small generator of random numbers (xorshift64*).
pub struct Dice(u64);

impl Dice {
    /// Different seeds, different streams.
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 33) % bound.max(1)
    }
    fn pick<T: Copy, const N: usize>(&mut self, from: &[T; N]) -> T {
        from[self.below(N as u64) as usize % N]
    }
}

/// A key and a line.
pub struct Line {
    /// Host or service; lines of one key keep their order.
    pub key: String,
    /// The line.
    pub text: String,
}

/// A web server's access log, combined format with the time taken.
pub fn access(dice: &mut Dice) -> Line {
    let host = format!("web-{}", 1 + dice.below(12));
    let status = [200, 200, 200, 200, 200, 200, 304, 404, 500][dice.below(9) as usize];
    let text = format!(
        "{}.{}.{}.{} - - [{}] \"{} {} HTTP/1.1\" {status} {} \"-\" \"{}\" {:.3}",
        11 + dice.below(180),
        dice.below(256),
        dice.below(256),
        1 + dice.below(254),
        Time::now().common_log(),
        if dice.below(5) == 0 { "POST" } else { "GET" },
        dice.pick(&PATHS),
        180 + dice.below(24_000),
        dice.pick(&AGENTS),
        dice.below(400) as f64 / 1000.0,
    );
    Line { key: host, text }
}

/// An application's structured log.
pub fn application(dice: &mut Dice) -> Line {
    let service = dice.pick(&SERVICES);
    let (level, message) = dice.pick(&EVENTS);
    let text = format!(
        "{{\"ts\":\"{}\",\"level\":\"{level}\",\"service\":\"{service}\",\"host\":\"app-{}\",\"trace_id\":\"{:016x}\",\
         \"msg\":\"{message}\",\"order\":{},\"ms\":{}}}",
        Time::now().rfc3339(),
        1 + dice.below(20),
        dice.next(),
        100_000 + dice.below(900_000),
        dice.below(250),
    );
    Line {
        key: service.to_string(),
        text,
    }
}

/// A measurement in line protocol.
pub fn metric(dice: &mut Dice) -> Line {
    let host = format!("host-{}", 1 + dice.below(40));
    let (name, scale) = dice.pick(&MEASURES);
    let value = scale * dice.below(10_000) as f64 / 10_000.0;
    let nanos = Time::now().nanos();
    let text = format!(
        "{name},host={host},rack=r{} value={value:.3} {nanos}",
        1 + dice.below(6)
    );
    Line { key: host, text }
}

/// A moment in UTC.
#[derive(Clone, Copy)]
struct Time {
    seconds: u64,
    subsec_nanos: u32,
}

impl Time {
    fn now() -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time {
            seconds: since.as_secs(),
            subsec_nanos: since.subsec_nanos(),
        }
    }

    fn nanos(self) -> u128 {
        u128::from(self.seconds) * 1_000_000_000 + u128::from(self.subsec_nanos)
    }

    /// Year, month from 1, day from 1 (proleptic Gregorian).
    fn date(self) -> (u64, u64, u64) {
        // Days are counted from 1 March of a 400-year era, so that the leap day comes last.
        let days = self.seconds / 86_400 + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year + era * 400 + u64::from(month <= 2);
        (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
    }

    fn clock(self) -> (u64, u64, u64) {
        let seconds = self.seconds % 86_400;
        (seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    fn rfc3339(self) -> String {
        let ((year, month, day), (hour, minute, second)) = (self.date(), self.clock());
        let millis = self.subsec_nanos / 1_000_000;
        format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }

    fn common_log(self) -> String {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let ((year, month, day), (hour, minute, second)) = (self.date(), self.clock());
        let name = MONTHS[(month as usize + 11) % 12];
        let mut text = String::with_capacity(26);
        let _ = write!(text, "{day:02}/{name}/{year}:{hour:02}:{minute:02}:{second:02} +0000");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        let at = |seconds| Time {
            seconds,
            subsec_nanos: 5_000_000,
        };
        assert_eq!(at(0).rfc3339(), "1970-01-01T00:00:00.005Z");
        assert_eq!(at(951_782_400).rfc3339(), "2000-02-29T00:00:00.005Z");
        assert_eq!(at(1_709_251_199).rfc3339(), "2024-02-29T23:59:59.005Z");
        assert_eq!(at(1_709_251_200).common_log(), "01/Mar/2024:00:00:00 +0000");
        assert_eq!(at(4_107_542_400).rfc3339(), "2100-03-01T00:00:00.005Z");
    }

    #[test]
    fn lines_look_like_what_machines_write() {
        let mut dice = Dice::new(7);
        let line = access(&mut dice);
        assert!(
            line.key.starts_with("web-") && line.text.contains(" HTTP/1.1\" "),
            "{}",
            line.text
        );
        let json: serde_json::Value = serde_json::from_str(&application(&mut dice).text).unwrap();
        assert!(json["service"].is_string() && json["ms"].is_number());
        assert!(metric(&mut dice).text.contains(",host=host-"));
    }
}
