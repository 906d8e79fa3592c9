//! `ringlog tune plan`, `apply` and `undo`: the only commands that change the host, and what they would do.

use super::{ScopeArgs, chosen, journal};
use crate::cli::context::{Context, Format};
use crate::cli::failure::{EXIT_FAILURE, Failure};
use crate::cli::output::{self, Align};
use crate::tune::{self, Change, Changed, Finding, Host};

/// Print the exact writes of `apply` as a shell script (changes nothing)
#[derive(clap::Args, Debug)]
#[command(after_help = tune_examples!("  ringlog tune plan\n  ringlog tune plan --profile shared disk.scheduler\n"))]
pub struct PlanArgs {
    /// Items to set (default: all that are not as wanted)
    items: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Set what is not as wanted, until the next boot; old values are kept for `undo` (root)
#[derive(clap::Args, Debug)]
#[command(after_help = tune_examples!("  sudo ringlog tune apply --yes\n  sudo ringlog tune apply disk.scheduler disk.nomerges --yes\n"))]
pub struct ApplyArgs {
    /// Items to set (default: all that are not as wanted)
    items: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Really change the host; without it the plan is shown
    #[arg(long)]
    yes: bool,
}

/// Put the values from before `apply` back (root)
#[derive(clap::Args, Debug)]
#[command(after_help = tune_examples!("  sudo ringlog tune undo\n  sudo ringlog tune undo disk.vda.scheduler\n"))]
pub struct UndoArgs {
    /// Items to put back (default: all)
    items: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Prints the script, or the open findings as JSON.
///
/// # Errors
/// An item that does not exist.
pub fn plan(args: PlanArgs, context: &Context) -> Result<(), Failure> {
    let open = open_findings(&args.scope.host()?, &args.items)?;
    output::list(context.format_or(Format::Table), &open, |open| {
        let writes: Vec<_> = open
            .iter()
            .flat_map(|finding| finding.writes.iter().map(|write| (finding.item.as_str(), write)))
            .collect();
        match writes.is_empty() {
            true => "# nothing to set: all is as wanted\n".to_string(),
            false => tune::shell(&writes),
        }
    })
}

fn open_findings(host: &Host, items: &[String]) -> Result<Vec<Finding>, Failure> {
    Ok(chosen(host, items)?.into_iter().filter(Finding::is_open).collect())
}

/// Sets what is open.
///
/// # Errors
/// Something could not be set; the rest is.
pub fn apply(args: ApplyArgs, context: &Context) -> Result<(), Failure> {
    if !args.yes {
        plan(
            PlanArgs {
                items: args.items,
                scope: args.scope,
            },
            context,
        )?;
        eprintln!("nothing was changed: add --yes to do it");
        return Ok(());
    }
    let host = args.scope.host()?;
    let open = open_findings(&host, &args.items)?;
    let mut journal = journal(host.root())?;
    let changes = tune::apply(host.root(), &mut journal, &open).map_err(journal_failed)?;
    show(
        context,
        &changes,
        "set: `ringlog tune undo` puts the old values back, `ringlog tune export` makes them last",
    )
}

/// Puts values back.
///
/// # Errors
/// Something could not be put back; the rest is.
pub fn undo(args: UndoArgs, context: &Context) -> Result<(), Failure> {
    let root = args.scope.root();
    let mut journal = journal(&root)?;
    if let Some(item) = args
        .items
        .iter()
        .find(|item| !journal.entries().iter().any(|entry| entry.item == **item))
    {
        return Err(Failure::usage(format!(
            "{item} was not changed by `ringlog tune apply`"
        )));
    }
    let changes = tune::undo(&root, &mut journal, &args.items).map_err(journal_failed)?;
    show(context, &changes, "as before")
}

fn journal_failed(error: std::io::Error) -> Failure {
    Failure::Other(
        EXIT_FAILURE,
        format!("the old values cannot be kept in {}: {error}", tune::Journal::PATH),
        Some("run it as root".into()),
    )
}

fn show(context: &Context, changes: &[Change], done: &str) -> Result<(), Failure> {
    let headers = [
        ("ITEM", Align::Left),
        ("FILE", Align::Left),
        ("OLD", Align::Left),
        ("NEW", Align::Left),
        ("RESULT", Align::Left),
    ];
    let row = |change: &Change| {
        vec![
            change.item.clone(),
            change.path.clone(),
            change.old.clone(),
            change.new.clone(),
            match &change.outcome {
                Changed::Set => "set".into(),
                Changed::Unchanged => "was so".into(),
                Changed::Refused(reason) => format!("REFUSED: {reason}"),
                Changed::Foreign(reason) => format!("left alone: {reason}"),
            },
        ]
    };
    output::list(context.format_or(Format::Table), changes, |changes| {
        match changes.is_empty() {
            true => "nothing to do\n".to_string(),
            false => output::columns(&headers, changes.iter().map(row)),
        }
    })?;
    let refused = changes
        .iter()
        .filter(|change| matches!(change.outcome, Changed::Refused(_)))
        .count();
    if refused > 0 {
        return Err(Failure::Other(
            EXIT_FAILURE,
            format!(
                "{} of {} could not be set",
                refused,
                output::count(changes.len(), "value")
            ),
            Some("as root; in a container or a virtual machine some knobs belong to the host".into()),
        ));
    }
    if !changes.is_empty() {
        eprintln!("{done}");
    }
    Ok(())
}
