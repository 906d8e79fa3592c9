//! `ringlog consume`: prints records of partitions, without a group.

use crate::cli::context::{Context, Format};
use crate::cli::failure::Failure;
use crate::cli::template::{self, Token, print};
use crate::cli::{clock, context, examples, interrupt, jsonl};
use crate::client::consumer::{Consumer, ConsumerOptions, Start};
use crate::client::{ClientError, Consumed};
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest wait of one poll; new records end it at once.
const POLL: Duration = Duration::from_millis(500);
/// Output collected before it is written, in bytes.
const WRITE_BYTES: usize = 64 << 10;

/// Print records of topics, waiting for new ones
///
/// Reads the partitions itself, without joining a group or committing offsets. Without -f or --format each record's value is
/// printed on a line.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = consume_help())]
pub struct Args {
    /// Topics to read
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// Only these partitions, comma separated or repeated [default: all]
    #[arg(short, long, value_name = "N,..", value_delimiter = ',')]
    partitions: Vec<i32>,
    /// Where to begin: start, end, N, +N (after the start), -N (before the end), @TIME
    ///
    /// TIME is milliseconds since 1970, a date such as 2026-11-21T10:00:00Z, or an age such as -90s, -15m, -1h, -2d.
    #[arg(short, long, value_name = "WHERE", default_value = "start", allow_hyphen_values = true, value_parser = parse_start)]
    offset: Start,
    /// Leave after this many records
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Leave at the end: after the last record that exists now
    #[arg(short, long)]
    exit_at_end: bool,
    /// Print each record in this form, e.g. '%p %o %v\n' (see --help)
    #[arg(short = 'f', long, value_name = "TEMPLATE", conflicts_with = "format")]
    template: Option<String>,
    /// Print where records are and how large, not what is in them
    #[arg(long, conflicts_with = "template")]
    meta_only: bool,
    /// Leave out records of open and aborted transactions
    #[arg(long)]
    read_committed: bool,
}

const EXAMPLES: &str = examples!(
    "  ringlog consume logs                        everything, then what comes
  ringlog consume logs -o end                 only what comes from now on
  ringlog consume logs -o -10 -e              the last 10 of each partition, then leave
  ringlog consume logs -p 0 -o 4711 -n 1      one record
  ringlog consume logs -o @-1h -f '%d{iso} %p/%o %k %v\\n'
  ringlog consume logs -e --format jsonl > logs.jsonl
"
);

fn consume_help() -> String {
    let formats = "--format json prints indented objects one after the other, --format table aligned columns.\n";
    format!("{}\n{}{formats}\n{EXAMPLES}", template::HELP, jsonl::HELP)
}

/// Runs `ringlog consume`.
///
/// # Errors
/// Connection errors, unknown topics and offsets, unreadable records. A broken pipe and Ctrl-C end it well.
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let style = style(&args, context.format())?;
    let cluster = context.connect()?;
    let options = ConsumerOptions {
        read_committed: args.read_committed,
        ..ConsumerOptions::default()
    };
    let mut consumer = Consumer::new(cluster, options);
    let mut topics = args.topics.clone();
    topics.sort();
    topics.dedup();
    let partitions = (!args.partitions.is_empty()).then_some(&args.partitions[..]);
    for topic in &topics {
        consumer.assign(topic, partitions, args.offset)?;
    }
    if args.exit_at_end {
        consumer.stop_at_end()?;
    }
    let mut printer = Printer {
        style,
        many_topics: topics.len() > 1,
        printed: 0,
        out: Vec::new(),
    };
    match pump(&mut consumer, &mut printer, args.count, args.exit_at_end) {
        Err(Failure::Client(ClientError::Interrupted)) => printer.write(),
        other => other,
    }
}

fn pump(consumer: &mut Consumer, printer: &mut Printer, count: Option<u64>, exit_at_end: bool) -> Result<(), Failure> {
    printer.head();
    loop {
        if interrupt::is_set() || (exit_at_end && consumer.is_finished()) {
            return printer.write();
        }
        let records = consumer.poll(POLL)?;
        for note in consumer.take_notes() {
            eprintln!("note: {note}");
        }
        for record in &records {
            printer.record(record);
            if Some(printer.printed) == count {
                return printer.write();
            }
            if printer.out.len() >= WRITE_BYTES {
                printer.write()?;
            }
        }
        printer.write()?;
    }
}

/// How records are printed.
#[derive(Debug)]
enum Style {
    Template(Vec<Token>),
    Json { pretty: bool, meta_only: bool },
    Table { meta_only: bool },
}

fn style(args: &Args, format: Option<Format>) -> Result<Style, Failure> {
    let meta_only = args.meta_only;
    let default = if meta_only {
        "%t %p %o %d{iso} %K %V\\n"
    } else {
        "%v\\n"
    };
    match format {
        Some(Format::Table) => Ok(Style::Table { meta_only }),
        Some(Format::Json) => Ok(Style::Json {
            pretty: true,
            meta_only,
        }),
        Some(Format::Jsonl) => Ok(Style::Json {
            pretty: false,
            meta_only,
        }),
        None => {
            let text = args.template.as_deref().unwrap_or(default);
            template::parse(text).map(Style::Template).map_err(Failure::usage)
        }
    }
}

#[derive(Debug)]
struct Printer {
    style: Style,
    many_topics: bool,
    printed: u64,
    out: Vec<u8>,
}

impl Printer {
    /// The header line of a table.
    fn head(&mut self) {
        if let Style::Table { meta_only } = self.style {
            let topic = if self.many_topics { "TOPIC             " } else { "" };
            let rest = if meta_only {
                " KEY BYTES  VALUE BYTES  HEADERS"
            } else {
                " KEY               VALUE"
            };
            self.out.extend_from_slice(
                format!("{topic}PARTITION      OFFSET  TIMESTAMP                {rest}\n").as_bytes(),
            );
        }
    }

    fn record(&mut self, record: &Consumed) {
        self.printed += 1;
        match &self.style {
            Style::Template(tokens) => print::record(tokens, record, self.printed, &mut self.out),
            Style::Json { pretty, meta_only } => {
                jsonl::write(record, *meta_only, *pretty, &mut self.out);
                self.out.push(b'\n');
            }
            Style::Table { meta_only } => {
                let row = table_row(record, *meta_only, self.many_topics);
                self.out.extend_from_slice(row.as_bytes());
            }
        }
    }

    /// Hands on what is collected, so that a reader sees records as they come.
    fn write(&mut self) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        let result = stdout.write_all(&self.out).and_then(|()| stdout.flush());
        self.out.clear();
        Ok(result?)
    }
}

fn table_row(record: &Consumed, meta_only: bool, many_topics: bool) -> String {
    let topic = if many_topics {
        format!("{:<16}  ", record.topic)
    } else {
        String::new()
    };
    let start = format!(
        "{topic}{:>9}  {:>10}  {:<24}",
        record.partition,
        record.offset,
        clock::rfc3339(record.timestamp_ms)
    );
    let text = |bytes: Option<&bytes::Bytes>| bytes.map_or_else(|| "(null)".to_string(), |bytes| printable(bytes));
    let size = |bytes: Option<&bytes::Bytes>| bytes.map_or_else(|| "null".to_string(), |bytes| bytes.len().to_string());
    let (key, value) = (record.key.as_ref(), record.value.as_ref());
    if meta_only {
        format!(
            "{start}  {:>9}  {:>11}  {:>7}\n",
            size(key),
            size(value),
            record.headers.len()
        )
    } else {
        format!("{start}  {:<16}  {}\n", text(key), text(value))
    }
}

/// Text with control characters escaped, so that one record stays on one line.
fn printable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text
            .chars()
            .map(|c| {
                if c.is_control() {
                    c.escape_default().to_string()
                } else {
                    c.to_string()
                }
            })
            .collect(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// Reads `start`, `end`, `N`, `+N`, `-N`, `@TIME`.
fn parse_start(text: &str) -> Result<Start, String> {
    let number = |digits: &str| {
        digits
            .parse::<i64>()
            .ok()
            .filter(|number| *number >= 0 && !digits.starts_with('+'))
    };
    let wrong = || "write start, end, N, +N, -N or @TIME (@2026-11-21T10:00:00Z, @-1h)".to_string();
    match text {
        "start" | "beginning" | "earliest" => Ok(Start::Earliest),
        "end" | "latest" => Ok(Start::Latest),
        _ => {
            if let Some(time) = text.strip_prefix('@') {
                return parse_time(time).map(Start::Timestamp);
            }
            let found = match text.as_bytes().first() {
                Some(b'+') => number(&text[1..]).map(Start::AfterEarliest),
                Some(b'-') => number(&text[1..]).map(Start::BeforeLatest),
                _ => number(text).map(Start::Offset),
            };
            found.ok_or_else(wrong)
        }
    }
}

/// Reads a time: RFC 3339, ms since 1970, or an age such as `-1h`.
///
/// # Errors
/// A sentence with an example.
pub(super) fn parse_time(text: &str) -> Result<i64, String> {
    if let Some(age) = text.strip_prefix('-') {
        let age = context::parse_duration(age)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        return Ok(now.saturating_sub(age).as_millis() as i64);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| "that time is too large".to_string());
    }
    clock::parse_rfc3339(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_as_people_write_them() {
        for (text, start) in [
            ("start", Start::Earliest),
            ("end", Start::Latest),
            ("47", Start::Offset(47)),
            ("+2", Start::AfterEarliest(2)),
            ("-3", Start::BeforeLatest(3)),
            ("@1795255323004", Start::Timestamp(1_795_255_323_004)),
            ("@2026-11-21T10:02:03Z", Start::Timestamp(1_795_255_323_000)),
        ] {
            assert_eq!(parse_start(text), Ok(start), "{text}");
        }
        assert!(matches!(parse_start("@-1h"), Ok(Start::Timestamp(ms)) if ms > 1_700_000_000_000));
        for bad in ["", "begin", "--3", "+-3", "++3", "@", "@soon", "1.5"] {
            assert!(parse_start(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn table_rows_stay_on_one_line() {
        let record = Consumed {
            topic: "logs".into(),
            partition: 0,
            offset: 12,
            leader_epoch: 0,
            timestamp_ms: 0,
            is_append_time: false,
            producer_id: -1,
            producer_epoch: -1,
            key: None,
            value: Some("a\nb é".into()),
            headers: Vec::new(),
        };
        let row = table_row(&record, false, false);
        assert_eq!(
            row,
            "        0          12  1970-01-01T00:00:00.000Z  (null)            a\\nb é\n"
        );
        let mut printer = Printer {
            style: Style::Table { meta_only: true },
            many_topics: true,
            printed: 0,
            out: Vec::new(),
        };
        printer.head();
        printer.record(&record);
        assert_eq!(
            String::from_utf8(printer.out).unwrap(),
            "TOPIC             PARTITION      OFFSET  TIMESTAMP                 KEY BYTES  VALUE BYTES  HEADERS\n\
             logs                      0          12  1970-01-01T00:00:00.000Z       null            6        0\n"
        );
    }
}
