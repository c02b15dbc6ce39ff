//! Who owns what: owner references, and the rules by which dependents that match a selector are adopted and released.
//!
//! An owner is in the namespace of its dependents or in none (cluster-scoped), else the garbage collector takes it for
//! gone and deletes them. At most one owner is the controller: the one that acts on the dependent.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;
use kube::core::{Selector, SelectorExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{DecodeError, Event, Index, Key, Kind, Object, View, Write};

/// The name of the [index](orphans) over dependents without a controller, by namespace.
const ORPHANS: &str = "orphans";

/// An object that cannot be owned so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OwnershipError {
    /// A reference without a unique id names nothing: the owner has to be as the server answered it.
    #[error("{owner} cannot be an owner: it has no {lacks}; use it as the server gave it")]
    Incomplete {
        /// Its kind and name.
        owner: String,
        /// What it lacks.
        lacks: &'static str,
    },
    /// The garbage collector would delete such a dependent.
    #[error(
        "{owner} in namespace {namespace} cannot own an object in {dependent}: an owner is in the namespace of its \
         dependents, or cluster-scoped"
    )]
    AcrossNamespaces {
        /// Its kind and name.
        owner: String,
        /// Its namespace.
        namespace: String,
        /// Where the dependent is.
        dependent: String,
    },
    /// Two controllers would fight over it.
    #[error("{owner} cannot control an object that {controller} controls")]
    Controlled {
        /// Its kind and name.
        owner: String,
        /// Kind and name of the controller.
        controller: String,
    },
}

/// The reference by which `owner` is a controller: `kind`, name, unique id, and that its deletion in the foreground waits
/// for the dependent.
pub fn controller_ref<K: Resource<DynamicType = ()>>(owner: &K) -> Result<OwnerReference, OwnershipError> {
    let kind = Kind::of::<K>();
    let meta = owner.meta();
    let incomplete = |lacks| OwnershipError::Incomplete { owner: describe(&kind, meta), lacks };
    if meta.name.as_deref().unwrap_or_default().is_empty() {
        return Err(incomplete("name"));
    }
    if meta.uid.as_deref().unwrap_or_default().is_empty() {
        return Err(incomplete("uid"));
    }
    Ok(controller_reference(&kind, meta))
}

/// `dependent` with `owner` as its controller: `plan.create(&owned_by(&set, pod)?)`. It is put into the owner's namespace
/// if it names none.
pub fn owned_by<K, D>(owner: &K, mut dependent: D) -> Result<D, OwnershipError>
where
    K: Resource<DynamicType = ()>,
    D: Resource,
{
    let reference = controller_ref(owner)?;
    let described = || describe(&Kind::of::<K>(), owner.meta());
    let meta = dependent.meta_mut();
    if let Some(namespace) = &owner.meta().namespace {
        let inside = meta.namespace.get_or_insert_with(|| namespace.clone());
        if inside != namespace {
            let (namespace, dependent) = (namespace.clone(), inside.clone());
            return Err(OwnershipError::AcrossNamespaces { owner: described(), namespace, dependent });
        }
    }
    if let Some(other) = controller_of(meta).filter(|other| other.uid != reference.uid) {
        let controller = format!("{} {}", other.kind, other.name);
        return Err(OwnershipError::Controlled { owner: described(), controller });
    }
    let owners = meta.owner_references.get_or_insert_default();
    owners.retain(|known| known.uid != reference.uid);
    owners.push(reference);
    Ok(dependent)
}

fn describe(kind: &Kind, meta: &ObjectMeta) -> String {
    format!("{kind} {}", meta.name.as_deref().unwrap_or("without a name"))
}

/// What may have owners: an [`Object`], or any typed object.
pub trait Dependent {
    /// Its namespace, none if it is cluster-scoped.
    fn namespace(&self) -> Option<&str>;

    /// Kind, name and unique id of its owners, the controller first.
    fn references(&self) -> Vec<Reference<'_>>;
}

/// An owner reference, of a typed object or any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'d> {
    /// Group and version of the owner.
    pub api_version: &'d str,
    /// Kind of the owner.
    pub kind: &'d str,
    /// Name of the owner.
    pub name: &'d str,
    /// Unique id of the owner.
    pub uid: &'d str,
}

impl Dependent for Object {
    fn namespace(&self) -> Option<&str> {
        self.namespace()
    }

    fn references(&self) -> Vec<Reference<'_>> {
        let (first, rest): (Vec<_>, Vec<_>) = self.owners().iter().partition(|owner| owner.is_controller());
        let owners = first.into_iter().chain(rest);
        owners
            .map(|owner| Reference::new(owner.api_version(), owner.kind(), owner.name(), owner.uid()))
            .collect()
    }
}

impl<D: Resource> Dependent for D {
    fn namespace(&self) -> Option<&str> {
        self.meta().namespace.as_deref()
    }

    fn references(&self) -> Vec<Reference<'_>> {
        let owners = self.meta().owner_references.iter().flatten();
        let (first, rest): (Vec<_>, Vec<_>) = owners.partition(|owner| owner.controller == Some(true));
        let owners = first.into_iter().chain(rest);
        owners.map(|owner| Reference::new(&owner.api_version, &owner.kind, &owner.name, &owner.uid)).collect()
    }
}

impl<'d> Reference<'d> {
    fn new(api_version: &'d str, kind: &'d str, name: &'d str, uid: &'d str) -> Self {
        Self { api_version, kind, name, uid }
    }
}

impl View {
    /// The typed owner of kind `K`, its controller before others; none if it has none that is there with the unique id
    /// that the reference names.
    pub fn owner_of<K>(&self, dependent: &impl Dependent) -> Result<Option<K>, DecodeError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.owner_object(dependent, &Kind::of::<K>()).map(Object::decode).transpose()
    }

    /// The same of any watched kind, not decoded.
    pub fn owner_object(&self, dependent: &impl Dependent, kind: &Kind) -> Option<&Object> {
        let table = self.kind(kind);
        let references = dependent.references();
        references.iter().filter(|reference| kind.names(reference.api_version, reference.kind)).find_map(
            |reference| {
                let places = [dependent.namespace(), None];
                let mut found = places.into_iter().filter_map(|place| table.get(place, reference.name));
                found.find(|owner| owner.uid() == reference.uid)
            },
        )
    }
}
/// An index of the objects of a kind that no controller controls, by namespace: those that may be adopted.
pub fn orphans<K: Resource<DynamicType = ()>>() -> Index {
    Index::over_objects(ORPHANS, Kind::of::<K>(), |object| match object.controller() {
        Some(_) => Vec::new(),
        None => vec![object.namespace().unwrap_or_default().to_owned()],
    })
}

/// What becomes of a possible dependent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the owner's, and stays so.
    Keep,
    /// It has no controller, and is to get this one.
    Adopt,
    /// It is the owner's, and is to lose it.
    Release,
    /// It is none of the owner's business.
    Ignore,
}

/// What becomes of a dependent of this metadata, which `matches` the owner's selector or does not. An owner that is being
/// deleted adopts and releases nothing, and nobody adopts what is being deleted.
pub fn claim(owner: &ObjectMeta, dependent: &ObjectMeta, matches: bool) -> Claim {
    let owner_lives = owner.deletion_timestamp.is_none();
    match controller_of(dependent) {
        Some(controller) if Some(&controller.uid) != owner.uid.as_ref() => Claim::Ignore,
        Some(_) if matches => Claim::Keep,
        Some(_) if owner_lives => Claim::Release,
        None if matches && owner_lives && dependent.deletion_timestamp.is_none() => Claim::Adopt,
        Some(_) | None => Claim::Ignore,
    }
}

/// The owner that is the controller.
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.as_ref()?.iter().find(|owner| owner.controller == Some(true))
}

/// The reference by which an object of this metadata, of kind `owner`, is a controller.
pub fn controller_reference(owner: &Kind, meta: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: owner.api_version().to_owned(),
        kind: owner.name().to_owned(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Makes `owner` the controller of this very dependent (if it is gone or another has its name, that is refused), and gives
/// it a finalizer if one is asked for. `meta` is the dependent's metadata as it was seen.
///
/// Other owners and finalizers are kept. Built-in kinds are patched by merge keys, whatever others write meanwhile; of
/// custom ones the lists are written whole, if nobody has written the object since.
pub fn adopt(dependent: Key, meta: &ObjectMeta, owner: &OwnerReference, finalizer: Option<&str>) -> Write {
    if dependent.kind().is_built_in() {
        let mut metadata = json!({"ownerReferences": [owner], "uid": meta.uid});
        if let Some(finalizer) = finalizer {
            metadata["finalizers"] = json!([finalizer]);
        }
        return Write::strategic(dependent, json!({ "metadata": metadata }));
    }
    let mut owners: Vec<_> = meta.owner_references.clone().unwrap_or_default();
    owners.retain(|known| known.uid != owner.uid);
    owners.push(owner.clone());
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    finalizers.extend(
        finalizer.filter(|wanted| !finalizers.iter().any(|known| known == wanted)).map(str::to_owned),
    );
    replace_lists(dependent, meta, &owners, &finalizers)
}

/// Ends that the object with the unique id `owner` is an owner of this very dependent, and takes a finalizer from it if
/// one is given. Otherwise as [`adopt`].
pub fn release(dependent: Key, meta: &ObjectMeta, owner: Option<&str>, finalizer: Option<&str>) -> Write {
    if dependent.kind().is_built_in() {
        let mut metadata = json!({"ownerReferences": [{"$patch": "delete", "uid": owner}], "uid": meta.uid});
        if let Some(finalizer) = finalizer {
            metadata["$deleteFromPrimitiveList/finalizers"] = json!([finalizer]);
        }
        return Write::strategic(dependent, json!({ "metadata": metadata }));
    }
    let mut owners: Vec<_> = meta.owner_references.clone().unwrap_or_default();
    owners.retain(|known| Some(&*known.uid) != owner);
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    finalizers.retain(|known| Some(&**known) != finalizer);
    replace_lists(dependent, meta, &owners, &finalizers)
}

fn replace_lists(target: Key, seen: &ObjectMeta, owners: &[OwnerReference], finalizers: &[String]) -> Write {
    let metadata = json!({
        "ownerReferences": owners, "finalizers": finalizers,
        "uid": seen.uid, "resourceVersion": seen.resource_version,
    });
    Write::merge(target, json!({ "metadata": metadata }))
}

/// A parsed label selector, none if it is not valid.
pub fn selector_of(selector: &LabelSelector) -> Option<Selector> {
    Selector::try_from(selector.clone()).ok()
}

/// Whether a selector selects an object of this metadata.
pub fn selects(selector: &Selector, meta: &ObjectMeta) -> bool {
    meta.labels.as_ref().map_or_else(
        || selector.matches(&std::collections::BTreeMap::new()),
        |labels| selector.matches(labels),
    )
}

/// Whether an event of an object without a controller is a reason to look who may adopt it: it is new, or its labels or
/// its owners have changed.
pub fn may_be_adopted(event: &Event) -> bool {
    let Some(new) = event.new().filter(|object| object.controller().is_none()) else { return false };
    event.old().is_none_or(|old: &Object| !old.labels().eq(new.labels()) || old.owners() != new.owners())
}

/// The keys of the owners of kind `K` whose selectors select an object that may be adopted.
pub fn adopters<K>(event: &Event, view: &View, selector: impl Fn(&K) -> Option<Selector>) -> Vec<Key>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    if !may_be_adopted(event) {
        return Vec::new();
    }
    let candidates = view.typed::<K>().list(event.key().namespace());
    let selects = |candidate: &&Object| {
        let selector = candidate.decode::<K>().ok().as_ref().and_then(&selector);
        selector.is_some_and(|selector| event.object().selected_by(&selector))
    };
    candidates.iter().filter(selects).map(|candidate| candidate.key().clone()).collect()
}

/// The objects that are an owner's, or may become it: those it controls, and those that its selector selects and nobody
/// controls. The observer needs the index of [`orphans`].
pub fn candidates<K>(owner: &ObjectMeta, selector: &Selector, view: &View) -> Result<Vec<K>, DecodeError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let mut found = view.controlled_by::<K>(owner.uid.as_deref().unwrap_or_default())?;
    let orphans = view.typed::<K>().by_index(ORPHANS, owner.namespace.as_deref().unwrap_or_default());
    for orphan in orphans.iter().filter(|orphan| orphan.selected_by(selector)) {
        found.push(orphan.decode()?);
    }
    Ok(found)
}
