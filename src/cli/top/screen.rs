//! The terminal: drawn over in place, without a flicker.

use super::view::{self, View};
use crate::cli::failure::Failure;
use crate::cli::output;

/// Lines that are no rows of topics or groups: heads, gaps, the shards of a small machine.
const OTHER_LINES: usize = 14;
/// Rows shown at least, however small the terminal.
const ROWS_MIN: usize = 3;
/// Size assumed when the terminal does not say.
const SIZE: (usize, usize) = (24, 80);

/// A terminal in use; the cursor comes back when it is dropped.
pub(super) struct Screen;

impl Screen {
    /// Clears the terminal and hides the cursor.
    pub fn open() -> Screen {
        let _ = output::print("\x1b[2J\x1b[?25l");
        Screen
    }

    /// Draws over what is there.
    ///
    /// # Errors
    /// Write errors.
    pub fn draw(&self, view: &View) -> Result<(), Failure> {
        let (lines, columns) = size();
        let fixed = OTHER_LINES + view.shards.as_ref().map_or(0, Vec::len);
        let rows = (lines.saturating_sub(fixed) / 2).max(ROWS_MIN);
        let mut text = String::from("\x1b[H");
        for line in view::table(view, rows).lines().take(lines.saturating_sub(1)) {
            text.extend(line.chars().take(columns));
            text += "\x1b[K\n";
        }
        output::print(&(text + "\x1b[J"))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = output::print("\x1b[?25h");
    }
}

/// Lines and columns.
fn size() -> (usize, usize) {
    // SAFETY: winsize is plain data for which zero is valid; the call fills it.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid for the call, and TIOCGWINSZ takes one to a winsize.
    let found = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) };
    if found == 0 && size.ws_row > 0 && size.ws_col > 0 {
        (usize::from(size.ws_row), usize::from(size.ws_col))
    } else {
        SIZE
    }
}
