//! Log lines: to stderr, text or JSON, with a level that can be changed while running.

use super::config::LogFormat;
use std::io::IsTerminal;
use std::sync::OnceLock;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

static LEVEL: OnceLock<reload::Handle<LevelFilter, Registry>> = OnceLock::new();

/// Installs the subscriber of the process. A second call changes the level only.
pub fn install(format: LogFormat, level: &str) {
    if LEVEL.get().is_some() {
        set_level(level);
        return;
    }
    let (filter, handle) = reload::Layer::new(filter_of(level));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    let lines = match format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(colour).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).with_target(true).boxed(),
    };
    // Only the first installation of a process counts; in tests there may be others.
    if tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init()
        .is_ok()
    {
        let _ = LEVEL.set(handle);
    }
}

/// Changes the level; false when nothing was installed here.
pub fn set_level(level: &str) -> bool {
    LEVEL
        .get()
        .is_some_and(|handle| handle.reload(filter_of(level)).is_ok())
}

fn filter_of(level: &str) -> LevelFilter {
    level.parse().unwrap_or(LevelFilter::INFO)
}
