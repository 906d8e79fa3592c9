//! Slots keep order; the inbox cuts frames without copying whole ones.

use super::inbox::{FrameError, Inbox, Want};
use super::limits::{DIRECT_BYTES_MIN, PARTIAL_BYTES_START};
use super::slots::{Reply, ReplySlots};
use crate::base::log_limit::LogLimit;
use crate::base::slab::Slab;
use bytes::{BufMut, Bytes, BytesMut};

const MAX: usize = 10 << 20;

fn frame(fill: u8, len: usize) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i32(len as i32);
    out.put_bytes(fill, len);
    out.freeze()
}

fn all(inbox: &mut Inbox, bytes: Bytes) -> Vec<Bytes> {
    let mut lent = bytes;
    std::iter::from_fn(|| inbox.next(&mut lent, MAX).unwrap()).collect()
}

#[test]
fn whole_frames_are_slices_of_what_was_received() {
    let mut both = BytesMut::from(&frame(1, 20)[..]);
    both.extend_from_slice(&frame(2, 30));
    let both = both.freeze();
    let range = both.as_ptr_range();
    let mut inbox = Inbox::default();
    let frames = all(&mut inbox, both);
    assert_eq!(frames, [vec![1; 20], vec![2; 30]]);
    assert!(frames.iter().all(|frame| range.contains(&frame.as_ptr())));
    assert_eq!(inbox.held(), 0);
}

#[test]
fn a_partial_frame_is_copied_so_that_the_lent_buffer_is_free() {
    let bytes = frame(1, 100);
    let mut inbox = Inbox::default();
    let lent = bytes.slice(..50);
    let range = lent.as_ptr_range();
    assert!(all(&mut inbox, lent).is_empty());
    assert!(inbox.is_partial());
    let rest = all(&mut inbox, bytes.slice(50..));
    assert_eq!(rest, [vec![1; 100]]);
    assert!(!range.contains(&rest[0].as_ptr()));
    assert_eq!(inbox.held(), 0, "nothing is kept behind a whole frame");
}

#[test]
fn a_declared_length_alone_takes_no_memory() {
    let mut inbox = Inbox::default();
    all(&mut inbox, frame(1, MAX).slice(..10));
    assert!(inbox.held() < 1024);
    assert_eq!(
        inbox.want(MAX),
        Want::Own {
            capacity: 2 * DIRECT_BYTES_MIN
        }
    );
    all(&mut inbox, Bytes::from(vec![1; 16 << 10]));
    assert_eq!(
        inbox.want(MAX),
        Want::Own {
            capacity: PARTIAL_BYTES_START
        }
    );
}

#[test]
fn lengths_out_of_bounds_are_named() {
    let next = |len: i32| Inbox::default().next(&mut Bytes::from(len.to_be_bytes().to_vec()), MAX);
    assert_eq!(next(7), Err(FrameError::Short(7)));
    assert_eq!(next(-5), Err(FrameError::Short(-5)));
    assert_eq!(next(MAX as i32 + 1), Err(FrameError::Long(MAX as i32 + 1)));
    assert!(FrameError::Long(9).to_string().contains("socket.request.max.bytes"));
}

#[test]
fn answers_wait_for_earlier_ones_but_not_for_silent_ones() {
    let mut keys = Slab::default();
    let mut slots = ReplySlots::default();
    let opened: Vec<u64> = (0..3).map(|n| slots.open(keys.insert(n))).collect();
    let bytes = |text: &'static [u8]| Reply::One(Bytes::from_static(text));
    let mut out = Vec::new();
    slots.fill(opened[2], bytes(b"three"));
    assert_eq!(
        (slots.take_ready(&mut out), slots.ready_bytes(), slots.waiting().count()),
        (0, 5, 2)
    );
    slots.skip(opened[0]);
    slots.fill(
        opened[1],
        Reply::Many(vec![Bytes::from_static(b"t"), Bytes::from_static(b"wo")]),
    );
    assert_eq!(slots.take_ready(&mut out), 8);
    assert_eq!(out.concat(), b"twothree");
    assert!(slots.is_empty());
    slots.fill(opened[1], bytes(b"late"));
    assert_eq!(slots.ready_bytes(), 0, "a slot that has left takes nothing");
}

#[test]
fn hostile_clients_cannot_flood_the_log() {
    let mut limit = LogLimit::default();
    let written = (0..1000).filter(|_| limit.admit(5).is_some()).count();
    assert_eq!(written, 10);
    assert_eq!(limit.admit(1_000_000_005), Some(990));
}

#[test]
fn the_memory_of_a_large_frame_is_used_again_once_the_frame_is_gone() {
    let mut inbox = Inbox::default();
    let mut addresses = Vec::new();
    let mut receive = |inbox: &mut Inbox| {
        let bytes = frame(1, 128 << 10);
        assert!(all(inbox, bytes.slice(..16 << 10)).is_empty());
        let Want::Own { capacity } = inbox.want(MAX) else {
            panic!()
        };
        let mut buf = inbox.lend(capacity);
        buf.extend_from_slice(&bytes[16 << 10..]);
        inbox.give_back(buf);
        let mut frames = all(inbox, Bytes::new());
        assert_eq!(frames, [vec![1; 128 << 10]]);
        addresses.push(frames[0].as_ptr() as usize);
        frames.remove(0)
    };
    drop(receive(&mut inbox));
    let held = receive(&mut inbox);
    let other = receive(&mut inbox);
    assert_eq!(held, vec![1; 128 << 10], "a frame that is still in use is left alone");
    drop((held, other));
    assert!(inbox.held() >= 128 << 10, "what is kept is accounted for");
    inbox.shrink();
    assert_eq!(inbox.held(), 0);
    assert_eq!(addresses[0], addresses[1]);
    assert_ne!(addresses[1], addresses[2]);
}
