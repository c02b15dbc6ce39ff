//! Rule cases that fail, and what is said of them. Those that hold are the observers' own.
#![allow(clippy::unwrap_used)]

use std::fs;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use tempfile::TempDir;
use xebec_coordinator::sim::cases::Cases;
use xebec_coordinator::{BoxError, Coordinator, Key, Observer, ObserverSpec, Plan, View, Watch, Write};
use xebec_simulated::Simulated;

/// Keeps a copy of every ConfigMap that is labelled for it.
struct Copier {
    /// It copies to the original itself, and writes down which version that was.
    restless: bool,
}

impl Observer for Copier {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("copier", "copies").watch(Watch::of::<ConfigMap>().labelled("copy=yes"))
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(original) = view.get_key::<ConfigMap>(key)? else { return Ok(plan) };
        let name = if self.restless { key.name().to_owned() } else { format!("{}-copy", key.name()) };
        let mut fields = json!({"data": original.data});
        if self.restless {
            fields["metadata"]["annotations"]["version"] = original.metadata.resource_version.into();
        }
        plan.write(Write::apply_value(Key::new::<ConfigMap>(key.namespace(), &name), fields).force());
        Ok(plan)
    }
}

const RIGHT: &str = r#"rule: what is labelled is copied
objects:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {copy: "yes"}}, data: {n: "1"}}
does:
  - apply ConfigMap default/a-copy
steps:
  # A comment stays.
  - change: [{kind: ConfigMap, metadata: {name: a}, data: {n: "2"}}]
    does:
      - apply ConfigMap default/a-copy
    then: [{kind: ConfigMap, metadata: {name: a-copy}, data: {n: "2"}}]
"#;

fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("case.yaml"), text).unwrap();
    folder
}

fn cases(folder: &TempDir, restless: bool) -> Cases<'static> {
    Cases::new(folder.path(), Simulated::new, move |to: &Coordinator| to.observe(Copier { restless }))
}

/// What is said of a case that was changed in one place.
fn said(restless: bool, from: &str, to: &str) -> String {
    assert!(RIGHT.contains(from), "{from}");
    let folder = folder(&RIGHT.replacen(from, to, 1));
    cases(&folder, restless).check().map_or_else(|failures| failures.to_string(), |()| "it holds".to_owned())
}

#[test]
fn a_case_that_holds_is_no_failure() {
    cases(&folder(RIGHT), false).check().unwrap();
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (from, to, parts) in [
        // What the observers did, or left.
        (
            "    does:\n      - apply ConfigMap default/a-copy\n",
            "",
            &[":8: step 1", "+ apply ConfigMap default/a-copy"][..],
        ),
        (
            "      - apply",
            "      - delete",
            &["- delete ConfigMap default/a-copy", "+ apply ConfigMap default/a-copy"],
        ),
        (
            "data: {n: \"2\"}}]\n    does",
            "data: {n: \"1\"}}]\n    does",
            &["- apply ConfigMap default/a-copy"],
        ),
        // What is there in the end.
        (
            "a-copy}, data: {n: \"2\"}",
            "a-copy}, data: {n: \"3\"}",
            &["line 11", ".data .n", "\"3\"", "\"2\""],
        ),
        ("    then: [", "    gone: [ConfigMap default/a]\n    then: [", &["line 11", "ConfigMap default/a"]),
        // A case that says what cannot be.
        ("    does:\n      - apply", "    dose:\n      - apply", &["case.yaml:9", "dose"]),
        ("  - change: [", "  - after: soon\n    change: [", &["case.yaml:8", "\"soon\" is no time", "90s"]),
        (
            "  - change: [",
            "  - refuse: {apply ConfigMap default/a-copy: 200}\n    change: [",
            &["case.yaml:8", "200 is no fault"],
        ),
        ("  - change: [", "  - refuse: {apply ConfigMap default/b-copy: 409}\n    change: [", &["b-copy"]),
        (
            "kind: ConfigMap, metadata: {name: a}, data",
            "kind: ConfigMat, metadata: {name: a}, data",
            &["case.yaml:8", "ConfigMat"],
        ),
        ("rule: what is labelled is copied", "rule: ''", &["say the rule"]),
    ] {
        let said = said(false, from, to);
        for part in parts {
            assert!(said.contains(part), "{to:?}: no {part:?} in\n{said}");
        }
    }
}

#[test]
fn a_failure_says_the_rule_and_why() {
    let said = said(false, "      - apply", "      - delete");
    for part in ["rule: what is labelled is copied", "why:", "copier, ConfigMap default/a: woken as"] {
        assert!(said.contains(part), "no {part:?} in\n{said}");
    }
}

#[test]
fn an_observer_that_comes_to_no_rest_is_a_failure() {
    let said = said(true, "rule", "rule");
    assert!(said.contains("it comes to no end"), "{said}");
}

#[test]
fn a_refused_write_is_told_and_tried_again() {
    let change = "  - change: [{kind: ConfigMap, metadata: {name: a}, data: {n: \"2\"}}]\n    does:\n";
    assert!(RIGHT.contains(change));
    let refuse = "  - refuse: {apply ConfigMap default/a-copy: 500}\n";
    let cannot = "      - \"cannot apply ConfigMap default/a-copy: 500 InternalError\"\n";
    let refused =
        format!("{refuse}  {}{cannot}  - after: 10s\n    does:\n", &change[2..].replacen("- ", "  ", 1));
    let refused = RIGHT.replace(change, &refused);
    cases(&folder(&refused), false).check().unwrap();
}

#[test]
fn what_is_done_is_written_into_the_file_and_comments_stay() {
    let wrong = RIGHT.replacen("does:\n  - apply ConfigMap default/a-copy\n", "", 1);
    let wrong = wrong.replacen("      - apply ConfigMap default/a-copy\n", "      - delete Pod a/b\n", 1);
    let folder = folder(&wrong);
    cases(&folder, false).check().unwrap_err();
    cases(&folder, false).writing().check().unwrap();
    let written = fs::read_to_string(folder.path().join("case.yaml")).unwrap();
    assert!(written.contains("# A comment stays.") && !written.contains("delete Pod"), "{written}");
    cases(&folder, false).check().unwrap();
}

#[test]
fn a_folder_without_cases_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    assert!(cases(&folder, false).check().unwrap_err().to_string().contains("no case"));
}
