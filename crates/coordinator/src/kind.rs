//! A kind of object, known at compile time or at run time: one small value that is cheap to clone and compare.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use kube::Resource;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;

/// A kind of Kubernetes object: group, version, kind and the plural by which URLs name it.
///
/// Two kinds are equal when group, version and kind are; the plural decides nothing.
#[derive(Clone)]
pub struct Kind(Arc<ApiResource>);

impl Kind {
    /// The kind of a type known at compile time.
    pub fn of<K: Resource<DynamicType = ()>>() -> Self {
        Self(Arc::new(ApiResource::erase::<K>(&())))
    }

    /// A kind known at run time, for example from discovery.
    pub fn new(resource: ApiResource) -> Self {
        Self(Arc::new(resource))
    }

    /// A kind known at run time by its names; `group` is empty for the core group.
    pub fn named(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self::new(ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural))
    }

    /// The API group, empty for the core group.
    pub fn group(&self) -> &str {
        &self.0.group
    }

    /// The version, such as `v1`.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// Group and version as objects carry them: `v1`, `apps/v1`.
    pub fn api_version(&self) -> &str {
        &self.0.api_version
    }

    /// The kind, such as `Pod`.
    pub fn name(&self) -> &str {
        &self.0.kind
    }

    /// The plural, lower-case name that URLs and RBAC rules use, such as `pods`.
    pub fn plural(&self) -> &str {
        &self.0.plural
    }

    /// The same as kube's type.
    pub fn resource(&self) -> &ApiResource {
        &self.0
    }

    /// The URL path of the collection, of a namespace or of all.
    pub fn url(&self, namespace: Option<&str>) -> String {
        DynamicObject::url_path(&self.0, namespace)
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
        *self.0.kind == *K::kind(&())
            && *self.0.group == *K::group(&())
            && *self.0.version == *K::version(&())
    }

    fn identity(&self) -> (&str, &str, &str) {
        (&self.0.group, &self.0.version, &self.0.kind)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        // Names differ most.
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.kind == other.0.kind
                && self.0.group == other.0.group
                && self.0.version == other.0.version)
    }
}

impl Eq for Kind {}

impl Hash for Kind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.kind.hash(state);
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
