//! What must exist before a run: the topic, producer ids, connections to the leaders.

use crate::conn::Conn;
use crate::control::{Control, Leader};
use crate::ledger::Ledger;
use crate::payload::Shape;
use crate::proto::error_name;
use std::io;
use std::net::{SocketAddr, TcpStream};

/// Kafka error: the topic exists.
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// How to prepare.
pub struct Setup<'a> {
    /// First broker to ask.
    pub bootstrap: SocketAddr,
    /// Skip everything but connecting: for `floor`, which knows only Produce.
    pub raw: bool,
    /// Partitions of the topic.
    pub partitions: u32,
    /// Topic configuration, e.g. `flush.messages=1`.
    pub configs: &'a [(String, String)],
    /// Connections.
    pub connections: usize,
    /// Ask for a producer id per connection.
    pub idempotent: bool,
}

/// Prepares topic and connections.
///
/// # Errors
/// Socket errors, a refused topic, leaders that do not appear within a minute.
pub fn prepare(setup: &Setup<'_>, shape: &Shape) -> io::Result<(Vec<Conn>, Ledger)> {
    let mut ledger = Ledger::new(
        &shape.topic,
        shape.run_id,
        setup.partitions,
        shape.records,
        shape.record_bytes,
    );
    let leaders = if setup.raw {
        (0..setup.partitions)
            .map(|partition| Leader {
                partition,
                at: setup.bootstrap,
            })
            .collect()
    } else {
        make_topic(setup.bootstrap, &shape.topic, setup.partitions, setup.configs)?
    };
    let mut ids = Control::connect(setup.bootstrap)?;
    let mut conns = Vec::with_capacity(setup.connections);
    for (producer, (at, partitions)) in spread(&leaders, setup.connections).into_iter().enumerate() {
        let lanes = partitions
            .iter()
            .map(|p| (*p, ledger.lane(producer as u32, *p)))
            .collect();
        let identity = if setup.idempotent {
            Some(ids.init_producer_id()?)
        } else {
            None
        };
        let stream = TcpStream::connect(at).map_err(|e| io::Error::new(e.kind(), format!("{at}: {e}")))?;
        stream.set_nodelay(true)?;
        conns.push(Conn::new(stream, lanes, identity));
    }
    Ok((conns, ledger))
}

/// Creates `topic` unless it exists and waits for its leaders.
///
/// # Errors
/// Socket errors, a refused topic, leaders that do not appear within a minute.
pub fn make_topic(
    bootstrap: SocketAddr,
    topic: &str,
    partitions: u32,
    configs: &[(String, String)],
) -> io::Result<Vec<Leader>> {
    let mut control = Control::connect(bootstrap)?;
    let error = control.create_topic(topic, partitions, configs)?;
    if error != 0 && error != TOPIC_ALREADY_EXISTS {
        return Err(io::Error::other(format!(
            "cannot create topic {topic}: {}",
            error_name(error)
        )));
    }
    control.await_leaders(topic, partitions)
}

/// Gives each connection the address of one leader and the partitions it sends to: all partitions are covered, and none
/// is shared while there are as many partitions as connections.
fn spread(leaders: &[Leader], connections: usize) -> Vec<(SocketAddr, Vec<u32>)> {
    let mut addresses: Vec<SocketAddr> = leaders.iter().map(|l| l.at).collect();
    addresses.sort();
    addresses.dedup();
    let of = |at: SocketAddr| {
        leaders
            .iter()
            .filter(move |l| l.at == at)
            .map(|l| l.partition)
            .collect::<Vec<_>>()
    };
    let mut plan = Vec::with_capacity(connections);
    for (rank, at) in addresses.iter().enumerate() {
        let owned = of(*at);
        let share = (connections + addresses.len() - 1 - rank) / addresses.len();
        for n in 0..share {
            let mine: Vec<u32> = owned.iter().copied().skip(n).step_by(share).collect();
            plan.push((
                *at,
                if mine.is_empty() {
                    vec![owned[n % owned.len()]]
                } else {
                    mine
                },
            ));
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaders(count: u32, brokers: u16) -> Vec<Leader> {
        let at = |p: u32| SocketAddr::from(([127, 0, 0, 1], 9000 + (p % u32::from(brokers)) as u16));
        (0..count)
            .map(|partition| Leader {
                partition,
                at: at(partition),
            })
            .collect()
    }

    #[test]
    fn every_partition_is_covered_by_a_connection_to_its_leader() {
        for (partitions, brokers, connections) in [(6, 1, 64), (1000, 1, 64), (6, 3, 4), (10, 2, 64), (1, 1, 3)] {
            let all = leaders(partitions, brokers);
            let plan = spread(&all, connections);
            assert_eq!(
                plan.len(),
                connections.max(usize::from(brokers.min(4)).min(connections))
            );
            for leader in &all {
                assert!(
                    plan.iter()
                        .any(|(at, mine)| *at == leader.at && mine.contains(&leader.partition))
                );
            }
            assert!(
                plan.iter()
                    .all(|(at, mine)| mine.iter().all(|p| all[*p as usize].at == *at))
            );
        }
    }
}
