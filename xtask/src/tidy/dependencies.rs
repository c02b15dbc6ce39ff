//! What comes into the binary from others: licences, duplicate versions, sources, as `deny.toml` allows them.

use serde_json::Value;

use super::{Complaint, Repository, licence::satisfied, repository::strings};

const DENY: &str = "deny.toml";

/// Crates with a licence that is not allowed.
pub(super) fn licences(repository: &Repository) -> Vec<Complaint> {
    let allowed: Vec<&str> = strings(&repository.deny["licenses"]["allow"]).collect();
    foreign(repository)
        .filter_map(|package| {
            let licence = package["license"].as_str().unwrap_or_default();
            (!satisfied(licence, &allowed))
                .then(|| Complaint::file(DENY, format!("{} has the licence '{licence}'", label(package))))
        })
        .collect()
}

/// Crates that are there in several versions without a reason, and reasons without such a crate.
pub(super) fn duplicates(repository: &Repository) -> Vec<Complaint> {
    let skipped: Vec<&str> = repository.deny["bans"]["skip"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["crate"].as_str())
        .collect();
    let name = |label: &str| label.split('@').next().unwrap_or_default().to_owned();
    let mut complaints = Vec::new();
    // All versions but one of a crate need a reason.
    let mut unexplained: Vec<&String> = repository
        .duplicates
        .iter()
        .filter(|duplicate| !skipped.iter().any(|skip| covers(skip, duplicate)))
        .collect();
    unexplained.dedup_by_key(|duplicate| name(duplicate));
    for duplicate in unexplained {
        let versions: Vec<&str> = repository
            .duplicates
            .iter()
            .filter(|other| name(other) == name(duplicate))
            .filter(|other| !skipped.iter().any(|skip| covers(skip, other)))
            .map(String::as_str)
            .collect();
        if versions.len() > 1 {
            complaints.push(Complaint::file(DENY, format!("{} are both there", versions.join(" and "))));
        }
    }
    for skip in skipped {
        if !repository.duplicates.iter().any(|duplicate| covers(skip, duplicate)) {
            complaints.push(Complaint::file(DENY, format!("{skip} is no duplicate any more: drop the skip")));
        }
    }
    complaints
}

/// Crates that come from elsewhere than the registry.
pub(super) fn sources(repository: &Repository) -> Vec<Complaint> {
    foreign(repository)
        .filter(|package| !package["source"].as_str().unwrap_or_default().starts_with("registry+"))
        .map(|package| {
            Complaint::file("Cargo.toml", format!("{} comes from {}", label(package), package["source"]))
        })
        .collect()
}

/// Whether `skip` (`syn@2`, `base64@0.22`) means the crate `label` (`syn@2.0.119`).
fn covers(skip: &str, label: &str) -> bool {
    label.strip_prefix(skip).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn foreign(repository: &Repository) -> impl Iterator<Item = &Value> {
    let packages = repository.metadata["packages"].as_array().into_iter().flatten();
    packages.filter(|package| !package["source"].is_null())
}

fn label(package: &Value) -> String {
    format!(
        "{}@{}",
        package["name"].as_str().unwrap_or_default(),
        package["version"].as_str().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_second_version_needs_a_reason_and_a_reason_a_second_version() {
        let check = |duplicates: &[&str], skips: &[&str]| -> Vec<String> {
            let skip: Vec<_> = skips.iter().map(|skip| json!({"crate": skip, "reason": "…"})).collect();
            let repository = Repository {
                duplicates: duplicates.iter().map(|label| (*label).to_owned()).collect(),
                deny: json!({"bans": {"skip": skip}}),
                ..Default::default()
            };
            super::duplicates(&repository).into_iter().map(|complaint| complaint.text).collect()
        };
        assert_eq!(check(&["syn@2.0.1", "syn@3.0.0"], &["syn@2"]), [""; 0]);
        assert_eq!(check(&["syn@2.0.1", "syn@3.0.0"], &[]), ["syn@2.0.1 and syn@3.0.0 are both there"]);
        assert_eq!(check(&["syn@2.0.1", "syn@20.0.0"], &["syn@2"]), [""; 0]);
        assert_eq!(
            check(&["a@1.0.0", "a@2.0.0", "a@3.0.0"], &["a@1"]),
            ["a@2.0.0 and a@3.0.0 are both there"]
        );
        assert_eq!(check(&[], &["syn@2"]), ["syn@2 is no duplicate any more: drop the skip"]);
    }

    #[test]
    fn licences_and_sources_are_those_allowed() {
        let repository = Repository {
            metadata: json!({"packages": [
                {"name": "good", "version": "1.0.0", "license": "MIT", "source": "registry+there"},
                {"name": "bad", "version": "1.0.0", "license": "AGPL-3.0", "source": "registry+there"},
                {"name": "none", "version": "1.0.0", "license": null, "source": "git+there"},
                {"name": "ours", "version": "1.0.0", "license": null, "source": null},
            ]}),
            deny: json!({"licenses": {"allow": ["MIT"]}}),
            ..Default::default()
        };
        let texts = |complaints: Vec<Complaint>| complaints.into_iter().map(|c| c.text).collect::<Vec<_>>();
        assert_eq!(
            texts(licences(&repository)),
            ["bad@1.0.0 has the licence 'AGPL-3.0'", "none@1.0.0 has the licence ''"]
        );
        assert_eq!(texts(sources(&repository)), ["none@1.0.0 comes from \"git+there\""]);
    }
}
