//! What an observer sees of the cluster: an immutable snapshot of the kinds it watches.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use kube::Resource;
use serde::de::DeserializeOwned;

use crate::counting::Kept;
use crate::store::{IndexTable, Snapshot};
use crate::wire::{Source, Wanted};
use crate::{DecodeError, Key, Kind, Object, ObserverSpec, OptionSpec};

/// The objects of the kinds an observer watches, at one moment. Cheap to clone, and safe to keep: it never changes,
/// and holding it delays nobody.
///
/// Of each kind it is one consistent state; `wake` has been told of everything in it. Objects are decoded when asked
/// for. Asking for a kind or an index that the spec does not declare is a bug in the observer and panics.
#[derive(Clone)]
pub struct View {
    tables: Arc<Tables>,
    now: Timestamp,
    /// What the last plan for the key left behind.
    pub(crate) kept: Kept,
}

#[derive(Clone, Default)]
pub(crate) struct Tables {
    /// Each shared with older tables until it changes: an observer may watch all kinds there are.
    pub(crate) kinds: Vec<Arc<KindTable>>,
    /// The observer's options, as they are set.
    pub(crate) options: Arc<[OptionSpec]>,
}

/// The watches of an observer for one kind (one a namespace), and its indexes over it.
#[derive(Clone)]
pub(crate) struct KindTable {
    pub(crate) kind: Kind,
    pub(crate) slices: Vec<Slice>,
    pub(crate) indexes: Vec<(&'static str, IndexTable)>,
}

/// The objects of one watch of the server.
#[derive(Clone)]
pub(crate) struct Slice {
    pub(crate) source: Arc<Source>,
    pub(crate) snapshot: Snapshot,
}

/// The objects of one kind, as stored: with their header, not decoded. Everything is ordered by namespace and name.
#[derive(Clone, Copy)]
pub struct Table<'v>(&'v KindTable);

impl View {
    /// A view of these objects, as an observer of this spec would have it: for tests, rule cases and dry runs.
    pub fn of(spec: &ObserverSpec, now: Timestamp, objects: impl IntoIterator<Item = Object>) -> Self {
        let mut tables = Tables::for_spec(spec);
        for object in objects {
            let Some(table) = tables.kinds.iter_mut().find(|table| table.kind == *object.kind()) else {
                continue;
            };
            let table = Arc::make_mut(table);
            for index in spec.indexes.iter().filter(|index| index.kind() == object.kind()) {
                if let Some((_, entries)) = table.indexes.iter_mut().find(|(name, _)| *name == index.name()) {
                    index.values(&object).into_iter().for_each(|value| entries.add(&object, value.into()));
                }
            }
            if let Some(slice) = table.slices.iter_mut().find(|slice| slice.source.covers(object.namespace()))
            {
                slice.snapshot.apply(object, |_| {});
            }
        }
        Self::new(Arc::new(tables), now)
    }

    pub(crate) fn new(tables: Arc<Tables>, now: Timestamp) -> Self {
        Self { tables, now, kept: Kept::default() }
    }

    /// The time at which the plan is made.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The kind of the observer's first watch.
    pub fn primary(&self) -> Option<&Kind> {
        self.tables.kinds.first().map(|table| &table.kind)
    }

    /// A typed object; `namespace` is `None` if it is cluster-scoped.
    pub fn get<'a, K>(
        &self,
        namespace: impl Into<Option<&'a str>>,
        name: &str,
    ) -> Result<Option<K>, DecodeError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.typed::<K>().get(namespace, name).map(Object::decode).transpose()
    }

    /// The typed object of a key.
    pub fn get_key<K>(&self, key: &Key) -> Result<Option<K>, DecodeError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.get(key.namespace(), key.name())
    }

    /// All typed objects of a namespace, or of all if `None`.
    pub fn list<'a, K>(&self, namespace: impl Into<Option<&'a str>>) -> Result<Vec<K>, DecodeError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.typed::<K>().list(namespace).iter().map(Object::decode).collect()
    }

    /// The typed objects for which a declared index has this value.
    pub fn by_index<K>(&self, index: &str, value: &str) -> Result<Vec<K>, DecodeError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.typed::<K>().by_index(index, value).iter().map(Object::decode).collect()
    }

    /// The typed objects that name this unique id among their owners.
    pub fn owned_by<K>(&self, uid: &str) -> Result<Vec<K>, DecodeError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.typed::<K>().owned_by(uid).iter().map(Object::decode).collect()
    }

    /// The typed objects whose controller has this unique id.
    pub fn controlled_by<K>(&self, uid: &str) -> Result<Vec<K>, DecodeError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.typed::<K>().controlled_by(uid).iter().map(Object::decode).collect()
    }

    /// The objects of a kind known at compile time, not decoded.
    pub fn typed<K: Resource<DynamicType = ()>>(&self) -> Table<'_> {
        match self.tables.kinds.iter().find(|table| table.kind.is::<K>()) {
            Some(table) => Table(table),
            None => panic!("the observer's spec has no watch of {}", Kind::of::<K>()),
        }
    }

    /// The objects of any kind, not decoded.
    pub fn kind(&self, kind: &Kind) -> Table<'_> {
        match self.tables.kinds.iter().find(|table| table.kind == *kind) {
            Some(table) => Table(table),
            None => panic!("the observer's spec has no watch of {kind}"),
        }
    }

    /// The object of a key of any watched kind, not decoded.
    pub fn object(&self, key: &Key) -> Option<&Object> {
        self.kind(key.kind()).get(key.namespace(), key.name())
    }

    /// The object of a key, if its kind is watched and it is there.
    pub(crate) fn find(&self, key: &Key) -> Option<&Object> {
        self.tables.find(key)
    }

    /// A kind that knows whether its objects are in namespaces, if any object of it is here.
    pub(crate) fn scoped(&self, kind: &Kind) -> Kind {
        if kind.is_namespaced().is_some() {
            return kind.clone();
        }
        let table = self.tables.kinds.iter().find(|table| table.kind == *kind);
        let any =
            table.and_then(|table| Table(table).snapshots().find_map(|snapshot| snapshot.iter().next()));
        match any.map(|object| object.namespace().is_some()) {
            Some(true) => kind.namespaced(),
            Some(false) => kind.cluster_scoped(),
            None => kind.clone(),
        }
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }
}

impl<'v> Table<'v> {
    /// An object; `namespace` is `None` if it is cluster-scoped.
    pub fn get<'a>(&self, namespace: impl Into<Option<&'a str>>, name: &str) -> Option<&'v Object> {
        let namespace = namespace.into();
        self.snapshots().find_map(|snapshot| snapshot.get(namespace, name))
    }

    /// All objects of a namespace, or of all if `None`.
    pub fn list<'a>(&self, namespace: impl Into<Option<&'a str>>) -> Vec<Object> {
        match namespace.into() {
            None => self.merged(self.snapshots().flat_map(Snapshot::iter)),
            Some(name) => self.merged(self.snapshots().flat_map(|snapshot| snapshot.in_namespace(name))),
        }
    }

    /// The objects for which a declared index has this value.
    pub fn by_index(&self, index: &str, value: &str) -> Vec<Object> {
        let Some((_, entries)) = self.0.indexes.iter().find(|(name, _)| *name == index) else {
            panic!("the observer's spec has no index {index} over {}", self.0.kind);
        };
        entries.find(value).filter_map(|(namespace, name)| self.get(namespace, name)).cloned().collect()
    }

    /// The keys of the objects for which a declared index has this value: "watch Secrets, wake the Deployments that
    /// use them".
    pub fn keys_by_index(&self, index: &str, value: &str) -> Vec<Key> {
        self.by_index(index, value).iter().map(|object| object.key().clone()).collect()
    }

    /// The objects that name this unique id among their owners.
    pub fn owned_by(&self, uid: &str) -> Vec<Object> {
        self.merged(self.snapshots().flat_map(|snapshot| snapshot.owned_by(uid)))
    }

    /// The objects whose controller has this unique id.
    pub fn controlled_by(&self, uid: &str) -> Vec<Object> {
        let mut objects = self.owned_by(uid);
        objects.retain(|object| object.controller().is_some_and(|owner| owner.uid() == uid));
        objects
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.snapshots().map(Snapshot::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn snapshots(self) -> impl Iterator<Item = &'v Snapshot> {
        self.0.slices.iter().map(|slice| &slice.snapshot)
    }

    /// One list in order, without the doubles that overlapping watches of a kind may hold.
    fn merged(self, objects: impl Iterator<Item = &'v Object>) -> Vec<Object> {
        let mut objects: Vec<Object> = objects.cloned().collect();
        if self.0.slices.len() > 1 {
            objects.sort_by(|one, other| one.key().cmp(other.key()));
            objects.dedup_by(|one, other| one.key() == other.key());
        }
        objects
    }
}

impl Tables {
    /// The object of a key, if its kind is watched and it is there.
    pub(crate) fn find(&self, key: &Key) -> Option<&Object> {
        let table = self.kinds.iter().find(|table| table.kind == *key.kind())?;
        Table(table).get(key.namespace(), key.name())
    }

    /// Where all slices are: the number of the kind, and the number among the kind's own.
    pub(crate) fn slices(&self) -> impl Iterator<Item = (usize, usize)> {
        let kinds = self.kinds.iter().enumerate();
        kinds.flat_map(|(number, kind)| (0..kind.slices.len()).map(move |slice| (number, slice)))
    }

    /// Empty tables for the kinds and indexes of a spec.
    pub(crate) fn for_spec(spec: &ObserverSpec) -> Self {
        let mut kinds: Vec<KindTable> = Vec::new();
        for Wanted { source, .. } in Wanted::all(&spec.watches) {
            let position = kinds.iter().position(|table| table.kind == source.kind).unwrap_or_else(|| {
                let indexes = spec.indexes.iter().filter(|index| *index.kind() == source.kind);
                let indexes = indexes.map(|index| (index.name(), IndexTable::default())).collect();
                kinds.push(KindTable { kind: source.kind.clone(), slices: Vec::new(), indexes });
                kinds.len() - 1
            });
            kinds[position].slices.push(Slice { source: Arc::new(source), snapshot: Snapshot::default() });
        }
        Self { kinds: kinds.into_iter().map(Arc::new).collect(), options: spec.options.as_slice().into() }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.tables.kinds.iter().map(|table| (&table.kind, Table(table).len()));
        f.debug_map().entries(kinds).finish()
    }
}

impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.len(), self.0.kind)
    }
}
