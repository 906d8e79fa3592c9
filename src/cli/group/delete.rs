//! `ringlog group delete|delete-offsets`.

use super::{DeleteArgs, DeleteOffsetsArgs, select};
use crate::cli::context::{Context, Format};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::client::group;

pub(super) fn delete(args: &DeleteArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let results = group::delete(&mut cluster, &args.groups)?;
    let results = results.into_iter().map(|(name, result)| match result {
        Ok(()) => (name, Ok("deleted".to_string())),
        Err(refusal) if args.if_exists && refusal.is_not_found() => (name, Ok("does not exist".to_string())),
        Err(refusal) => (name, Err(refusal)),
    });
    output::outcomes(
        context.format_or(Format::Table),
        "group",
        "delete group",
        results.collect(),
    )
}

pub(super) fn delete_offsets(args: &DeleteOffsetsArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let wanted = select::resolve(&mut cluster, &args.topic)?;
    let results = group::delete_offsets(&mut cluster, &args.group, &wanted)?;
    output::outcomes(
        context.format_or(Format::Table),
        "partition",
        &format!("delete offset of group {} in", args.group),
        select::outcomes(results, "offset deleted"),
    )
}
