//! Quotas of a shard's time, and what two shards tell each other of what was used.

use super::*;
use crate::controller::quotas::QuotaChange;
use crate::wire::control::metadata::{Metadata, MetadataRequest};

fn set(rig: &mut Rig, key: &str, value: f64) {
    let change = QuotaChange {
        entity: vec![("client-id".into(), None)],
        ops: vec![(key.into(), Some(value))],
    };
    let planned = rig.controller.plan(ControllerRequest::AlterQuotas {
        changes: vec![change],
        validate_only: false,
    });
    planned.records.iter().for_each(|record| rig.controller.replay(record));
    rig.publish();
}

/// The throttle time that an answer tells, milliseconds.
fn asked(rig: &mut Rig) -> i32 {
    rig.ask::<Metadata>(12, &MetadataRequest::default()).throttle_time_ms
}

#[test]
fn a_client_above_its_share_of_the_time_waits_94() {
    let mut rig = Rig::new();
    set(&mut rig, "request_percentage", 10.0);
    let mut throttle_ms = 0;
    for _ in 0..6 {
        rig.advance_ms(100);
        throttle_ms = asked(&mut rig);
        if throttle_ms > 0 {
            break;
        }
        // Half of the shard's time goes to this client.
        rig.edge.worked(50_000_000);
    }
    assert!((1..=1_000).contains(&throttle_ms), "{throttle_ms}");
    assert!(!rig.receiving.contains(&CONN), "it is not read");
    let other = ConnId {
        index: 9,
        generation: 1,
    };
    rig.connect(other);
    assert!(rig.receiving.contains(&other), "others are");
    rig.advance_ms(throttle_ms as u64 - 1);
    assert!(!rig.receiving.contains(&CONN));
    rig.advance_ms(2);
    assert!(rig.receiving.contains(&CONN));
    rig.advance_ms(5_000);
    assert_eq!(asked(&mut rig), 0, "the time is worked off");
    assert_eq!(rig.metrics.throttled[2], 1);
    assert!(rig.metrics.throttled_ns > 0);
}

#[test]
fn what_another_shard_reports_counts_here_94() {
    let (mut here, mut there) = (Rig::new(), Rig::new());
    for rig in [&mut here, &mut there] {
        set(rig, "request_percentage", 10.0);
        rig.advance_ms(1_000);
    }
    asked(&mut there);
    there.edge.worked(400_000_000);
    there.call(|_, _| ());
    let usage = there.edge.take_usage(there.now).expect("a report");
    assert!(there.edge.take_usage(there.now).is_none(), "said once");
    assert_eq!(asked(&mut here), 0);
    here.advance_ms(100);
    here.call(|edge, cx| edge.on_usage(cx, &usage));
    assert!(asked(&mut here) > 0, "the same client, as far as the quota goes");
}
