//! A configuration, and variables over it: it is one that holds what every reader of it takes for granted, or there is a message that
//! says what is wrong.

#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use tickerd::config::{ConfigError, Destination, Flags, Keep, Surroundings, Sync, load};

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    // In memory where there is such a place: it is written for each try.
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.expect("a folder")
});

/// It must never be seen again.
const CANARY: &str = "hunter2CANARYhunter2";

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, variables) = text.split_once("\n===\n").unwrap_or((text, ""));
    fs::write(FOLDER.path().join("config.toml"), text).expect("it is written");
    let pair = |line: &str| {
        let (name, value) = line.split_once('=')?;
        (!name.contains('\0')).then(|| (format!("TICKERD_{name}"), value.to_owned()))
    };
    let around = Surroundings {
        env: variables.lines().take(8).filter_map(pair).chain([("SECRET".to_owned(), CANARY.to_owned())]).collect(),
        directory: FOLDER.path().to_owned(),
        etc: FOLDER.path().to_owned(),
    };
    // A file that it names is not this machine's: only what is in the folder can be read.
    match load(&Flags::default(), &around) {
        Ok(config) => {
            assert!(!config.feeds.is_empty(), "there is something to do");
            assert!(config.output.queue >= 1 << 20, "the queue is no smaller than the least");
            assert!(!matches!(config.output.sync, Sync::Every(every) if every.is_zero()));
            assert!(config.output.rotate.every.is_none_or(|every| every.as_secs() >= 1));
            assert!(config.output.rotate.size.is_none_or(|size| size >= 64 << 10));
            if let Destination::File(path) = &config.output.path {
                assert!(path.is_absolute() && !path.to_string_lossy().contains('\0'), "{}", path.display());
            }
            let Keep { .. } = config.output.keep;
            let names: std::collections::BTreeSet<_> = config.feeds.iter().map(|feed| feed.name.clone()).collect();
            assert_eq!(names.len(), config.feeds.len(), "names are names");
            for feed in &config.feeds {
                assert!(feed.name.len() <= 64, "the name of a feed is short");
            }
            let again = load(&Flags::default(), &around).expect("as before");
            assert!(
                config.changes(&again).is_empty(),
                "the same text is the same configuration: {:?}",
                config.changes(&again)
            );
        }
        Err(error) => {
            let said = error.to_string();
            assert!(!said.trim().is_empty(), "it says why");
            assert!(!said.contains(CANARY), "no secret is said");
            assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "it does nothing to the terminal: {said:?}");
            if let ConfigError::Wrong(problems) = error {
                assert!(!problems.is_empty(), "what is wrong has a place");
            }
        }
    }
});
