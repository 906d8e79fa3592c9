//! The rskafka client, a Rust stack of its own: answers one JSON request per line on stdin with one JSON line on stdout.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Write};
use std::time::{Duration, Instant, SystemTime};

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, error::Error};
use rskafka::record::{Record, RecordAndOffset};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;
type Answer = Result<Value, Failure>;

/// What rskafka cannot do: configs, idempotence, acks other than all, headers beyond a map of names to values (a null
/// value makes a batch unreadable), broker times.
const CANNOT: [&str; 10] = [
    "auto_create",
    "idempotence",
    "acks_0",
    "acks_1",
    "null_header_value",
    "reads_null_headers",
    "duplicate_headers",
    "header_order",
    "append_time",
    "retries",
];
const OPS: [&str; 8] = [
    "delete_topic",
    "list_topics",
    "produce",
    "consume",
    "await_record",
    "watermarks",
    "offset_for_time",
    "delete_records",
];
const CODES: [(&str, i16); 4] = [
    ("OffsetOutOfRange", 1),
    ("UnknownTopicOrPartition", 3),
    ("MessageTooLarge", 10),
    ("InvalidRecord", 87),
];

struct Agent {
    client: Client,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let bootstrap = std::env::var("BOOTSTRAP")?;
    let agent = Agent {
        client: ClientBuilder::new(vec![bootstrap]).build().await?,
    };
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let reply = match agent.answer(&request).await {
            Ok(reply) => reply,
            Err(e) => failed(e.as_ref()),
        };
        writeln!(out, "{reply}")?;
        out.flush()?;
    }
    Ok(())
}

/// The answer for an error, with its Kafka code where the library names one.
fn failed(error: &(dyn std::error::Error + 'static)) -> Value {
    let name = match error.downcast_ref::<Error>() {
        Some(Error::ServerError { protocol_error, .. }) => format!("{protocol_error:?}"),
        _ => String::new(),
    };
    let code = CODES.iter().find(|(n, _)| *n == name).map(|(_, code)| code);
    json!({"error": error.to_string(), "code": code})
}

fn text<'a>(request: &'a Value, name: &str) -> &'a str {
    request[name].as_str().unwrap_or_default()
}

fn bytes(value: &Value) -> Result<Option<Vec<u8>>, Failure> {
    Ok(value.as_str().map(|text| BASE64_STANDARD.decode(text)).transpose()?)
}

fn b64(data: Option<&Vec<u8>>) -> Option<String> {
    data.map(|data| BASE64_STANDARD.encode(data))
}

fn time(ms: i64) -> Result<DateTime<Utc>, Failure> {
    DateTime::from_timestamp_millis(ms).ok_or_else(|| "time out of range".into())
}

fn record(r: &Value) -> Result<Record, Failure> {
    let mut headers = BTreeMap::new();
    for h in r["h"].as_array().into_iter().flatten() {
        headers.insert(
            h[0].as_str().unwrap_or_default().to_owned(),
            bytes(&h[1])?.unwrap_or_default(),
        );
    }
    let timestamp = time(r["ts"].as_i64().unwrap_or_default())?;
    Ok(Record {
        key: bytes(&r["k"])?,
        value: bytes(&r["v"])?,
        headers,
        timestamp,
    })
}

fn common(partition: i32, RecordAndOffset { record, offset }: &RecordAndOffset) -> Value {
    let headers: Vec<Value> = record.headers.iter().map(|(n, x)| json!([n, b64(Some(x))])).collect();
    let (key, value) = (b64(record.key.as_ref()), b64(record.value.as_ref()));
    json!({"p": partition, "o": offset, "ts": record.timestamp.timestamp_millis(), "k": key, "v": value, "h": headers})
}

fn codec(name: &str) -> Compression {
    match name {
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        _ => Compression::NoCompression,
    }
}

impl Agent {
    async fn answer(&self, q: &Value) -> Answer {
        match text(q, "op") {
            "hello" => Ok(json!({
                "version": "0.6.0", "ops": OPS, "cannot": CANNOT, "codecs": ["none", "gzip", "snappy", "lz4", "zstd"],
            })),
            "delete_topic" => {
                self.client
                    .controller_client()?
                    .delete_topic(text(q, "topic"), 10_000)
                    .await?;
                Ok(json!({}))
            }
            "list_topics" => {
                let names: Vec<String> = self.client.list_topics().await?.into_iter().map(|t| t.name).collect();
                Ok(json!({"topics": names}))
            }
            "produce" => self.produce(q).await,
            "consume" => self.consume(q, q["until"].as_i64().unwrap_or_default(), 500).await,
            "await_record" => {
                let wait = q["max_wait_ms"].as_i64().unwrap_or_default() as i32;
                self.consume(q, q["start"].as_i64().unwrap_or_default() + 1, wait).await
            }
            "watermarks" => {
                let partition = self.partition(q).await?;
                let begin = partition.get_offset(OffsetAt::Earliest).await?;
                Ok(json!({"begin": begin, "end": partition.get_offset(OffsetAt::Latest).await?}))
            }
            "offset_for_time" => {
                let at = OffsetAt::Timestamp(time(q["ts"].as_i64().unwrap_or_default())?);
                let found = self.partition(q).await?.get_offset(at).await?;
                Ok(json!({"offset": (found >= 0).then_some(found)}))
            }
            "delete_records" => {
                self.partition(q)
                    .await?
                    .delete_records(q["before"].as_i64().unwrap_or_default(), 10_000)
                    .await?;
                Ok(json!({}))
            }
            op => Err(format!("no operation {op}").into()),
        }
    }

    async fn open(&self, topic: &str, partition: i32) -> Result<PartitionClient, Error> {
        self.client
            .partition_client(topic, partition, UnknownTopicHandling::Error)
            .await
    }

    async fn partition(&self, q: &Value) -> Result<PartitionClient, Error> {
        self.open(text(q, "topic"), q["partition"].as_i64().unwrap_or_default() as i32)
            .await
    }

    async fn produce(&self, q: &Value) -> Answer {
        let records = q["records"].as_array().cloned().unwrap_or_default();
        let mut by_partition: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (i, r) in records.iter().enumerate() {
            by_partition
                .entry(r["p"].as_i64().unwrap_or_default() as i32)
                .or_default()
                .push(i);
        }
        let mut results: HashMap<usize, Value> = HashMap::new();
        for (p, indexes) in by_partition {
            let batch = indexes
                .iter()
                .map(|i| record(&records[*i]))
                .collect::<Result<Vec<_>, _>>()?;
            let sent = self
                .open(text(q, "topic"), p)
                .await?
                .produce(batch, codec(text(q, "codec")))
                .await;
            for (at, i) in indexes.into_iter().enumerate() {
                let result = match &sent {
                    Ok(offsets) => json!({"p": p, "o": offsets[at]}),
                    Err(e) => failed(e),
                };
                results.insert(i, result);
            }
        }
        let results: Vec<Value> = (0..records.len())
            .map(|i| results.remove(&i).unwrap_or_default())
            .collect();
        Ok(json!({"results": results}))
    }

    async fn consume(&self, q: &Value, until: i64, max_wait_ms: i32) -> Answer {
        let partition = self.partition(q).await?;
        let mut next = match q["start"].as_i64() {
            Some(offset) => offset,
            None => partition.get_offset(OffsetAt::Earliest).await?,
        };
        let mut records = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(30);
        while next < until && Instant::now() < deadline {
            for r in partition.fetch_records(next, 1..10_000_000, max_wait_ms).await?.0 {
                next = r.offset + 1;
                records.push(common(partition.partition(), &r));
            }
        }
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64();
        Ok(json!({"records": records, "at": at}))
    }
}
