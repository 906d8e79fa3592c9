//! Which file continues which operation.

use super::call::{Call, Step};
use super::state::{Shared, State};
use super::*;
use crate::controller::request::ControllerReply;
use crate::group::request::GroupAnswer;
use crate::partition::request::OwnerReply;

/// An owner answered part `part`.
pub(super) fn owner(call: &mut Call, shared: &mut Shared, state: State, part: u32, answer: OwnerReply) -> Step<State> {
    match (state, answer) {
        (State::Produce(op), OwnerReply::Produce(result)) => {
            produce::finish(call, op, part, result).map(State::Produce)
        }
        (State::Fetch(op), OwnerReply::Fetch(results)) => {
            fetch::on_results(call, shared, op, part, results).map(State::Fetch)
        }
        (State::Fetch(op), OwnerReply::FetchWake) => fetch::on_wake(call, shared, op, part).map(State::Fetch),
        (State::ListOffsets(op), OwnerReply::ListOffset(result)) => {
            offsets::list::finish(call, op, part, result).map(State::ListOffsets)
        }
        (State::EpochEnd(op), OwnerReply::EpochEnd(result)) => {
            offsets::epoch::finish(call, op, part, result).map(State::EpochEnd)
        }
        (State::DeleteRecords(op), OwnerReply::DeleteRecords(result)) => {
            offsets::delete::finish(call, op, part, result).map(State::DeleteRecords)
        }
        (State::Producers(op), OwnerReply::Producers(result)) => {
            offsets::producers::finish(call, op, part, result).map(State::Producers)
        }
        (State::LogDirs(op), OwnerReply::LogSizes(found)) => {
            cluster::log_dirs::finish(call, op, part, found).map(State::LogDirs)
        }
        // An answer of another kind: a late one for an operation that has changed since. Keep waiting.
        (state, _) => Step::Wait(state),
    }
}

/// A group coordinator answered part `part`.
pub(super) fn group(call: &mut Call, state: State, part: u32, answer: GroupAnswer) -> Step<State> {
    match state {
        State::Group(op) => groups::finish(call, *op, part, answer).map(|op| State::Group(Box::new(op))),
        state => Step::Wait(state),
    }
}

/// The controller answered; what it speaks of is published.
pub(super) fn control(call: &mut Call, state: State, answer: ControllerReply) -> Step<State> {
    match state {
        State::Control(op) => control::finish(call, op, answer),
        state => Step::Wait(state),
    }
}

/// A long poll's time is over, or the broker is stopping.
pub(super) fn deadline(call: &mut Call, shared: &mut Shared, state: State) -> Step<State> {
    match state {
        State::Fetch(op) => fetch::on_deadline(call, shared, op).map(State::Fetch),
        State::Group(op) => groups::stop(call, *op).map(|op| State::Group(Box::new(op))),
        state => Step::Wait(state),
    }
}

/// A produce has waited for durability for as long as its client allowed, or a group's request for as long as Kafka does.
pub(super) fn overdue(call: &mut Call, state: State) -> Step<State> {
    match state {
        State::Produce(op) => produce::expire(call, op).map(State::Produce),
        State::Group(op) => groups::expire(call, *op).map(|op| State::Group(Box::new(op))),
        state => Step::Wait(state),
    }
}

/// Producer ids are there.
pub(super) fn producer_id(call: &mut Call, shared: &mut Shared, state: State) -> Step<State> {
    match state {
        State::ProducerId => init_producer_id::finish(call, shared),
        state => Step::Wait(state),
    }
}

/// The connection is gone.
pub(super) fn cancel(call: &mut Call, shared: &mut Shared, state: State) {
    if let State::Fetch(op) = state {
        fetch::cancel(call, shared, *op);
    }
}
