use super::*;
use crate::payload::{Shape, Stamp, Template};

const RUN: u64 = 99;

/// A run of one producer with two records per batch; batches 0 to 3 acknowledged at 0, 2, 4, 6, batch 4 unanswered.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new("t", RUN, 1, 2, 64);
    let lane = ledger.lane(0, 0);
    for batch in 0..5 {
        ledger.sent(lane);
        if batch < 4 {
            ledger.answered(lane, batch, 0, i64::from(batch) * 2);
        }
    }
    ledger
}

/// The stored bytes of batch `sequence / 2`, as a broker that sets `base_offset` keeps them.
fn stored(sequence: u64, base_offset: i64) -> Vec<u8> {
    let shape = Shape {
        topic: "t".into(),
        acks: -1,
        timeout_ms: 0,
        records: 2,
        record_bytes: 64,
        run_id: RUN,
    };
    let template = Template::new(&shape);
    let mut frame = template.bytes().to_vec();
    let stamp = Stamp {
        correlation: 0,
        partition: 0,
        producer: 0,
        sequence,
        intended_ns: 0,
        identity: None,
        wall_ms: 0,
    };
    template.patch(&mut frame, &stamp);
    let len = crate::payload::batch_bytes(&shape);
    let start = frame.len() - 3 - len;
    let mut batch = frame[start..start + len].to_vec();
    batch[..8].copy_from_slice(&base_offset.to_be_bytes());
    batch
}

fn audit(log: &[(u64, i64)]) -> Verdict {
    audit_bytes(
        &log.iter()
            .flat_map(|(sequence, offset)| stored(*sequence, *offset))
            .collect::<Vec<u8>>(),
    )
}

fn audit_bytes(mut log: &[u8]) -> Verdict {
    let ledger = ledger();
    let mut audit = Audit::new(&ledger);
    while let Some(batch) = Batch::next(&mut log).unwrap() {
        audit.batch(0, &batch).unwrap();
    }
    audit.finish(0)
}

#[test]
fn a_whole_log_is_clean_with_or_without_the_unanswered_batch() {
    let without = audit(&[(0, 0), (2, 2), (4, 4), (6, 6)]);
    assert!(without.is_clean(), "{without:?}");
    assert_eq!((without.acked, without.found, without.unacked_found), (8, 8, 0));
    let with = audit(&[(0, 0), (2, 2), (4, 4), (6, 6), (8, 8)]);
    assert!(with.is_clean() && with.unacked_found == 2, "{with:?}");
}

#[test]
fn each_fault_is_counted_as_what_it_is() {
    let lost = audit(&[(0, 0), (2, 2), (6, 6)]);
    assert_eq!((lost.lost, lost.is_clean()), (2, false));
    let twice = audit(&[(0, 0), (2, 2), (4, 4), (6, 6), (8, 8), (8, 10)]);
    assert_eq!((twice.duplicated, twice.lost, twice.is_clean()), (2, 0, false));
    let swapped = audit(&[(0, 0), (4, 4), (2, 2), (6, 6)]);
    assert_eq!((swapped.reordered, swapped.lost, swapped.duplicated), (2, 0, 0));
    let moved = audit(&[(0, 0), (2, 2), (4, 4), (6, 7)]);
    assert_eq!((moved.misplaced, moved.lost), (2, 0));
    let never_sent = audit(&[(0, 0), (2, 2), (4, 4), (6, 6), (100, 8)]);
    assert_eq!((never_sent.changed, never_sent.lost), (2, 0));
}

#[test]
fn a_flipped_bit_in_a_value_is_a_changed_record() {
    let mut log: Vec<u8> = (0..4).flat_map(|n| stored(n * 2, n as i64 * 2)).collect();
    let at = log.len() - 10;
    log[at] ^= 4;
    let verdict = audit_bytes(&log);
    // The batch's CRC, and the record itself, which is then also missing.
    assert_eq!((verdict.changed, verdict.lost), (2, 1));
}
