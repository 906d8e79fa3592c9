//! The records of the rigs: everything in a record follows from its key, so that whoever reads it can check every byte.

use crate::kafka::batch::Record;
use crate::rng::Rng;

/// Timestamp of record 0 in milliseconds; record n has this plus n.
const FIRST_TIMESTAMP: i64 = 1_700_000_000_000;

/// Name of a record: the n-th of one producer to one partition. Its idempotence sequence is n as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Producer, numbered by the rig.
    pub producer: u32,
    /// Lane: the partition, numbered through all topics by the rig.
    pub lane: u32,
    /// Counts from 0 without gaps.
    pub n: u32,
}

impl Name {
    fn key(self) -> String {
        format!("p{}/l{}/{:08}", self.producer, self.lane, self.n)
    }

    /// Reads a name back from a record key.
    pub fn parse(key: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(key).ok()?.split('/');
        let producer = parts.next()?.strip_prefix('p')?.parse().ok()?;
        let lane = parts.next()?.strip_prefix('l')?.parse().ok()?;
        let name = Self {
            producer,
            lane,
            n: parts.next()?.parse().ok()?,
        };
        (name.key().as_bytes() == key).then_some(name)
    }

    /// The record of this name.
    pub fn record(self, seed: u64) -> Record {
        let mix = (u64::from(self.producer) << 48) ^ (u64::from(self.lane) << 32) ^ u64::from(self.n);
        let mut rng = Rng::new(seed ^ mix.wrapping_mul(0xd6e8_feb8_6659_fd93));
        let len = match rng.below(100) {
            0..70 => 16 + rng.below(184),
            70..96 => 200 + rng.below(1_800),
            _ => 2_000 + rng.below(14_000),
        };
        let mut value = vec![0; len as usize];
        rng.fill(&mut value);
        let header = ("check".to_string(), rng.next().to_be_bytes().to_vec());
        Record {
            timestamp: FIRST_TIMESTAMP + i64::from(self.n),
            key: self.key().into_bytes(),
            value,
            header,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_only_names_parse() {
        let name = Name {
            producer: 3,
            lane: 12,
            n: 4711,
        };
        let record = name.record(5);
        assert_eq!(Name::parse(&record.key), Some(name));
        assert_eq!(record, name.record(5));
        assert_ne!(record.value, name.record(6).value);
        for key in ["", "p1/l2/3", "p1/l2/00000003x", "x1/l2/00000003"] {
            assert_eq!(Name::parse(key.as_bytes()), None, "{key}");
        }
    }
}
