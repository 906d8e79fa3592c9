//! What topics a consumer is subscribed to: the head of `ConsumerProtocolSubscription`, the same in all versions.

use crate::wire::read::{Read, Reader};

/// Topic names; `None` when the bytes are no subscription.
pub(super) fn topics(metadata: &[u8]) -> Option<Vec<String>> {
    read(&mut Reader::new(metadata)).ok()
}

fn read(reader: &mut Reader<'_>) -> Read<Vec<String>> {
    reader.i16()?;
    let count = reader.count(false, 2, size_of::<String>())?;
    (0..count)
        .map(|_| {
            let name = reader.str(false)?;
            reader.charge(name.len())?;
            Ok(name.to_string())
        })
        .collect()
}
