//! ListTransactions and DescribeTransactions (keys 66, 65): no transactional id is ever given out, so none is known.

use crate::api::call::{Call, Step, decode};
use crate::wire::control::list_transactions::{
    DescribeTransactions, DescribeTransactionsResponse, DescribedTransaction, ListTransactions,
    ListTransactionsResponse,
};
use crate::wire::error::ErrorCode;

/// States of a transaction (`TransactionState`).
const STATES: &[&str] = &[
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

pub(in crate::api) fn list<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(ListTransactions, call, body);
    let unknown = |state: &String| !STATES.contains(&state.as_str());
    call.answer::<ListTransactions, S>(&ListTransactionsResponse {
        unknown_state_filters: request.state_filters.into_iter().filter(unknown).collect(),
        ..Default::default()
    })
}

pub(in crate::api) fn describe<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(DescribeTransactions, call, body);
    let describe = |transactional_id: String| DescribedTransaction {
        error: match transactional_id.is_empty() {
            true => ErrorCode::InvalidRequest,
            false => ErrorCode::TransactionalIdNotFound,
        },
        transactional_id,
        ..Default::default()
    };
    let states: Vec<_> = request.transactional_ids.into_iter().map(describe).collect();
    call.note(states.iter().map(|state| state.error));
    call.answer::<DescribeTransactions, S>(&DescribeTransactionsResponse {
        states,
        ..Default::default()
    })
}
