//! What a Deployment writes on its ReplicaSets besides their size: revisions, and the sizes they were scaled for.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::fenceposts::Fenceposts;

/// The number of a rollout, on the ReplicaSet that it made and on the Deployment.
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Earlier revisions of a ReplicaSet that was rolled back to.
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// The replicas that the Deployment wanted when it last scaled the ReplicaSet.
const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// The replicas that the Deployment allowed when it last scaled the ReplicaSet.
const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// Annotations of the Deployment that its ReplicaSets do not get.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];
/// How long the history of revisions may grow; what is older is forgotten.
const HISTORY_MAX: usize = 2000;

fn value<'s>(set: &'s ReplicaSet, name: &str) -> Option<&'s str> {
    set.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

fn number(set: &ReplicaSet, name: &str) -> Option<i32> {
    value(set, name)?.parse().ok()
}

/// The revision of a ReplicaSet, 0 if it has none.
pub(crate) fn revision(set: &ReplicaSet) -> i64 {
    value(set, REVISION).and_then(|revision| revision.parse().ok()).unwrap_or_default()
}

/// The replicas that the Deployment wanted when it last scaled this one.
pub(crate) fn desired_replicas(set: &ReplicaSet) -> Option<i32> {
    number(set, DESIRED_REPLICAS)
}

/// The replicas that the Deployment allowed when it last scaled this one.
pub(crate) fn max_replicas(set: &ReplicaSet) -> Option<i32> {
    number(set, MAX_REPLICAS)
}

/// Notes for which size a ReplicaSet is scaled; whether that is new.
pub(crate) fn set_replicas(set: &mut ReplicaSet, fenceposts: Fenceposts) -> bool {
    let annotations = set.metadata.annotations.get_or_insert_default();
    let mut changed = replace(annotations, DESIRED_REPLICAS, fenceposts.replicas.to_string());
    changed |= replace(annotations, MAX_REPLICAS, fenceposts.max_total().to_string());
    changed
}

/// Gives the newest ReplicaSet its revision and the Deployment's annotations; whether anything changed.
pub(crate) fn set_newest(set: &mut ReplicaSet, deployment: &Deployment, new_revision: i64) -> bool {
    let annotations = set.metadata.annotations.get_or_insert_default();
    let mut changed = false;
    for (name, value) in deployment.metadata.annotations.iter().flatten() {
        if !NOT_COPIED.contains(&name.as_str()) {
            changed |= replace(annotations, name, value.clone());
        }
    }
    let old = annotations.get(REVISION).cloned();
    let old_revision = match old.as_deref().filter(|old| !old.is_empty()).map(str::parse::<i64>) {
        None => 0,
        Some(Ok(revision)) => revision,
        Some(Err(_)) => return false, // somebody wrote nonsense: it stays as it is
    };
    if old_revision >= new_revision {
        return changed;
    }
    annotations.insert(REVISION.to_owned(), new_revision.to_string());
    if let Some(old) = old {
        // It was the newest before: a roll back.
        let history = annotations.get(REVISION_HISTORY).filter(|history| !history.is_empty());
        let history = history.map_or_else(|| old.clone(), |history| format!("{history},{old}"));
        if let Some(latest) = latest(&history) {
            annotations.insert(REVISION_HISTORY.to_owned(), latest.to_owned());
        }
    }
    true
}

/// As much of a history as may be kept, its end.
fn latest(history: &str) -> Option<&str> {
    let excess = history.len().saturating_sub(HISTORY_MAX);
    if excess == 0 {
        return Some(history);
    }
    let cut = history.bytes().enumerate().skip(excess - 1).find(|(_, byte)| *byte == b',');
    cut.and_then(|(comma, _)| history.get(comma + 1..))
}

/// Sets an annotation; whether it had another value.
pub(crate) fn replace(annotations: &mut BTreeMap<String, String>, name: &str, value: String) -> bool {
    let old = annotations.insert(name.to_owned(), value);
    old.as_ref() != annotations.get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_is_cut_at_a_comma() {
        assert_eq!(latest("1,2"), Some("1,2"));
        let long = format!("1,2,{}", "3".repeat(HISTORY_MAX - 2));
        assert_eq!(latest(&long).map(str::len), Some(HISTORY_MAX));
        let just = format!("1,{}", "3".repeat(HISTORY_MAX));
        assert_eq!(latest(&just).map(str::len), Some(HISTORY_MAX));
        assert_eq!(latest(&"3".repeat(HISTORY_MAX + 1)), None);
    }
}
