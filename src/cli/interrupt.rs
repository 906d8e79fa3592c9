//! Ctrl-C and SIGTERM for client commands: the first asks to end cleanly, the second kills.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a pause looks at the flag.
const LOOK: Duration = Duration::from_millis(100);

static STOP: AtomicBool = AtomicBool::new(false);
static INSTALL: Once = Once::new();

extern "C" fn on_signal(_: libc::c_int) {
    STOP.store(true, Ordering::Relaxed);
}

/// Installs the handlers on first use and returns the flag they set.
pub fn flag() -> &'static AtomicBool {
    INSTALL.call_once(|| {
        for signal in [libc::SIGINT, libc::SIGTERM] {
            // SAFETY: the action is fully initialised (zeroed, then handler and flags set; an all-zero mask is the empty set)
            // and the handler only stores to an atomic, which is async-signal-safe.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
                // Without SA_RESTART blocked reads return at once; with SA_RESETHAND a second Ctrl-C kills as usual.
                action.sa_flags = libc::SA_RESETHAND;
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
        }
    });
    &STOP
}

/// True once the user asked to end.
pub fn is_set() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Waits; `false` when the user asked to end.
pub fn pause(interval: Duration) -> bool {
    let until = Instant::now() + interval;
    while Instant::now() < until && !is_set() {
        std::thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
    }
    !is_set()
}
