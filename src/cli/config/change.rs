//! `ringlog config set|unset`.

use super::{SetArgs, UnsetArgs};
use crate::cli::context::{Context, Format};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::client::configs::{self, ConfigChange, Entity};

pub(super) fn set(args: SetArgs, context: &Context) -> Result<(), Failure> {
    let mut changes: Vec<ConfigChange> = Vec::new();
    changes.extend(args.pairs.into_iter().map(|(key, value)| ConfigChange::Set(key, value)));
    changes.extend(
        args.append
            .into_iter()
            .map(|(key, value)| ConfigChange::Append(key, value)),
    );
    changes.extend(
        args.subtract
            .into_iter()
            .map(|(key, value)| ConfigChange::Subtract(key, value)),
    );
    alter(&args.entity, &changes, args.dry_run, context)
}

pub(super) fn unset(args: UnsetArgs, context: &Context) -> Result<(), Failure> {
    let changes: Vec<ConfigChange> = args.keys.into_iter().map(ConfigChange::Unset).collect();
    alter(&args.entity, &changes, args.dry_run, context)
}

/// One entity after the other, so that each outcome has its full name.
fn alter(entities: &[Entity], changes: &[ConfigChange], dry_run: bool, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let words = configs::words(changes);
    let done = if dry_run {
        format!("would change: {words}")
    } else {
        words
    };
    let mut outcomes = Vec::with_capacity(entities.len());
    for entity in entities {
        for (_, result) in configs::alter(&mut cluster, std::slice::from_ref(entity), changes, dry_run)? {
            outcomes.push((entity.to_string(), result.map(|()| done.clone())));
        }
    }
    output::outcomes(context.format_or(Format::Table), "entity", "configure", outcomes)
}
