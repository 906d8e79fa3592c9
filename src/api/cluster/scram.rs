//! DescribeUserScramCredentials and AlterUserScramCredentials (keys 50, 51, KIP-554). Only mechanism and rounds are ever told.

use crate::api::call::{Call, Step, decode};
use crate::api::control::ControlOp;
use crate::controller::image::Image;
use crate::controller::request::{ControllerRequest, Outcome};
use crate::controller::scram::ScramChange;
use crate::wire::control::scram_credentials::{
    AlterUserScramCredentials, AlterUserScramCredentialsResponse, AlteredScramUser, DescribeUserScramCredentials,
    DescribeUserScramCredentialsResponse, DescribedScramUser, ScramCredentialInfo,
};
use crate::wire::error::ErrorCode;
use std::collections::BTreeMap;

pub(in crate::api) fn describe<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(DescribeUserScramCredentials, call, body);
    let image = call.cx.image.clone();
    let asked = request.users.unwrap_or_default();
    let results: Vec<_> = if asked.is_empty() {
        image.scram.keys().map(|user| described(&image, user, 1)).collect()
    } else {
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        asked.iter().for_each(|user| *times.entry(&user.name).or_default() += 1);
        times
            .into_iter()
            .map(|(user, times)| described(&image, user, times))
            .collect()
    };
    call.note(results.iter().map(|result| result.error));
    call.answer::<DescribeUserScramCredentials, S>(&DescribeUserScramCredentialsResponse {
        results,
        ..Default::default()
    })
}

fn described(image: &Image, user: &str, times: usize) -> DescribedScramUser {
    let found = image.scram.get(user);
    let fault = match found {
        _ if times > 1 => Some((
            ErrorCode::DuplicateResource,
            format!("Cannot describe SCRAM credentials for the same user twice in a single request: {user}"),
        )),
        None => Some((
            ErrorCode::ResourceNotFound,
            format!("Attempt to describe a user credential that does not exist: {user}"),
        )),
        Some(_) => None,
    };
    if let Some((error, why)) = fault {
        return DescribedScramUser {
            user: user.to_string(),
            error,
            error_message: Some(why),
            ..Default::default()
        };
    }
    let credentials = found.into_iter().flatten();
    DescribedScramUser {
        user: user.to_string(),
        credentials: credentials
            .map(|(mechanism, credential)| ScramCredentialInfo {
                mechanism: *mechanism as i8,
                iterations: credential.iterations,
            })
            .collect(),
        ..Default::default()
    }
}

pub(in crate::api) fn alter(call: &mut Call, body: &[u8]) -> Step<ControlOp> {
    let request = decode!(AlterUserScramCredentials, call, body);
    let deletions = request.deletions.into_iter().map(|one| ScramChange::Delete {
        user: one.name,
        mechanism: one.mechanism,
    });
    let upsertions = request.upsertions.into_iter().map(|one| ScramChange::Upsert {
        user: one.name,
        mechanism: one.mechanism,
        iterations: one.iterations,
        salt: one.salt.to_vec(),
        salted_password: one.salted_password.to_vec(),
    });
    let changes = deletions.chain(upsertions).collect();
    call.control(ControllerRequest::AlterScram { changes });
    Step::Wait(ControlOp::Scram)
}

pub(in crate::api) fn finish<S>(call: &mut Call, outcomes: Vec<(String, Outcome)>) -> Step<S> {
    let result = |(user, outcome): (String, Outcome)| AlteredScramUser {
        user,
        error: outcome.error,
        error_message: outcome.message,
    };
    let response = AlterUserScramCredentialsResponse {
        results: outcomes.into_iter().map(result).collect(),
        ..Default::default()
    };
    call.note(response.results.iter().map(|result| result.error));
    call.answer::<AlterUserScramCredentials, S>(&response)
}
