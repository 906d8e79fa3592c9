//! A stopped node's files, ways to damage copies of them, and what a start on a copy has to come to.

use super::support::node::{Node, files_with, start_command};
use super::support::{self, Scratch};
use super::{LANES, SMALL, TOPIC, api, connect, produce, read, refused};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A stopped node's data: two lanes with segments, indexes, both checkpoints, a journal that is marked at its end.
pub struct Stock {
    pub scratch: Scratch,
    pub counts: [u32; LANES as usize],
}

impl Stock {
    pub fn new() -> Stock {
        let stock = Stock::with_segments("1048576");
        let good = stock.scratch.0.join("good");
        for kind in [".seg", ".idx", "checkpoint.a", "checkpoint.b", ".jnl"] {
            assert!(!files_with(&good, kind).is_empty(), "no {kind} to damage");
        }
        stock
    }

    /// With this `segment.bytes`.
    pub fn with_segments(bytes: &str) -> Stock {
        let scratch = Scratch::new();
        let node = Node::start(&scratch.0.join("good"), &SMALL);
        let mut conn = connect(&node);
        let topic = api::Topic {
            name: TOPIC,
            partitions: LANES,
        };
        api::create_topics(&mut conn, &[topic], &[("segment.bytes", bytes), ("retention.ms", "-1")]).unwrap();
        let counts = [24_000, 12_000];
        for part in 0..12 {
            for lane in 0..LANES {
                let share = counts[lane as usize] / 12;
                produce(&mut conn, lane, part * share, (part + 1) * share);
            }
        }
        // The journal is marked after a second without a write.
        std::thread::sleep(Duration::from_millis(1800));
        node.kill();
        Stock { scratch, counts }
    }

    /// A copy to damage.
    pub fn copy(&self, name: &str) -> PathBuf {
        let to = self.scratch.0.join(name);
        let _ = fs::remove_dir_all(&to);
        copy_tree(&self.scratch.0.join("good"), &to);
        to
    }

    /// Starts on the damaged copy: everything is there, or what `refusal` says is refused.
    pub fn expect(&self, name: &str, damage: impl FnOnce(&Path), expected: &Expected) {
        let data = self.copy(name);
        damage(&data);
        let outcome = Node::try_start(start_command(&data, &SMALL));
        match (outcome, expected) {
            (Err(run), Expected::NoStart(says) | Expected::SameOrNoStart(says)) => refused(name, &run, says),
            (Err(run), _) => panic!("{name}: the broker did not start:\n{}", run.err),
            (Ok(_), Expected::NoStart(_)) => panic!("{name}: the broker started"),
            (Ok(node), expected) => {
                self.read_all(name, &node, expected);
                node.kill();
            }
        }
        let _ = fs::remove_dir_all(&data);
    }

    fn read_all(&self, name: &str, node: &Node, expected: &Expected) {
        let mut conn = connect(node);
        for lane in 0..LANES {
            let whole = (self.counts[lane as usize], None);
            let found = read(&mut conn, lane);
            match expected {
                Expected::Unreadable { lane: bad, says } if *bad == lane => {
                    assert_eq!(found.1, Some(56), "{name}: lane {lane} read to {}", found.0);
                    says.iter().for_each(|word| node.wait_for_text(word));
                }
                _ => assert_eq!(found, whole, "{name}: lane {lane}"),
            }
        }
        // It takes writes whatever was damaged, and the other lane is none the worse.
        for lane in 0..LANES {
            let from = self.counts[lane as usize];
            produce(&mut conn, lane, from, from + 50);
        }
    }
}

/// What damage may lead to.
pub enum Expected {
    /// No effect.
    Same,
    /// The broker refuses to start and says all of this.
    NoStart(&'static [&'static str]),
    /// Either of both.
    SameOrNoStart(&'static [&'static str]),
    /// A lane cannot be read in one place; the log says all of this.
    Unreadable { lane: i32, says: &'static [&'static str] },
}

pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub fn change(path: &Path, at: u64, change: impl FnOnce(&mut [u8])) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut block = [0; 4096];
    let got = file.read_at(&mut block, at).unwrap();
    assert!(got > 0, "{} ends before {at}", path.display());
    change(&mut block[..got]);
    file.write_all_at(&block[..got], at).unwrap();
}

pub fn flip(path: &Path, at: u64) {
    change(path, at, |block| block[0] ^= 0x10);
}

pub fn zero(path: &Path, at: u64) {
    change(path, at, |block| block.fill(0));
}

pub fn cut(path: &Path, to: u64) {
    fs::File::options().write(true).open(path).unwrap().set_len(to).unwrap();
}

pub fn swap(one: &Path, other: &Path) {
    let away = one.with_extension("away");
    fs::rename(one, &away).unwrap();
    fs::rename(other, one).unwrap();
    fs::rename(&away, other).unwrap();
}

/// Files of a lane with an ending.
pub fn of_lane(data: &Path, lane: i32, ending: &str) -> Vec<PathBuf> {
    let inside = |path: &PathBuf| path.parent().is_some_and(|dir| dir.ends_with(lane.to_string()));
    files_with(&data.join("topics"), ending)
        .into_iter()
        .filter(inside)
        .collect()
}

/// Journal blocks: (lsn, file, position), in order of lsn.
pub fn journal_blocks(data: &Path) -> Vec<(u64, PathBuf, u64)> {
    let mut found = Vec::new();
    for path in files_with(data, ".jnl") {
        let content = fs::read(&path).unwrap();
        for at in (0..content.len()).step_by(4096) {
            let word = |from: usize| u64::from_le_bytes(content[at + from..at + from + 8].try_into().unwrap());
            if content[at..at + 4] == *b"RLB1" {
                found.push((word(16), path.clone(), at as u64));
            }
        }
    }
    found.sort();
    found
}

/// The checkpoint with the larger generation, and the other one.
pub fn checkpoints(data: &Path) -> (PathBuf, PathBuf) {
    let paths = [
        files_with(data, "checkpoint.a").remove(0),
        files_with(data, "checkpoint.b").remove(0),
    ];
    let generation = |path: &Path| {
        let shown = support::run(
            support::ringlog().arg("inspect").arg(path).args(["--format", "json"]),
            b"",
        )
        .ok();
        let number = shown.split("generation ").nth(1).unwrap().split(',').next().unwrap();
        number.parse::<u64>().unwrap()
    };
    let [a, b] = paths;
    if generation(&a) > generation(&b) {
        (a, b)
    } else {
        (b, a)
    }
}
