//! The admin HTTP routes.

use super::{Phase, ShardView, Shared, metrics};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use std::time::Duration;

/// A shard that has not answered for this long counts as hanging.
const SILENT_MAX: Duration = Duration::from_secs(5);

const INDEX: &str = "ringlog admin\n\n\
    /metrics          Prometheus metrics\n\
    /livez            the process answers\n\
    /readyz?verbose   whether it serves, one line per check\n";

/// Serves until the process ends.
pub(super) async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>) {
    if let Err(error) = axum::serve(listener, routes(shared)).await {
        tracing::error!(%error, "the admin server has ended");
    }
}

fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(async || INDEX))
        .route("/metrics", get(show_metrics))
        .route("/livez", get(async || "ok\n"))
        .route("/-/healthy", get(async || "ok\n"))
        .route("/readyz", get(show_ready))
        .route("/-/ready", get(show_ready))
        .route("/v1/status/ready", get(show_ready_json))
        .with_state(shared)
}

async fn show_metrics(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    if query.is_some_and(|query| query.split('&').any(|part| part.starts_with("compat="))) {
        let text = "other brokers' metric names are not available yet; use /metrics without compat\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    let shards = shared.collect().await;
    let text = metrics::render(&shared, &shards);
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}

async fn show_ready(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let checks = checks(&shared).await;
    let ready = checks.iter().all(|check| check.fault.is_none());
    let verbose = query.is_some_and(|query| {
        query
            .split('&')
            .any(|part| part == "verbose" || part.starts_with("verbose="))
    });
    let mut text = String::new();
    for check in checks.iter().filter(|check| verbose || check.fault.is_some()) {
        match &check.fault {
            None => text.push_str(&format!("[+] {}: ok\n", check.name)),
            Some(fault) => text.push_str(&format!("[-] {}: {fault}\n", check.name)),
        }
    }
    text.push_str(if ready { "ready\n" } else { "not ready\n" });
    (status_of(ready), text).into_response()
}

/// As other brokers' tools expect it.
async fn show_ready_json(State(shared): State<Arc<Shared>>) -> Response {
    let ready = checks(&shared).await.iter().all(|check| check.fault.is_none());
    let text = if ready {
        "{\"status\":\"ready\"}\n"
    } else {
        "{\"status\":\"booting\"}\n"
    };
    (status_of(ready), [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn status_of(ready: bool) -> StatusCode {
    if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

struct Check {
    name: String,
    fault: Option<String>,
}

async fn checks(shared: &Arc<Shared>) -> Vec<Check> {
    let phase = match shared.status.phase() {
        Phase::Ready => None,
        Phase::Recovering(how_far) => Some(format!("recovering: {how_far}")),
        Phase::Draining => Some("shutting down".to_string()),
        Phase::Failed(why) => Some(format!("failed: {why}")),
    };
    let mut checks = vec![Check {
        name: "broker".into(),
        fault: phase,
    }];
    let disk = match metrics::disk_space(&shared.data_dir) {
        Some((0, _)) => Some("no space left".to_string()),
        Some(_) => None,
        None => Some(format!("{} cannot be read", shared.data_dir.display())),
    };
    checks.push(Check {
        name: "disk".into(),
        fault: disk,
    });
    checks.extend(shared.collect().await.iter().map(shard_check));
    checks
}

fn shard_check(view: &ShardView) -> Check {
    let fault = (view.silent > SILENT_MAX).then(|| format!("no answer for {} s", view.silent.as_secs()));
    Check {
        name: format!("shard {}", view.id),
        fault,
    }
}
