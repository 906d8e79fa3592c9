//! Fault rules of the disk: "the n-th write from now fails with EIO", and the like.
//!
//! One rule per line, written to the file `control` or set in process:
//!
//! ```text
//! OP NTH ACTION [once|sticky] [range=FROM..TO]
//! OP      read | write | flush
//! NTH     1 = the next matching call
//! ACTION  EIO | ENOSPC | delay=MILLISECONDS | hang | lie     (lie: only for flush; the flush is answered and not done)
//! once    the rule ends after it fired (default); sticky: it fires for the n-th and every later call
//! range   bytes of the disk, exclusive end; only calls that touch it count
//! clear   removes all rules and lets hanging calls go on
//! ```

/// A kind of call that arrives at the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Bytes are read.
    Read,
    /// Bytes are written.
    Write,
    /// Everything written before is made durable.
    Flush,
}

/// What a rule does to the call it hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Fail with this errno; nothing is done.
    Errno(i32),
    /// Wait this many milliseconds, then do it.
    Delay(u64),
    /// No answer until the rules are cleared.
    Hang,
    /// Answer a flush as done without doing it.
    Lie,
}

/// One rule with its countdown.
#[derive(Clone, Debug)]
pub struct Rule {
    op: Op,
    left: u64,
    action: Action,
    sticky: bool,
    range: Option<(u64, u64)>,
}

impl Rule {
    /// Reads one rule line (see the module text).
    ///
    /// # Errors
    /// A sentence naming the word that is not understood.
    pub fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let op = match words.next() {
            Some("read") => Op::Read,
            Some("write") => Op::Write,
            Some("flush") => Op::Flush,
            other => return Err(format!("operation must be read, write or flush, not {other:?}")),
        };
        let nth = words.next().and_then(|w| w.parse::<u64>().ok()).filter(|n| *n > 0);
        let left = nth.ok_or("second word must be a call number, 1 = the next call")?;
        let action = Self::parse_action(op, words.next().unwrap_or(""))?;
        let mut rule = Self {
            op,
            left,
            action,
            sticky: false,
            range: None,
        };
        for word in words {
            match word.strip_prefix("range=") {
                Some(range) => rule.range = Some(parse_range(range)?),
                None if word == "sticky" => rule.sticky = true,
                None if word == "once" => rule.sticky = false,
                None => return Err(format!("expected once, sticky or range=FROM..TO, not {word:?}")),
            }
        }
        Ok(rule)
    }

    fn parse_action(op: Op, word: &str) -> Result<Action, String> {
        match word {
            "EIO" => Ok(Action::Errno(libc::EIO)),
            "ENOSPC" => Ok(Action::Errno(libc::ENOSPC)),
            "hang" => Ok(Action::Hang),
            "lie" if op == Op::Flush => Ok(Action::Lie),
            _ => match word.strip_prefix("delay=").and_then(|ms| ms.parse().ok()) {
                Some(ms) => Ok(Action::Delay(ms)),
                None => Err(format!(
                    "action must be EIO, ENOSPC, delay=MS, hang, or lie for flush, not {word:?}"
                )),
            },
        }
    }

    fn touches(&self, op: Op, offset: u64, len: u64) -> bool {
        self.op == op && self.range.is_none_or(|(from, to)| offset < to && offset + len > from)
    }
}

fn parse_range(text: &str) -> Result<(u64, u64), String> {
    let parsed = text
        .split_once("..")
        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    parsed
        .filter(|(from, to)| from < to)
        .ok_or_else(|| format!("range must be FROM..TO in bytes, not {text:?}"))
}

/// All rules in force; the first one that fires decides.
#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Adds a rule behind those in force.
    pub fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    /// Removes all rules.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts this call against every rule and says what happens to it.
    pub fn decide(&mut self, op: Op, offset: u64, len: u64) -> Option<Action> {
        let mut decided = None;
        for rule in &mut self.0 {
            if !rule.touches(op, offset, len) || decided.is_some() {
                continue;
            }
            rule.left = rule.left.saturating_sub(1);
            if rule.left == 0 {
                decided = Some(rule.action);
            }
        }
        self.0.retain(|rule| rule.left > 0 || rule.sticky);
        decided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn third_write_fails_once() {
        let mut rules = Rules::default();
        rules.add(Rule::parse("write 3 EIO once").expect("rule"));
        let hits: Vec<_> = (0..5).map(|_| rules.decide(Op::Write, 0, 512).is_some()).collect();
        assert_eq!(hits, [false, false, true, false, false]);
        assert_eq!(rules.decide(Op::Read, 0, 512), None);
    }

    #[test]
    fn sticky_rule_with_range_fires_for_every_later_touch() {
        let mut rules = Rules::default();
        rules.add(Rule::parse("read 2 ENOSPC sticky range=4096..8192").expect("rule"));
        assert_eq!(rules.decide(Op::Read, 0, 4096), None, "ends where the range starts");
        assert_eq!(rules.decide(Op::Read, 4096, 1), None, "first touch");
        assert_eq!(rules.decide(Op::Read, 0, 4097), Some(Action::Errno(libc::ENOSPC)));
        assert_eq!(rules.decide(Op::Read, 8191, 1), Some(Action::Errno(libc::ENOSPC)));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for line in [
            "",
            "sync 1 EIO",
            "write 0 EIO",
            "write 1 lie",
            "write 1 EIO range=9..3",
            "flush 1 lie twice",
        ] {
            assert!(Rule::parse(line).is_err(), "{line:?} must be refused");
        }
    }
}
