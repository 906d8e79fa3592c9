//! Credentials of users: stored, listed without any secret, gone when deleted, there after a restart.

use crate::rig::Rig;
use bytes::Bytes;
use ringlog::wire::control::scram_credentials::{
    AlterUserScramCredentials, AlterUserScramCredentialsRequest, DescribeUserScramCredentials,
    DescribeUserScramCredentialsRequest, ScramDeletion, ScramUpsertion, ScramUser,
};
use ringlog::wire::error::ErrorCode;

const SHA_256: i8 = 1;
const SHA_512: i8 = 2;

fn upsertion(name: &str, mechanism: i8, iterations: i32) -> ScramUpsertion {
    ScramUpsertion {
        name: name.into(),
        mechanism,
        iterations,
        salt: Bytes::from_static(b"salt of sixteen."),
        salted_password: Bytes::from(vec![7; if mechanism == SHA_256 { 32 } else { 64 }]),
    }
}

fn deletion(name: &str, mechanism: i8) -> ScramDeletion {
    ScramDeletion {
        name: name.into(),
        mechanism,
    }
}

fn alter(rig: &mut Rig, deletions: Vec<ScramDeletion>, upsertions: Vec<ScramUpsertion>) -> Vec<(String, ErrorCode)> {
    let request = AlterUserScramCredentialsRequest { deletions, upsertions };
    let mut results: Vec<_> = rig
        .ask::<AlterUserScramCredentials>(0, &request)
        .results
        .into_iter()
        .map(|result| (result.user, result.error))
        .collect();
    results.sort();
    rig.pass_ms(if rig.is_own() { 1 } else { 300 });
    results
}

/// A user with error and credentials: mechanism and rounds.
type Described = (String, ErrorCode, Vec<(i8, i32)>);

fn describe(rig: &mut Rig, users: &[&str]) -> Vec<Described> {
    let user = |name: &&str| ScramUser { name: name.to_string() };
    let request = DescribeUserScramCredentialsRequest {
        users: (!users.is_empty()).then(|| users.iter().map(user).collect()),
    };
    let response = rig.ask::<DescribeUserScramCredentials>(0, &request);
    assert_eq!(response.error, ErrorCode::None);
    let mut results: Vec<_> = response
        .results
        .into_iter()
        .map(|result| {
            let credentials = result.credentials.iter().map(|one| (one.mechanism, one.iterations));
            (result.user, result.error, credentials.collect())
        })
        .collect();
    results.sort();
    results
}

#[test]
fn credentials_are_set_listed_and_deleted_93() {
    let mut rig = Rig::new();
    let (ann, bob) = (rig.name("ann"), rig.name("bob"));
    let set = vec![
        upsertion(&ann, SHA_256, 4096),
        upsertion(&ann, SHA_512, 8192),
        upsertion(&bob, SHA_512, 4096),
    ];
    let fine = |name: &String| (name.clone(), ErrorCode::None);
    assert_eq!(alter(&mut rig, vec![], set), [fine(&ann), fine(&bob)]);
    let both = vec![(SHA_256, 4096), (SHA_512, 8192)];
    assert_eq!(
        describe(&mut rig, &[&ann]),
        [(ann.clone(), ErrorCode::None, both.clone())]
    );
    if rig.is_own() {
        assert_eq!(describe(&mut rig, &[]).len(), 2, "all of them");
    }
    assert_eq!(alter(&mut rig, vec![deletion(&ann, SHA_256)], vec![]), [fine(&ann)]);
    assert_eq!(describe(&mut rig, &[&ann])[0].2, [(SHA_512, 8192)]);
    let rest = vec![deletion(&ann, SHA_512), deletion(&bob, SHA_512)];
    alter(&mut rig, rest, vec![]);
    assert_eq!(
        describe(&mut rig, &[&ann]),
        [(ann.clone(), ErrorCode::ResourceNotFound, vec![])]
    );
    let twice = describe(&mut rig, &[&ann, &ann]);
    assert!(twice.iter().all(|(_, error, _)| *error == ErrorCode::DuplicateResource));
}

#[test]
fn credentials_that_cannot_be_are_refused_user_by_user_93() {
    let mut rig = Rig::new();
    let (ann, bob) = (rig.name("ann"), rig.name("bob"));
    let mut refused = |deletions: Vec<ScramDeletion>, upsertions: Vec<ScramUpsertion>| {
        let results = alter(&mut rig, deletions, upsertions);
        assert_eq!(results.len(), 1);
        results[0].1
    };
    for (upsertions, error) in [
        (vec![upsertion(&ann, SHA_256, 4095)], ErrorCode::UnacceptableCredential),
        (
            vec![upsertion(&ann, SHA_256, 16_385)],
            ErrorCode::UnacceptableCredential,
        ),
        (vec![upsertion("", SHA_256, 4096)], ErrorCode::UnacceptableCredential),
        (vec![upsertion(&ann, 9, 4096)], ErrorCode::UnsupportedSaslMechanism),
        (
            vec![upsertion(&ann, SHA_256, 4096), upsertion(&ann, SHA_256, 8192)],
            ErrorCode::DuplicateResource,
        ),
    ] {
        assert_eq!(refused(vec![], upsertions.clone()), error, "{upsertions:?}");
    }
    assert_eq!(
        refused(vec![deletion(&ann, SHA_256)], vec![]),
        ErrorCode::ResourceNotFound
    );
    let mixed = vec![
        upsertion(&ann, SHA_256, 4096),
        upsertion(&ann, SHA_512, 1),
        upsertion(&bob, SHA_256, 4096),
    ];
    let results = alter(&mut rig, vec![], mixed);
    assert_eq!(
        results,
        [
            (ann.clone(), ErrorCode::UnacceptableCredential),
            (bob.clone(), ErrorCode::None)
        ]
    );
    assert_eq!(
        describe(&mut rig, &[&ann])[0].1,
        ErrorCode::ResourceNotFound,
        "all or none"
    );
    alter(&mut rig, vec![deletion(&bob, SHA_256)], vec![]);
}

#[test]
fn credentials_survive_a_restart_from_journal_and_checkpoint_93() {
    for power_cut in [false, true] {
        let mut rig = Rig::own(|_| ());
        alter(&mut rig, vec![], vec![upsertion("ann", SHA_256, 4096)]);
        rig.restart(power_cut);
        let expected = [("ann".to_string(), ErrorCode::None, vec![(SHA_256, 4096)])];
        assert_eq!(describe(&mut rig, &[]), expected);
        rig.restart(power_cut);
        assert_eq!(describe(&mut rig, &[]), expected);
    }
}
