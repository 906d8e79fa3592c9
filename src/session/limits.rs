//! Bounds of the sessions of one shard.

/// A frame shorter than key, version and correlation id cannot be answered.
pub const FRAME_BYTES_MIN: usize = 8;
/// Largest first allocation for a frame that does not come whole; doubled as bytes arrive.
pub const PARTIAL_BYTES_START: usize = 256 << 10;
/// When more than this is missing of a frame, its rest is received straight into its own buffer.
pub const DIRECT_BYTES_MIN: usize = 8 << 10;
/// Memory of frames of this size is kept for the next frame of the connection while it is busy.
pub const SPARE_BYTES_MIN: usize = 32 << 10;
/// Largest frame whose memory is kept.
pub const SPARE_BYTES_MAX: usize = 1 << 20;
/// A first buffer is at most this many times what has come of the frame, so that a slow sender of little holds little.
pub const PARTIAL_FACTOR: usize = 16;
/// While memory for partial frames is short, one that is older than this must have come at [`SHORTAGE_RATE`], nanoseconds.
pub const SHORTAGE_GRACE_NS: u64 = 2_000_000_000;
/// Bytes a second that a partial frame must make while memory is short; slower ones close their connection.
pub const SHORTAGE_RATE: u64 = 32 << 10;
/// Time between looks at slow connections while memory is short, nanoseconds.
pub const SHORTAGE_SWEEP_NS: u64 = 500_000_000;
/// Time between looks at idle and slow connections, nanoseconds.
pub const SWEEP_NS: u64 = 5_000_000_000;

/// Bounds given by the configuration. Counts are for one shard.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// `socket.request.max.bytes`: longest frame without its four-byte length.
    pub frame_bytes_max: usize,
    /// Requests of one connection that may be unanswered; then it is not read.
    pub in_flight_max: usize,
    /// Reply bytes of one connection that may wait for the socket; then it is not read.
    pub reply_bytes_max: usize,
    /// Bytes of frames and replies of all sessions of the shard. Half of it is for frames that are not whole (one of them at a
    /// time may exceed that), half for everything else, so that small requests are served whatever slow senders hold.
    /// When a half is used up, sessions that would need more of it are not read.
    pub memory_bytes_max: usize,
    /// `connections.max.idle.ms`; `None` = never close.
    pub idle_ms_max: Option<u64>,
}

impl Default for SessionLimits {
    fn default() -> Self {
        SessionLimits {
            frame_bytes_max: 100 << 20,
            in_flight_max: 64,
            reply_bytes_max: 8 << 20,
            memory_bytes_max: 256 << 20,
            idle_ms_max: Some(600_000),
        }
    }
}
