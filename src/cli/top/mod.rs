//! `ringlog top`: rates of topics, lag of groups, load of shards, from two looks at a broker.
//!
//! Topics and groups come from the Kafka protocol and work with any broker; shards come from ringlog's metrics page.

mod screen;
mod shards;
mod view;

use self::shards::Admin;
use self::view::{Look, View};
use crate::cli::context::{Context, Format, parse_duration};
use crate::cli::failure::Failure;
use crate::cli::{examples, interrupt, output};
use crate::client::{ClientError, Cluster};
use std::io::IsTerminal;
use std::time::Duration;

/// Watch rates of topics, lag of groups and load of shards
///
/// Refreshes in place on a terminal until Ctrl-C; elsewhere, or with --once, one snapshot. IN is records a second written, OUT
/// records a second committed by groups, LAG what groups still have to read. The shards come from ringlog's metrics page, which
/// is looked for on port 9644 of the bootstrap host unless --admin says where; other brokers have none.
#[derive(clap::Args, Debug)]
#[command(after_help = examples!(
"  ringlog top
  ringlog top --interval 5s -b broker-1:9092
  ringlog top --once --format json | jq '.topics[] | select(.in_per_second > 1000)'
  ringlog top --once --admin off              without shards
"))]
pub struct Args {
    /// Time between two looks, over which rates are taken
    #[arg(short, long, default_value = "2s", value_name = "TIME", value_parser = parse_duration)]
    interval: Duration,
    /// One snapshot, then leave
    #[arg(long)]
    once: bool,
    /// ringlog's admin address, or off [default: port 9644 of the bootstrap host, if it answers]
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,
}

/// Runs `ringlog top`.
///
/// # Errors
/// Connection errors, an --admin that does not answer, write errors.
pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    if args.interval < Duration::from_millis(100) {
        return Err(Failure::usage("--interval: at least 100ms"));
    }
    let mut cluster = context.connect()?;
    let admin = Admin::find(args.admin.as_deref(), cluster.bootstrap(), context.timeout())?;
    let live = !args.once && context.format().is_none_or(|format| format == Format::Table);
    let live = live && std::io::stdout().is_terminal();
    match watch(&args, context, &mut cluster, admin.as_ref(), live) {
        Err(Failure::Client(ClientError::Interrupted)) if live => Ok(()),
        other => other,
    }
}

fn watch(
    args: &Args,
    context: &Context,
    cluster: &mut Cluster,
    admin: Option<&Admin>,
    live: bool,
) -> Result<(), Failure> {
    let screen = live.then(screen::Screen::open);
    let mut before = Look::take(cluster, admin)?;
    loop {
        if !interrupt::pause(args.interval) {
            return Err(Failure::Client(ClientError::Interrupted));
        }
        let now = Look::take(cluster, admin)?;
        let view = View::between(&before, &now, cluster.bootstrap());
        match &screen {
            Some(screen) => screen.draw(&view)?,
            None => {
                return output::one(context.format_or(Format::Table), &view, |view| {
                    view::table(view, usize::MAX)
                });
            }
        }
        before = now;
    }
}
