//! The house in order: what neither the compiler nor clippy can see, read off the sources. Every finding is told at once,
//! with its file and line.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use tickerd::venue::{Cadence, Follows, advanced_trade::MARKET, exchange::EXCHANGE};

/// These do no I/O and know no time: both are their arguments.
const PURE: &[&str] = &["auth", "venue", "session", "account", "record", "segment", "backoff", "verdict"];

/// What nothing pure may name, beside anything of tokio's.
const IMPURE: &[&str] = &["std::net", "std::fs", "std::env", "std::thread", "std::process"];

/// A message arrives as tungstenite's `Utf8Bytes`, and to copy it into bytes of our own would cost a third of all work.
const UTF8_BYTES: (&str, &str) = ("src/record/line.rs", "tokio_tungstenite::tungstenite::Utf8Bytes");

/// Names of rooms where things are put that nobody thought about.
const LUMBER_ROOMS: &[&str] = &["utils", "util", "common", "types", "error", "errors", "helpers", "helper", "misc"];

/// About 300 lines is the aim; with its tests a file may have half as many again.
const LINES: usize = 450;

struct Source {
    /// From the package's root: "src/session/liveness.rs".
    path: String,
    /// With comments blanked, and everything behind `#[cfg(test)]`; line numbers are kept.
    code: String,
    text: String,
}

#[test]
fn each_module_uses_only_those_above_it() {
    let modules = modules();
    let place = |name: &str| modules.iter().position(|module| module == name);
    let mut findings = Vec::new();
    for source in sources("src") {
        let Some(own) = source.module().filter(|own| place(own).is_some()) else { continue };
        for (line, used) in source.uses() {
            let mut rooms = used.iter().map(String::as_str);
            let (Some("crate"), Some(used)) = (rooms.next(), rooms.next()) else { continue };
            if place(used) > place(own) {
                findings.push(format!("{}:{line}: {own} stands above {used} in src/lib.rs and uses it", source.path));
            }
        }
        let out_of_the_room = "super::".repeat(source.path.matches('/').count());
        for line in source.lines_with(&out_of_the_room) {
            findings.push(format!("{}:{line}: leaves its room by {out_of_the_room}; say crate::", source.path));
        }
    }
    settle(findings);
}

#[test]
fn nothing_is_excused_that_needs_no_excuse() {
    let sources = sources("src");
    let mut findings = Vec::new();
    let (path, name) = UTF8_BYTES;
    if !sources.iter().any(|source| source.path == path && source.code.contains(name)) {
        findings.push(format!("tests/tidy.rs: {path} does not name {name} any more"));
    }
    settle(findings);
}

#[test]
fn the_pure_core_has_no_hands_and_no_watch() {
    let mut findings = Vec::new();
    for source in sources("src").iter().filter(|source| source.module().is_some_and(|name| PURE.contains(&name))) {
        for (line, used) in source.uses() {
            let used = used.join("::");
            let excused = (source.path.as_str(), used.as_str()) == UTF8_BYTES;
            let impure = used.contains("tokio")
                || IMPURE.iter().any(|name| used == *name || used.starts_with(&format!("{name}::")));
            if impure && !excused {
                findings.push(format!("{}:{line}: names {used}", source.path));
            }
        }
        for line in source.lines_with("::now(").chain(source.lines_with("::now)")).chain(source.lines_with("::now,")) {
            findings.push(format!("{}:{line}: reads a clock; time is an argument here", source.path));
        }
    }
    settle(findings);
}

#[test]
fn there_is_no_lumber_room() {
    let lumber = |source: &Source| {
        let path = Path::new(&source.path);
        let mut names = path.iter().filter_map(|part| Path::new(part).file_stem()?.to_str());
        names.any(|name| LUMBER_ROOMS.contains(&name))
    };
    let found = sources("src").into_iter().filter(lumber);
    settle(found.map(|source| format!("{}: what is it about?", source.path)));
}

#[test]
fn nobody_prints_sleeps_or_is_unsafe() {
    let mut findings = Vec::new();
    for source in sources("src").iter().chain(&sources("tests")) {
        // A word that is put together here, so that this file is not its own finding.
        for (name, why) in [
            ("print", "a closed pipe makes it panic"),
            ("println", "a closed pipe makes it panic"),
            ("eprint", "stderr belongs to the log"),
            ("eprintln", "stderr belongs to the log"),
        ] {
            for line in source.lines_with(&format!("{name}!")) {
                findings.push(format!("{}:{line}: {name}!: {why}", source.path));
            }
        }
        for line in source.lines_with(concat!("thread::", "sleep")) {
            findings.push(format!("{}:{line}: sleeps; wait for what is to happen", source.path));
        }
        for keyword in ["{", "fn", "impl", "trait", "extern"] {
            for line in source.lines_with(&format!("{} {keyword}", concat!("un", "safe"))) {
                findings.push(format!("{}:{line}: nothing here needs that", source.path));
            }
        }
    }
    settle(findings);
}

#[test]
fn only_main_ends_the_process() {
    let mut findings = Vec::new();
    for source in sources("src").iter().filter(|source| source.path != "src/main.rs") {
        for end in ["process::exit", "process::abort", "exit_group"] {
            findings
                .extend(source.lines_with(end).map(|line| format!("{}:{line}: {end}; return a Failure", source.path)));
        }
    }
    settle(findings);
}

#[test]
fn no_file_is_longer_than_it_takes_to_read() {
    let length = |source: &Source| source.text.lines().count();
    let long = sources("src").into_iter().filter(|source| length(source) > LINES);
    settle(long.map(|source| format!("{}: {} lines; more than one noun lives there", source.path, length(&source))));
}

/// Not even a test key: scanners can not tell, and people copy.
#[test]
fn no_private_key_is_among_the_files() {
    let mut findings = Vec::new();
    for path in tracked() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (at, marker) in text.match_indices("-----BEGIN ") {
            let Some((label, rest)) = text[at + marker.len()..].split_once("-----") else { continue };
            let body: String = rest.replace("\\n", "\n").chars().filter(|c| !c.is_whitespace()).take(40).collect();
            let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
            if label.ends_with("PRIVATE KEY") && body.len() == 40 && body.chars().all(base64) {
                let line = text[..at].matches('\n').count() + 1;
                findings.push(format!("{path}:{line}: a private key; tests make their own"));
            }
        }
    }
    settle(findings);
}

#[test]
fn the_two_commands_of_the_readme_are_what_ci_runs() {
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    let mut findings = Vec::new();
    for command in ["cargo run --release -- demo --lines 50", "cargo test"] {
        let stands_in = |text: &str| text.lines().any(|line| line.trim_start().starts_with(command));
        for (name, text) in [("README.md", &readme), (".ci/run", &ci)] {
            if !stands_in(text) {
                findings.push(format!("{name}: does not have a line that begins with `{command}`"));
            }
        }
    }
    settle(findings);
}

/// What people are told of a silent channel is what the daemon does about it.
#[test]
fn the_table_of_silences_is_that_of_the_code() {
    let page = read("docs/LIVENESS.md");
    let minutes = |at: Duration| {
        if at.as_secs() < 120 { format!("{} s", at.as_secs()) } else { format!("{} min", at.as_secs() / 60) }
    };
    let mut findings = Vec::new();
    for (venue, title) in [(&MARKET, "### Coinbase Advanced Trade"), (&EXCHANGE, "### Coinbase Exchange")] {
        let table = page.split_once(title).map_or("", |(_, rest)| rest.split("\n#").next().unwrap_or_default());
        let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| `")).collect();
        for channel in venue.channels {
            let Cadence { begins, probe, follows } = channel.cadence;
            let follows = follows.map_or("", |follows| if follows == Follows::Trades { "trades" } else { "orders" });
            let (first, probe) = (if begins { "15 s" } else { "" }, probe.map_or_else(String::new, minutes));
            let cells = [format!("`{}`", channel.name), first.to_owned(), probe, follows.to_owned()];
            let is_it = |row: &&&str| row.split('|').skip(1).map(str::trim).take(4).eq(cells.iter());
            if !rows.iter().any(|row| is_it(&row)) {
                findings.push(format!("docs/LIVENESS.md: {title}: there is no row {}", cells.join(" | ")));
            }
        }
        if rows.len() != venue.channels.len() {
            findings.push(format!("docs/LIVENESS.md: {title}: {} rows, {} channels", rows.len(), venue.channels.len()));
        }
    }
    settle(findings);
}

#[test]
fn the_map_shows_every_module_and_no_other() {
    let map = read("docs/ARCHITECTURE.md");
    // A row of the map begins with the module's file.
    let drawn: BTreeSet<_> = map
        .lines()
        .filter_map(|line| line.strip_prefix("| `src/")?.split_once('`'))
        .filter_map(|(file, _)| file.strip_suffix(".rs"))
        .filter(|name| !["lib", "main"].contains(name))
        .map(str::to_owned)
        .collect();
    let built: BTreeSet<_> = modules().into_iter().collect();
    let missing = built.difference(&drawn).map(|name| format!("docs/ARCHITECTURE.md: has no row for src/{name}.rs"));
    let gone = drawn.difference(&built).map(|name| format!("docs/ARCHITECTURE.md: src/{name}.rs is not there"));
    settle(missing.chain(gone));
}

#[test]
fn the_map_stands_in_reading_order() {
    let map = read("docs/ARCHITECTURE.md");
    let rows = modules().into_iter().map(|name| (map.find(&format!("| `src/{name}.rs`")), name));
    let rows: Vec<_> = rows.filter_map(|(at, name)| Some((at?, name))).collect();
    let turned = rows.windows(2).filter(|pair| pair[0].0 > pair[1].0);
    settle(turned.map(|pair| format!("docs/ARCHITECTURE.md: {} stands below {}", pair[0].1, pair[1].1)));
}

impl Source {
    fn module(&self) -> Option<&str> {
        let first = self.path.strip_prefix("src/")?.split('/').next()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!["lib", "main"].contains(&name)).then_some(name)
    }

    /// The lines, counted from 1, on which `needle` stands as a word of its own.
    fn lines_with(&self, needle: &str) -> impl Iterator<Item = usize> {
        let starts = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"');
        let begins_with_word = needle.starts_with(char::is_alphabetic);
        let found = self.code.match_indices(needle).filter(|(at, _)| !begins_with_word || starts(&self.code[..*at]));
        found.map(|(at, _)| self.line(at)).collect::<BTreeSet<_>>().into_iter()
    }

    fn line(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// Every path that is named, its groups spread out: those of `use`, and those that stand in the code with two colons.
    fn uses(&self) -> Vec<(usize, Vec<String>)> {
        let mut paths = Vec::new();
        for (at, _) in self.code.match_indices("use ") {
            let Some((tree, _)) = self.code[at + 4..].split_once(';') else { continue };
            for path in spread(tree) {
                paths.push((self.line(at), path));
            }
        }
        for (number, line) in self.code.lines().enumerate() {
            for word in line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
                if word.contains("::") {
                    paths.push((number + 1, word.split("::").map(str::to_owned).collect()));
                }
            }
        }
        paths
    }
}

/// `a::{b, c::{d, self}}` is `a::b`, `a::c::d` and `a::c::self`.
fn spread(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some((stem, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree);
        return vec![path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()];
    };
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    let stem: Vec<_> = stem.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    let mut depth = 0;
    let parts = group.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let branches = parts.filter(|part| !part.trim().is_empty()).flat_map(spread);
    branches.map(|branch| stem.iter().cloned().chain(branch).collect()).collect()
}

/// The modules of src/lib.rs, in their order.
fn modules() -> Vec<String> {
    let lib = read("src/lib.rs");
    let names = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

fn sources(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.sort();
    paths.iter().map(|path| source(path)).collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

fn source(path: &Path) -> Source {
    let name = path.strip_prefix(root()).expect("below the root").display().to_string();
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    // Tests of a module stand at its end, or in a file of their own.
    let is_test = name.starts_with("src/") && (name.ends_with("/tests.rs") || name.contains("/tests/"));
    let shown = if is_test { "" } else { text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default() };
    let code =
        shown.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect::<Vec<_>>();
    let code = code.join("\n");
    Source { path: name, code, text }
}

/// What git keeps; outside a checkout (a published package) there is nothing to keep out.
fn tracked() -> Vec<String> {
    let output = Command::new("git").arg("-C").arg(root()).args(["ls-files", "-z"]).output();
    let output = output.ok().filter(|output| output.status.success());
    let names = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn settle(findings: impl IntoIterator<Item = String>) {
    let findings: BTreeSet<_> = findings.into_iter().collect();
    let told: Vec<_> = findings.into_iter().collect();
    assert!(told.is_empty(), "\n{}\n", told.join("\n"));
}
