//! A kind of object, known at compile time or at run time: one small value that is cheap to clone and compare.

use std::any::type_name;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use kube::Resource;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;

/// A kind of Kubernetes object: group, version, kind and the plural by which URLs name it.
///
/// Two kinds are equal when group, version and kind are; the plural decides nothing, nor does it whether their objects are
/// known to be in namespaces.
#[derive(Clone)]
pub struct Kind(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    resource: ApiResource,
    /// Whether its objects are in namespaces, as far as that is known.
    namespaced: Option<bool>,
}

impl Kind {
    /// The kind of a type known at compile time.
    pub fn of<K: Resource<DynamicType = ()>>() -> Self {
        let (resource, namespaced) = (ApiResource::erase::<K>(&()), scope_of::<K>());
        Self(Arc::new(Inner { resource, namespaced }))
    }

    /// A kind known at run time, for example from discovery. Whether its objects are in namespaces it does not say; see
    /// [`namespaced`](Self::namespaced) and [`cluster_scoped`](Self::cluster_scoped).
    pub fn new(resource: ApiResource) -> Self {
        Self(Arc::new(Inner { resource, namespaced: None }))
    }

    /// The same kind, whose objects are in namespaces.
    #[must_use]
    pub fn namespaced(&self) -> Self {
        self.scoped(true)
    }

    /// The same kind, whose objects are in no namespace.
    #[must_use]
    pub fn cluster_scoped(&self) -> Self {
        self.scoped(false)
    }

    fn scoped(&self, namespaced: bool) -> Self {
        Self(Arc::new(Inner { namespaced: Some(namespaced), ..Inner::clone(&self.0) }))
    }

    /// Whether its objects are in namespaces. Known of kinds known at compile time, and of others where somebody said so.
    pub fn is_namespaced(&self) -> Option<bool> {
        self.0.namespaced
    }

    /// A kind known at run time by its names; `group` is empty for the core group.
    pub fn named(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self::new(ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural))
    }

    /// The API group, empty for the core group.
    pub fn group(&self) -> &str {
        &self.0.resource.group
    }

    /// The version, such as `v1`.
    pub fn version(&self) -> &str {
        &self.0.resource.version
    }

    /// Group and version as objects carry them: `v1`, `apps/v1`.
    pub fn api_version(&self) -> &str {
        &self.0.resource.api_version
    }

    /// The kind, such as `Pod`.
    pub fn name(&self) -> &str {
        &self.0.resource.kind
    }

    /// The plural, lower-case name that URLs and RBAC rules use, such as `pods`.
    pub fn plural(&self) -> &str {
        &self.0.resource.plural
    }

    /// Whether Kubernetes has it by itself: then it knows strategic merge patches. Definitions may not be of these groups.
    pub fn is_built_in(&self) -> bool {
        match self.group().strip_suffix(".k8s.io") {
            Some(group) => BUILT_IN.contains(&group),
            None => !self.group().contains('.'),
        }
    }

    /// The same as kube's type.
    pub fn resource(&self) -> &ApiResource {
        &self.0.resource
    }

    /// The URL path of the collection, of a namespace or of all.
    pub fn url(&self, namespace: Option<&str>) -> String {
        DynamicObject::url_path(&self.0.resource, namespace)
    }

    /// Whether an `apiVersion` and `kind` name this kind, in any version of its group.
    ///
    /// Owner references outlive versions, so that a reference to `apps/v1beta2` still means `apps/v1`.
    pub fn names(&self, api_version: &str, kind: &str) -> bool {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        self.name() == kind && self.group() == group
    }

    /// Whether this is the kind of `K`; compares without building a kind.
    pub(crate) fn is<K: Resource<DynamicType = ()>>(&self) -> bool {
        *self.0.resource.kind == *K::kind(&())
            && *self.0.resource.group == *K::group(&())
            && *self.0.resource.version == *K::version(&())
    }

    fn identity(&self) -> (&str, &str, &str) {
        (&self.0.resource.group, &self.0.resource.version, &self.0.resource.kind)
    }
}

/// The groups of Kubernetes itself that end in `.k8s.io`. Others that do are of projects beside it, by definitions.
const BUILT_IN: [&str; 18] = [
    "admissionregistration",
    "apiextensions",
    "apiregistration",
    "authentication",
    "authorization",
    "certificates",
    "coordination",
    "discovery",
    "events",
    "flowcontrol.apiserver",
    "internal.apiserver",
    "networking",
    "node",
    "rbac.authorization",
    "resource",
    "scheduling",
    "storage",
    "storagemigration",
];

/// Whether objects of `K` are in namespaces, by the name of its scope: scopes are types that may not live for ever, and
/// so have no identity to compare.
fn scope_of<K: Resource>() -> Option<bool> {
    match type_name::<K::Scope>().rsplit("::").next() {
        Some("NamespaceResourceScope") => Some(true),
        Some("ClusterResourceScope") => Some(false),
        _ => None, // of a subresource, or known at run time
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        // Names differ most.
        Arc::ptr_eq(&self.0, &other.0)
            || (self.name() == other.name()
                && self.group() == other.group()
                && self.version() == other.version())
    }
}

impl Eq for Kind {}

impl Hash for Kind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.resource.kind.hash(state);
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.identity().cmp(&other.identity())
    }
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group().is_empty() {
            f.write_str(self.name())
        } else {
            write!(f, "{}.{}", self.name(), self.group())
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}/{}", self.version())
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Namespace, Pod};

    use super::*;

    #[test]
    fn it_knows_whether_it_is_built_in() {
        for (group, built_in) in [
            ("", true),
            ("apps", true),
            ("rbac.authorization.k8s.io", true),
            ("gateway.networking.k8s.io", false),
            ("example.com", false),
            ("k8s.io", false),
        ] {
            assert_eq!(Kind::named(group, "v1", "Any", "anies").is_built_in(), built_in, "{group}");
        }
    }

    #[test]
    fn it_knows_whether_its_objects_are_in_namespaces() {
        let dynamic = Kind::named("", "v1", "Pod", "pods");
        for (kind, namespaced) in [
            (Kind::of::<Pod>(), Some(true)),
            (Kind::of::<Namespace>(), Some(false)),
            (dynamic.clone(), None),
            (dynamic.clone().namespaced(), Some(true)),
            (dynamic.clone().cluster_scoped(), Some(false)),
        ] {
            assert_eq!(kind.is_namespaced(), namespaced, "{kind:?}");
        }
        assert_eq!(dynamic.cluster_scoped(), Kind::of::<Pod>(), "it is no part of what a kind is");
    }
}
