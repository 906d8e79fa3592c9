//! What a rule is and what it finds.

use crate::tune::host::Host;
use serde::Serialize;

/// How a finding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As wanted.
    Ok,
    /// Works, but slower or less steady.
    Warn,
    /// A broker cannot run, or not safely.
    Fail,
    /// A fact to know; nothing to change.
    Info,
    /// Does not apply here, or cannot be seen.
    #[serde(rename = "n/a")]
    Absent,
}

/// One value to set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Write {
    /// Absolute path in `/proc` or `/sys`.
    pub path: String,
    /// What to write.
    pub value: String,
}

/// What keeps a setting over a reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persist {
    /// A line in `/etc/sysctl.d`.
    Sysctl,
    /// A udev rule for the device.
    Udev,
    /// A line in `/etc/tmpfiles.d` that writes at each boot.
    Tmpfiles,
    /// A line of the broker's systemd unit.
    Unit,
    /// The kernel's command line.
    Boot,
    /// Nothing that a file could set: the text of the finding says what to do.
    ByHand,
}

/// What was found about one thing.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Full name: the rule's, with the device's in the middle (`disk.vda.scheduler`).
    pub item: String,
    /// How it stands.
    pub status: Status,
    /// What is set, or why nothing is known.
    pub current: String,
    /// What a broker wants; empty for a fact.
    pub want: String,
    /// What to do by hand; empty if `ringlog tune apply` can do it or nothing is to be done.
    pub remedy: String,
    /// What `apply` writes if it is not as wanted.
    pub writes: Vec<Write>,
    /// The rule's own name.
    #[serde(skip)]
    pub rule: &'static str,
}

impl Finding {
    /// Something that is as it should be, or a plain fact.
    pub fn new(rule: &'static Rule, item: impl Into<String>, status: Status, current: impl Into<String>) -> Finding {
        Finding {
            item: item.into(),
            status,
            current: current.into(),
            want: String::new(),
            remedy: String::new(),
            writes: Vec::new(),
            rule: rule.name,
        }
    }

    /// Not here, and why.
    pub fn absent(rule: &'static Rule, why: impl Into<String>) -> Finding {
        Finding::new(rule, rule.name, Status::Absent, why)
    }

    /// Adds what is wanted.
    pub fn want(mut self, want: impl Into<String>) -> Finding {
        self.want = want.into();
        self
    }

    /// Adds what to do by hand.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Finding {
        self.remedy = remedy.into();
        self
    }

    /// Adds a value that `apply` sets.
    pub fn write(mut self, path: impl Into<String>, value: impl Into<String>) -> Finding {
        self.writes.push(Write {
            path: path.into(),
            value: value.into(),
        });
        self
    }

    /// Whether `name` means this finding: its own name, or its rule's.
    pub fn is(&self, name: &str) -> bool {
        self.item == name || self.rule == name
    }

    /// Whether `apply` has something to do.
    pub fn is_open(&self) -> bool {
        matches!(self.status, Status::Warn | Status::Fail) && !self.writes.is_empty()
    }
}

/// One thing to look at.
#[derive(Debug)]
pub struct Rule {
    /// Name as users write it; of a rule about devices, without the device's name.
    pub name: &'static str,
    /// What a broker wants, in words.
    pub want: &'static str,
    /// Why.
    pub why: &'static str,
    /// What is felt if it is not so, in a few words.
    pub effect: &'static str,
    /// What keeps it over a reboot.
    pub persist: Persist,
    /// Looks.
    pub(super) look: fn(&'static Rule, &Host) -> Vec<Finding>,
}

impl Rule {
    /// Looks at the machine.
    pub fn check(&'static self, host: &Host) -> Vec<Finding> {
        (self.look)(self, host)
    }

    /// Whether `name` is this rule's name, or that of one of its findings: the name with a device's in the middle.
    pub fn matches(&self, name: &str) -> bool {
        if name == self.name {
            return true;
        }
        let Some((group, setting)) = self.name.split_once('.') else {
            return false;
        };
        name.strip_prefix(group)
            .and_then(|rest| rest.strip_prefix('.'))
            .and_then(|rest| rest.strip_suffix(setting))
            .is_some_and(|device| device.len() > 1 && device.ends_with('.'))
    }

    /// The name of this rule's finding about one device.
    pub(super) fn of(&self, device: &str) -> String {
        match self.name.split_once('.') {
            Some((group, setting)) => format!("{group}.{device}.{setting}"),
            None => format!("{}.{device}", self.name),
        }
    }
}
