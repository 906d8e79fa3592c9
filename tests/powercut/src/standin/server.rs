//! The protocol of the stand-in: exactly the requests and versions the rigs send.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};

use super::journal::Journal;
use super::state::{Admission, State};
use crate::error::{Error, Result};
use crate::kafka::wire::{Decoder, Encoder};

const UNKNOWN_TOPIC: i16 = 3;
const EXISTS: i16 = 36;
const OUT_OF_ORDER: i16 = 45;

type Core = (State, Journal);

/// Serves one connection until it ends. A journal that fails ends the process: nothing may be acknowledged any more.
pub fn connection(mut stream: TcpStream, shared: &Mutex<Core>) {
    let _ = stream.set_nodelay(true);
    loop {
        let mut length = [0; 4];
        if stream.read_exact(&mut length).is_err() {
            return;
        }
        let mut frame = vec![0; u32::from_be_bytes(length).min(64 << 20) as usize];
        if stream.read_exact(&mut frame).is_err() {
            return;
        }
        let mut core = shared.lock().unwrap_or_else(PoisonError::into_inner);
        match answer(&frame, &mut core) {
            Ok(response) => {
                drop(core);
                if stream.write_all(&response).is_err() {
                    return;
                }
            }
            Err(error) => {
                eprintln!("stand-in: {error}");
                std::process::exit(1);
            }
        }
    }
}

fn answer(frame: &[u8], core: &mut Core) -> Result<Vec<u8>> {
    let mut fields = Decoder(frame);
    let (key, _version, id) = (fields.i16()?, fields.i16()?, fields.i32()?);
    fields.string()?;
    let mut out = Encoder::default();
    out.i32(0).i32(id);
    match key {
        0 => produce(&mut fields, core, &mut out)?,
        1 => fetch(&mut fields, core, &mut out)?,
        2 => list_offsets(&mut fields, core, &mut out)?,
        3 => metadata(core, &mut out),
        19 => create_topics(&mut fields, core, &mut out)?,
        22 => {
            let producer = core.0.next_producer;
            commit(core, &State::producer_entry(producer))?;
            out.i32(0).i16(0).i64(producer).i16(0);
        }
        _ => return Err(Error::new(format!("request {key} is not known here"))),
    }
    let length = (out.0.len() - 4) as i32;
    out.0[..4].copy_from_slice(&length.to_be_bytes());
    Ok(out.0)
}

fn commit((state, journal): &mut Core, entry: &[u8]) -> Result<()> {
    journal.append(entry)?;
    state.apply(entry)
}

fn produce(fields: &mut Decoder<'_>, core: &mut Core, out: &mut Encoder) -> Result<()> {
    fields.string()?;
    fields.take(2 + 4)?;
    let topics = fields.i32()?;
    out.i32(topics);
    for _ in 0..topics {
        let (topic, partitions) = (fields.string()?, fields.i32()?);
        out.string(&topic).i32(partitions);
        for _ in 0..partitions {
            let (partition, batch) = (fields.i32()?, fields.bytes()?);
            let (code, base) = match core.0.admit(&topic, partition, batch) {
                Ok(Admission::New(base)) => {
                    commit(core, &State::batch_entry(&topic, partition, base, batch))?;
                    (0, base)
                }
                Ok(Admission::Seen(base)) => (0, base),
                Ok(Admission::OutOfOrder) => (OUT_OF_ORDER, -1),
                Err(_) => (UNKNOWN_TOPIC, -1),
            };
            out.i32(partition).i16(code).i64(base).i64(-1).i64(0);
        }
    }
    out.i32(0);
    Ok(())
}

fn fetch(fields: &mut Decoder<'_>, core: &Core, out: &mut Encoder) -> Result<()> {
    fields.take(4 + 4 + 4 + 4 + 1 + 4 + 4 + 4)?;
    let topic = fields.string()?;
    fields.i32()?;
    let (partition, _epoch, offset) = (fields.i32()?, fields.i32()?, fields.i64()?);
    fields.i64()?;
    let max = fields.i32()?.max(0) as usize;
    let mut records = Vec::new();
    let home = core.0.partition(&topic, partition);
    if let Some(home) = home {
        let first = home.batches.range(..=offset).next_back().map_or(0, |(base, _)| *base);
        for batch in home.batches.range(first..).map(|(_, batch)| batch) {
            if !records.is_empty() && records.len() + batch.len() > max {
                break;
            }
            records.extend_from_slice(batch);
        }
    }
    let (code, end) = home.map_or((UNKNOWN_TOPIC, -1), |home| (0, home.end));
    out.i32(0).i16(0).i32(0).i32(1).string(&topic).i32(1);
    out.i32(partition)
        .i16(code)
        .i64(end)
        .i64(end)
        .i64(0)
        .i32(-1)
        .i32(-1)
        .bytes(&records);
    Ok(())
}

fn list_offsets(fields: &mut Decoder<'_>, core: &Core, out: &mut Encoder) -> Result<()> {
    fields.take(4 + 1 + 4)?;
    let topic = fields.string()?;
    fields.i32()?;
    let (partition, timestamp) = (fields.i32()?, fields.i64()?);
    let end = core.0.partition(&topic, partition).map(|home| home.end);
    let code = if end.is_some() { 0 } else { UNKNOWN_TOPIC };
    let offset = if timestamp == -2 { 0 } else { end.unwrap_or(-1) };
    out.i32(0)
        .i32(1)
        .string(&topic)
        .i32(1)
        .i32(partition)
        .i16(code)
        .i64(-1)
        .i64(offset);
    Ok(())
}

fn metadata(core: &Core, out: &mut Encoder) {
    out.i32(0).i32(0).null_string().i32(-1).i32(core.0.topics.len() as i32);
    for (name, partitions) in &core.0.topics {
        out.i16(0).string(name).i8(0).i32(partitions.len() as i32);
        for partition in 0..partitions.len() as i32 {
            out.i16(0).i32(partition).i32(0).i32(0).i32(0).i32(0);
        }
    }
}

fn create_topics(fields: &mut Decoder<'_>, core: &mut Core, out: &mut Encoder) -> Result<()> {
    let wanted = fields.list(|topic| {
        let (name, partitions) = (topic.string()?, topic.i32()?);
        topic.i16()?;
        topic.list(|_| Err::<(), _>(Error::new("assignments are not known here")))?;
        topic.list(|config| Ok((config.string()?, config.string()?)))?;
        Ok((name, partitions))
    })?;
    out.i32(0).i32(wanted.len() as i32);
    for (name, partitions) in wanted {
        let code = if core.0.topics.contains_key(&name) { EXISTS } else { 0 };
        if code == 0 {
            commit(core, &State::topic_entry(&name, partitions))?;
        }
        out.string(&name).i16(code).null_string();
    }
    Ok(())
}
