//! What a namespace that is being deleted says of how that gets on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{NamespaceCondition, NamespaceStatus};

use crate::time::stamp;

/// What is left of a namespace, and what went wrong.
#[derive(Debug, Default)]
pub(super) struct Remains {
    /// Why it is not known which kinds there are.
    pub(super) discovery_failure: Option<String>,
    /// Why content could not be deleted.
    pub(super) content_failures: Vec<String>,
    /// How many objects are left, by `resource.group`.
    pub(super) resources: BTreeMap<String, usize>,
    /// How many objects are left that a finalizer keeps.
    pub(super) finalizers: BTreeMap<String, usize>,
}

/// A condition: its type, reason and message if something is left or has failed, and else.
type Told = (&'static str, Option<(&'static str, String)>, (&'static str, &'static str));

impl Remains {
    /// Whether the namespace is empty, for all that is known.
    pub(super) fn is_empty(&self) -> bool {
        self.discovery_failure.is_none() && self.content_failures.is_empty() && self.resources.is_empty()
    }

    fn conditions(&self) -> [Told; 5] {
        let mut failures = self.content_failures.clone();
        failures.sort();
        let content = (!failures.is_empty()).then(|| {
            let (count, text) = (failures.len(), failures.join(", "));
            (
                "ContentDeletionFailed",
                format!("Failed to delete all resource types, {count} remaining: {text}"),
            )
        });
        let resources = (!self.resources.is_empty()).then(|| {
            let parts = self
                .resources
                .iter()
                .map(|(resource, count)| format!("{resource} has {count} resource instances"));
            (
                "SomeResourcesRemain",
                format!("Some resources are remaining: {}", parts.collect::<Vec<_>>().join(", ")),
            )
        });
        let finalizers = (!self.finalizers.is_empty()).then(|| {
            let parts =
                self.finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances"));
            (
                "SomeFinalizersRemain",
                format!("Some finalizers are remaining: {}", parts.collect::<Vec<_>>().join(", ")),
            )
        });
        let discovery = self.discovery_failure.clone().map(|failure| ("DiscoveryFailed", failure));
        [
            (
                "NamespaceDeletionDiscoveryFailure",
                discovery,
                ("ResourcesDiscovered", "All resources successfully discovered"),
            ),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                None,
                ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
            ),
            (
                "NamespaceDeletionContentFailure",
                content,
                ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
            ),
            ("NamespaceContentRemaining", resources, ("ContentRemoved", "All content successfully removed")),
            (
                "NamespaceFinalizersRemaining",
                finalizers,
                ("ContentRemoved", "All content successfully removed"),
            ),
        ]
    }

    /// Tells it in a status; whether that changes anything.
    pub(super) fn tell(&self, status: &mut NamespaceStatus, now: Timestamp) -> bool {
        let mut changed = false;
        let conditions = status.conditions.get_or_insert_default();
        for (type_, failure, (fine, fine_message)) in self.conditions() {
            let value = if failure.is_some() { "True" } else { "False" };
            let (reason, message) = failure.unwrap_or_else(|| (fine, fine_message.to_owned()));
            let mut new = NamespaceCondition {
                type_: type_.to_owned(),
                status: value.to_owned(),
                last_transition_time: Some(stamp(now)),
                reason: Some(reason.to_owned()),
                message: Some(message),
            };
            match conditions.iter_mut().find(|known| known.type_ == type_) {
                None => conditions.push(new),
                Some(known) => {
                    if known.status == new.status {
                        new.last_transition_time.clone_from(&known.last_transition_time);
                    }
                    if *known == new {
                        continue;
                    }
                    *known = new;
                }
            }
            changed = true;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::now;

    fn told(remains: &Remains) -> Vec<String> {
        let mut status = NamespaceStatus::default();
        assert!(remains.tell(&mut status, now()));
        assert!(!remains.tell(&mut status, now()), "told twice");
        let text = |condition: NamespaceCondition| {
            let NamespaceCondition { type_, status, reason, message, .. } = condition;
            format!("{type_} {status} {}: {}", reason.unwrap(), message.unwrap())
        };
        status.conditions.unwrap().into_iter().map(text).collect()
    }

    #[test]
    fn an_empty_namespace_says_so() {
        assert!(Remains::default().is_empty());
        assert_eq!(
            told(&Remains::default()),
            [
                "NamespaceDeletionDiscoveryFailure False ResourcesDiscovered: All resources successfully discovered",
                "NamespaceDeletionGroupVersionParsingFailure False ParsedGroupVersions: All legacy kube types successfully parsed",
                "NamespaceDeletionContentFailure False ContentDeleted: All content successfully deleted, may be waiting on finalization",
                "NamespaceContentRemaining False ContentRemoved: All content successfully removed",
                "NamespaceFinalizersRemaining False ContentRemoved: All content successfully removed",
            ]
        );
    }

    #[test]
    fn what_remains_is_told() {
        let remains = Remains {
            discovery_failure: Some("no answer".to_owned()),
            content_failures: vec!["b".to_owned(), "a".to_owned()],
            resources: [("pods.".to_owned(), 2), ("ships.example.com".to_owned(), 1)].into(),
            finalizers: [("example.com/keep".to_owned(), 3)].into(),
        };
        assert!(!remains.is_empty());
        assert_eq!(
            told(&remains),
            [
                "NamespaceDeletionDiscoveryFailure True DiscoveryFailed: no answer",
                "NamespaceDeletionGroupVersionParsingFailure False ParsedGroupVersions: All legacy kube types successfully parsed",
                "NamespaceDeletionContentFailure True ContentDeletionFailed: Failed to delete all resource types, 2 remaining: a, b",
                "NamespaceContentRemaining True SomeResourcesRemain: Some resources are remaining: pods. has 2 resource instances, ships.example.com has 1 resource instances",
                "NamespaceFinalizersRemaining True SomeFinalizersRemain: Some finalizers are remaining: example.com/keep in 3 resource instances",
            ]
        );
    }
}
