//! InitProducerId (key 22): ids from a block that the shard reserves at the controller, so that most requests need no record.

use super::call::{Call, Step, decode};
use super::state::{Shared, State};
use crate::base::slab::SlabKey;
use crate::controller::request::ControllerRequest;
use crate::wire::control::init_producer_id::{InitProducerId, InitProducerIdRequest, InitProducerIdResponse};
use crate::wire::error::ErrorCode;

/// Reserved ids and who waits for more.
pub(crate) struct ProducerIds {
    next: i64,
    end: i64,
    block: u32,
    waiting: Vec<SlabKey>,
}

impl ProducerIds {
    pub fn new(block: u32) -> ProducerIds {
        ProducerIds {
            next: 0,
            end: 0,
            block: block.max(1),
            waiting: Vec::new(),
        }
    }

    /// A new block is reserved; returns who waited for it.
    pub fn refill(&mut self, first: i64, count: u32) -> Vec<SlabKey> {
        self.next = first;
        self.end = first + i64::from(count);
        std::mem::take(&mut self.waiting)
    }

    fn take(&mut self) -> Option<i64> {
        let id = self.next;
        (id < self.end).then(|| {
            self.next += 1;
            id
        })
    }
}

pub(super) fn start(call: &mut Call, shared: &mut Shared, body: &[u8]) -> Step<State> {
    let request = decode!(InitProducerId, call, body);
    let error = check(&request);
    if error != ErrorCode::None {
        call.failed = true;
        return call.answer::<InitProducerId, State>(&InitProducerIdResponse {
            error,
            ..Default::default()
        });
    }
    finish(call, shared)
}

/// Takes an id, or waits for a new block.
pub(super) fn finish(call: &mut Call, shared: &mut Shared) -> Step<State> {
    if let Some(producer_id) = shared.producer_ids.take() {
        let response = InitProducerIdResponse {
            producer_id,
            producer_epoch: 0,
            ..Default::default()
        };
        return call.answer::<InitProducerId, State>(&response);
    }
    let ids = &mut shared.producer_ids;
    if ids.waiting.is_empty() {
        call.control(ControllerRequest::ProducerIds { count: ids.block });
    }
    ids.waiting.push(call.op);
    Step::Wait(State::ProducerId)
}

fn check(request: &InitProducerIdRequest) -> ErrorCode {
    match request.transactional_id.as_deref() {
        Some("") => ErrorCode::InvalidRequest,
        Some(id) => {
            let id = id.chars().take(64).collect::<String>();
            tracing::warn!(transactional_id = %id.escape_debug(), "transactions are not available: a client with transactional.id was refused");
            ErrorCode::UnsupportedVersion
        }
        // Without a transactional id the ids given do not matter, but half a pair is no request (KIP-360).
        None if (request.producer_id == -1) != (request.producer_epoch == -1) => ErrorCode::InvalidRequest,
        None => ErrorCode::None,
    }
}
