//! The last offset of each key, in bounded memory.
//!
//! Keys are held whole and compared whole: two keys are never taken for one, whatever they hash to. A key of 16 bytes takes about 40.

use std::hash::{BuildHasher, Hasher};

/// Bytes in front of a key in the arena: its offset and its length.
const HEAD: usize = 12;
/// Slots of an empty table.
const SLOTS_MIN: usize = 1024;
/// The arena's positions have 32 bits.
const ARENA_MAX: usize = u32::MAX as usize;

/// See the module.
pub struct OffsetMap {
    /// Open addressing: upper half of the key's hash, position in the arena plus one; 0 = free.
    slots: Vec<u64>,
    /// Offset, key length, key.
    arena: Vec<u8>,
    len: usize,
    bytes_max: usize,
    hasher: foldhash::fast::FixedState,
}

impl OffsetMap {
    /// An empty map that takes about `bytes_max` bytes. `seed` makes its hashes unforeseeable to who chooses keys.
    pub fn new(bytes_max: usize, seed: u64) -> OffsetMap {
        OffsetMap {
            slots: vec![0; SLOTS_MIN],
            arena: Vec::new(),
            len: 0,
            bytes_max,
            hasher: foldhash::fast::FixedState::with_seed(seed),
        }
    }

    /// Keys in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without a key.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// True when `count` more keys of `bytes` bytes together surely fit. An empty map takes anything.
    pub fn has_room(&self, count: usize, bytes: usize) -> bool {
        let arena = self.arena.len() + bytes + count * HEAD;
        let slots = slots_for(self.len + count).max(self.slots.len());
        self.is_empty() || (arena < ARENA_MAX && arena + slots * size_of::<u64>() <= self.bytes_max)
    }

    /// Notes a record; offsets come in ascending order.
    pub fn put(&mut self, key: &[u8], offset: i64) {
        if slots_for(self.len + 1) > self.slots.len() {
            self.grow();
        }
        let hash = self.hash(key);
        let slot = self.find(hash, key);
        match self.slots[slot] {
            0 => {
                self.slots[slot] = pack(hash, self.arena.len());
                self.arena.extend_from_slice(&offset.to_le_bytes());
                self.arena.extend_from_slice(&(key.len() as u32).to_le_bytes());
                self.arena.extend_from_slice(key);
                self.len += 1;
            }
            packed => {
                let at = position(packed);
                self.arena[at..at + 8].copy_from_slice(&offset.to_le_bytes());
            }
        }
    }

    /// The last offset noted for a key.
    pub fn get(&self, key: &[u8]) -> Option<i64> {
        match self.slots[self.find(self.hash(key), key)] {
            0 => None,
            packed => {
                let at = position(packed);
                self.arena[at..at + 8].try_into().ok().map(i64::from_le_bytes)
            }
        }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    /// The slot of a key, or the free one where it belongs.
    fn find(&self, hash: u64, key: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let packed = self.slots[slot];
            if packed == 0 || (packed >> 32 == hash >> 32 && self.key_at(position(packed)) == key) {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn key_at(&self, at: usize) -> &[u8] {
        let len = self.arena[at + 8..at + HEAD].try_into().map_or(0, u32::from_le_bytes);
        &self.arena[at + HEAD..at + HEAD + len as usize]
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![0; 2 * old.len()];
        let mask = self.slots.len() - 1;
        for packed in old.into_iter().filter(|packed| *packed != 0) {
            let mut slot = self.hash(self.key_at(position(packed))) as usize & mask;
            while self.slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = packed;
        }
    }
}

/// Slots of a table with `len` keys: at most three quarters are taken.
fn slots_for(len: usize) -> usize {
    (len * 4 / 3 + 1).next_power_of_two().max(SLOTS_MIN)
}

fn pack(hash: u64, position: usize) -> u64 {
    (hash >> 32 << 32) | (position as u64 + 1)
}

fn position(packed: u64) -> usize {
    (packed as u32 - 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_last_offset_of_each_of_many_keys_is_found() {
        let mut map = OffsetMap::new(1 << 30, 7);
        let mut model = BTreeMap::new();
        for offset in 0..20_000i64 {
            let key = format!("{}", (offset * 7919) % 6_007).into_bytes();
            map.put(&key, offset);
            model.insert(key, offset);
        }
        map.put(b"", 20_000);
        assert_eq!((map.len(), map.get(b"")), (model.len() + 1, Some(20_000)));
        assert!(model.iter().all(|(key, offset)| map.get(key) == Some(*offset)));
        assert_eq!(map.get(b"nobody"), None);
    }

    #[test]
    fn memory_is_bounded_but_for_the_first_key() {
        let mut map = OffsetMap::new(100_000, 7);
        assert!(map.has_room(1, 1 << 20), "an empty map takes anything");
        let mut count = 0u32;
        while map.has_room(1, 16) {
            map.put(&[count.to_le_bytes(); 4].concat(), 0);
            count += 1;
        }
        assert!(map.arena.len() + 8 * map.slots.len() <= 100_000);
        assert!(count > 2_000, "{count} keys in 100 kB");
    }
}
