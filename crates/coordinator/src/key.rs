//! The name of one object: kind, namespace and name. It is the unit of work and the target of writes.

use std::fmt;
use std::sync::Arc;

use kube::Resource;

use crate::{Kind, ObserverSpec};

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

/// A text names no object that an observer watches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is of another form.
    #[error("{0:?} is not KIND/NAMESPACE/NAME or KIND/NAME")]
    Form(String),
    /// A part is empty.
    #[error("{0:?} has an empty part")]
    Empty(String),
    /// The observer does not watch the kind.
    #[error("{observer} watches no {kind:?}: choose from {known}")]
    Kind {
        /// The observer.
        observer: String,
        /// The kind.
        kind: String,
        /// The kinds that it watches.
        known: String,
    },
}

impl ObserverSpec {
    /// The key that is meant by `kind/namespace/name`, or `kind/name` where the kind has no namespaces. The kind, one that
    /// the observer watches, may be in the plural and with its group, as for kubectl.
    ///
    /// # Errors
    /// It means none, and why.
    pub fn key(&self, text: &str) -> Result<Key, KeyError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, namespace, name) = match *parts.as_slice() {
            [kind, name] => (kind, None, name),
            [kind, namespace, name] => (kind, Some(namespace), name),
            _ => return Err(KeyError::Form(text.to_owned())),
        };
        if name.is_empty() || namespace == Some("") {
            return Err(KeyError::Empty(text.to_owned()));
        }
        let kinds = || self.watches.iter().map(|watch| &watch.kind);
        let (wanted, group) = kind.split_once('.').map_or((kind, None), |(kind, group)| (kind, Some(group)));
        let found = kinds().find(|kind| {
            let names = [kind.name(), kind.plural()];
            names.iter().any(|name| name.eq_ignore_ascii_case(wanted))
                && group.is_none_or(|group| group == kind.group())
        });
        let found = found.ok_or_else(|| {
            let known: Vec<String> = kinds().map(|kind| kind.name().to_lowercase()).collect();
            let (observer, known) = (self.name.clone().into_owned(), known.join(", "));
            KeyError::Kind { observer, kind: kind.to_owned(), known }
        })?;
        Ok(Key::of_kind(found.clone(), namespace, name))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use k8s_openapi::api::core::v1::Secret;

    use super::*;
    use crate::Watch;

    #[test]
    fn keys_are_named_as_for_kubectl() {
        let spec = ObserverSpec::new("reload", "rolls out");
        let spec = spec.watch(Watch::of::<Deployment>()).watch(Watch::of::<Secret>());
        for text in ["deployment/default/web", "Deployments/default/web", "deployments.apps/default/web"] {
            assert_eq!(spec.key(text).unwrap().to_string(), "Deployment.apps default/web", "{text}");
        }
        for (text, expected) in [
            ("deployment", "KIND/NAMESPACE/NAME"),
            ("deployment/a/b/c", "KIND/NAMESPACE/NAME"),
            ("deployment//web", "empty"),
            ("deployment/default/", "empty"),
            ("pod/default/web", "choose from deployment, secret"),
            ("deployments.extensions/default/web", "choose from"),
        ] {
            let error = spec.key(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
