//! Checkpoint files: any bytes; any bytes behind a right prefix and checksum; any values, spoiled and summed again. What is
//! understood means the same after it is written and read again, and a start from it refuses or succeeds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringlog::log::checkpoint::Checkpoint;
use ringlog::log::recovery::recover;
use ringlog_fuzz::{Draw, draw_checkpoint, spoil};

/// Bytes before the content: magic, version, length, checksum.
const PREFIX: usize = 16;

fn with_prefix(content: &[u8]) -> Vec<u8> {
    let mut file = Checkpoint::default().encode().expect("memory")[..8].to_vec();
    file.extend_from_slice(&(content.len() as u32).to_le_bytes());
    file.extend_from_slice(&crc32c::crc32c(content).to_le_bytes());
    file.extend_from_slice(content);
    file
}

fuzz_target!(|input: &[u8]| {
    let mut draw = Draw::new(input);
    let file = match draw.byte() % 3 {
        0 => input.to_vec(),
        1 => with_prefix(draw.rest()),
        _ => {
            let drawn = draw_checkpoint(&mut draw).encode().expect("memory");
            let mut content = drawn[PREFIX..].to_vec();
            spoil(&mut draw, &mut content);
            with_prefix(&content)
        }
    };
    let Ok(found) = Checkpoint::decode(&file) else { return };
    let again = found.encode().expect("memory");
    assert_eq!(Checkpoint::decode(&again), Ok(found.clone()));
    let state = recover(found.shard, [Some(&file), None], Vec::new());
    let is_whole = found.journal.is_empty() && found.durable_lsn < found.start_lsn;
    assert_eq!(state.is_ok(), is_whole, "a start needs what the checkpoint names");
    let Ok(state) = state else { return };
    assert_eq!(state.generation, found.generation);
    let torn = &file[..file.len() - 1];
    let again = recover(found.shard, [Some(&file), Some(torn)], Vec::new());
    assert!(again.is_ok_and(|state| state.bad_copy.is_some()), "the intact copy counts");
});
