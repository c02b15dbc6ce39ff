//! Which resources a cluster serves right now: the built-in ones and those of its CustomResourceDefinitions.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use super::{Resource, table};
use crate::discovery::Discovery;

/// An immutable set of resources, looked up by path and by kind.
#[derive(Default)]
pub struct Catalog {
    resources: Vec<Arc<Resource>>,
    by_path: HashMap<Box<str>, usize>,
    by_kind: HashMap<Box<str>, usize>,
    discovery: OnceLock<Discovery>,
}

impl Catalog {
    /// The built-in resources, then `custom` ones.
    pub fn new(custom: impl IntoIterator<Item = Arc<Resource>>) -> Self {
        let mut catalog = Self::default();
        for resource in table::RESOURCES.iter().cloned().chain(custom) {
            let at = catalog.resources.len();
            catalog.by_path.entry(path(&resource.api_version, &resource.plural)).or_insert(at);
            catalog.by_kind.entry(path(&resource.api_version, &resource.kind)).or_insert(at);
            catalog.resources.push(resource);
        }
        catalog
    }

    /// The resource `plural` of an apiVersion such as `apps/v1`.
    pub fn resource(&self, api_version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.by_path.get(&path(api_version, plural)).map(|at| &self.resources[*at])
    }

    /// The resource of a kind.
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.by_kind.get(&path(api_version, kind)).map(|at| &self.resources[*at])
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

fn path(api_version: &str, name: &str) -> Box<str> {
    [api_version, "/", name].concat().into()
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
        assert!(catalog.has_group("apps") && !catalog.has_group("nosuch.example.com"));
    }
}
