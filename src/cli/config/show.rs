//! `ringlog config get|list`.

use super::{GetArgs, ListArgs};
use crate::cli::context::{Context, Format};
use crate::cli::failure::{EXIT_NOT_FOUND, Failure};
use crate::cli::output::{self, Align};
use crate::client::cluster::Scope;
use crate::client::configs::{self, ConfigEntry, ConfigSource, Entity, Synonym};
use crate::client::{ClientError, Cluster};
use serde::Serialize;

#[derive(Serialize)]
struct Row {
    entity: String,
    key: String,
    value: Option<String>,
    source: String,
    read_only: bool,
    sensitive: bool,
    synonyms: Vec<SynonymRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation: Option<String>,
}

#[derive(Serialize)]
struct SynonymRow {
    key: String,
    value: Option<String>,
    source: String,
}

pub(super) fn get(args: &GetArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let entity = entity_or_broker(&mut cluster, args.entity.clone())?;
    let mut entries = entries(&mut cluster, &entity, Some(&args.keys))?;
    // Some brokers ignore the filter.
    entries.retain(|entry| args.keys.contains(&entry.name));
    if let Some(missing) = args
        .keys
        .iter()
        .find(|key| entries.iter().all(|entry| entry.name != **key))
    {
        return Err(Failure::Other(
            EXIT_NOT_FOUND,
            format!("{entity} has no config key `{missing}`"),
            Some(format!("ringlog config list -e {entity} --all shows the keys it has")),
        ));
    }
    show(context, &entity, entries, false)
}

pub(super) fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let mut cluster = context.connect()?;
    let entity = entity_or_broker(&mut cluster, args.entity.clone())?;
    let mut entries = entries(&mut cluster, &entity, None)?;
    let all = entries.len();
    entries.retain(|entry| args.all || entry.source != ConfigSource::Default);
    let hidden = all - entries.len();
    if !args.docs {
        entries.iter_mut().for_each(|entry| entry.documentation = None);
    }
    let is_table = context.format_or(Format::Table) == Format::Table;
    if is_table && entries.is_empty() {
        eprintln!("nothing is set on {entity}");
    } else {
        show(context, &entity, entries, args.docs)?;
    }
    if is_table && hidden > 0 {
        output::print(&format!(
            "\n{} at the default (shown with --all)\n",
            output::count(hidden, "key")
        ))?;
    }
    Ok(())
}

/// The entity asked for, or the broker that takes administrative requests.
fn entity_or_broker(cluster: &mut Cluster, entity: Option<Entity>) -> Result<Entity, Failure> {
    if let Some(entity) = entity {
        return Ok(entity);
    }
    let metadata = cluster.metadata(Scope::Brokers)?;
    let first = metadata.brokers.first().map(|broker| broker.id);
    let id = metadata.controller.or(first);
    id.map(Entity::Broker)
        .ok_or_else(|| Failure::failed("the cluster names no broker: give one with --entity broker:ID"))
}

fn entries(cluster: &mut Cluster, entity: &Entity, keys: Option<&[String]>) -> Result<Vec<ConfigEntry>, Failure> {
    let mut all = Vec::new();
    for (_, entries) in configs::describe(cluster, std::slice::from_ref(entity), keys)? {
        all.extend(entries.map_err(|refusal| ClientError::refused(format!("configs of {entity}"), refusal))?);
    }
    all.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(all)
}

fn show(context: &Context, entity: &Entity, entries: Vec<ConfigEntry>, docs: bool) -> Result<(), Failure> {
    let rows: Vec<Row> = entries.into_iter().map(|entry| row(entity, entry)).collect();
    output::list(context.format_or(Format::Table), &rows, |rows| table(rows, docs))
}

fn row(entity: &Entity, entry: ConfigEntry) -> Row {
    let synonym = |synonym: Synonym| SynonymRow {
        key: synonym.name,
        value: synonym.value,
        source: synonym.source.to_string(),
    };
    Row {
        entity: entity.to_string(),
        key: entry.name,
        value: entry.value,
        source: entry.source.to_string(),
        read_only: entry.read_only,
        sensitive: entry.sensitive,
        synonyms: entry.synonyms.into_iter().map(synonym).collect(),
        documentation: entry.documentation,
    }
}

fn shown(value: Option<&str>, sensitive: bool) -> String {
    match value {
        _ if sensitive => "(hidden)".to_string(),
        Some("") => "(empty)".to_string(),
        Some(value) => value.to_string(),
        None => "(not set)".to_string(),
    }
}

/// The values of other levels that the one in effect hides.
fn overridden(row: &Row) -> String {
    let hidden = row.synonyms.iter().skip(1).map(|synonym| {
        let value = shown(synonym.value.as_deref(), row.sensitive);
        format!("{}={value} ({})", synonym.key, synonym.source)
    });
    hidden.collect::<Vec<_>>().join("; ")
}

fn table(rows: &[Row], docs: bool) -> String {
    let mut headers = vec![
        ("KEY", Align::Left),
        ("VALUE", Align::Left),
        ("SOURCE", Align::Left),
        ("OVERRIDES", Align::Left),
    ];
    if docs {
        headers.push(("MEANING", Align::Left));
    }
    let cells = rows.iter().map(|row| {
        let mut cells = vec![
            row.key.clone(),
            shown(row.value.as_deref(), row.sensitive),
            row.source.clone(),
            overridden(row),
        ];
        if docs {
            cells.push(row.documentation.clone().unwrap_or_default());
        }
        cells
    });
    output::columns(&headers, cells)
}
