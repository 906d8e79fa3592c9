//! Assignors: balance, stickiness, ranges; the members' vote.

use super::*;
use crate::group::consumer::Partitions;
use crate::group::consumer::assign::{Assignor, Spec};

/// Members with their topics and the target before.
fn specs<'a>(members: &'a [(String, Vec<u8>)], last: Option<&'a [Partitions]>) -> Vec<Spec<'a>> {
    let spec = |(index, (name, topics)): (usize, &'a (String, Vec<u8>))| Spec {
        id: name,
        instance_id: None,
        topics: topics.iter().map(|number| id(*number)).collect(),
        last: last.and_then(|last| last.get(index)),
    };
    members.iter().enumerate().map(spec).collect()
}

fn members(list: &[&[u8]]) -> Vec<(String, Vec<u8>)> {
    let named = list.iter().enumerate();
    named
        .map(|(index, topics)| (format!("m{index:02}"), topics.to_vec()))
        .collect()
}

fn sizes(list: &[(u8, i32)]) -> BTreeMap<TopicId, i32> {
    list.iter().map(|(number, size)| (id(*number), *size)).collect()
}

fn loads(assigned: &[Partitions]) -> Vec<usize> {
    assigned.iter().map(|all| all.values().map(|p| p.len()).sum()).collect()
}

fn moves(before: &[Partitions], after: &[Partitions]) -> usize {
    let kept = |(before, after): (&Partitions, &Partitions)| -> usize {
        let of = |topic| after.get(topic).cloned().unwrap_or_default();
        before
            .iter()
            .map(|(topic, all)| all.difference(&of(topic)).count())
            .sum()
    };
    before.iter().zip(after).map(kept).sum()
}

#[test]
fn uniform_is_balanced_and_moves_as_little_as_that_allows() {
    let sizes = sizes(&[(1, 7), (2, 5)]);
    let three = members(&[&[1, 2], &[1, 2], &[1, 2]]);
    let first = Assignor::Uniform.assign(&specs(&three, None), &sizes);
    assert_eq!(loads(&first), [4, 4, 4]);
    let four = members(&[&[1, 2], &[1, 2], &[1, 2], &[1, 2]]);
    let mut last = first.clone();
    last.push(Partitions::new());
    let second = Assignor::Uniform.assign(&specs(&four, Some(&last)), &sizes);
    assert_eq!((loads(&second), moves(&last, &second)), (vec![3; 4], 3));
    let third = Assignor::Uniform.assign(&specs(&three, Some(&second[..3])), &sizes);
    assert_eq!((loads(&third), moves(&second[..3], &third)), (vec![4; 3], 0));
}

#[test]
fn uniform_gives_topics_of_few_to_those_few() {
    let sizes = sizes(&[(1, 4), (2, 4)]);
    let mixed = members(&[&[1], &[1, 2], &[2]]);
    let assigned = Assignor::Uniform.assign(&specs(&mixed, None), &sizes);
    assert_eq!(loads(&assigned).iter().sum::<usize>(), 8);
    assert!(
        loads(&assigned).iter().all(|load| (2..=3).contains(load)),
        "{:?}",
        loads(&assigned)
    );
    assert!(!assigned[0].contains_key(&id(2)) && !assigned[2].contains_key(&id(1)));
    // The one with a choice leaves to those who have none.
    let uneven = members(&[&[1], &[1, 2]]);
    let all = Partitions::from([(id(1), (0..4).collect()), (id(2), (0..4).collect())]);
    let last = [Partitions::new(), all];
    let assigned = Assignor::Uniform.assign(&specs(&uneven, Some(&last)), &sizes);
    assert_eq!(loads(&assigned), [4, 4]);
}

#[test]
fn range_gives_the_same_numbers_of_all_topics_to_one_member() {
    let sizes = sizes(&[(1, 3), (2, 3)]);
    let two = members(&[&[1, 2], &[1, 2]]);
    let mut specs = specs(&two, None);
    let assigned = Assignor::Range.assign(&specs, &sizes);
    let both =
        |range: std::ops::Range<i32>| Partitions::from([(id(1), range.clone().collect()), (id(2), range.collect())]);
    assert_eq!(assigned, [both(0..2), both(2..3)]);
    specs[1].instance_id = Some("static");
    assert_eq!(
        Assignor::Range.assign(&specs, &sizes),
        [both(2..3), both(0..2)],
        "static members come first"
    );
}

#[test]
fn more_members_than_partitions_and_no_partitions_at_all() {
    for assignor in [Assignor::Uniform, Assignor::Range] {
        let many = members(&[&[1], &[1], &[1]]);
        let assigned = assignor.assign(&specs(&many, None), &sizes(&[(1, 2)]));
        assert_eq!(loads(&assigned), [1, 1, 0]);
        assert_eq!(loads(&assignor.assign(&specs(&many, None), &sizes(&[]))), [0, 0, 0]);
    }
}

#[test]
fn the_group_is_assigned_as_most_of_its_members_ask() {
    let mut rig = rig(&[("t", 1, 2)]);
    Beat::join("a", &["t"]).ok(&mut rig);
    assert_eq!(describe(&mut rig).assignor_name, "uniform", "nobody asks for one");
    Beat::join("b", &["t"]).assignor("range").ok(&mut rig);
    assert_eq!(describe(&mut rig).assignor_name, "range");
    Beat::join("c", &["t"]).assignor("uniform").ok(&mut rig);
    Beat::join("d", &["t"]).assignor("uniform").ok(&mut rig);
    assert_eq!(describe(&mut rig).assignor_name, "uniform");
}
