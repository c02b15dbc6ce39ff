//! Admission: what the cluster's state has to say about a write, beyond what is wrong with the object itself.
//!
//! Plugins run in the order of [`PLUGINS`]: all may change the object first, then all may refuse it. To add one, write
//! a file with a [`Plugin`] and add a line to the slice.

mod limit_ranger;
mod namespace_lifecycle;
mod pods;
mod storage_claims;

use serde_json::Value;

use crate::{kinds::Part, status::ApiResult, verbs::Call};

/// An admission plugin: functions of the call and the object. A plugin sets those that it needs of [`Plugin::NONE`].
#[derive(Debug, Clone, Copy)]
pub struct Plugin {
    /// Its name in Kubernetes.
    pub name: &'static str,
    /// Changes an object that is about to be created.
    pub mutate_create: fn(&mut Call<'_>, &mut Value) -> ApiResult<()>,
    /// Changes an object that is about to replace an old one.
    pub mutate_update: fn(&mut Call<'_>, &mut Value, &Value, Part) -> ApiResult<()>,
    /// Refuses a new object.
    pub validate_create: fn(&mut Call<'_>, &Value) -> ApiResult<()>,
    /// Refuses a replacement of an old object.
    pub validate_update: fn(&mut Call<'_>, &Value, &Value, Part) -> ApiResult<()>,
    /// Refuses a deletion.
    pub validate_delete: fn(&mut Call<'_>, &Value) -> ApiResult<()>,
}

impl Plugin {
    /// A plugin that does nothing.
    pub const NONE: Plugin = Plugin {
        name: "",
        mutate_create: |_, _| Ok(()),
        mutate_update: |_, _, _, _| Ok(()),
        validate_create: |_, _| Ok(()),
        validate_update: |_, _, _, _| Ok(()),
        validate_delete: |_, _| Ok(()),
    };
}

/// The plugins, in the order in which they run.
pub static PLUGINS: &[Plugin] = &[
    namespace_lifecycle::PLUGIN,
    limit_ranger::PLUGIN,
    pods::TAINT_NODES,
    pods::PRIORITY,
    pods::DEFAULT_TOLERATION_SECONDS,
    storage_claims::IN_USE_PROTECTION,
    pods::RUNTIME_CLASS,
    storage_claims::DEFAULT_STORAGE_CLASS,
    storage_claims::DEFAULT_INGRESS_CLASS,
];

/// Lets the plugins change a new object.
pub fn mutate_create(call: &mut Call<'_>, object: &mut Value) -> ApiResult<()> {
    PLUGINS.iter().try_for_each(|plugin| (plugin.mutate_create)(call, object))
}

/// Lets the plugins change a replacement.
pub fn mutate_update(call: &mut Call<'_>, new: &mut Value, old: &Value, part: Part) -> ApiResult<()> {
    PLUGINS.iter().try_for_each(|plugin| (plugin.mutate_update)(call, new, old, part))
}

/// Lets the plugins refuse a new object.
pub fn validate_create(call: &mut Call<'_>, object: &Value) -> ApiResult<()> {
    PLUGINS.iter().try_for_each(|plugin| (plugin.validate_create)(call, object))
}

/// Lets the plugins refuse a replacement.
pub fn validate_update(call: &mut Call<'_>, new: &Value, old: &Value, part: Part) -> ApiResult<()> {
    PLUGINS.iter().try_for_each(|plugin| (plugin.validate_update)(call, new, old, part))
}

/// Lets the plugins refuse a deletion.
pub fn validate_delete(call: &mut Call<'_>, object: &Value) -> ApiResult<()> {
    PLUGINS.iter().try_for_each(|plugin| (plugin.validate_delete)(call, object))
}
