//! What operations remember while they wait, and what the APIs of a shard share.

use super::cluster::log_dirs::LogDirsOp;
use super::control::ControlOp;
use super::edge::EdgeConfig;
use super::fetch::FetchOp;
use super::fetch::sessions::FetchSessions;
use super::groups::GroupOp;
use super::init_producer_id::ProducerIds;
use super::offsets::{DeleteRecordsOp, EpochEndOp, ListOffsetsOp, ProducersOp};
use super::produce::{Overdue, ProduceOp};
use super::throttle::Throttles;
use crate::base::slab::SlabKey;
use crate::base::timers::Timers;

/// An operation that waits.
pub(crate) enum State {
    Produce(ProduceOp),
    Fetch(Box<FetchOp>),
    ListOffsets(ListOffsetsOp),
    EpochEnd(EpochEndOp),
    DeleteRecords(DeleteRecordsOp),
    Producers(ProducersOp),
    LogDirs(LogDirsOp),
    /// For the controller.
    Control(ControlOp),
    /// For group coordinators.
    Group(Box<GroupOp>),
    /// For a block of producer ids.
    ProducerId,
}

/// Shared by all operations of the shard.
pub(crate) struct Shared {
    /// Deadlines of long polls.
    pub timers: Timers<SlabKey>,
    /// Produces that wait for durability.
    pub overdue: Overdue,
    pub fetch_sessions: FetchSessions,
    pub producer_ids: ProducerIds,
    /// `fetch.max.bytes`.
    pub fetch_bytes_max: u32,
    pub throttles: Throttles,
}

impl Shared {
    pub fn new(config: &EdgeConfig) -> Shared {
        Shared {
            timers: Timers::default(),
            overdue: Overdue::default(),
            fetch_sessions: FetchSessions::new(config.fetch_sessions_max, config.seed),
            producer_ids: ProducerIds::new(config.producer_id_block),
            fetch_bytes_max: config.fetch_bytes_max,
            throttles: Throttles::default(),
        }
    }
}
