//! Named indexes that an observer declares over the objects of a kind it watches.

use std::fmt;
use std::sync::Arc;

use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Kind, Object};

type Values = dyn Fn(&Object) -> Vec<String> + Send + Sync;

/// A named function from an object to the values by which it is to be found.
///
/// The index is the observer's own: it is kept by the observer's task as events are told, so that it always agrees
/// with the observer's [`View`](crate::View), and a slow or panicking function hurts nobody else.
/// An object that cannot be decoded has no values.
#[derive(Clone)]
pub struct Index {
    name: &'static str,
    kind: Kind,
    values: Arc<Values>,
}

impl Index {
    /// An index over a typed object: `Index::new("node", |pod: &Pod| …)`.
    pub fn new<K>(name: &'static str, values: impl Fn(&K) -> Vec<String> + Send + Sync + 'static) -> Self
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        Self::over_objects(name, Kind::of::<K>(), move |object| {
            object.decode::<K>().map_or_else(|_| Vec::new(), |typed| values(&typed))
        })
    }

    /// An index over an object as JSON, for kinds known at run time.
    pub fn over_values(
        name: &'static str,
        kind: Kind,
        values: impl Fn(&Value) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        Self::over_objects(name, kind, move |object| {
            object.to_value().map_or_else(|_| Vec::new(), |value| values(&value))
        })
    }

    /// An index over the object as stored: by label, owner or anything of the header, without decoding.
    pub fn over_objects(
        name: &'static str,
        kind: Kind,
        values: impl Fn(&Object) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        Self { name, kind, values: Arc::new(values) }
    }

    /// The name by which the observer asks for it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The kind of the objects indexed.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(crate) fn values(&self, object: &Object) -> Vec<String> {
        (self.values)(object)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({} of {})", self.name, self.kind)
    }
}
