//! The project's own lint: import directions, words that do not belong in the pure core, sizes, paths named in documents.
//!
//! A rule that no test checks is a wish. Each rule is a function from text to complaints, and is itself tested on bad text.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules of `src`, lowest first. A module imports only from those before it.
const LAYERS: &[&str] = &[
    "base",
    "metrics",
    "wire",
    "log",
    "controller",
    "partition",
    "group",
    "coord",
    "session",
    "dispatch",
    "api",
    "shard",
    "sim",
    "jobs",
    "reactor",
    "background",
    "control",
    "server",
    "tune",
    "client",
    "cli",
];

/// Modules that may import less than their layer allows: name and all that it may import.
const NARROW: &[(&str, &[&str])] = &[
    ("metrics", &["base"]),
    ("log", &["base", "wire"]),
    ("group", &["base", "wire", "partition"]),
    ("session", &["base"]),
    ("dispatch", &["base", "wire", "session"]),
    ("jobs", &["base", "log"]),
    ("background", &["base", "jobs", "reactor"]),
    ("tune", &["base", "reactor", "server"]),
    ("client", &["base", "wire"]),
];

/// Modules without any operating system: a state machine, formats, plans.
const PURE: &[&str] = &[
    "base",
    "metrics",
    "wire",
    "log",
    "controller",
    "partition",
    "group",
    "coord",
    "session",
    "dispatch",
    "api",
    "shard",
    "sim",
    "jobs",
];

/// What the pure core must not say, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("std::fs", "files are effects"),
    ("TcpStream", "sockets are effects"),
    ("TcpListener", "sockets are effects"),
    ("UdpSocket", "sockets are effects"),
    ("std::thread", "a shard is one thread and knows none"),
    ("Instant::now", "time comes in with each event"),
    ("SystemTime", "time comes in with each event"),
    ("tokio", "no async runtime in the core"),
    ("io_uring", "only src/reactor speaks to the ring"),
    ("glommio", "only src/background runs on glommio"),
    (
        "kafka_protocol",
        "src/wire decodes within bounds; the crate serves src/client",
    ),
    ("async fn", "the core is synchronous"),
    (".await", "the core is synchronous"),
    ("RandomState", "one seed is one run"),
    (
        "HashMap::new",
        "its order is random: BTreeMap, or a hasher with a fixed seed",
    ),
    (
        "HashSet::new",
        "its order is random: BTreeSet, or a hasher with a fixed seed",
    ),
    ("libc::", "system calls are effects"),
];

/// Jobs are written as steps that await; their executor, if any, lies outside.
const SEQUENTIAL: (&str, &[&str]) = ("jobs", &["async fn", ".await"]);

/// Crates that only some modules may use.
const EXCLUSIVE: &[(&str, &[&str])] = &[
    ("io_uring::", &["reactor"]),
    ("glommio::", &["background"]),
    ("axum::", &["control"]),
    ("tokio::", &["control"]),
    ("kafka_protocol::", &["client"]),
    ("clap::", &["cli"]),
];

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// Files above [`FILE_LINES_MAX`], with today's size: may shrink, never grow.
const LONG_FILES: &[(&str, usize)] = &[];
/// Functions above [`FUNCTION_LINES_MAX`], with today's size: may shrink, never grow.
const LONG_FUNCTIONS: &[(&str, usize)] = &[];

const FOLDERS: &[&str] = &["src", "tests", "bench-harness", "fuzz/fuzz_targets"];
const DOCUMENTS: &[&str] = &["README.md", "ARCHITECTURE.md", "SECURITY.md", BEHAVIOUR];
/// What clients rely on, row by row with the tests that show it.
const BEHAVIOUR: &str = "tests/BEHAVIOUR.md";
/// File names that documents mention and that a user makes, not we.
const NOT_OURS: &[&str] = &["ringlog.toml", "server.properties"];

struct Source {
    path: String,
    /// Comments, strings and characters blanked, lines kept.
    code: String,
    /// `code` without what is compiled for tests only.
    production: String,
}

impl Source {
    /// The first folder (or file stem) below `src`.
    fn module(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?;
        let first = rest.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first)).filter(|name| !matches!(*name, "lib" | "main"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.expect("directory entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                files_below(&path, found);
            }
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        files_below(&root().join(folder), &mut paths);
    }
    paths.sort();
    let mut sources = Vec::new();
    let mut test_only = BTreeSet::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let path = path
            .strip_prefix(root())
            .expect("below the root")
            .to_string_lossy()
            .into_owned();
        let code = blank_text(&text);
        test_only.extend(test_modules(&path, &code));
        let production = blank_tests(&code);
        sources.push(Source { path, code, production });
    }
    for source in &mut sources {
        let stem = source.path.trim_end_matches(".rs");
        if test_only
            .iter()
            .any(|prefix| stem == prefix || stem.starts_with(&format!("{prefix}/")))
        {
            source.production.clear();
        }
    }
    assert!(sources.len() > 200, "only {} source files found", sources.len());
    sources
}

/// Blanks comments, strings and character literals; lines stay where they are.
fn blank_text(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        for byte in &mut out[at..end.unwrap_or(at)] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.unwrap_or(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The end of the comment, string or character that begins at `at`.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let behind = |needle: &[u8], from: usize| {
        let found = rest[from..].windows(needle.len()).position(|w| w == needle);
        at + found.map_or(rest.len(), |i| from + i + needle.len())
    };
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => Some(behind(b"\n", 2)),
        [b'/', b'*', ..] => Some(behind(b"*/", 2)),
        [b'r', b'"' | b'#', ..] if !in_word || matches!(bytes[at - 1], b'b' | b'c') => {
            let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
            let quote = [vec![b'"'], vec![b'#'; hashes]].concat();
            (rest.get(1 + hashes) == Some(&b'"')).then(|| behind(&quote, 2 + hashes))
        }
        [b'"', ..] => Some(at + quoted_len(rest, b'"')),
        [b'\'', b'\\', ..] => Some(at + quoted_len(rest, b'\'')),
        // A character is closed within five bytes; otherwise it is a lifetime.
        [b'\'', ..] => {
            let text = std::str::from_utf8(&rest[1..rest.len().min(6)])
                .or_else(|e| std::str::from_utf8(&rest[1..1 + e.valid_up_to()]));
            let first = text.ok()?.chars().next()?;
            (rest.get(1 + first.len_utf8()) == Some(&b'\'')).then(|| at + 2 + first.len_utf8())
        }
        _ => None,
    }
}

fn quoted_len(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The byte behind the block that opens at or after `from`; none when `;` comes first.
fn block_end(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut nested = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at + 1),
            b'}' => depth = depth.checked_sub(1)?,
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested = nested.saturating_sub(1),
            b';' if depth == 0 && nested == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Blanks items marked `#[cfg(test)]`.
fn blank_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = code.to_string();
    let mut from = 0;
    while let Some(found) = out[from..].find(MARK) {
        let start = from + found;
        from = start + MARK.len();
        if let Some(end) = block_end(&out, from) {
            let blank: String = out[start..end]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' })
                .collect();
            // Blanking never changes the number of characters; the text is ASCII once literals are gone.
            if blank.len() == end - start {
                out.replace_range(start..end, &blank);
            }
        }
    }
    out
}

/// Paths without `.rs` of the modules that a file declares for tests only.
fn test_modules(path: &str, code: &str) -> Vec<String> {
    let folder = match path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_string(),
        _ => path.trim_end_matches(".rs").to_string(),
    };
    let mut marked = false;
    let mut found = Vec::new();
    for line in code.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let item = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        if marked && let Some(name) = item.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            found.push(format!("{folder}/{name}"));
        }
        marked = line == "#[cfg(test)]" || (marked && line.starts_with("#["));
    }
    found
}

/// Names that follow `crate::` in a text, also in `crate::{a, b::c}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0usize;
            let mut top = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    c if depth == 0 => top.push(c),
                    _ => {}
                }
            }
            found.extend(top.split(',').map(first_name).filter(|name| !name.is_empty()));
        } else {
            found.insert(first_name(rest));
        }
    }
    found
}

fn first_name(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

fn import_complaints(path: &str, module: &str, code: &str) -> Vec<String> {
    let Some(layer) = LAYERS.iter().position(|name| *name == module) else {
        return vec![format!(
            "{path}: module {module} has no place in LAYERS (tests/tidy.rs)"
        )];
    };
    let narrow = NARROW
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, allowed)| *allowed);
    let allowed = narrow.unwrap_or(&LAYERS[..layer]);
    imports(code)
        .into_iter()
        .filter(|name| name != module && LAYERS.contains(&name.as_str()) && !allowed.contains(&name.as_str()))
        .map(|name| format!("{path}: {module} imports {name}; it may import only {allowed:?}"))
        .collect()
}

fn contains_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let goes_on =
            word.starts_with(part) && before.is_some_and(part) || word.ends_with(part) && after.is_some_and(part);
        !goes_on
    })
}

fn word_complaints(path: &str, module: &str, code: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let at = format!("{path}:{}", number + 1);
        if PURE.contains(&module) {
            let steps = |word: &str| module == SEQUENTIAL.0 && SEQUENTIAL.1.contains(&word);
            let bad = FORBIDDEN
                .iter()
                .filter(|(word, _)| contains_word(line, word) && !steps(word));
            complaints.extend(bad.map(|(word, why)| format!("{at}: `{word}` in the pure core: {why}")));
        }
        let bad = EXCLUSIVE
            .iter()
            .filter(|(word, owners)| contains_word(line, word) && !owners.contains(&module));
        complaints.extend(bad.map(|(word, owners)| format!("{at}: `{word}` is used by {owners:?} only")));
    }
    complaints
}

/// (name, lines) of each function with a body.
fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let name = first_name(&code[at + 3..]);
        let in_word = code[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() || in_word {
            continue;
        }
        if let Some(end) = block_end(code, at) {
            found.push((name, code[at..end].lines().count()));
        }
    }
    found
}

/// What is above `max` and not in the ratchet list, and what in the list has shrunk below `max` or is gone.
fn size_complaints(sizes: &[(String, usize)], max: usize, ratchet: &[(&str, usize)]) -> Vec<String> {
    let listed = |name: &str| {
        ratchet
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(max, |(_, size)| *size)
    };
    let mut complaints: Vec<String> = sizes
        .iter()
        .filter(|(name, size)| *size > listed(name))
        .map(|(name, size)| format!("{name}: {size} lines, at most {}: split it", listed(name)))
        .collect();
    let stale = ratchet
        .iter()
        .filter(|(known, _)| !sizes.iter().any(|(name, size)| name == known && *size > max));
    complaints
        .extend(stale.map(|(known, _)| format!("{known}: no longer too long, take it off the list in tests/tidy.rs")));
    complaints
}

/// Paths that a document names: link targets, and code spans that look like a file or folder of ours.
fn named_paths(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = links.map(|link| link.split('#').next().unwrap_or_default());
    found.extend(
        files
            .filter(|link| !link.is_empty() && !link.contains("://"))
            .map(str::to_string),
    );
    for line in text.lines() {
        for span in line.split('`').skip(1).step_by(2) {
            let word = span.split_whitespace().next().unwrap_or_default();
            let word = word.split("::").next().unwrap_or_default();
            let is_file = [".rs", ".md", ".sh", ".toml"].iter().any(|end| word.ends_with(end));
            let is_ours = ["src/", "tests/", "bench-harness/", "fuzz/", ".ci/"]
                .iter()
                .any(|start| word.starts_with(start));
            if (is_file || is_ours) && !NOT_OURS.contains(&word) && !word.contains(['<', '*', '{']) {
                found.insert(word.to_string());
            }
        }
    }
    found
}

/// The rows of a document's tables: number of the line, and (file, test) of each test named.
fn rows_with_tests(text: &str) -> Vec<(usize, Vec<(String, String)>)> {
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let is_row = line.starts_with("| ") && !line.starts_with("| |");
        if !is_row {
            continue;
        }
        let spans: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        let pairs = spans
            .windows(2)
            .filter(|pair| pair[0].ends_with(".rs") && !pair[1].contains(['/', '.', ' ']));
        let named = pairs.map(|pair| (pair[0].to_string(), pair[1].to_string()));
        rows.push((number + 1, named.collect()));
    }
    rows
}

/// Whether Rust source has a test function of this name.
fn has_test(code: &str, name: &str) -> bool {
    code.match_indices(&format!("fn {name}(")).any(|(at, _)| {
        let before = code[..at].trim_end();
        before.ends_with("#[test]")
    })
}

fn report(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}

#[test]
fn imports_go_downward() {
    let mut complaints = Vec::new();
    for source in sources() {
        if let Some(module) = source.module() {
            complaints.extend(import_complaints(&source.path, module, &source.production));
        }
    }
    report("imports only downward", &complaints);
}

#[test]
fn the_core_is_pure_and_runtimes_stay_in_their_modules() {
    let mut complaints = Vec::new();
    for source in sources() {
        if let Some(module) = source.module() {
            complaints.extend(word_complaints(&source.path, module, &source.production));
        }
    }
    report("words that do not belong", &complaints);
}

#[test]
fn files_and_functions_keep_the_hard_sizes() {
    let mut files = Vec::new();
    let mut bodies = Vec::new();
    for source in sources() {
        files.push((
            source.path.clone(),
            source.production.lines().filter(|line| !line.trim().is_empty()).count(),
        ));
        let found = functions(&source.code).into_iter();
        bodies.extend(found.map(|(name, lines)| (format!("{} fn {name}", source.path), lines)));
    }
    assert!(bodies.len() > 1000, "only {} functions found", bodies.len());
    report("file sizes", &size_complaints(&files, FILE_LINES_MAX, LONG_FILES));
    report(
        "function sizes",
        &size_complaints(&bodies, FUNCTION_LINES_MAX, LONG_FUNCTIONS),
    );
}

#[test]
fn documents_name_only_what_exists() {
    let mut complaints = Vec::new();
    for document in DOCUMENTS {
        let text = fs::read_to_string(root().join(document)).unwrap_or_else(|e| panic!("{document}: {e}"));
        let missing = named_paths(&text)
            .into_iter()
            .filter(|path| !root().join(path).exists());
        complaints.extend(missing.map(|path| format!("{document} names `{path}`, which does not exist")));
    }
    report("paths in documents", &complaints);
}

#[test]
fn every_behaviour_is_shown_by_a_test_that_exists() {
    let text = fs::read_to_string(root().join(BEHAVIOUR)).expect(BEHAVIOUR);
    let rows = rows_with_tests(&text);
    assert!(rows.len() > 50, "only {} rows in {BEHAVIOUR}", rows.len());
    let mut complaints = Vec::new();
    for (line, tests) in rows {
        if tests.is_empty() {
            complaints.push(format!("{BEHAVIOUR}:{line} names no test"));
        }
        let missing = tests.iter().filter(|(path, name)| {
            let code = fs::read_to_string(root().join(path)).unwrap_or_default();
            !has_test(&code, name)
        });
        complaints.extend(missing.map(|(path, name)| format!("{BEHAVIOUR}:{line}: no test `{name}` in {path}")));
    }
    report("tests that show a behaviour", &complaints);
}

#[test]
fn each_module_file_says_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|source| source.path.starts_with("src/") && !source.production.is_empty())
        .filter(|source| !fs::read_to_string(root().join(&source.path)).is_ok_and(|text| text.starts_with("//!")))
        .map(|source| source.path)
        .collect();
    report("files without `//!` on top", &silent);
}

#[test]
fn the_rules_find_what_they_are_for() {
    let upward = import_complaints(
        "src/wire/x.rs",
        "wire",
        "use crate::base::ids;\nuse crate::{base, api::edge::Edge};",
    );
    assert_eq!(upward.len(), 1, "{upward:?}");
    assert!(upward[0].contains("wire imports api"));
    assert!(!import_complaints("src/new/x.rs", "new", "").is_empty());

    let clock = word_complaints("src/log/x.rs", "log", "let a = 1;\nlet now = Instant::now();");
    assert_eq!(
        clock,
        ["src/log/x.rs:2: `Instant::now` in the pure core: time comes in with each event"]
    );
    assert_eq!(
        word_complaints("src/server/x.rs", "server", "use io_uring::IoUring;").len(),
        1
    );
    assert!(word_complaints("src/reactor/x.rs", "reactor", "use io_uring::IoUring;").is_empty());

    let text = "let a = \"std::fs\"; // std::fs\nlet b = '{'; let c: &'static str = r#\"}\"\"#; /* { */";
    let code = blank_text(text);
    assert_eq!(code.len(), text.len());
    assert!(
        !code.contains("std::fs") && !code.contains('{') && !code.contains('}'),
        "{code}"
    );
    assert!(code.contains("&'static str"));

    let tested = "fn a() {}\n#[cfg(test)]\nmod tests {\n use std::fs;\n}\nfn b() {}\n";
    assert!(!blank_tests(tested).contains("std::fs") && blank_tests(tested).contains("fn b"));
    assert_eq!(
        test_modules("src/a/mod.rs", "#[cfg(test)]\nmod toy;\nmod real;\n"),
        ["src/a/toy"]
    );

    let long = format!("fn long(a: [u8; 2]) {{\n{}}}\nfn short() {{}}\n", "x;\n".repeat(80));
    assert_eq!(functions(&long), [("long".to_string(), 82), ("short".to_string(), 1)]);
    let sizes = [("f".to_string(), 82)];
    assert_eq!(size_complaints(&sizes, 70, &[]).len(), 1);
    assert!(size_complaints(&sizes, 70, &[("f", 82)]).is_empty());
    assert_eq!(size_complaints(&sizes, 70, &[("f", 81)]).len(), 1);
    assert_eq!(size_complaints(&sizes, 90, &[("f", 82)]).len(), 1);

    let rows =
        rows_with_tests("| | what | by |\n|---|---|---|\n| 1 | x | `a.rs` `fn_a`, `b/c.rs` `fn_b` |\n| 2 | `y` | |\n");
    let named = |path: &str, test: &str| (path.to_string(), test.to_string());
    assert_eq!(
        rows,
        [(3, vec![named("a.rs", "fn_a"), named("b/c.rs", "fn_b")]), (4, vec![])]
    );
    assert!(has_test("#[test]\nfn fn_a() {}", "fn_a"));
    assert!(!has_test("fn fn_a() {}", "fn_a") && !has_test("#[test]\nfn fn_ab() {}", "fn_a"));

    let paths = named_paths("see [a](x/y.md), `src/gone.rs`, `ringlog topic`, `tests/run.sh kcat`, [b](https://c.d)");
    assert_eq!(
        paths.into_iter().collect::<Vec<_>>(),
        ["src/gone.rs", "tests/run.sh", "x/y.md"]
    );
}
