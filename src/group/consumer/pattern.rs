//! Regular expressions that members subscribe by (KIP-848: RE2), matched with whole topic names in linear time.
//!
//! What RE2 knows and the `regex` crate does not (`\Q..\E`, `\C`, Unicode classes) is refused. Topic names are ASCII, so
//! classes such as `\w` mean ASCII, as in RE2.

use super::group::{ConsumerGroup, Key, Resolved};
use super::{Refusal, refuse};
use crate::base::ids::Now;
use crate::group::topics::Topics;
use crate::wire::error::ErrorCode;
use regex::bytes::{Regex, RegexBuilder};
use std::collections::BTreeSet;

/// Longest expression, bytes.
const LENGTH_MAX: usize = 4_096;
/// Memory of a compiled expression, and of what it needs while it matches, bytes.
const SIZE_MAX: usize = 1 << 20;
/// New topics are looked for at most so often per group.
const REFRESH_NS: u64 = 5_000_000_000;

/// Whether the expression can be used.
///
/// # Errors
/// INVALID_REGULAR_EXPRESSION with the reason.
pub(super) fn check(pattern: &str) -> Result<(), Refusal> {
    compile(pattern).map(|_| ())
}

fn compile(pattern: &str) -> Result<Regex, Refusal> {
    if pattern.len() > LENGTH_MAX {
        let why = format!("The regular expression has more than {LENGTH_MAX} bytes.");
        return refuse(ErrorCode::InvalidRegularExpression, why);
    }
    let build = |pattern: &str| {
        let mut builder = RegexBuilder::new(pattern);
        builder.unicode(false).size_limit(SIZE_MAX).dfa_size_limit(SIZE_MAX);
        builder.build()
    };
    // On its own first: `a)(b` must not become valid by what is put around it.
    let whole = build(pattern).and_then(|_| build(&format!(r"\A(?:{pattern})\z")));
    whole.or_else(|error| {
        // The lines before the last one draw where it is.
        let error = error.to_string();
        let why = error.lines().last().unwrap_or("error: no reason is given");
        let why = format!("The regular expression cannot be used: {why}");
        refuse(ErrorCode::InvalidRegularExpression, why)
    })
}

fn matches(pattern: &str, topics: &Topics) -> BTreeSet<String> {
    let Ok(regex) = compile(pattern) else {
        // Of a log that another broker wrote: nobody is subscribed by it.
        return BTreeSet::new();
    };
    let names = topics.names().filter(|name| regex.is_match(name.as_bytes()));
    names.map(str::to_string).collect()
}

impl ConsumerGroup {
    /// Whether topics have come or gone that expressions were not matched with, and it is time to.
    pub(super) fn regexes_are_stale(&self, now: Now, topics: &Topics) -> bool {
        let stale = self.names_seen != Some(topics.names_version());
        stale && !self.regexes.is_empty() && now.mono_ns >= self.names_due_ns
    }

    /// Finds the topics of expressions that are new, and of all when topics have changed; forgets those without a member.
    pub(super) fn resolve_regexes(&mut self, now: Now, topics: &Topics) {
        let stale = self.regexes_are_stale(now, topics);
        let used = self.members.values().map(|member| &member.regex);
        let used: BTreeSet<String> = used.filter(|regex| !regex.is_empty()).cloned().collect();
        let gone = self.regexes.keys().filter(|regex| !used.contains(*regex));
        self.dirty.extend(gone.cloned().map(Key::Regex));
        self.regexes.retain(|regex, _| used.contains(regex));
        if self.regexes.is_empty() || stale {
            self.names_seen = Some(topics.names_version());
            self.names_due_ns = now.mono_ns + REFRESH_NS;
        }
        for regex in used {
            let known = self.regexes.get(&regex);
            if known.is_some() && !stale {
                continue;
            }
            let found = matches(&regex, topics);
            if known.is_none_or(|known| known.topics != found) {
                let resolved = Resolved {
                    topics: found,
                    version: topics.names_version() as i64,
                    at_ms: now.wall_ms,
                };
                self.regexes.insert(regex.clone(), resolved);
                self.dirty.insert(Key::Regex(regex));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ids::TopicId;
    use crate::group::topics::TopicSize;

    #[test]
    fn whole_names_match_and_what_is_no_expression_is_refused_91() {
        let size = |id| TopicSize {
            id: TopicId([id; 16]),
            partitions: 1,
        };
        let names = ["a", "ab", "abc", "b-1", "b-2", "B-3"];
        let by_name = names.iter().zip(1..).map(|(name, id)| (name.to_string(), size(id)));
        let topics = Topics::default().next(by_name.collect()).unwrap();
        for (pattern, found) in [
            ("a|ab", vec!["a", "ab"]),
            ("ab", vec!["ab"]),
            (r"b-\d", vec!["b-1", "b-2"]),
            (r"(?i)b-\d", vec!["B-3", "b-1", "b-2"]),
            ("^a.*$", vec!["a", "ab", "abc"]),
            ("x", vec![]),
        ] {
            assert!(check(pattern).is_ok());
            assert_eq!(
                matches(pattern, &topics).into_iter().collect::<Vec<_>>(),
                found,
                "{pattern}"
            );
        }
        let long = "a".repeat(LENGTH_MAX + 1);
        for pattern in [
            "(",
            "a)(b",
            "(?=a)",
            r"(a)\1",
            "[z-a]",
            "(?x)a#",
            "((a{999}){999}){999}",
            &long,
        ] {
            assert_eq!(
                check(pattern).unwrap_err().0,
                ErrorCode::InvalidRegularExpression,
                "{pattern}"
            );
        }
    }
}
