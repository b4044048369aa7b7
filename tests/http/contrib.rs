//! Alerts, their tests and the dashboard name what `/metrics` really has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

use crate::stage::Stage;

/// What a run has only after its first minute, when there is a pace.
const LATER: &[&str] = &["tickerd_disk_full_in_seconds", "tickerd_output_bytes_per_day"];

/// What Prometheus itself adds to each target.
const ADDED: &[&str] = &["instance", "job", "le"];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Each name with the labels that stand behind it in braces.
fn named(text: &str) -> Vec<(String, Vec<String>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for prefix in ["tickerd_", "process_"] {
        for (at, _) in text.match_indices(prefix) {
            if text[..at].ends_with(is_word) {
                continue;
            }
            let rest = &text[at..];
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let labels = rest[end..].strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
            let labels = labels.split(',').filter_map(|label| label.split(['=', '!']).next());
            let labels = labels.map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect();
            found.push((rest[..end].to_owned(), labels));
        }
    }
    found
}

#[test]
fn every_name_in_contrib_is_one_that_a_run_has() {
    let stage = Stage::new("20", "tape.ndjson", &[]);
    stage.get_until("/readyz", |answer| answer.status == 200);
    // The disk is looked at beside the recording.
    let metrics = stage.get_until("/metrics", |answer| {
        ["tickerd_disk_free_bytes", "tickerd_clock_wrong"].iter().all(|name| answer.body.contains(name))
    });
    let mut known = BTreeMap::<String, BTreeSet<String>>::new();
    for (name, labels) in metrics.samples().keys().flat_map(|sample| named(sample)) {
        known.entry(name).or_default().extend(labels);
    }
    for later in LATER {
        known.insert((*later).to_owned(), BTreeSet::new());
    }
    let dashboard: Value = serde_json::from_str(&read("contrib/grafana/tickerd.json")).expect("JSON");
    let mut texts = vec![("contrib/prometheus/tickerd.rules.yml", read("contrib/prometheus/tickerd.rules.yml"))];
    texts.push(("contrib/prometheus/tickerd.test.yml", read("contrib/prometheus/tickerd.test.yml")));
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            texts.push(("contrib/grafana/tickerd.json", target["expr"].as_str().expect("a query").to_owned()));
        }
    }
    let mut used = BTreeSet::new();
    for (path, text) in &texts {
        for (name, labels) in named(text) {
            let has = known.get(&name).unwrap_or_else(|| panic!("{path}: no run has {name}"));
            for label in labels {
                assert!(has.contains(&label) || ADDED.contains(&label.as_str()), "{path}: {name} has no {label}");
            }
            used.insert(name);
        }
    }
    assert!(used.len() > 20, "they name next to nothing: {used:?}");
}

#[test]
fn every_alert_is_tried_as_it_fires_and_as_it_does_not() {
    let (rules, tests) = (read("contrib/prometheus/tickerd.rules.yml"), read("contrib/prometheus/tickerd.test.yml"));
    let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 15, "{alerts:?}");
    for alert in &alerts {
        for how in ["fires", "does not fire"] {
            assert!(tests.contains(&format!("- name: {alert} {how}\n")), "{alert}: nothing tries that it {how}");
        }
    }
    for part in ["summary:", "description:"] {
        assert_eq!(rules.matches(part).count(), alerts.len(), "{part}");
    }
}
