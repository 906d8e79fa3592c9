//! `/proc`, `/sys` and `/etc` of the machine, or of a directory that looks like one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the machine's files are looked up.
#[derive(Clone, Debug)]
pub struct Sysroot {
    root: PathBuf,
}

impl Sysroot {
    /// `/` for this machine.
    pub fn new(root: impl Into<PathBuf>) -> Sysroot {
        Sysroot { root: root.into() }
    }

    /// False for a made-up tree: system calls then say nothing about it.
    pub fn is_real(&self) -> bool {
        self.root == Path::new("/")
    }

    /// An absolute path below the root.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The file's text without blanks around it; nothing if it is not there or cannot be read.
    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path))
            .ok()
            .map(|text| text.trim().to_string())
    }

    /// The value that is set: of a choice such as `none [mq-deadline]` the one in brackets.
    pub fn value(&self, path: &str) -> Option<String> {
        self.read(path).map(|text| chosen(&text).to_string())
    }

    /// The value as a number.
    pub fn number(&self, path: &str) -> Option<u64> {
        self.value(path)?.parse().ok()
    }

    /// Names in a directory, sorted; none if there is no such directory.
    pub fn list(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(path))
            .map(|entries| {
                let name = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
                entries.filter_map(name).collect()
            })
            .unwrap_or_default();
        names.sort();
        names
    }

    /// Whether there is such a file or directory.
    pub fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Sets a value. The file has to be there: a missing knob is not made up.
    ///
    /// # Errors
    /// What the kernel says about the value or the right to write it.
    pub fn write(&self, path: &str, value: &str) -> io::Result<()> {
        use io::Write;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(self.path(path))?;
        file.write_all(format!("{value}\n").as_bytes())
    }
}

/// Of `none [mq-deadline] kyber` the word in brackets, else the text with single blanks.
fn chosen(text: &str) -> String {
    let bracketed = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(word, _)| word.to_string());
    bracketed.unwrap_or_else(|| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_the_word_in_brackets() {
        assert_eq!(chosen("none [mq-deadline] kyber"), "mq-deadline");
        assert_eq!(chosen("4096\t131072\t6291456"), "4096 131072 6291456");
    }
}
