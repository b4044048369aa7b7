//! docs/TROUBLESHOOTING.md quotes what the log says: the words must be the program's, and no error may be missing.

use std::{fs, path::Path};

fn sources(folder: &Path, text: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("there") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            // Texts that are broken over lines are put together as the compiler does.
            let source = fs::read_to_string(&path).expect("UTF-8");
            let mut joined = String::new();
            for part in source.split("\\\n") {
                joined.push_str(if joined.is_empty() { part } else { part.trim_start() });
            }
            text.push((path.display().to_string(), joined));
        }
    }
}

fn program() -> Vec<(String, String)> {
    let mut text = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    text
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/TROUBLESHOOTING.md")).expect("there")
}

/// The fixed words of each line that is quoted, in bold and as code.
fn quoted(page: &str) -> Vec<&str> {
    let quotes = page.lines().filter(|line| line.starts_with("**`")).flat_map(|line| line.split("**`").skip(1));
    let lines = quotes.map(|quote| quote.split("`**").next().unwrap_or_default());
    lines
        .flat_map(|line| line.split('…'))
        .map(|words| words.trim_matches([' ', ':', ';']))
        .filter(|words| words.len() > 8)
        .collect()
}

#[test]
fn each_quoted_line_is_one_that_the_program_says() {
    let (page, program) = (page(), program());
    let quoted = quoted(&page);
    assert!(quoted.len() > 25, "{quoted:?}");
    let is_said = |words: &&str| program.iter().any(|(_, text)| text.contains(*words));
    let gone: Vec<_> = quoted.into_iter().filter(|words| !is_said(words)).collect();
    assert!(gone.is_empty(), "docs/TROUBLESHOOTING.md quotes what nothing says: {gone:#?}");
}

#[test]
fn each_error_of_the_log_is_explained() {
    let page = page();
    let quoted = quoted(&page);
    let mut missing = Vec::new();
    for (path, text) in program().iter().filter(|(path, _)| !path.contains("simulator")) {
        for call in text.split("tracing::error!(").skip(1) {
            // The sentence is the text with most in it: others are names of events.
            let call = &call[..call.find(");").unwrap_or(call.len())];
            let sentence = call.split('"').skip(1).step_by(2).max_by_key(|text| text.len()).unwrap_or_default();
            let is_given = sentence.starts_with("{}: {trouble}");
            if !is_given && !quoted.iter().any(|words| sentence.contains(words)) {
                missing.push(format!("{path}: {sentence}"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/TROUBLESHOOTING.md does not explain: {missing:#?}");
}
