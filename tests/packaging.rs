//! What packages are made of, held to the program: the configuration that they ship, the manual, the units. What systemd makes
//! of those is tried by .ci/boot/run.

#[path = "../examples/manual/pages.rs"]
mod pages;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use clap::CommandFactory;
use serde_json::Value;
use tickerd::cli::Cli;

const SHIPPED: &str = "packaging/config.toml";
/// The units that run `tickerd run`.
const RECORDERS: [&str; 3] = ["tickerd.service", "tickerd@.service", "tickerd-pipe@.service"];

/// `tickerd check` as the unit would have it: nothing of this machine is looked at but the state folder.
fn check(config: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tickerd"))
        .args(["check", "--config"])
        .arg(config)
        .args(arguments)
        .env_clear()
        .env("STATE_DIRECTORY", std::env::temp_dir())
        .output()
        .expect("tickerd runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn unit(name: &str) -> String {
    fs::read_to_string(Path::new("systemd").join(name)).expect("a unit")
}

/// The lines that are no comments, each with those that continue it.
fn settings(unit: &str) -> Vec<String> {
    let joined = unit.replace("\\\n", " ");
    joined.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn the_shipped_configuration_records_public_prices_to_a_file_without_a_key() {
    let checked = check(Path::new(SHIPPED), &["--json"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let said: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    let tape = std::env::temp_dir().join("tape.ndjson");
    assert_eq!(said["output"]["path"], Value::from(tape.to_str().expect("text")));
    assert_eq!(said["output"]["record"], "envelope");
    assert_eq!(said["output"]["compress"], "zstd");
    assert_eq!(said["credentials"], Value::Array(vec![]));
    assert_eq!(said["feeds"][0]["channels"], serde_json::json!(["ticker_batch"]));
    assert_eq!(said["warnings"], Value::Array(vec![]));
}

/// docs/INSTALL.md has it uncommented by `sed`.
#[test]
fn its_commented_line_asks_for_the_credentials_that_it_tells_to_add() {
    let shipped = fs::read_to_string(SHIPPED).expect("shipped");
    assert_eq!(shipped.matches("\n# credentials = \"main\"").count(), 1, "{shipped}");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.toml");
    fs::write(&config, shipped.replace("\n# credentials", "\ncredentials")).expect("ours");
    let checked = check(&config, &[]);
    assert_eq!(checked.status.code(), Some(78));
    let said = text(&checked.stderr);
    assert!(said.contains("feed.credentials") && said.contains("tickerd credential add main"), "{said}");
}

/// A unit's `ExecReload=` asks so: the journal is not to get the whole report each time, and has to get the reason.
#[test]
fn a_quiet_check_says_nothing_of_a_good_configuration_and_why_of_a_wrong_one() {
    let good = check(Path::new(SHIPPED), &["--quiet"]);
    assert!(good.status.success() && good.stdout.is_empty() && good.stderr.is_empty(), "{}", text(&good.stdout));
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.toml");
    fs::write(&config, "[outptu]\n").expect("ours");
    let wrong = check(&config, &["--quiet"]);
    assert_eq!(wrong.status.code(), Some(78));
    assert!(text(&wrong.stderr).contains("outptu"), "{}", text(&wrong.stderr));
}

#[test]
fn each_command_has_a_page_with_all_its_options_and_is_completed_by_each_shell() {
    let folder = tempfile::tempdir().expect("a folder");
    pages::write(folder.path()).expect("written");
    let read =
        |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let completions = ["tickerd.bash", "_tickerd", "tickerd.fish"].map(|name| (name, read(name)));
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let mut left = vec![&cli];
    let mut pages = 0;
    while let Some(command) = left.pop() {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        let page = read(&format!("{name}.1"));
        for option in command.get_arguments().filter(|option| !option.is_hide_set()) {
            let long = option.get_long().map(|long| format!("\\-\\-{}", long.replace('-', "\\-")));
            assert!(long.as_ref().is_none_or(|long| page.contains(long)), "{name}.1 lacks {option}");
        }
        assert!(!page.contains(".SH EXTRA"), "{name}.1");
        for (shell, completion) in &completions {
            assert!(completion.contains(command.get_name()), "{shell} does not complete {name}");
        }
        left.extend(command.get_subcommands());
        pages += 1;
    }
    let written = fs::read_dir(folder.path()).expect("ours").filter_map(Result::ok);
    assert_eq!(
        written.filter(|file| file.path().extension().is_some_and(|e| e == "1")).count(),
        pages,
        "pages of nothing"
    );
    let configuration = read("tickerd.toml.5");
    for line in fs::read_to_string("config.toml").expect("there").lines().filter(|line| line.starts_with('[')) {
        assert!(configuration.contains(line), "tickerd.toml.5 lacks {line}");
    }
}

/// systemd has no way to share them, so they are written out in each: a line that is added to one alone is forgotten in the others.
#[test]
fn the_sandbox_of_each_unit_is_the_same() {
    let sandbox = |name: &str| {
        let all = settings(&unit(name));
        let first = all.iter().position(|line| line == "CapabilityBoundingSet=").expect("it begins with no capability");
        let last = all.iter().position(|line| line == "[Install]").unwrap_or(all.len());
        all[first..last].to_vec()
    };
    let first = sandbox(RECORDERS[0]);
    assert!(first.len() >= 30, "{first:?}");
    for name in &RECORDERS[1..] {
        assert_eq!(sandbox(name), first, "{name}");
    }
    // An audit needs no network at all, which is said otherwise.
    let no_network = |line: &&String| !line.starts_with("RestrictAddressFamilies=");
    assert_eq!(sandbox("tickerd-audit.service"), first.iter().filter(no_network).cloned().collect::<Vec<_>>());
}

#[test]
fn a_unit_reloads_what_it_runs_and_ends_for_good_where_only_a_person_can_help() {
    for name in RECORDERS {
        let all = settings(&unit(name));
        let of = |key: &str| all.iter().filter(|line| line.starts_with(key)).map(String::as_str).collect::<Vec<_>>();
        let config = |line: &str| {
            line.split("/etc/tickerd/").nth(1).map(|rest| rest.split(['"', ' ']).next().map(str::to_owned))
        };
        let (run, reload) = (of("ExecStart="), of("ExecReload="));
        // bash has the instance as $1.
        let run = config(run[0]).flatten().map(|file| file.replace("$$1", "%i"));
        assert_eq!(config(reload[0]).flatten(), run, "{name}");
        assert!(reload[0].contains("check --quiet") && reload[1].contains("kill -HUP $MAINPID"), "{name}: {reload:?}");
        assert_eq!(of("RestartPreventExitStatus="), ["RestartPreventExitStatus=64 78"], "{name}");
        assert_eq!(of("Restart="), ["Restart=always"], "{name}");
        assert_eq!(of("NotifyAccess="), ["NotifyAccess=main"], "{name}");
    }
}

#[test]
fn what_the_package_is_made_of_is_there() {
    let manifest: toml::Table = fs::read_to_string("Cargo.toml").expect("there").parse().expect("TOML");
    let package = &manifest["package"]["metadata"]["deb"];
    let assets = package["assets"].as_array().expect("a list");
    let sources: Vec<_> = assets.iter().filter_map(|asset| asset[0].as_str()).collect();
    // What is built has its own tests.
    for source in sources.iter().filter(|source| !source.starts_with("target/")) {
        let (folder, pattern) = source.rsplit_once('/').unwrap_or((".", source));
        let ending = pattern.strip_prefix('*');
        let is_it = |name: &str| ending.map_or(name == pattern, |ending| name.ends_with(ending));
        let names = fs::read_dir(folder).unwrap_or_else(|error| panic!("{source}: {error}")).filter_map(Result::ok);
        assert!(names.filter_map(|file| file.file_name().into_string().ok()).any(|name| is_it(&name)), "no {source}");
    }
    let shipped: Vec<_> = assets.iter().filter_map(|asset| asset[1].as_str()).collect();
    for file in package["conf-files"].as_array().expect("a list").iter().filter_map(toml::Value::as_str) {
        assert!(shipped.contains(&file.trim_start_matches('/')), "{file} is no file of the package");
    }
}
