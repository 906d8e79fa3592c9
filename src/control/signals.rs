//! TERM and INT drain, a second one stops now; HUP reloads; USR1 writes the shards' state to the log.

use super::{Order, Shared};
use std::io;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Installed handlers.
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
    usr1: Signal,
}

impl Signals {
    /// Takes over the signals. Inside a runtime.
    pub fn install() -> io::Result<Signals> {
        Ok(Signals {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
            usr1: signal(SignalKind::user_defined1())?,
        })
    }

    /// Waits for signals for ever.
    pub async fn run(mut self, shared: Arc<Shared>) {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = self.term.recv() => end(&shared, &mut asked),
                _ = self.int.recv() => end(&shared, &mut asked),
                _ = self.hup.recv() => shared.order(Order::Reload),
                _ = self.usr1.recv() => dump(&shared).await,
            }
        }
    }
}

fn end(shared: &Shared, asked: &mut bool) {
    shared.order(if *asked { Order::Stop } else { Order::Drain });
    *asked = true;
}

async fn dump(shared: &Arc<Shared>) {
    for view in shared.collect().await {
        match view.snapshot {
            Some(m) => tracing::info!(
                shard = view.id,
                busy_ms = m.busy_ns / 1_000_000,
                rounds = m.rounds,
                events = m.events,
                hops = m.hops,
                connections = m.connections,
                partitions = m.partitions,
                acked_records = m.acked_records,
                acked_bytes = m.acked_bytes,
                journal_used_bytes = m.journal_used_bytes,
                flush_p50_us = m.flush.quantile_ns(0.5) / 1000,
                flush_p99_us = m.flush.quantile_ns(0.99) / 1000,
                stalls = m.stalls.count(),
                silent_ms = view.silent.as_millis() as u64,
                "state"
            ),
            None => tracing::warn!(shard = view.id, "state: no answer yet"),
        }
    }
}
