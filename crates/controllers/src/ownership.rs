//! Who controls what: dependents that match a selector are adopted, those that no longer match are released.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;
use kube::core::{Selector, SelectorExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use xebec_coordinator::{DecodeError, Event, Index, Key, Kind, Object, View, Write};

/// The name of the [index](orphans) over dependents without a controller, by namespace.
const ORPHANS: &str = "orphans";

/// An index of the objects of a kind that no controller controls, by namespace: those that may be adopted.
pub(crate) fn orphans<K: Resource<DynamicType = ()>>() -> Index {
    Index::over_objects(ORPHANS, Kind::of::<K>(), |object| match object.controller() {
        Some(_) => Vec::new(),
        None => vec![object.namespace().unwrap_or_default().to_owned()],
    })
}

/// What becomes of a possible dependent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is the owner's, and stays so.
    Keep,
    /// It has no controller, and is to get this one.
    Adopt,
    /// It is the owner's, and is to lose it.
    Release,
    /// It is none of the owner's business.
    Ignore,
}

/// What becomes of a dependent of this metadata, which `matches` the owner's selector or does not.
pub(crate) fn claim(owner: &ObjectMeta, dependent: &ObjectMeta, matches: bool) -> Claim {
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
pub(crate) fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.as_ref()?.iter().find(|owner| owner.controller == Some(true))
}

/// The reference by which an object of this metadata, of kind `owner`, is a controller.
pub(crate) fn controller_reference(owner: &Kind, meta: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: owner.api_version().to_owned(),
        kind: owner.name().to_owned(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Makes `owner` the controller of this very dependent, and gives it a finalizer if one is asked for.
pub(crate) fn adopt(
    dependent: Key,
    uid: Option<&str>,
    owner: &OwnerReference,
    finalizer: Option<&str>,
) -> Write {
    let mut metadata = json!({"ownerReferences": [owner], "uid": uid});
    if let Some(finalizer) = finalizer {
        metadata["finalizers"] = json!([finalizer]);
    }
    Write::strategic(dependent, json!({ "metadata": metadata }))
}

/// Ends that `owner` is an owner of this very dependent, and takes a finalizer from it if one is given.
pub(crate) fn release(
    dependent: Key,
    uid: Option<&str>,
    owner: Option<&str>,
    finalizer: Option<&str>,
) -> Write {
    let mut metadata = json!({"ownerReferences": [{"$patch": "delete", "uid": owner}], "uid": uid});
    if let Some(finalizer) = finalizer {
        metadata["$deleteFromPrimitiveList/finalizers"] = json!([finalizer]);
    }
    Write::strategic(dependent, json!({ "metadata": metadata }))
}

/// A parsed label selector, none if it is not valid.
pub(crate) fn selector_of(selector: &LabelSelector) -> Option<Selector> {
    Selector::try_from(selector.clone()).ok()
}

/// Whether a selector selects an object of this metadata.
pub(crate) fn selects(selector: &Selector, meta: &ObjectMeta) -> bool {
    meta.labels.as_ref().map_or_else(
        || selector.matches(&std::collections::BTreeMap::new()),
        |labels| selector.matches(labels),
    )
}

/// Whether an event of an object without a controller is a reason to look who may adopt it: it is new, or its labels or
/// its owners have changed.
pub(crate) fn may_be_adopted(event: &Event) -> bool {
    let Some(new) = event.new().filter(|object| object.controller().is_none()) else { return false };
    event.old().is_none_or(|old: &Object| !old.labels().eq(new.labels()) || old.owners() != new.owners())
}

/// The keys of the owners of kind `K` whose selectors select an object that may be adopted.
pub(crate) fn adopters<K>(event: &Event, view: &View, selector: impl Fn(&K) -> Option<Selector>) -> Vec<Key>
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
pub(crate) fn candidates<K>(
    owner: &ObjectMeta,
    selector: &Selector,
    view: &View,
) -> Result<Vec<K>, DecodeError>
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
