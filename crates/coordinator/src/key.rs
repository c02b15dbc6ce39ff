//! The name of one object: kind, namespace and name. It is the unit of work and the target of writes.

use std::fmt;
use std::sync::Arc;

use kube::Resource;

use crate::Kind;

/// Kind, namespace (none for a cluster-scoped object) and name of an object. Cheap to clone.
///
/// Keys order by kind, namespace and name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    kind: Kind,
    namespace: Option<Arc<str>>,
    name: Arc<str>,
}

impl Key {
    /// The key of an object of a kind known at compile time; `namespace` is `None` if it is cluster-scoped.
    pub fn new<'a, K: Resource<DynamicType = ()>>(namespace: impl Into<Option<&'a str>>, name: &str) -> Self {
        Self::of_kind(Kind::of::<K>(), namespace, name)
    }

    /// The key of an object of any kind.
    pub fn of_kind<'a>(kind: Kind, namespace: impl Into<Option<&'a str>>, name: &str) -> Self {
        let namespace = namespace.into().filter(|namespace| !namespace.is_empty()).map(Arc::from);
        Self { kind, namespace, name: Arc::from(name) }
    }

    /// The key of an object whose namespace is kept once for all that are in it.
    pub(crate) fn shared(kind: Kind, namespace: Option<Arc<str>>, name: &str) -> Self {
        Self { kind, namespace: namespace.filter(|namespace| !namespace.is_empty()), name: Arc::from(name) }
    }

    /// The key of this very object. The name is empty while the object is to be named by the server.
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        let meta = object.meta();
        Self::new::<K>(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
    }

    /// The kind.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The namespace, none for a cluster-scoped object.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the object is of kind `K`.
    pub fn is<K: Resource<DynamicType = ()>>(&self) -> bool {
        self.kind.is::<K>()
    }

    pub(crate) fn shared_namespace(&self) -> Arc<str> {
        self.namespace.clone().unwrap_or_default()
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace() {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
