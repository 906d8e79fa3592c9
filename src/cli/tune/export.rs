//! `ringlog tune export`: the settings in the forms that keep them over a reboot.

use super::ScopeArgs;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::tune::{self, Form};
use clap::ValueEnum;

/// Print the settings in a form that lasts
#[derive(clap::Args, Debug)]
#[command(after_help = tune_examples!(
"  ringlog tune export sysctl | sudo tee /etc/sysctl.d/60-ringlog.conf
  ringlog tune export udev | sudo tee /etc/udev/rules.d/60-ringlog.rules
  ringlog tune export systemd --data-dir /var/lib/ringlog | sudo tee /etc/systemd/system/ringlog.service
"))]
pub struct Args {
    /// sysctl, udev, tmpfiles, systemd, tuned, grub, ansible or shell
    #[arg(value_enum, hide_possible_values = true)]
    form: FormName,
    #[command(flatten)]
    scope: ScopeArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormName {
    /// A file for /etc/sysctl.d
    #[value(alias = "sysctl.d")]
    Sysctl,
    /// A file for /etc/udev/rules.d
    Udev,
    /// A file for /etc/tmpfiles.d
    Tmpfiles,
    /// The broker's unit
    Systemd,
    /// A tuned profile
    Tuned,
    /// The kernel's command line
    Grub,
    /// Tasks of a playbook
    Ansible,
    /// A script, until the next boot
    Shell,
}

/// Prints.
///
/// # Errors
/// Only if stdout cannot be written.
pub fn run(args: Args) -> Result<(), Failure> {
    let host = args.scope.host()?;
    let form = match args.form {
        FormName::Sysctl => Form::Sysctl,
        FormName::Udev => Form::Udev,
        FormName::Tmpfiles => Form::Tmpfiles,
        FormName::Systemd => Form::Systemd,
        FormName::Tuned => Form::Tuned,
        FormName::Grub => Form::Grub,
        FormName::Ansible => Form::Ansible,
        FormName::Shell => Form::Shell,
    };
    output::print(&tune::export(form, &host, &tune::check(&host)))
}
