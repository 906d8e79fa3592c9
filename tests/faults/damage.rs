//! Damaged files: the log as it was, or a refusal.

use super::files::*;
use super::support::Scratch;
use super::support::node::{Node, files_with, start_command};
use super::{LANES, SMALL, TOPIC, api, connect, produce, read, refused};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Part of every remedy for damage.
const RESTORE: &str = "from a backup";

#[test]
fn damaged_segments_are_refused_where_they_are_damaged_and_nowhere_else() {
    let stock = Stock::new();
    let first = |data: &Path, lane| of_lane(data, lane, ".seg").remove(0);
    let unreadable = |says| Expected::Unreadable { lane: 0, says };
    let name_of_first: &[&str] = &["00000000000000000000.seg", "byte", RESTORE];
    stock.expect(
        "segment flip",
        |data| flip(&first(data, 0), 200_000),
        &unreadable(name_of_first),
    );
    stock.expect(
        "segment zero",
        |data| zero(&first(data, 0), 204_800),
        &unreadable(name_of_first),
    );
    stock.expect(
        "segment first block",
        |data| zero(&first(data, 0), 0),
        &unreadable(name_of_first),
    );
    stock.expect(
        "segment cut",
        |data| cut(&first(data, 0), 204_800),
        &unreadable(name_of_first),
    );
    stock.expect(
        "segment cut inside a block",
        |data| cut(&first(data, 0), 204_900),
        &unreadable(name_of_first),
    );
    stock.expect(
        "segment cut to nothing",
        |data| cut(&first(data, 0), 0),
        &unreadable(name_of_first),
    );
    let missing: &[&str] = &["00000000000000000000.seg", "missing", RESTORE];
    stock.expect(
        "segment deleted",
        |data| fs::remove_file(first(data, 0)).unwrap(),
        &unreadable(missing),
    );
    let swapped = |data: &Path| {
        let files = of_lane(data, 0, ".seg");
        swap(&files[0], &files[1]);
    };
    stock.expect("two segments of a lane swapped", swapped, &unreadable(name_of_first));
    // A write of the same segment, intact, in the place of another one: its frames are good, and not the ones that belong there.
    let copied = |data: &Path| {
        let path = first(data, 0);
        let content = fs::read(&path).unwrap();
        let starts: Vec<usize> = (0..content.len() / 4096)
            .map(|block| block * 4096)
            .filter(|at| content[*at..at + 4] == *b"RLF1")
            .collect();
        let (from, to) = (starts[0], starts[1]);
        let len = (to - from).min(content.len() - to);
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(&content[from..from + len], to as u64).unwrap();
    };
    stock.expect("a write that landed on another", copied, &unreadable(name_of_first));
}

#[test]
fn a_lost_segment_does_not_stop_the_shard() {
    // One large segment for each lane, which goes on being written to after a start.
    let stock = Stock::with_segments("1073741824");
    let data = stock.copy("all segments of a lane deleted");
    for path in of_lane(&data, 0, ".seg") {
        fs::remove_file(path).unwrap();
    }
    let node = Node::start(&data, &SMALL);
    let mut conn = connect(&node);
    let from = stock.counts[0];
    // More than the journal holds: it can only be recycled when the lane's records find another segment.
    produce(&mut conn, 0, from, from + 45_000);
    produce(&mut conn, 1, stock.counts[1], stock.counts[1] + 500);
    node.wait_for_text("the file is missing");
    node.wait_for_text("what it held goes into a new one");
    assert_eq!(read(&mut conn, 0), (0, Some(56)));
    assert_eq!(read(&mut conn, 1), (stock.counts[1] + 500, None));
    for first in (i64::from(from)..i64::from(from) + 45_000).step_by(10_000) {
        assert!(
            !api::fetch(&mut conn, TOPIC, 0, first, 1 << 20).unwrap().is_empty(),
            "offset {first}"
        );
    }
}

#[test]
fn a_segment_of_another_partition_is_not_served() {
    let stock = Stock::new();
    let data = stock.copy("swapped lanes");
    swap(
        &of_lane(&data, 0, ".seg").remove(0),
        &of_lane(&data, 1, ".seg").remove(0),
    );
    let node = Node::start(&data, &SMALL);
    let mut conn = connect(&node);
    for lane in 0..LANES {
        assert_eq!(read(&mut conn, lane), (0, Some(56)), "lane {lane}");
    }
    node.wait_for_text("belongs to another partition");
}

#[test]
fn damaged_indexes_change_nothing() {
    let stock = Stock::new();
    let first = |data: &Path, lane| of_lane(data, lane, ".idx").remove(0);
    stock.expect("index flip", |data| flip(&first(data, 0), 60), &Expected::Same);
    stock.expect("index zero", |data| zero(&first(data, 0), 0), &Expected::Same);
    stock.expect("index cut", |data| cut(&first(data, 0), 100), &Expected::Same);
    stock.expect("index cut to nothing", |data| cut(&first(data, 0), 0), &Expected::Same);
    stock.expect(
        "index deleted",
        |data| fs::remove_file(first(data, 0)).unwrap(),
        &Expected::Same,
    );
    stock.expect(
        "indexes of two lanes swapped",
        |data| swap(&first(data, 0), &first(data, 1)),
        &Expected::Same,
    );
    let swapped = |data: &Path| {
        let files = of_lane(data, 0, ".idx");
        swap(&files[0], &files[1]);
    };
    stock.expect("indexes of two segments swapped", swapped, &Expected::Same);
}

#[test]
fn damaged_checkpoints_lead_to_the_other_copy_or_to_a_refusal() {
    let stock = Stock::new();
    let either = Expected::SameOrNoStart(&["shards/0", "checkpoint."]);
    stock.expect(
        "newest checkpoint flip",
        |data| flip(&checkpoints(data).0, 100),
        &either,
    );
    stock.expect("newest checkpoint cut", |data| cut(&checkpoints(data).0, 100), &either);
    let either = Expected::SameOrNoStart(&["shards/0", "journal"]);
    stock.expect(
        "newest checkpoint deleted",
        |data| fs::remove_file(checkpoints(data).0).unwrap(),
        &either,
    );
    stock.expect(
        "older checkpoint flip",
        |data| flip(&checkpoints(data).1, 100),
        &Expected::Same,
    );
    stock.expect(
        "older checkpoint deleted",
        |data| fs::remove_file(checkpoints(data).1).unwrap(),
        &Expected::Same,
    );
    let both = |data: &Path| {
        let (newest, older) = checkpoints(data);
        flip(&newest, 100);
        zero(&older, 0);
    };
    let says = &["checkpoint.a", "checkpoint.b", "ringlog inspect", RESTORE];
    stock.expect("both checkpoints damaged", both, &Expected::NoStart(says));
    let gone = |data: &Path| {
        let (newest, older) = checkpoints(data);
        fs::remove_file(newest).unwrap();
        fs::remove_file(older).unwrap();
    };
    let says = &["journal block 1 is missing", "ringlog inspect", RESTORE];
    stock.expect("both checkpoints deleted", gone, &Expected::NoStart(says));
    let data = stock.copy("older checkpoint with a word");
    flip(&checkpoints(&data).1, 100);
    let node = Node::start(&data, &SMALL);
    let log = node.log.lock().unwrap().clone();
    assert!(
        log.contains("checkpoint checksum is wrong") && log.contains("the other copy is used"),
        "{log}"
    );
}

#[test]
fn a_damaged_journal_is_refused_to_its_very_last_record() {
    let stock = Stock::new();
    let damage_block = |from_end: usize, damage: fn(&Path, u64)| {
        move |data: &Path| {
            let blocks = journal_blocks(data);
            let (_, path, at) = &blocks[blocks.len() - 1 - from_end];
            damage(path, *at);
        }
    };
    let says: &[&str] = &[
        "journal block",
        "proves that it was durable",
        ".jnl",
        "ringlog inspect",
        RESTORE,
    ];
    // The last block is the mark behind the last record.
    stock.expect(
        "journal end flip",
        damage_block(1, |path, at| flip(path, at + 300)),
        &Expected::NoStart(says),
    );
    stock.expect("journal end zero", damage_block(1, zero), &Expected::NoStart(says));
    stock.expect("journal mark zero", damage_block(0, zero), &Expected::Same);
    stock.expect(
        "journal middle flip",
        damage_block(20, |path, at| flip(path, at + 300)),
        &Expected::NoStart(says),
    );
    stock.expect("journal middle zero", damage_block(20, zero), &Expected::NoStart(says));
    let last_file = |data: &Path| journal_blocks(data).pop().unwrap().1;
    let says: &[&str] = &[".jnl was cut to 8192 bytes", RESTORE];
    stock.expect(
        "journal cut",
        |data| cut(&last_file(data), 8192),
        &Expected::NoStart(says),
    );
    let says: &[&str] = &[".jnl is missing", "Put the file back"];
    stock.expect(
        "journal deleted",
        |data| fs::remove_file(last_file(data)).unwrap(),
        &Expected::NoStart(says),
    );
    let all = |data: &Path| {
        files_with(data, ".jnl")
            .iter()
            .for_each(|path| fs::remove_file(path).unwrap())
    };
    stock.expect("all journals deleted", all, &Expected::NoStart(says));
    let swapped = |data: &Path| {
        let files = files_with(data, ".jnl");
        swap(&files[0], &files[1]);
    };
    stock.expect("two journals swapped", swapped, &Expected::Same);
}

#[test]
fn a_clean_end_leaves_word_of_the_last_record() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let node = Node::start(&data, &SMALL);
    let mut conn = connect(&node);
    api::create_topics(
        &mut conn,
        &[api::Topic {
            name: TOPIC,
            partitions: LANES,
        }],
        &[],
    )
    .unwrap();
    produce(&mut conn, 0, 0, 100);
    assert_eq!(node.terminate(), 0);
    // Not one checkpoint was due yet; even so a whole file of zeros is not taken for a new journal.
    for path in files_with(&data, ".jnl") {
        let bytes = fs::metadata(&path).unwrap().len();
        fs::write(&path, vec![0; bytes as usize]).unwrap();
    }
    let run = Node::try_start(start_command(&data, &SMALL))
        .map(drop)
        .expect_err("refused");
    refused(
        "zeroed journals",
        &run,
        &[
            "the journal ends at block",
            "acknowledged records would be lost",
            RESTORE,
        ],
    );
}

#[test]
fn files_of_another_shard_are_refused() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    let args = ["--shards", "2", "--memory", "128MiB"];
    let node = Node::start(&data, &args);
    node.client(&["topic", "create", "t", "-p", "4"], b"").ok();
    node.client(&["produce", "t"], b"one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\n")
        .ok();
    assert_eq!(node.terminate(), 0);
    swap(&data.join("shards/0"), &data.join("shards/1"));
    let run = Node::try_start(start_command(&data, &args))
        .map(drop)
        .expect_err("refused");
    refused("swapped shards", &run, &["belongs to shard", "shards/"]);
}

#[test]
fn a_missing_format_file_is_not_taken_for_a_foreign_directory() {
    let scratch = Scratch::new();
    let data = scratch.0.join("data");
    assert_eq!(Node::start(&data, &SMALL).terminate(), 0);
    let format = data.join("ringlog.format");
    let good = fs::read_to_string(&format).unwrap();
    let attempt = || {
        Node::try_start(start_command(&data, &SMALL))
            .map(drop)
            .expect_err("refused")
    };
    fs::write(&format, good.replace("node.id = 1", "node.id = 3")).unwrap();
    refused(
        "another node id",
        &attempt(),
        &["ringlog.format is damaged", "checksum", RESTORE],
    );
    fs::write(&format, "").unwrap();
    refused("an empty file", &attempt(), &["ringlog.format is damaged", RESTORE]);
    fs::remove_file(&format).unwrap();
    refused("no file", &attempt(), &["ringlog.format is missing", RESTORE]);
    fs::write(&format, good).unwrap();
    assert_eq!(Node::start(&data, &SMALL).terminate(), 0);
}
