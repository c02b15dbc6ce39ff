//! How much of each object an observer wants, and so how much is kept.
//!
//! Details form a lattice: metadata is part of every set of fields, which is part of the whole object; field ownership
//! and derived values stand beside. What a feed keeps is the union of what its observers want.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Object, Watch};

/// How much of each object an observer wants. Set it by the methods of [`Watch`].
///
/// The store of a watch keeps what its observers want together, and no more: an observer may see more than it asked
/// for (another one wanted it), never less. When observers come or go and the union changes, the watch lists anew to
/// have what is wanted now.
///
/// `managedFields` (the ownership of fields, a quarter of many objects) is only kept where an observer asks for it.
/// Whatever is decoded then has none, and that may be written back: an update whose object has *no* `managedFields`
/// leaves ownership as it is on the server. (One that has an *empty list* of them resets it; kube's types leave out
/// what is `None`.)
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Detail {
    body: Body,
    managed_fields: bool,
    derived: BTreeSet<Projection>,
}

/// Each is part of those after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Body {
    Metadata,
    /// Metadata, and these paths.
    Fields(BTreeSet<Box<str>>),
    #[default]
    Whole,
}

impl Detail {
    /// The whole object, but who owns which field.
    pub fn whole() -> Self {
        Self::default()
    }

    /// Only `metadata`, asked from the server as `PartialObjectMetadata`.
    pub fn metadata() -> Self {
        Self { body: Body::Metadata, ..Self::default() }
    }

    /// Whether all of `other` is part of this.
    pub fn includes(&self, other: &Self) -> bool {
        let body = match (&self.body, &other.body) {
            (Body::Whole, _) | (_, Body::Metadata) => true,
            (_, Body::Whole) | (Body::Metadata, _) => false,
            (Body::Fields(ours), Body::Fields(theirs)) => ours.is_superset(theirs),
        };
        body && (self.managed_fields || !other.managed_fields) && self.derived.is_superset(&other.derived)
    }

    /// The least of which both are part.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let body = match (&self.body, &other.body) {
            (Body::Whole, _) | (_, Body::Whole) => Body::Whole,
            (Body::Metadata, body) | (body, Body::Metadata) => body.clone(),
            (Body::Fields(ours), Body::Fields(theirs)) => Body::Fields(ours.union(theirs).cloned().collect()),
        };
        Self {
            body,
            managed_fields: self.managed_fields || other.managed_fields,
            derived: self.derived.union(&other.derived).cloned().collect(),
        }
    }

    /// Whether the server need not be asked for more than metadata.
    pub(crate) fn is_metadata(&self) -> bool {
        self.body == Body::Metadata && self.derived.is_empty()
    }

    pub(crate) fn keeps_managed_fields(&self) -> bool {
        self.managed_fields
    }

    /// The fields to keep beside the metadata, where it is not all of them.
    pub(crate) fn fields(&self) -> Option<Fields> {
        match &self.body {
            Body::Whole => None,
            // The server leaves out the rest.
            Body::Metadata if self.derived.is_empty() => None,
            Body::Metadata => Some(Fields::default()),
            Body::Fields(paths) => Some(Fields::of(paths.iter().map(|path| &**path))),
        }
    }

    /// The projections, ordered by name.
    pub(crate) fn derived(&self) -> impl ExactSizeIterator<Item = &Projection> {
        self.derived.iter()
    }

    /// Takes the whole object off what is wanted, unless it has been narrowed before.
    fn narrowed(&mut self) -> &mut Self {
        if self.body == Body::Whole {
            self.body = Body::Metadata;
        }
        self
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.body {
            Body::Metadata => f.write_str("metadata")?,
            Body::Fields(paths) => {
                f.write_str("metadata")?;
                paths.iter().try_for_each(|path| write!(f, ", {path}"))?;
            }
            Body::Whole => f.write_str("whole")?,
        }
        if self.managed_fields {
            f.write_str(", managedFields")?;
        }
        self.derived.iter().try_for_each(|projection| write!(f, ", {}()", projection.name))
    }
}

impl Watch {
    /// Keeps who owns which field, too: `metadata.managedFields`.
    ///
    /// Without it a change of `managedFields` alone, such as an apply that only shares ownership, is no change: it is
    /// not told.
    #[must_use]
    pub fn with_managed_fields(mut self) -> Self {
        self.detail.managed_fields = true;
        self
    }

    /// Keeps only metadata and these fields, such as `spec.replicas`; may be repeated.
    ///
    /// A path names fields from the object's root, joined by dots, and means all below the last; elements of arrays
    /// are passed through (`spec.containers.image`). A field whose own name has a dot in it is kept by naming the one
    /// above it. What changes elsewhere in the object is not told.
    ///
    /// ```
    /// use k8s_openapi::api::apps::v1::Deployment;
    /// use xebec_coordinator::Watch;
    ///
    /// let watch = Watch::of::<Deployment>().only_fields(["spec.replicas", "status.readyReplicas"]);
    /// assert_eq!(watch.detail.to_string(), "metadata, spec.replicas, status.readyReplicas");
    /// ```
    #[must_use]
    pub fn only_fields<'a>(mut self, paths: impl IntoIterator<Item = &'a str>) -> Self {
        let body = &mut self.detail.narrowed().body;
        let mut fields =
            if let Body::Fields(fields) = std::mem::take(body) { fields } else { BTreeSet::new() };
        fields.extend(paths.into_iter().map(Box::from));
        *body = Body::Fields(fields);
        self
    }

    /// Keeps only metadata and what a projection makes of each object; may be repeated, and combined with
    /// [`only_fields`](Self::only_fields). [`Object::derived`] gives it.
    ///
    /// What changes without changing what is kept is not told.
    ///
    /// ```
    /// use k8s_openapi::api::core::v1::Secret;
    /// use xebec_coordinator::{Projection, Watch};
    ///
    /// let hash = Projection::of("hash", |secret: &Secret| format!("{:?}", secret.data.as_ref().map(|data| data.len())));
    /// let watch = Watch::of::<Secret>().projected(hash); // keeps no secret
    /// # assert_eq!(watch.detail.to_string(), "metadata, hash()");
    /// ```
    #[must_use]
    pub fn projected(mut self, projection: Projection) -> Self {
        self.detail.narrowed().derived.insert(projection);
        self
    }
}

type Derive = dyn Fn(&Object) -> Option<Vec<u8>> + Send + Sync;

/// A named function from an object to bytes that are kept in its stead, such as a hash of its data.
///
/// The name is its identity: two projections of one name over one kind are taken to be the same, whoever made them. The
/// function is called once for each state of an object, on the task of the watch: it should be quick, as all observers
/// of the watch wait for it. Where it panics, or the object cannot be decoded, there is no value.
#[derive(Clone)]
pub struct Projection {
    name: &'static str,
    derive: Arc<Derive>,
}

impl Projection {
    /// A projection of a typed object.
    pub fn of<K: DeserializeOwned, B: Into<Vec<u8>>>(
        name: &'static str,
        derive: impl Fn(&K) -> B + Send + Sync + 'static,
    ) -> Self {
        Self::over_objects(name, move |object| Some(derive(&object.decode().ok()?).into()))
    }

    /// A projection of an object as JSON, for kinds known at run time.
    pub fn over_values(
        name: &'static str,
        derive: impl Fn(&Value) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::over_objects(name, move |object| Some(derive(&object.to_value().ok()?)))
    }

    /// A projection of an object as it came, which is decoded as far as need be.
    pub fn over_objects(
        name: &'static str,
        derive: impl Fn(&Object) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self { name, derive: Arc::new(derive) }
    }

    /// The name by which observers ask for it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn derive(&self, object: &Object) -> Option<Vec<u8>> {
        let derive = || (self.derive)(object);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(derive)).unwrap_or_else(|_| {
            tracing::error!(projection = self.name, key = %object.key(), "panicked");
            None
        })
    }
}

impl PartialEq for Projection {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Projection {}

impl Ord for Projection {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(other.name)
    }
}

impl PartialOrd for Projection {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Projection({})", self.name)
    }
}

/// Fields to keep, as a tree; a leaf keeps all below it.
#[derive(Debug, Default)]
pub(crate) struct Fields(std::collections::BTreeMap<Box<str>, Option<Fields>>);

impl Fields {
    fn of<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut fields = Self::default();
        for path in paths {
            let mut node = &mut fields;
            let mut names = path.split('.').filter(|name| !name.is_empty()).peekable();
            while let Some(name) = names.next() {
                if names.peek().is_none() {
                    node.0.insert(name.into(), None);
                    break;
                }
                match node.0.entry(name.into()).or_insert_with(|| Some(Self::default())) {
                    Some(below) => node = below,
                    None => break, // all of it is kept already
                }
            }
        }
        fields
    }

    /// Keeps these fields of an object, its metadata, and its type.
    pub(crate) fn project(&self, object: &mut Map<String, Value>) {
        object.retain(|name, value| match self.0.get(name.as_str()) {
            _ if matches!(name.as_str(), "metadata" | "apiVersion" | "kind") => true,
            Some(Some(below)) => below.retain(value),
            Some(None) => true,
            None => false,
        });
    }

    /// Keeps these fields of a value; false if nothing is left of it.
    fn retain(&self, value: &mut Value) -> bool {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, value| match self.0.get(name.as_str()) {
                    Some(Some(below)) => below.retain(value),
                    Some(None) => true,
                    None => false,
                });
                !fields.is_empty()
            }
            // Elements keep their places.
            Value::Array(elements) => {
                for element in elements.iter_mut() {
                    self.retain(element);
                }
                !elements.is_empty()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;

    fn details() -> Vec<Detail> {
        let pods = Watch::of::<Pod>;
        let hash = || Projection::over_values("hash", |_| Vec::new());
        [
            pods().metadata_only(),
            pods().only_fields(["spec.nodeName"]),
            pods().only_fields(["spec.nodeName", "status"]),
            pods().projected(hash()),
            pods().projected(hash()).only_fields(["status"]),
            pods().metadata_only().with_managed_fields(),
            pods(),
            pods().with_managed_fields(),
        ]
        .map(|watch| watch.detail)
        .to_vec()
    }

    #[test]
    fn a_union_is_the_least_that_includes_both() {
        for one in details() {
            assert!(one.includes(&one) && Detail::includes(&one.union(&one), &one));
            assert!(one.includes(&Detail::metadata()));
            for other in details() {
                let union = one.union(&other);
                assert_eq!(union, other.union(&one));
                assert!(union.includes(&one) && union.includes(&other));
                assert_eq!(one.includes(&other), union == one, "{one} and {other}");
            }
        }
        assert!(!Detail::whole().includes(&details()[3]), "a derived value is in no object");
        assert!(!Detail::whole().includes(&details()[5]));
    }

    #[test]
    fn fields_are_kept_by_their_paths() {
        let kept = |paths: &[&str]| {
            let mut object = json!({
                "kind": "Pod", "metadata": {"name": "web"},
                "spec": {"nodeName": "n1", "containers": [{"name": "a", "image": "i"}, {"name": "b"}]},
                "status": {"phase": "Running", "podIP": "10.0.0.1"},
            });
            if let Value::Object(fields) = &mut object {
                Fields::of(paths.iter().copied()).project(fields);
                fields.remove("kind");
                fields.remove("metadata");
            }
            object
        };
        assert_eq!(kept(&[]), json!({}));
        assert_eq!(kept(&["status.phase"]), json!({"status": {"phase": "Running"}}));
        assert_eq!(kept(&["spec.nodeName", "spec.missing.deep"]), json!({"spec": {"nodeName": "n1"}}));
        assert_eq!(kept(&["spec.containers.image"]), json!({"spec": {"containers": [{"image": "i"}, {}]}}));
        assert_eq!(kept(&["status", "status.phase"])["status"]["podIP"], "10.0.0.1");
        assert_eq!(kept(&["status.phase", "status"])["status"]["podIP"], "10.0.0.1");
        assert_eq!(kept(&["status.phase.deep", "nothing"]), json!({}));
    }
}
