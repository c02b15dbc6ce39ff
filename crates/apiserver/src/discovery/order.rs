//! The order of groups and versions: by priority, which `APIService` objects say and clients go by when a name or a
//! kind is ambiguous.

use std::{cmp::Ordering, sync::Arc};

use super::{Group, Version};
use crate::kinds::Resource;

/// The priorities of a group, as its `APIService` objects have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupPriority {
    /// The group; empty for the core group.
    pub group: &'static str,
    /// `groupPriorityMinimum`.
    pub priority: i32,
    /// `versionPriority` of each version that has its own; others have [`VERSION_PRIORITY`].
    pub versions: &'static [(&'static str, i32)],
}

const fn group(
    group: &'static str,
    priority: i32,
    versions: &'static [(&'static str, i32)],
) -> GroupPriority {
    GroupPriority { group, priority, versions }
}

/// `versionPriority` of most versions of built-in groups.
pub const VERSION_PRIORITY: i32 = 15;

/// `groupPriorityMinimum` and `versionPriority` of custom resources.
pub const CUSTOM_PRIORITY: (i32, i32) = (1000, 100);

/// The built-in groups. The aggregator's own group has no `APIService` and comes before the others.
pub static GROUPS: &[GroupPriority] = &[
    group("apiregistration.k8s.io", 20_000, &[]),
    group("", 18_000, &[("v1", 1)]),
    group("apps", 17_800, &[]),
    group("events.k8s.io", 17_750, &[]),
    group("authentication.k8s.io", 17_700, &[]),
    group("authorization.k8s.io", 17_600, &[]),
    group("autoscaling", 17_500, &[("v2", 30)]),
    group("batch", 17_400, &[]),
    group("certificates.k8s.io", 17_300, &[]),
    group("networking.k8s.io", 17_200, &[]),
    group("policy", 17_100, &[]),
    group("rbac.authorization.k8s.io", 17_000, &[]),
    group("storage.k8s.io", 16_800, &[]),
    group("admissionregistration.k8s.io", 16_700, &[]),
    group("apiextensions.k8s.io", 16_700, &[]),
    group("scheduling.k8s.io", 16_600, &[]),
    group("coordination.k8s.io", 16_500, &[]),
    group("node.k8s.io", 16_300, &[]),
    group("discovery.k8s.io", 16_200, &[]),
    group("resource.k8s.io", 16_200, &[("v1", 21)]),
    group("flowcontrol.apiserver.k8s.io", 16_100, &[("v1", 21)]),
];

/// `groupPriorityMinimum` and `versionPriority` of a version.
pub fn priorities(group: &str, version: &str) -> (i32, i32) {
    match GROUPS.iter().find(|known| known.group == group) {
        None => CUSTOM_PRIORITY,
        Some(known) => {
            let own = known.versions.iter().find(|(name, _)| *name == version);
            (known.priority, own.map_or(VERSION_PRIORITY, |(_, priority)| *priority))
        }
    }
}

/// Which version goes before which: those that are stable, then beta, then alpha, the higher number first
/// (`version.CompareKubeAwareVersionStrings`, reversed).
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (parse(a), parse(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Stability, major number, minor number.
fn parse(version: &str) -> Option<(u8, u64, u64)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse().ok() } else { None }
    };
    let rest = version.strip_prefix('v')?;
    for (stability, word) in [(0, "alpha"), (1, "beta")] {
        if let Some((major, minor)) = rest.split_once(word) {
            return Some((stability, number(major)?, number(minor)?));
        }
    }
    Some((2, number(rest)?, 0))
}

/// The resources by group and version, in the order in which a server lists them.
pub(super) fn grouped(resources: &[Arc<Resource>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for resource in resources {
        let at = groups.iter().position(|group| *group.name == *resource.group).unwrap_or_else(|| {
            groups.push(Group { name: (*resource.group).into(), versions: Vec::new() });
            groups.len() - 1
        });
        let versions = &mut groups[at].versions;
        let at =
            versions.iter().position(|version| *version.name == *resource.version).unwrap_or_else(|| {
                versions.push(Version { name: (*resource.version).into(), resources: Vec::new() });
                versions.len() - 1
            });
        versions[at].resources.push(Arc::clone(resource));
    }
    for group in &mut groups {
        let name = &group.name;
        group.versions.sort_by(|a, b| {
            let priority = |version: &Version| priorities(name, &version.name).1;
            priority(b).cmp(&priority(a)).then_with(|| compare_versions(&a.name, &b.name))
        });
        for version in &mut group.versions {
            version.resources.sort_by(|a, b| a.plural.cmp(&b.plural));
        }
    }
    groups.sort_by(|a, b| {
        let priority = |group: &Group| priorities(&group.name, "").0;
        priority(b).cmp(&priority(a)).then_with(|| a.name.cmp(&b.name))
    });
    groups
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn stable_versions_go_first() {
        let mut versions =
            ["v1alpha1", "foo1", "v10", "v1beta1", "v2", "v1", "v11alpha2", "v1beta2", "foo10", "v2x"];
        versions.sort_by(|a, b| compare_versions(a, b));
        let expected =
            ["v10", "v2", "v1", "v1beta2", "v1beta1", "v11alpha2", "v1alpha1", "foo1", "foo10", "v2x"];
        assert_eq!(versions, expected);
    }

    #[test]
    fn priorities_are_those_of_a_fresh_clusters_api_services() {
        let objects: Vec<Value> =
            serde_json::from_str(include_str!("../../data/fresh-cluster.json")).unwrap();
        let services: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "APIService").collect();
        assert!(services.len() > 20);
        for service in services {
            let spec = &service["spec"];
            let (group, version) = priorities(
                spec["group"].as_str().unwrap_or_default(),
                spec["version"].as_str().unwrap_or_default(),
            );
            assert_eq!(spec["groupPriorityMinimum"], group, "{spec}");
            assert_eq!(spec["versionPriority"], version, "{spec}");
        }
    }
}
