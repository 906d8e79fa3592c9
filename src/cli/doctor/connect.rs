//! `ringlog doctor connect`: bootstrap, metadata, then every advertised address.

use super::ConnectArgs;
use super::hop::{self, Step, Way, is_loopback, step};
use crate::cli::context::{Context, Format};
use crate::cli::failure::{EXIT_CONNECT, Failure};
use crate::cli::interrupt;
use crate::cli::output::{self, Align};
use crate::client::cluster::{Metadata, Scope};
use crate::client::configs::{self, Entity};
use crate::client::{Address, ClientError, Cluster, Options};
use serde::Serialize;

/// Kafka's INVALID_REQUEST: what a broker answers about the configs of another one.
const INVALID_REQUEST: i16 = 42;

#[derive(Serialize)]
struct Report {
    address: String,
    ok: bool,
    cluster_id: Option<String>,
    steps: Vec<Step>,
    notes: Vec<String>,
}

pub(super) fn connect(args: &ConnectArgs, context: &Context) -> Result<(), Failure> {
    let address = Address::parse(&args.address).map_err(Failure::usage)?;
    let options = Options {
        timeout: context.timeout(),
        interrupt: Some(interrupt::flag()),
        ..Options::new(vec![address.clone()])
    };
    let mut report = Report {
        address: address.to_string(),
        ok: false,
        cluster_id: None,
        steps: Vec::new(),
        notes: Vec::new(),
    };
    walk_all(&address, &options, &mut report);
    report.ok = report.steps.iter().all(|step| step.ok);
    output::one(context.format_or(Format::Table), &report, table)?;
    if report.ok {
        Ok(())
    } else {
        Err(Failure::Reported(EXIT_CONNECT))
    }
}

fn walk_all(address: &Address, options: &Options, report: &mut Report) {
    let way = Way::Bootstrap;
    let Some(mut cluster) = hop::walk(&way, address, options, &mut report.steps) else {
        return;
    };
    let metadata = match cluster.metadata(Scope::Brokers) {
        Ok(metadata) => metadata,
        Err(error) => {
            report
                .steps
                .push(step(&way, "metadata", address, Err(no_metadata(&error))));
            return;
        }
    };
    let nodes = output::count(metadata.brokers.len(), "node");
    let cluster_id = metadata.cluster_id.clone();
    let named = format!("cluster {}, {nodes}", cluster_id.as_deref().unwrap_or("without an id"));
    let result = if metadata.brokers.is_empty() {
        Err((
            "it names no node".to_string(),
            "the broker has not registered itself yet: wait, or look at its log".to_string(),
        ))
    } else {
        Ok(named)
    };
    report.steps.push(step(&way, "metadata", address, result));
    report.cluster_id = cluster_id;
    for broker in &metadata.brokers {
        let way = Way::Advertised {
            node: broker.id,
            bootstrap: address.clone(),
        };
        if let Some(mut there) = hop::walk(&way, &broker.address, options, &mut report.steps) {
            let identity = identity(&mut there, broker.id, &metadata);
            report.steps.push(step(&way, "identity", &broker.address, identity));
        }
        if is_loopback(&broker.address.host) {
            report.notes.push(hop::loopback_remedy(broker.id, &broker.address));
        }
    }
}

/// ApiVersions is answered before a login, and by controllers; Metadata is not.
fn no_metadata(error: &ClientError) -> (String, String) {
    let remedy = match error {
        ClientError::Lost { .. } => {
            "it tells its versions and then closes: a SASL listener, which asks for a login first; see the broker's log"
        }
        ClientError::Unsupported { .. } => {
            "this is the listener of a KRaft controller: clients use the broker's listener, usually on port 9092"
        }
        _ => "see the broker's log",
    };
    (error.to_string(), remedy.to_string())
}

/// Whether the node meant answers here: same cluster, and its own configs are those of that node.
fn identity(there: &mut Cluster, node: i32, metadata: &Metadata) -> Result<String, (String, String)> {
    let other_remedy = format!(
        "another broker listens there: correct advertised.listeners of node {node}, or the port mapping that leads there"
    );
    let seen = there.metadata(Scope::Brokers).map_err(|error| no_metadata(&error))?;
    if seen.cluster_id != metadata.cluster_id {
        let id = seen.cluster_id.unwrap_or_else(|| "none".to_string());
        return Err((format!("it belongs to another cluster ({id})"), other_remedy));
    }
    if seen.brokers.iter().all(|broker| broker.id != node) {
        return Err((format!("it does not know node {node}"), other_remedy));
    }
    let keys = ["node.id".to_string()];
    match configs::describe(there, &[Entity::Broker(node)], Some(&keys)) {
        Ok(answers) => match answers.into_iter().next() {
            Some((_, Err(refusal))) if refusal.code == INVALID_REQUEST => {
                Err((format!("it is not node {node}: {refusal}"), other_remedy))
            }
            Some((_, Ok(_))) => Ok(format!("node {node} of the same cluster")),
            // Not allowed to look, or a broker without configs: the cluster is right, which is most of it.
            _ => Ok("the same cluster".to_string()),
        },
        Err(_) => Ok("the same cluster".to_string()),
    }
}

fn table(report: &Report) -> String {
    let headers = [
        ("", Align::Left),
        ("HOP", Align::Left),
        ("STEP", Align::Left),
        ("ADDRESS", Align::Left),
        ("FOUND", Align::Left),
    ];
    let cells = report.steps.iter().map(|step| {
        vec![
            if step.ok { "ok" } else { "FAIL" }.to_string(),
            step.hop.clone(),
            step.step.to_string(),
            step.address.clone(),
            step.found.clone(),
        ]
    });
    let mut text = output::columns(&headers, cells) + "\n";
    for broken in report.steps.iter().filter(|step| !step.ok) {
        text += &format!("{} breaks at {}: {}\n", broken.hop, broken.step, broken.found);
        if let Some(remedy) = &broken.remedy {
            text += &format!("  help: {remedy}\n");
        }
    }
    if report.ok {
        text += &format!(
            "a client can connect to {} and to every node behind it\n",
            report.address
        );
    }
    for note in &report.notes {
        text += &format!("note: {note}\n");
    }
    text
}
