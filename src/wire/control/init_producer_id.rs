//! InitProducerId: a producer's identity (KIP-98, KIP-360).

use crate::wire::error::ErrorCode;
use crate::wire::message::{api, message};

api! {
    /// Key 22, v0 to v5; v6 is unstable in Kafka 4.3 (KIP-939).
    InitProducerId: InitProducerIdRequest => InitProducerIdResponse
}

message! {
    /// Who wants one.
    pub struct InitProducerIdRequest {
        /// Null for a producer that is only idempotent.
        transactional_id: Option<String> [..] null [..] = None;
        /// After which an unfinished transaction is aborted, milliseconds.
        transaction_timeout_ms: i32 [..] = 0;
        /// The id the producer has, -1 = none; from v3.
        producer_id: i64 [3..] = -1;
        /// The epoch it has, -1 = none; from v3.
        producer_epoch: i16 [3..] = -1;
    }
}

message! {
    /// The identity.
    pub struct InitProducerIdResponse {
        /// How long the client is throttled, milliseconds.
        throttle_time_ms: i32 [..] = 0;
        /// `None` on success.
        error: ErrorCode [..] = ErrorCode::None;
        /// Producer id, -1 on errors.
        producer_id: i64 [..] = -1;
        /// Producer epoch, -1 on errors.
        producer_epoch: i16 [..] = -1;
    }
}
