//! `ringlog produce`: records from a file or stdin.
//!
//! A thread parses the input ahead; the main thread batches, sends and waits. Records go out as soon as the input pauses.

use crate::cli::context::{Context, Format};
use crate::cli::failure::{Failure, client_exit_code};
use crate::cli::template::read::{Addressed, Reader};
use crate::cli::topic::parse_pair;
use crate::cli::{context, examples, interrupt, jsonl, output, template};
use crate::client::Header;
use crate::client::producer::{Acks, Delivery, Producer, ProducerOptions};
use crate::wire::compress::Compression;
use bytes::Bytes;
use clap::ValueEnum;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Parsed records handed over at once, in bytes.
const HANDOVER_BYTES: usize = 1 << 20;
/// Hand-overs that may wait: with [`HANDOVER_BYTES`] the bound of what is read ahead.
const HANDOVERS: usize = 4;
/// How long an idle input may hold back what was read.
const LINGER: Duration = Duration::from_millis(5);
/// How often an idle loop looks for Ctrl-C.
const IDLE: Duration = Duration::from_millis(200);
/// Size of the input buffer, in bytes.
const INPUT_BYTES: usize = 256 << 10;

/// When a record counts as delivered, as users write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AcksArg {
    /// All in-sync replicas have it
    #[value(alias = "-1")]
    All,
    /// The leader has it
    #[value(name = "1")]
    Leader,
    /// Sent and hoped for
    #[value(name = "0")]
    None,
}

/// Compression, as users write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CodecArg {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// Send records, from a file or stdin, line by line unless told otherwise
///
/// Returns when every record is acknowledged. With acks=all (the default) the producer is idempotent: a retry never
/// duplicates a record.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = produce_help())]
pub struct Args {
    /// Topic; may be left out if the input names it (%t, or "topic" in JSON)
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,
    /// File to read [default: stdin]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Key of records that bring none
    #[arg(short, long)]
    key: Option<String>,
    /// Header to add to every record, may be repeated
    #[arg(short = 'H', long = "header", value_name = "KEY=VALUE", value_parser = parse_pair)]
    headers: Vec<(String, String)>,
    /// Partition of every record [default: by key, as Java's client does; in turn without one]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Ignore the partitions in the input, choose by key
    #[arg(long, conflicts_with = "partition")]
    repartition: bool,
    /// When a record counts as delivered: all in-sync replicas, the leader (1), at once (0)
    #[arg(long, value_enum, default_value = "all", hide_possible_values = true)]
    acks: AcksArg,
    /// Compress batches: none, gzip, snappy, lz4, zstd
    #[arg(
        short = 'z',
        long,
        value_enum,
        default_value = "none",
        value_name = "CODEC",
        hide_possible_values = true
    )]
    compression: CodecArg,
    /// Read records in this form, e.g. '%k %v\n' (see --help)
    #[arg(short = 'f', long, value_name = "TEMPLATE", conflicts_with = "format")]
    template: Option<String>,
    /// Send empty values as null (tombstones)
    #[arg(short = 'Z', long)]
    tombstone: bool,
    /// Do not let the broker create a missing topic
    #[arg(long)]
    no_create: bool,
    /// Plain batches without producer id: a retry may duplicate
    #[arg(long)]
    no_idempotence: bool,
    /// How long to go on retrying
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = context::parse_duration)]
    delivery_timeout: Duration,
    /// Print topic, partition and offset of each record
    #[arg(short, long)]
    verbose: bool,
}

const EXAMPLES: &str = examples!(
    "  echo hello | ringlog produce logs
  ringlog produce logs access.log -z zstd     one record per line of the file
  printf 'k1 v1\\nk2 v2\\n' | ringlog produce logs -f '%k %v\\n'
  ringlog produce logs -k user-1 -H source=test -p 0 -v
  ringlog produce blobs -f '%V{big32}%v' < length-prefixed.bin
  ringlog consume a -e --format jsonl | ringlog produce b --format jsonl
"
);

fn produce_help() -> String {
    let reading = "\
Reading with a template: a field ends where the text after it begins, or after the length given before it
(%K%k, %V{big32}%v). %H must come before %h. %o %e %x %y %i are read and ignored.
";
    format!("{}\n{reading}\n{}\n{EXAMPLES}", template::HELP, jsonl::HELP)
}

/// What the reader thread hands over: records, or why the input cannot be read on.
type Handover = Result<Vec<Addressed>, String>;

/// Runs `ringlog produce`.
///
/// # Errors
/// Input that cannot be read, and whatever stops delivery. What was acknowledged before is said.
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let source = source(&args, context.format())?;
    let options = options(&args);
    let mut producer = Producer::new(context.connect()?, options);
    let (sender, receiver) = sync_channel(HANDOVERS);
    std::thread::spawn(move || source.run(&sender));
    let mut run = Run {
        args: &args,
        tally: Tally::default(),
    };
    let result = run.pump(&mut producer, &receiver);
    run.report(&mut producer)?;
    match result {
        Ok(()) => run.summary(),
        Err(Failure::Client(error)) if run.tally.records > 0 => {
            let before = format!("{} delivered before", output::count(run.tally.records, "record"));
            return Err(Failure::Other(
                client_exit_code(&error),
                format!("{error} ({before})"),
                error.remedy(),
            ));
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
}

fn options(args: &Args) -> ProducerOptions {
    ProducerOptions {
        acks: match args.acks {
            AcksArg::All => Acks::All,
            AcksArg::Leader => Acks::Leader,
            AcksArg::None => Acks::None,
        },
        codec: match args.compression {
            CodecArg::None => Compression::None,
            CodecArg::Gzip => Compression::Gzip,
            CodecArg::Snappy => Compression::Snappy,
            CodecArg::Lz4 => Compression::Lz4,
            CodecArg::Zstd => Compression::Zstd,
        },
        idempotent: !args.no_idempotence,
        create_topics: !args.no_create,
        delivery_timeout: args.delivery_timeout,
        ..ProducerOptions::default()
    }
}

/// What has been acknowledged so far.
#[derive(Debug, Default)]
struct Tally {
    records: usize,
    partitions: BTreeSet<(String, i32)>,
}

struct Run<'a> {
    args: &'a Args,
    tally: Tally,
}

impl Run<'_> {
    /// Takes records as they are parsed; sends when enough came or the input pauses.
    fn pump(&mut self, producer: &mut Producer, input: &Receiver<Handover>) -> Result<(), Failure> {
        while !interrupt::is_set() {
            let wait = if producer.is_empty() { IDLE } else { LINGER };
            match input.recv_timeout(wait) {
                Ok(Ok(records)) => {
                    for record in records {
                        self.send(producer, record)?;
                    }
                }
                Ok(Err(reason)) => {
                    producer.flush()?;
                    return Err(Failure::failed(format!("input {reason}")));
                }
                Err(RecvTimeoutError::Timeout) => producer.flush()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.report(producer)?;
        }
        Ok(producer.flush()?)
    }

    fn send(&mut self, producer: &mut Producer, mut addressed: Addressed) -> Result<(), Failure> {
        let record = &mut addressed.record;
        if record.key.is_none() {
            record.key = self.args.key.as_ref().map(|key| Bytes::from(key.clone()));
        }
        if self.args.tombstone && record.value.as_ref().is_some_and(Bytes::is_empty) {
            record.value = None;
        }
        let extra = self.args.headers.iter().map(|(key, value)| Header {
            key: key.clone().into(),
            value: Some(value.clone().into()),
        });
        record.headers.extend(extra);
        let partition = match self.args.partition {
            None if self.args.repartition => None,
            None => addressed.partition,
            given => given,
        };
        let Some(topic) = self.args.topic.as_ref().or(addressed.topic.as_ref()) else {
            return Err(Failure::usage(
                "which topic? Name it: ringlog produce TOPIC, or let the input do it (%t, \"topic\")",
            ));
        };
        producer.send(topic, partition, addressed.record)?;
        Ok(())
    }

    /// Notes what was acknowledged, and prints it if asked to.
    fn report(&mut self, producer: &mut Producer) -> Result<(), Failure> {
        for topic in producer.take_created() {
            eprintln!("note: {topic} did not exist; the broker created it");
        }
        let deliveries = producer.take_deliveries();
        let mut lines = String::new();
        for delivery in deliveries {
            if self.args.verbose {
                lines += &delivery_lines(&delivery);
            }
            self.tally.records += delivery.count;
            self.tally.partitions.insert((delivery.topic, delivery.partition));
        }
        if !lines.is_empty() {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(lines.as_bytes())?;
            stdout.flush()?;
        }
        Ok(())
    }

    /// One line for people, not for pipes.
    fn summary(&self) {
        if std::io::stderr().is_terminal() && !self.args.verbose {
            let topics: BTreeSet<&str> = self.tally.partitions.iter().map(|(topic, _)| topic.as_str()).collect();
            let topics = topics.into_iter().collect::<Vec<_>>().join(", ");
            let partitions = output::count(self.tally.partitions.len(), "partition");
            let records = output::count(self.tally.records, "record");
            match self.tally.records {
                0 => eprintln!("no records in the input"),
                _ => eprintln!("{records} to {topics} ({partitions})"),
            }
        }
    }
}

fn delivery_lines(delivery: &Delivery) -> String {
    let line = |index: usize| match delivery.base_offset {
        base if base < 0 => format!("{} {} -\n", delivery.topic, delivery.partition),
        base => format!("{} {} {}\n", delivery.topic, delivery.partition, base + index as i64),
    };
    (0..delivery.count).map(line).collect()
}

/// Input in one of its forms.
enum Source {
    Template(Reader<Input>),
    Lines(Reader<Input>),
    Stream(Input),
}

type Input = BufReader<Box<dyn Read + Send>>;

fn source(args: &Args, format: Option<Format>) -> Result<Source, Failure> {
    let input: Box<dyn Read + Send> = match &args.file {
        None => Box::new(std::io::stdin()),
        Some(path) => match File::open(path) {
            Ok(file) => Box::new(file),
            Err(error) => {
                let code = if error.kind() == std::io::ErrorKind::NotFound {
                    6
                } else {
                    1
                };
                return Err(Failure::Other(
                    code,
                    format!("cannot open {}: {error}", path.display()),
                    None,
                ));
            }
        },
    };
    let input = BufReader::with_capacity(INPUT_BYTES, input);
    let reader = |text: &str, input| {
        template::parse(text)
            .and_then(|tokens| Reader::new(tokens, input))
            .map_err(Failure::usage)
    };
    match format {
        Some(Format::Table) => Err(Failure::usage(
            "produce reads --format jsonl or json, or a template with -f",
        )),
        Some(Format::Json) => Ok(Source::Stream(input)),
        Some(Format::Jsonl) => Ok(Source::Lines(reader("%v\\n", input)?)),
        None => Ok(Source::Template(reader(
            args.template.as_deref().unwrap_or("%v\\n"),
            input,
        )?)),
    }
}

impl Source {
    /// Parses until the end, an error, or until nobody listens.
    fn run(self, sender: &SyncSender<Handover>) {
        match self {
            Source::Template(reader) => forward(reader, sender, |record| Ok(Some(record))),
            Source::Lines(reader) => forward(reader, sender, |line| {
                let text = line.record.value.unwrap_or_default();
                if text.trim_ascii().is_empty() {
                    Ok(None)
                } else {
                    jsonl::read(&text).map(Some)
                }
            }),
            Source::Stream(input) => {
                let stream = serde_json::Deserializer::from_reader(input).into_iter::<jsonl::Input>();
                for (index, item) in stream.enumerate() {
                    let record = item
                        .map_err(|error| error.to_string())
                        .and_then(jsonl::Input::into_record);
                    let record = record
                        .map(|record| vec![record])
                        .map_err(|reason| format!("record {}: {reason}", index + 1));
                    let is_over = record.is_err();
                    if sender.send(record).is_err() || is_over {
                        return;
                    }
                }
            }
        }
    }
}

fn forward(
    mut reader: Reader<Input>,
    sender: &SyncSender<Handover>,
    convert: impl Fn(Addressed) -> Result<Option<Addressed>, String>,
) {
    let mut records = Vec::new();
    let mut bytes = 0;
    let mut count = 0u64;
    loop {
        count += 1;
        let next = match reader.next_record() {
            Ok(None) => break,
            Ok(Some(record)) => convert(record).map_err(|reason| format!("record {count}: {reason}")),
            Err(reason) => Err(reason),
        };
        match next {
            Ok(record) => {
                bytes += record.as_ref().map_or(0, |record| record.record.size());
                records.extend(record);
            }
            Err(reason) => {
                // What is good is delivered before the error is told.
                let _ = sender.send(Ok(records)).and_then(|()| sender.send(Err(reason)));
                return;
            }
        }
        let would_block = reader.input().buffer().is_empty();
        if would_block || bytes >= HANDOVER_BYTES {
            bytes = 0;
            if sender.send(Ok(std::mem::take(&mut records))).is_err() {
                return;
            }
        }
    }
    let _ = sender.send(Ok(records));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(input: &'static str, format: Format) -> (usize, Option<String>) {
        let input = BufReader::new(Box::new(input.as_bytes()) as Box<dyn Read + Send>);
        let source = match format {
            Format::Jsonl => Source::Lines(Reader::new(template::parse("%v\\n").unwrap(), input).unwrap()),
            _ => Source::Stream(input),
        };
        let (sender, receiver) = sync_channel(100);
        source.run(&sender);
        drop(sender);
        let mut good = 0;
        for handover in receiver {
            match handover {
                Ok(records) => good += records.len(),
                Err(reason) => return (good, Some(reason)),
            }
        }
        (good, None)
    }

    #[test]
    fn json_lines_name_the_bad_one_after_the_good_ones() {
        assert_eq!(
            forwarded("{\"value\":\"a\"}\n\n{\"value\":null}", Format::Jsonl),
            (2, None)
        );
        let (good, reason) = forwarded("{\"value\":\"a\"}\n{\"value\":1}\n{\"value\":\"b\"}\n", Format::Jsonl);
        assert_eq!(good, 1);
        assert!(
            reason.as_ref().is_some_and(|reason| reason.starts_with("record 2: ")),
            "{reason:?}"
        );
    }

    #[test]
    fn indented_json_is_read_as_a_stream() {
        assert_eq!(
            forwarded("{\n \"value\": \"a\"\n}\n{\"value\": \"b\"}", Format::Json),
            (2, None)
        );
        let (good, reason) = forwarded("{\"value\":\"a\"}{", Format::Json);
        assert_eq!(good, 1);
        assert!(reason.is_some_and(|reason| reason.starts_with("record 2: ")));
    }
}
