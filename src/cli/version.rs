//! `ringlog version`.

use crate::cli::context::{Context, Format};
use crate::cli::failure::Failure;
use crate::cli::{examples, output};
use serde::Serialize;

/// Show the version
#[derive(clap::Args, Debug)]
#[command(after_help = examples!("  ringlog version\n  ringlog version --format json\n"))]
pub struct Args {}

#[derive(Serialize)]
struct Version {
    version: &'static str,
    target: String,
    build: &'static str,
}

/// Prints the version of this binary.
///
/// # Errors
/// Only if stdout cannot be written.
pub fn run(_: Args, context: &Context) -> Result<(), Failure> {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        build: if cfg!(debug_assertions) { "debug" } else { "release" },
    };
    output::one(context.format_or(Format::Table), &version, |version| {
        format!(
            "ringlog {} ({}, {} build)\n",
            version.version, version.target, version.build
        )
    })
}
