//! Answers as bytes, cut from one buffer so that small ones cost no allocation each.

use super::admit::Meta;
use crate::session::Reply;
use crate::wire::header::put_response_header;
use crate::wire::message::Api;
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
            body(out);
        });
        Reply::One(self.scratch.split().freeze())
    }

    /// The answer of a control API.
    pub fn answer<A: Api>(&mut self, meta: Meta, response: &A::Response) -> Reply {
        self.frame(meta, |out| A::encode(response, meta.version, out))
    }
}
