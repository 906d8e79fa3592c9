//! DescribeClientQuotas and AlterClientQuotas (keys 48, 49, KIP-546).

use crate::api::call::{Call, Step, decode};
use crate::api::control::ControlOp;
use crate::controller::image::Image;
use crate::controller::quotas::{EntityParts, Part, QuotaChange, QuotaEntity};
use crate::controller::request::{ControllerRequest, Outcome};
use crate::wire::control::client_quotas::{
    AlterClientQuotas, AlterClientQuotasResponse, AlterQuotaEntry, AlteredQuotaEntry, DescribeClientQuotas,
    DescribeClientQuotasRequest, DescribeClientQuotasResponse, MATCH_ANY, MATCH_DEFAULT, MATCH_EXACT, QuotaComponent,
    QuotaEntity as WireEntity, QuotaEntry, QuotaValue,
};
use crate::wire::error::ErrorCode;

type Refused = (ErrorCode, String);

pub(in crate::api) fn describe<S>(call: &mut Call, body: &[u8]) -> Step<S> {
    let request = decode!(DescribeClientQuotas, call, body);
    let image = call.cx.image.clone();
    let response = match check(&request).map(|()| entries(&image, &request)) {
        Ok(entries) => DescribeClientQuotasResponse {
            entries: Some(entries),
            ..Default::default()
        },
        Err((error, why)) => {
            call.failed = true;
            DescribeClientQuotasResponse {
                error,
                error_message: Some(why),
                ..Default::default()
            }
        }
    };
    call.answer::<DescribeClientQuotas, S>(&response)
}

/// Rules of `ClientQuotasImage.describe`.
fn check(request: &DescribeClientQuotasRequest) -> Result<(), Refused> {
    let invalid = |why: String| Err((ErrorCode::InvalidRequest, why));
    let all = &request.components;
    for (at, component) in all.iter().enumerate() {
        let kind = component.entity_type.as_str();
        if kind.is_empty() {
            return invalid("Invalid empty entity type.".into());
        }
        if all.iter().take(at).any(|earlier| earlier.entity_type == kind) {
            return invalid(format!(
                "Entity type {kind} cannot appear more than once in the filter."
            ));
        }
        if !matches!(kind, "user" | "client-id" | "ip") {
            let why = format!("Custom entity type '{}' not supported", kind.escape_debug());
            return Err((ErrorCode::UnsupportedVersion, why));
        }
        match (component.match_type, &component.name) {
            (MATCH_EXACT, Some(_)) | (MATCH_DEFAULT | MATCH_ANY, None) => {}
            (MATCH_EXACT, None) => return invalid("An exact match needs a name.".into()),
            (MATCH_DEFAULT | MATCH_ANY, Some(_)) => return invalid("Only an exact match has a name.".into()),
            (other, _) => return invalid(format!("Unknown match type {other}")),
        }
    }
    if all.len() > 1 && all.iter().any(|component| component.entity_type == "ip") {
        return invalid("An ip component stands alone: it cannot be used with user or client-id.".into());
    }
    Ok(())
}

fn entries(image: &Image, request: &DescribeClientQuotasRequest) -> Vec<QuotaEntry> {
    let wanted = |entity: &QuotaEntity| {
        let matching = request.components.iter().all(|component| matches(entity, component));
        matching && (!request.strict || entity.parts().len() == request.components.len())
    };
    let all = image.quotas.iter().filter(|(entity, _)| wanted(entity));
    all.map(|(entity, values)| QuotaEntry {
        entity: wire_entity(entity.parts()),
        values: values
            .iter()
            .map(|(key, value)| QuotaValue {
                key: key.name().to_string(),
                value: *value,
            })
            .collect(),
    })
    .collect()
}

fn matches(entity: &QuotaEntity, component: &QuotaComponent) -> bool {
    let part = match component.entity_type.as_str() {
        "user" => &entity.user,
        "client-id" => &entity.client_id,
        _ => &entity.ip,
    };
    match (part, component.match_type) {
        (Part::Absent, _) => false,
        (_, MATCH_ANY) => true,
        (Part::Default, kind) => kind == MATCH_DEFAULT,
        (Part::Named(name), kind) => kind == MATCH_EXACT && component.name.as_ref() == Some(name),
    }
}

fn wire_entity(parts: EntityParts) -> Vec<WireEntity> {
    let part = |(entity_type, name)| WireEntity { entity_type, name };
    parts.into_iter().map(part).collect()
}

pub(in crate::api) fn alter(call: &mut Call, body: &[u8]) -> Step<ControlOp> {
    let request = decode!(AlterClientQuotas, call, body);
    let change = |entry: AlterQuotaEntry| QuotaChange {
        entity: entry
            .entity
            .into_iter()
            .map(|part| (part.entity_type, part.name))
            .collect(),
        ops: entry
            .ops
            .into_iter()
            .map(|op| (op.key, (!op.remove).then_some(op.value)))
            .collect(),
    };
    let changes: Vec<QuotaChange> = request.entries.into_iter().map(change).collect();
    let entities = changes.iter().map(|change| change.entity.clone()).collect();
    call.control(ControllerRequest::AlterQuotas {
        changes,
        validate_only: request.validate_only,
    });
    Step::Wait(ControlOp::Quotas(entities))
}

pub(in crate::api) fn finish<S>(call: &mut Call, entities: Vec<EntityParts>, outcomes: Vec<Outcome>) -> Step<S> {
    let entry = |(entity, outcome): (EntityParts, Outcome)| AlteredQuotaEntry {
        error: outcome.error,
        error_message: outcome.message,
        entity: wire_entity(entity),
    };
    let response = AlterClientQuotasResponse {
        entries: entities.into_iter().zip(outcomes).map(entry).collect(),
        ..Default::default()
    };
    call.note(response.entries.iter().map(|entry| entry.error));
    call.answer::<AlterClientQuotas, S>(&response)
}
