//! `ringlog group delete|delete-offsets`.

use super::{DeleteArgs, DeleteOffsetsArgs, select};
use crate::cli::context::{Context, Format};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::client::group;

pub(super) fn delete(args: &DeleteArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let results = group::delete(&mut cluster, &args.groups)?;
    let results = output::deleted(results, args.if_exists);
    output::outcomes(context.format_or(Format::Table), "group", "delete group", results)
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
