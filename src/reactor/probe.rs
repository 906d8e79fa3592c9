//! Whether this machine can run the reactor, and if not, why and what to do. Asked once at start.

use super::ring::Ring;
use io_uring::{Probe, opcode};
use std::fmt;
use std::io;

/// A refusal: what is missing and how to get it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// What is wrong, one sentence.
    pub cause: String,
    /// What the operator can do about it.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause, self.remedy)
    }
}

impl std::error::Error for Refusal {}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Support {
    /// Kernel release, as `uname -r` says.
    pub kernel: String,
    /// Waiting does not count as I/O wait (`IORING_ENTER_NO_IOWAIT`, Linux 6.15).
    pub no_iowait: bool,
}

/// Operations the reactor cannot do without, by name.
const NEEDED: [(u8, &str); 9] = [
    (opcode::AcceptMulti::CODE, "ACCEPT"),
    (opcode::Recv::CODE, "RECV"),
    (opcode::Send::CODE, "SEND"),
    (opcode::SendMsg::CODE, "SENDMSG"),
    (opcode::Read::CODE, "READ"),
    (opcode::Write::CODE, "WRITE"),
    (opcode::Fsync::CODE, "FSYNC"),
    (opcode::MsgRingData::CODE, "MSG_RING"),
    (opcode::AsyncCancel2::CODE, "ASYNC_CANCEL"),
];

/// Oldest kernel with deferred task work (`IORING_SETUP_DEFER_TASKRUN`).
const OLDEST: (u32, u32) = (6, 1);

/// Sets up a ring as a shard would and looks at what it can do.
///
/// # Errors
/// A refusal with its remedy: kernel too old, io_uring switched off by sysctl, blocked by seccomp, or an operation missing.
pub fn probe() -> Result<Support, Refusal> {
    let kernel = kernel_release();
    refuse_old(&kernel)?;
    let ring = Ring::new(8, 16).map_err(|error| explain(&error, &kernel, sysctl_disabled()))?;
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .map_err(|error| explain(&error, &kernel, sysctl_disabled()))?;
    if let Some((_, name)) = NEEDED.iter().find(|(code, _)| !probe.is_supported(*code)) {
        return Err(Refusal {
            cause: format!("io_uring of kernel {kernel} lacks the operation {name}"),
            remedy: "run a kernel of 6.1 or newer that has not had io_uring operations removed".into(),
        });
    }
    Ok(Support {
        kernel,
        no_iowait: ring.has_no_iowait(),
    })
}

fn kernel_release() -> String {
    // SAFETY: utsname is plain bytes; uname fills it.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: a valid pointer for the call.
    if unsafe { libc::uname(&mut name) } != 0 {
        return "unknown".into();
    }
    let bytes: Vec<u8> = name.release.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Major and minor of a kernel release such as `6.18.44-generic`.
fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn refuse_old(release: &str) -> Result<(), Refusal> {
    match parse_release(release) {
        Some(version) if version < OLDEST => Err(Refusal {
            cause: format!(
                "kernel {release} is too old: ringlog needs Linux 6.1 or newer (io_uring with deferred task work)"
            ),
            remedy: "boot a newer kernel (Debian 12, Ubuntu 24.04 and RHEL 10 or newer have one)".into(),
        }),
        _ => Ok(()),
    }
}

/// Value of `kernel.io_uring_disabled` (0 on, 1 privileged only, 2 off); 0 where the kernel does not have it.
fn sysctl_disabled() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// Why a ring could not be set up.
pub fn explain_setup(error: &io::Error) -> Refusal {
    explain(error, &kernel_release(), sysctl_disabled())
}

fn explain(error: &io::Error, kernel: &str, disabled: u32) -> Refusal {
    let (cause, remedy) = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if disabled > 0 => (
            format!("io_uring is switched off: sysctl kernel.io_uring_disabled = {disabled}"),
            "run `sysctl -w kernel.io_uring_disabled=0` (and keep it in /etc/sysctl.d/)".into(),
        ),
        Some(libc::EPERM | libc::EACCES) => (
            "io_uring is forbidden to this process (EPERM), most likely by a container's seccomp profile".into(),
            "allow io_uring_setup, io_uring_enter and io_uring_register in the profile, or run with \
             `--security-opt seccomp=unconfined`"
                .into(),
        ),
        Some(libc::ENOSYS) => (
            format!("kernel {kernel} has no io_uring, or a sandbox hides it (ENOSYS)"),
            "use a kernel of 6.1 or newer built with CONFIG_IO_URING, outside gVisor and similar sandboxes".into(),
        ),
        Some(libc::EINVAL) => (
            format!("io_uring of kernel {kernel} lacks SINGLE_ISSUER or DEFER_TASKRUN (EINVAL)"),
            "run Linux 6.1 or newer".into(),
        ),
        Some(libc::ENOMEM) => (
            "no memory may be locked for io_uring (ENOMEM)".into(),
            "raise the limit: `ulimit -l unlimited`, or LimitMEMLOCK=infinity in the systemd unit".into(),
        ),
        Some(libc::EMFILE | libc::ENFILE) => (
            "no file descriptor is left for io_uring".into(),
            "raise the limit: `ulimit -n 1048576`, or LimitNOFILE=1048576 in the systemd unit".into(),
        ),
        _ => (
            format!("io_uring cannot be set up: {error}"),
            "check `dmesg` and the container's limits".into(),
        ),
    };
    Refusal { cause, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_accepted() {
        let support = probe().expect("tests need io_uring");
        assert!(parse_release(&support.kernel).is_some_and(|version| version >= OLDEST));
    }

    #[test]
    fn old_kernels_are_refused_and_odd_names_are_not() {
        assert!(
            refuse_old("5.15.0-91-generic").is_err_and(|r| r.cause.contains("5.15.0") && r.remedy.contains("kernel"))
        );
        assert!(refuse_old("6.0.19").is_err());
        assert!(refuse_old("6.1.0-13-amd64").is_ok());
        assert!(refuse_old("7.0-rc1").is_ok());
        assert!(refuse_old("unknown").is_ok(), "the ring set-up decides then");
    }

    #[test]
    fn each_set_up_failure_has_its_own_remedy() {
        let refusal = |errno, disabled| explain(&io::Error::from_raw_os_error(errno), "6.8.0", disabled);
        assert!(refusal(libc::EPERM, 2).remedy.contains("io_uring_disabled=0"));
        assert!(refusal(libc::EPERM, 0).remedy.contains("seccomp"));
        assert!(refusal(libc::ENOSYS, 0).cause.contains("ENOSYS"));
        assert!(refusal(libc::ENOMEM, 0).remedy.contains("LimitMEMLOCK"));
        assert!(refusal(libc::EMFILE, 0).remedy.contains("LimitNOFILE"));
    }
}
