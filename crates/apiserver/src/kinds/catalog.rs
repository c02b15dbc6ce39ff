//! Which resources a cluster serves right now: the built-in ones and those of its CustomResourceDefinitions.

use std::sync::{Arc, OnceLock};

use super::{Resource, table};
use crate::discovery::Discovery;

/// An immutable set of resources, looked up by path and by kind.
pub struct Catalog {
    resources: Vec<Arc<Resource>>,
    /// Where they stand, by apiVersion and plural; the first of equals counts.
    by_path: Vec<usize>,
    /// The same, by apiVersion and kind.
    by_kind: Vec<usize>,
    discovery: OnceLock<Discovery>,
}

impl Catalog {
    /// The built-in resources, then `custom` ones.
    pub fn new(custom: impl IntoIterator<Item = Arc<Resource>>) -> Self {
        let resources: Vec<Arc<Resource>> = table::RESOURCES.iter().cloned().chain(custom).collect();
        let sorted = |key: fn(&Resource) -> (&str, &str)| {
            let mut all: Vec<usize> = (0..resources.len()).collect();
            all.sort_by(|a, b| key(&resources[*a]).cmp(&key(&resources[*b])));
            all
        };
        let (by_path, by_kind) = (sorted(path), sorted(kind));
        Self { resources, by_path, by_kind, discovery: OnceLock::new() }
    }

    /// The resource `plural` of an apiVersion such as `apps/v1`.
    pub fn resource(&self, api_version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.first(&self.by_path, path, (api_version, plural))
    }

    /// The resource of a kind.
    pub fn kind(&self, api_version: &str, name: &str) -> Option<&Arc<Resource>> {
        self.first(&self.by_kind, kind, (api_version, name))
    }

    fn first(
        &self,
        sorted: &[usize],
        key: fn(&Resource) -> (&str, &str),
        wanted: (&str, &str),
    ) -> Option<&Arc<Resource>> {
        let at = sorted.partition_point(|at| key(&self.resources[*at]) < wanted);
        let found = &self.resources[*sorted.get(at)?];
        (key(found) == wanted).then_some(found)
    }

    /// All resources, in the order of discovery.
    pub fn resources(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// What the server says of them.
    pub fn discovery(&self) -> &Discovery {
        self.discovery.get_or_init(|| Discovery::new(&self.resources))
    }

    /// Whether any resource is of this group.
    pub fn has_group(&self, group: &str) -> bool {
        self.resources.iter().any(|resource| &*resource.group == group)
    }
}

fn path(resource: &Resource) -> (&str, &str) {
    (&resource.api_version, &resource.plural)
}

fn kind(resource: &Resource) -> (&str, &str) {
    (&resource.api_version, &resource.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_found_by_path_and_by_kind() {
        let catalog = Catalog::new([]);
        assert_eq!(&*catalog.resource("apps/v1", "deployments").unwrap().kind, "Deployment");
        assert_eq!(&*catalog.kind("v1", "Pod").unwrap().plural, "pods");
        assert!(catalog.resource("apps/v9", "deployments").is_none());
        for resource in table::RESOURCES.iter() {
            let found = catalog.resource(&resource.api_version, &resource.plural).unwrap();
            assert!(Arc::ptr_eq(found, resource), "{} {}", resource.api_version, resource.plural);
        }
        assert!(catalog.has_group("apps") && !catalog.has_group("nosuch.example.com"));
    }
}
