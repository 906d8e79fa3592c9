//! The same settings in the forms that keep them: sysctl.d, udev, tmpfiles.d, a systemd unit, tuned, the boot loader, Ansible, a script.
//!
//! What is wanted is exported, whatever is set now: a file for many machines must not depend on the one it was made on.

use crate::tune::host::Host;
use crate::tune::rule::{Finding, Persist, Write};
use std::fmt::Write as _;

/// A form of export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `/etc/sysctl.d/60-ringlog.conf`.
    Sysctl,
    /// `/etc/udev/rules.d/60-ringlog.rules`.
    Udev,
    /// `/etc/tmpfiles.d/ringlog.conf`.
    Tmpfiles,
    /// `/etc/systemd/system/ringlog.service`.
    Systemd,
    /// `/etc/tuned/ringlog/tuned.conf`.
    Tuned,
    /// `/etc/default/grub`.
    Grub,
    /// A playbook's tasks.
    Ansible,
    /// A script that sets all until the next boot.
    Shell,
}

/// The text of a file in that form.
pub fn export(form: Form, host: &Host, findings: &[Finding]) -> String {
    match form {
        Form::Sysctl => sysctl(findings),
        Form::Udev => udev(findings),
        Form::Tmpfiles => tmpfiles(findings),
        Form::Systemd => systemd(host),
        Form::Tuned => tuned(findings),
        Form::Grub => grub(host),
        Form::Ansible => ansible(findings),
        Form::Shell => shell(&all_writes(findings)),
    }
}

/// A script of plain writes.
pub fn shell(writes: &[(&str, &Write)]) -> String {
    let mut text =
        String::from("#!/bin/sh\n# Until the next boot; `ringlog tune export` has forms that last.\nset -u\n");
    for (item, write) in writes {
        let _ = writeln!(text, "echo '{}' > {}    # {item}", write.value, write.path);
    }
    text
}

fn all_writes(findings: &[Finding]) -> Vec<(&str, &Write)> {
    findings
        .iter()
        .flat_map(|finding| finding.writes.iter().map(move |write| (finding.item.as_str(), write)))
        .collect()
}

/// Writes of the findings whose rule lasts by `persist`.
fn lasting(findings: &[Finding], persist: Persist) -> Vec<(&Finding, &Write)> {
    let is_such = |finding: &&Finding| super::rule(finding.rule).is_some_and(|rule| rule.persist == persist);
    findings
        .iter()
        .filter(is_such)
        .flat_map(|finding| finding.writes.iter().map(move |write| (finding, write)))
        .collect()
}

fn key(write: &Write) -> String {
    write.path.trim_start_matches("/proc/sys/").replace('/', ".")
}

fn sysctl(findings: &[Finding]) -> String {
    let mut text = String::from("# /etc/sysctl.d/60-ringlog.conf, then: sysctl --system\n");
    for (_, write) in lasting(findings, Persist::Sysctl) {
        let _ = writeln!(text, "{} = {}", key(write), write.value);
    }
    text
}

fn udev(findings: &[Finding]) -> String {
    let mut text =
        String::from("# /etc/udev/rules.d/60-ringlog.rules, then: udevadm control --reload && udevadm trigger\n");
    for (_, write) in lasting(findings, Persist::Udev) {
        let mut parts = write.path.trim_start_matches("/sys/").splitn(4, '/');
        let line = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("block"), Some(disk), Some(group), Some(name)) => {
                format!(
                    "SUBSYSTEM==\"block\", KERNEL==\"{disk}\", ATTR{{{group}/{name}}}=\"{}\"",
                    write.value
                )
            }
            (Some("class"), Some("net"), Some(card), Some(rest)) => {
                format!(
                    "SUBSYSTEM==\"net\", KERNEL==\"{card}\", ATTR{{{rest}}}=\"{}\"",
                    write.value
                )
            }
            _ => continue,
        };
        let _ = writeln!(text, "ACTION==\"add|change\", {line}");
    }
    text
}

fn tmpfiles(findings: &[Finding]) -> String {
    let mut text = String::from("# /etc/tmpfiles.d/ringlog.conf, then: systemd-tmpfiles --create ringlog.conf\n");
    for (_, write) in lasting(findings, Persist::Tmpfiles) {
        let _ = writeln!(text, "w {} - - - - {}", write.path, write.value);
    }
    text
}

fn systemd(host: &Host) -> String {
    let data = host.scope.data_dir.display();
    format!(
        "# /etc/systemd/system/ringlog.service, then: systemctl daemon-reload && systemctl enable --now ringlog
[Unit]
Description=ringlog, a Kafka-compatible broker
After=network-online.target time-sync.target
Wants=network-online.target
RequiresMountsFor={data}

[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/bin/ringlog start --data-dir {data}
User=ringlog
Group=ringlog
# A shard that stands still for this long is a broker that does not answer.
WatchdogSec=30
Restart=on-failure
RestartSec=1
# A drain ends in a second; a slow disk may need more for its last flush.
TimeoutStopSec=60
LimitMEMLOCK=infinity
LimitNOFILE=1048576
OOMScoreAdjust=-950
AmbientCapabilities=CAP_SYS_NICE
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={data}
ProtectHome=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"
    )
}

fn tuned(findings: &[Finding]) -> String {
    let mut text = String::from(
        "# /etc/tuned/ringlog/tuned.conf, then: tuned-adm profile ringlog\n[main]\nsummary=ringlog, a Kafka-compatible broker\n\n[sysctl]\n",
    );
    for (_, write) in lasting(findings, Persist::Sysctl) {
        let _ = writeln!(text, "{}={}", key(write), write.value);
    }
    text.push_str("\n[sysfs]\n");
    for persist in [Persist::Udev, Persist::Tmpfiles] {
        for (_, write) in lasting(findings, persist) {
            let _ = writeln!(text, "{}={}", write.path, write.value);
        }
    }
    text
}

fn grub(host: &Host) -> String {
    let mut text = String::from(
        "# /etc/default/grub, then: update-grub (or grub2-mkconfig -o /boot/grub2/grub.cfg) and a reboot\n",
    );
    let Some((housekeeping, shards)) = host.cpus.split_first().filter(|_| host.cpus.len() >= 4) else {
        let _ = writeln!(text, "# {} CPUs: too few to set some apart", host.cpus.len());
        return text;
    };
    let list = shards.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let _ = writeln!(
        text,
        "# CPU {housekeeping} stays for everything else; start the broker with --cpus {list}"
    );
    let _ = writeln!(
        text,
        "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX isolcpus=managed_irq,domain,{list} nohz_full={list} rcu_nocbs={list} irqaffinity={housekeeping}\""
    );
    text
}

fn ansible(findings: &[Finding]) -> String {
    let mut text = String::from("# Tasks of a playbook (become: true)\n");
    for (finding, write) in lasting(findings, Persist::Sysctl) {
        let _ = writeln!(
            text,
            "- name: {}\n  ansible.posix.sysctl:\n    name: {}\n    value: \"{}\"\n    sysctl_file: /etc/sysctl.d/60-ringlog.conf",
            finding.item,
            key(write),
            write.value
        );
    }
    for (name, path, content) in [
        ("udev rules", "/etc/udev/rules.d/60-ringlog.rules", udev(findings)),
        ("settings at boot", "/etc/tmpfiles.d/ringlog.conf", tmpfiles(findings)),
    ] {
        let _ = writeln!(
            text,
            "- name: {name}\n  ansible.builtin.copy:\n    dest: {path}\n    mode: \"0644\"\n    content: |"
        );
        content.lines().for_each(|line| {
            let _ = writeln!(text, "      {line}");
        });
    }
    text
}
