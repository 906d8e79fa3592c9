//! Answers as bytes, cut from one buffer so that small ones cost no allocation each.

use super::admit::Meta;
use crate::session::Reply;
use crate::wire::header::put_response_header;
use crate::wire::message::Api;
use crate::wire::throttle;
use crate::wire::write::framed;
use bytes::BytesMut;

/// Size of the shared buffer; an answer keeps it alive until it is sent.
const SCRATCH_BYTES: usize = 16 << 10;

/// Encodes answers.
#[derive(Default)]
pub struct Encoder {
    scratch: BytesMut,
}

impl Encoder {
    /// Length, header and what `body` writes.
    pub fn frame(&mut self, meta: Meta, body: impl FnOnce(&mut BytesMut)) -> Reply {
        if self.scratch.capacity() < SCRATCH_BYTES / 4 {
            self.scratch = BytesMut::with_capacity(SCRATCH_BYTES);
        }
        framed(&mut self.scratch, |out| {
            put_response_header(out, meta.api, meta.version, meta.correlation_id);
            let start = out.len();
            body(out);
            put_throttle_time(out, start, meta);
        });
        Reply::One(self.scratch.split().freeze())
    }

    /// The answer of a control API.
    pub fn answer<A: Api>(&mut self, meta: Meta, response: &A::Response) -> Reply {
        self.frame(meta, |out| A::encode(response, meta.version, out))
    }
}

/// Puts the throttle time into a body that begins at `start`, where its version has it.
fn put_throttle_time(out: &mut BytesMut, start: usize, meta: Meta) {
    let Some(at) = throttle::place(meta.api, meta.version).filter(|_| meta.throttle_ms > 0) else {
        return;
    };
    if let Some(field) = out.get_mut(start + at..start + at + 4) {
        field.copy_from_slice(&meta.throttle_ms.to_be_bytes());
    }
}
