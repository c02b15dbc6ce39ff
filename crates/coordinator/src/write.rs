//! A write to the API as data: what a plan consists of, what the coordinator executes, what a dry run prints.

use std::fmt;

use kube::Resource;
use kube::api::{DeleteParams, Preconditions, PropagationPolicy};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Key, Kind, Object};

/// One write to the API server.
#[derive(Clone, PartialEq)]
pub struct Write {
    /// The object written; for a create its name may be empty and `metadata.generateName` set instead.
    pub target: Key,
    /// The subresource, such as `status`.
    pub subresource: Option<&'static str>,
    /// What is done to it.
    pub operation: Operation,
    /// Who writes, for field ownership; the observer's [`component`](crate::ObserverSpec::component) if none.
    pub field_manager: Option<String>,
    /// What was asked of it that its operation cannot do.
    misuse: Option<&'static str>,
}

/// A write that cannot do what was asked of it. Nothing of its plan is executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{write}: {why}")]
pub struct MisuseError {
    /// What was to be written.
    pub write: String,
    /// What was wrong with it, and what to do.
    pub why: &'static str,
}

/// What a [`Write`] does.
#[derive(Clone, PartialEq)]
pub enum Operation {
    /// Create the object, or POST to the subresource.
    Create(Value),
    /// Replace the object by one that carries the `resourceVersion` it was read at.
    Update(Value),
    /// Change parts of it.
    Patch(Patch),
    /// Delete it. An object that is not there counts as deleted.
    Delete(DeleteParams),
}

/// The four sorts of patch.
#[derive(Clone, PartialEq)]
pub enum Patch {
    /// JSON patch (RFC 6902): a list of operations.
    Json(Value),
    /// JSON merge patch (RFC 7386).
    Merge(Value),
    /// Strategic merge patch, for built-in kinds only.
    Strategic(Value),
    /// Server-side apply of the fields given.
    Apply {
        /// The fields, with `apiVersion` and `kind`.
        fields: Value,
        /// Take over fields that others own.
        force: bool,
    },
}

impl Write {
    /// Creates an object.
    pub fn create<K>(object: &K) -> Result<Self, serde_json::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        Ok(Self::new(Key::of(object), Operation::Create(serde_json::to_value(object)?)))
    }

    /// Replaces an object by a changed copy of what was read: its `resourceVersion` guards against lost updates.
    pub fn update<K>(object: &K) -> Result<Self, serde_json::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        Ok(Self::new(Key::of(object), Operation::Update(serde_json::to_value(object)?)))
    }

    /// Replaces the status of an object, as [`update`](Self::update) does the rest.
    pub fn update_status<K>(object: &K) -> Result<Self, serde_json::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        Ok(Self::update(object)?.on("status"))
    }

    /// Applies an object server-side: states the fields that the field manager owns; see [`force`](Self::force) and
    /// [`managed_by`](Self::managed_by).
    ///
    /// It is the whole of what the manager owns: a field that it applied before and does not state now is dropped, unless
    /// another manager owns it too. A field that is none is not stated. So build the object anew with just the fields that
    /// are yours; one that was read from the server and changed is refused (it would own everything).
    ///
    /// Where the view shows that nothing would change, a plan leaves it out: state it in every plan.
    ///
    /// An object that is not there is created. That is right for dependents, and wrong for annotations on what others
    /// made: for these there is [`apply_to`](Self::apply_to). The object that is being served itself is never created so:
    /// if it has been deleted since it was seen, the apply is refused.
    pub fn apply<K>(object: &K) -> Result<Self, serde_json::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let mut fields = serde_json::to_value(object)?;
        drop_nulls(&mut fields);
        Ok(Self::apply_value(Key::of(object), fields))
    }

    /// Applies the status of an object server-side: of `object` only its name, its unique id if it has one, and its status
    /// are stated. Otherwise as [`apply`](Self::apply).
    pub fn apply_status<K>(object: &K) -> Result<Self, serde_json::Error>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let mut status = serde_json::to_value(object)?.get_mut("status").map(Value::take).unwrap_or_default();
        drop_nulls(&mut status);
        let fields = if status.is_null() { json!({}) } else { json!({"status": status}) };
        let write = Self::apply_value(Key::of(object), fields).on("status");
        Ok(match object.meta().uid.as_deref() {
            Some(uid) if !uid.is_empty() => write.if_uid(uid),
            _ => write,
        })
    }

    /// Owns nothing of an object any more: applies no fields, so that those that nobody else owns are dropped. Of a status
    /// with `.on("status")`.
    pub fn disown(target: Key) -> Self {
        Self::apply_value(target, json!({}))
    }

    /// Creates an object of any kind from JSON.
    pub fn create_value(kind: Kind, object: Value) -> Self {
        Self::new(key_of_value(kind, &object), Operation::Create(object))
    }

    /// Replaces an object of any kind from JSON.
    pub fn update_value(kind: Kind, object: Value) -> Self {
        Self::new(key_of_value(kind, &object), Operation::Update(object))
    }

    /// Applies JSON fields of an object of any kind; `apiVersion`, `kind`, name and namespace are added. Otherwise as
    /// [`apply`](Self::apply).
    pub fn apply_value(target: Key, mut fields: Value) -> Self {
        if let Value::Object(map) = &mut fields {
            map.entry("apiVersion").or_insert_with(|| target.kind().api_version().into());
            map.entry("kind").or_insert_with(|| target.kind().name().into());
            if let Value::Object(metadata) = map.entry("metadata").or_insert_with(|| json!({})) {
                metadata.entry("name").or_insert_with(|| target.name().into());
                if let Some(namespace) = target.namespace() {
                    metadata.entry("namespace").or_insert_with(|| namespace.into());
                }
            }
        }
        Self::new(target, Operation::Patch(Patch::Apply { fields, force: false }))
    }

    /// Applies JSON fields to this very object of any kind: if it is gone, or has been replaced by another of its name, it
    /// is refused, and nothing is created. Otherwise as [`apply_value`](Self::apply_value).
    pub fn apply_to(object: &Object, fields: Value) -> Self {
        let write = Self::apply_value(object.key().clone(), fields);
        if object.uid().is_empty() { write } else { write.if_uid(object.uid()) }
    }

    /// Merges JSON into an object; one that is not there is not created.
    pub fn merge(target: Key, patch: Value) -> Self {
        Self::new(target, Operation::Patch(Patch::Merge(patch)))
    }

    /// Merges JSON into an object of a built-in kind, lists by their merge keys.
    pub fn strategic(target: Key, patch: Value) -> Self {
        Self::new(target, Operation::Patch(Patch::Strategic(patch)))
    }

    /// Executes JSON patch operations on an object; a `test` among them makes it conditional.
    pub fn json(target: Key, operations: Value) -> Self {
        Self::new(target, Operation::Patch(Patch::Json(operations)))
    }

    /// Deletes an object, see [`if_unchanged`](Self::if_unchanged), [`propagation`](Self::propagation) and
    /// [`grace_period`](Self::grace_period).
    pub fn delete(target: Key) -> Self {
        Self::new(target, Operation::Delete(DeleteParams::default()))
    }

    /// Deletes this very object: if it has been replaced by another of its name meanwhile, that one stays.
    pub fn delete_object(object: &Object) -> Self {
        Self::delete(object.key().clone()).if_uid(object.uid())
    }

    /// POSTs to a subresource.
    pub fn create_subresource(target: Key, subresource: &'static str, body: Value) -> Self {
        Self::new(target, Operation::Create(body)).on(subresource)
    }

    /// Binds a Pod to a node.
    pub fn bind(pod: Key, node: &str) -> Self {
        let body = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.name(), "namespace": pod.namespace()},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        Self::create_subresource(pod, "binding", body)
    }

    /// Evicts a Pod, which respects disruption budgets (429 while one forbids it).
    pub fn evict(pod: Key) -> Self {
        let body = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name(), "namespace": pod.namespace()},
        });
        Self::create_subresource(pod, "eviction", body)
    }

    /// Sets the replicas of anything that can be scaled.
    pub fn scale(target: Key, replicas: i32) -> Self {
        Self::merge(target, json!({"spec": {"replicas": replicas}})).on("scale")
    }

    /// Any write.
    pub fn new(target: Key, operation: Operation) -> Self {
        Self { target, subresource: None, operation, field_manager: None, misuse: None }
    }

    /// The same, on a subresource, such as `status`.
    #[must_use]
    pub fn on(mut self, subresource: &'static str) -> Self {
        self.subresource = Some(subresource);
        self
    }

    /// Sets the field manager.
    #[must_use]
    pub fn managed_by(mut self, field_manager: impl Into<String>) -> Self {
        self.field_manager = Some(field_manager.into());
        self
    }

    /// An apply that takes over fields that others own; of other writes it is a [misuse](MisuseError).
    #[must_use]
    pub fn force(mut self) -> Self {
        if let Operation::Patch(Patch::Apply { force, .. }) = &mut self.operation {
            *force = true;
        } else {
            self.misuse = Some("only an apply can be forced");
        }
        self
    }

    /// Only if the object has this unique id: not if it is gone, nor if another has taken its name. A write that finds it
    /// otherwise is refused, and planned anew. Of a create, which is of an object that is not there, it is a
    /// [misuse](MisuseError).
    #[must_use]
    pub fn if_uid(self, uid: &str) -> Self {
        self.precondition("uid", uid, |conditions, uid| conditions.uid = Some(uid))
    }

    /// Only if the object is in this state: not if anybody has written it since. Otherwise as [`if_uid`](Self::if_uid); an
    /// apply to an object that is gone needs both, as without a unique id it creates.
    #[must_use]
    pub fn if_unchanged(self, resource_version: &str) -> Self {
        let set = |conditions: &mut Preconditions, version| conditions.resource_version = Some(version);
        self.precondition("resourceVersion", resource_version, set)
    }

    /// A delete that treats dependents this way; this and the grace period are a [misuse](MisuseError) of other writes.
    #[must_use]
    pub fn propagation(self, policy: PropagationPolicy) -> Self {
        self.deleting(|params| params.propagation_policy = Some(policy))
    }

    /// A delete with this grace period.
    #[must_use]
    pub fn grace_period(self, seconds: u32) -> Self {
        self.deleting(|params| params.grace_period_seconds = Some(seconds))
    }

    /// The verb as RBAC names it.
    pub fn verb(&self) -> &'static str {
        match &self.operation {
            Operation::Create(_) => "create",
            Operation::Update(_) => "update",
            Operation::Patch(_) => "patch",
            Operation::Delete(_) => "delete",
        }
    }

    /// Refuses what the server could only answer with a puzzle, or would do otherwise than was meant.
    pub(crate) fn check(&self) -> Result<(), MisuseError> {
        let is_nameless = self.target.name().is_empty() && !matches!(self.operation, Operation::Create(_));
        let why = match &self.operation {
            _ if self.misuse.is_some() => self.misuse,
            _ if is_nameless => Some("it names no object: metadata.name is empty"),
            Operation::Patch(Patch::Apply { fields, .. }) => misapplied(fields),
            Operation::Patch(Patch::Json(operations)) if !operations.is_array() => {
                Some("a JSON patch is a list of operations")
            }
            Operation::Patch(Patch::Merge(patch) | Patch::Strategic(patch)) if !patch.is_object() => {
                Some("a merge patch is an object")
            }
            Operation::Patch(Patch::Strategic(_)) if !self.target.kind().is_built_in() => {
                Some("custom resources have no strategic merge patch; use merge, json or apply")
            }
            _ => None,
        };
        why.map_or(Ok(()), |why| Err(MisuseError { write: self.to_string(), why }))
    }

    /// Whether it is an apply that would create the object if it is not there.
    pub(crate) fn may_resurrect(&self) -> bool {
        let Operation::Patch(Patch::Apply { fields, .. }) = &self.operation else { return false };
        fields["metadata"]["uid"].is_null()
    }

    /// Makes it conditional on a field of the metadata. A delete has a place for that; in what is sent of the object the
    /// server takes the field for a condition.
    fn precondition(
        mut self,
        field: &str,
        value: &str,
        set: impl FnOnce(&mut Preconditions, String),
    ) -> Self {
        match &mut self.operation {
            Operation::Delete(params) => {
                set(params.preconditions.get_or_insert_default(), value.to_owned());
            }
            Operation::Patch(Patch::Json(Value::Array(operations))) => {
                let test = json!({"op": "test", "path": format!("/metadata/{field}"), "value": value});
                operations.insert(0, test);
            }
            Operation::Update(body)
            | Operation::Patch(
                Patch::Merge(body) | Patch::Strategic(body) | Patch::Apply { fields: body, .. },
            ) if body.is_object() && (body["metadata"].is_null() || body["metadata"].is_object()) => {
                body["metadata"][field] = value.into();
            }
            Operation::Update(_) | Operation::Patch(_) => {} // no object: refused as such
            Operation::Create(_) => {
                self.misuse = Some("what is created is not there before: it has no preconditions");
            }
        }
        self
    }

    fn deleting(mut self, set: impl FnOnce(&mut DeleteParams)) -> Self {
        if let Operation::Delete(params) = &mut self.operation {
            set(params);
        } else {
            self.misuse = Some("propagation and grace period are for deletes");
        }
        self
    }
}

/// What is wrong with the fields of an apply.
fn misapplied(fields: &Value) -> Option<&'static str> {
    let metadata = &fields["metadata"];
    if !fields.is_object() {
        Some("an apply states fields, as an object")
    } else if !metadata["managedFields"].is_null() || !metadata["creationTimestamp"].is_null() {
        Some(
            "it applies an object that was read from the server, and would own all of it; state only the fields that \
             are yours",
        )
    } else {
        None
    }
}

/// A field that is none is not stated: an apply of `null` would be one of a value.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn key_of_value(kind: Kind, object: &Value) -> Key {
    let field = |name: &str| object.pointer(&format!("/metadata/{name}")).and_then(Value::as_str);
    Key::of_kind(kind, field("namespace"), field("name").unwrap_or_default())
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match &self.operation {
            Operation::Patch(Patch::Apply { .. }) => "apply",
            _ => self.verb(),
        };
        write!(f, "{verb} {}", self.target)?;
        self.subresource.map_or(Ok(()), |subresource| write!(f, "/{subresource}"))
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the body: it may be a Secret's.
        write!(f, "{self}")
    }
}
