//! Members that come, go, lose answers, die and restart at random, on topics that change: the rig checks after every step that
//! no partition is held twice; the model checks that no two members *use* one, and in the end everybody has its target.

use super::*;
use crate::base::ids::Now;
use std::collections::BTreeSet;

/// What a client believes.
#[derive(Clone, Default)]
struct Client {
    epoch: i32,
    /// What it uses.
    owned: BTreeSet<(u8, i32)>,
    topics: Vec<&'static str>,
    /// It has to say all again.
    full: bool,
}

struct World {
    rig: Rig,
    clients: BTreeMap<String, Client>,
    random: u64,
    names: u32,
}

const NAMES: [&str; 3] = ["t", "u", "v"];

impl World {
    fn chance(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn subscription(&mut self) -> Vec<&'static str> {
        let mask = 1 + self.chance(7);
        let chosen = NAMES.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0);
        chosen.map(|(_, name)| *name).collect()
    }

    fn beat(&mut self, name: &str, lose: bool) {
        let Some(client) = self.clients.get(name).cloned() else {
            return;
        };
        let mut beat = match client.epoch == 0 || client.full {
            true => Beat::join(name, &client.topics),
            false => Beat::at(name, client.epoch),
        };
        beat.0.member_epoch = client.epoch;
        let mut owned: BTreeMap<u8, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in &client.owned {
            owned.entry(*topic).or_default().push(*partition);
        }
        let owned: Vec<(u8, &[i32])> = owned.iter().map(|(topic, all)| (*topic, all.as_slice())).collect();
        let answer = beat.owning(&owned).answered(&mut self.rig);
        if lose {
            self.client(name).full = true;
            return;
        }
        let client = self.client(name);
        match answer.error {
            ErrorCode::None => {
                (client.epoch, client.full) = (answer.member_epoch, false);
                if let Some(assignment) = answer.assignment {
                    let pairs = plain(&assignment.topic_partitions).into_iter();
                    client.owned = pairs
                        .flat_map(|(topic, all)| all.into_iter().map(move |p| (topic, p)))
                        .collect();
                }
            }
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => {
                (client.epoch, client.owned) = (0, BTreeSet::new());
            }
            error => panic!("{error:?}"),
        }
        self.check();
    }

    fn client(&mut self, name: &str) -> &mut Client {
        self.clients.entry(name.to_string()).or_default()
    }

    /// A partition is used by one client at most; one that was given up for silence must not come back.
    fn check(&self) {
        let mut used = BTreeMap::new();
        for (name, client) in &self.clients {
            for pair in &client.owned {
                let other = used.insert(pair, name);
                assert!(other.is_none(), "{pair:?} is used by {other:?} and {name}");
            }
        }
    }

    fn step(&mut self) {
        let names: Vec<String> = self.clients.keys().cloned().collect();
        let pick = self.chance(names.len().max(1) as u64) as usize;
        let name = names.get(pick).cloned().unwrap_or_default();
        match self.chance(20) {
            0 | 1 if self.clients.len() < 6 => {
                self.names += 1;
                let topics = self.subscription();
                let name = format!("m{}", self.names);
                self.clients.insert(
                    name.clone(),
                    Client {
                        topics,
                        ..Client::default()
                    },
                );
                self.beat(&name, false);
            }
            2 if !name.is_empty() => {
                // A client that goes stops using its partitions first.
                self.clients.remove(&name);
                Beat::at(&name, -1).answered(&mut self.rig);
            }
            3 if !name.is_empty() => {
                let topics = self.subscription();
                let client = self.client(&name);
                (client.topics, client.full) = (topics, client.epoch > 0);
                self.beat(&name, false);
            }
            4 => self.change_topics(),
            5 => restart(&mut self.rig),
            6 => self.beat(&name, true),
            7 => self.rig.advance_ms(1_000),
            _ => self.beat(&name, false),
        }
    }

    fn change_topics(&mut self) {
        let mut sizes = Vec::new();
        for (number, name) in NAMES.iter().enumerate() {
            if self.chance(4) > 0 {
                let remade = 10 * self.chance(2) as u8;
                sizes.push((*name, number as u8 + 1 + remade, 1 + self.chance(6) as i32));
            }
        }
        set_topics(&mut self.rig, &sizes);
    }

    /// With everybody quiet and present, all have what they are to have after a few heartbeats.
    fn settle(&mut self) {
        for _ in 0..8 {
            for name in self.clients.keys().cloned().collect::<Vec<_>>() {
                self.beat(&name, false);
            }
        }
        if self.clients.is_empty() {
            return;
        }
        let group = describe(&mut self.rig);
        assert_eq!((group.state.as_str(), group.epoch), ("Stable", group.assignment_epoch));
        let mut used = BTreeSet::new();
        for member in &group.members {
            assert_eq!(member.assignment, member.target_assignment);
            used.extend(self.clients.get(&member.member_id).cloned().unwrap_or_default().owned);
        }
        let read = |name: &&&str| self.clients.values().any(|client| client.topics.contains(*name));
        let known = NAMES.iter().filter(read).filter_map(|name| self.rig.topics.get(name));
        let all: usize = known.map(|topic| topic.partitions as usize).sum();
        assert_eq!(used.len(), all, "every partition is read");
    }
}

#[test]
fn no_partition_is_ever_used_by_two_and_every_group_converges_74() {
    for seed in 0..150 {
        let mut world = World {
            rig: rig(&[("t", 1, 4), ("u", 2, 3)]),
            clients: BTreeMap::new(),
            random: seed,
            names: 0,
        };
        let start: Now = world.rig.now;
        for _ in 0..120 {
            world.step();
            // Nobody is silent for as long as a session lasts.
            if world.rig.now.mono_ns - start.mono_ns > 20_000_000_000 {
                break;
            }
        }
        world.settle();
    }
}

#[test]
fn fifty_members_that_join_at_once_share_evenly() {
    let mut world = World {
        rig: rig(&[("t", 1, 120)]),
        clients: BTreeMap::new(),
        random: 1,
        names: 0,
    };
    for number in 0..50 {
        let client = Client {
            topics: vec!["t"],
            ..Client::default()
        };
        world.clients.insert(format!("m{number:02}"), client);
    }
    world.settle();
    assert!(
        world
            .clients
            .values()
            .all(|client| (2..=3).contains(&client.owned.len()))
    );
}
