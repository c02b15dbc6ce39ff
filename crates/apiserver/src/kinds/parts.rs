//! The ways of writing an object: as a whole, or a part of it through a subresource; and what each can own.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::{Custom, Resource, table};
use crate::machinery::{
    apply::{Convert, FieldManager, Filter, OtherVersion, Version},
    object,
};

/// Which part of an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All but the status.
    Main,
    /// The status.
    Status,
    /// The replicas.
    Scale,
    /// A pod's ephemeral containers.
    EphemeralContainers,
    /// The resources of a pod's containers.
    Resize,
    /// The approval of a certificate request.
    Approval,
    /// A namespace's `spec.finalizers`.
    Finalize,
    /// A pod's node.
    Binding,
}

const PARTS: usize = 8;

impl Part {
    /// The part that a subresource writes; `None` for other subresources.
    pub fn of_subresource(name: &str) -> Option<Self> {
        match name {
            "" => Some(Self::Main),
            "status" => Some(Self::Status),
            "scale" => Some(Self::Scale),
            "ephemeralcontainers" => Some(Self::EphemeralContainers),
            "resize" => Some(Self::Resize),
            "approval" => Some(Self::Approval),
            "finalize" => Some(Self::Finalize),
            "binding" => Some(Self::Binding),
            _ => None,
        }
    }

    /// The subresource's name; empty for the object itself.
    pub fn subresource(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Status => "status",
            Self::Scale => "scale",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Resize => "resize",
            Self::Approval => "approval",
            Self::Finalize => "finalize",
            Self::Binding => "binding",
        }
    }
}

/// The field managers of a resource, each made when it is first needed.
#[derive(Debug, Clone, Default)]
pub struct FieldManagers([OnceLock<Box<FieldManager>>; PARTS]);

impl Resource {
    /// Who keeps `metadata.managedFields` when this part is written.
    pub fn field_manager(&self, part: Part) -> &FieldManager {
        self.field_managers.0[part as usize].get_or_init(|| {
            let version = Version { schema: (*self.schema).clone(), filter: self.filter(part) };
            let manager = FieldManager::new(version, &self.api_version, &self.kind, part.subresource());
            Box::new(match &self.custom {
                Some(custom) => with_versions(manager, self, custom),
                None => with_kinds(manager, self, part),
            })
        })
    }

    /// What a write to this part can own.
    fn filter(&self, part: Part) -> Filter {
        if let Some(own) = self.strategy.of_part(part) {
            return Filter::except(own.resets);
        }
        match part {
            Part::Main => {
                let status: &[&[&str]] = if self.strategy.status { &[&["status"]] } else { &[] };
                Filter::except(&[status, self.strategy.resets].concat())
            }
            Part::Status if self.custom.is_some() => Filter::except(&[&["metadata"], &["spec"]]),
            Part::Status => {
                let fields = self.schema.object().map(|object| &object.fields);
                let names = fields.into_iter().flat_map(|fields| fields.keys()).map(|name| &**name);
                let others: Vec<[&str; 1]> =
                    names.filter(|name| !matches!(*name, "status" | "metadata")).map(|name| [name]).collect();
                let mut others: Vec<&[&str]> = others.iter().map(|path| &path[..]).collect();
                others.extend(self.strategy.status_resets);
                Filter::except(&others)
            }
            _ => Filter::All,
        }
    }
}

/// The other versions of a custom resource, which differ in nothing but what is in them.
fn with_versions(manager: FieldManager, own: &Resource, custom: &Custom) -> FieldManager {
    let renamed = |to: &str| -> Convert {
        let to = to.to_owned();
        Arc::new(move |value: &Value| {
            let mut value = value.clone();
            object::map_mut(&mut value).insert("apiVersion".into(), to.as_str().into());
            Some(value)
        })
    };
    let others = custom.versions.iter().filter(|(api_version, _)| **api_version != *own.api_version);
    others.fold(manager, |manager, (api_version, schema)| {
        let version = Version { schema: (**schema).clone(), filter: Filter::All };
        let other = OtherVersion { version, to: renamed(api_version), from: renamed(&own.api_version) };
        manager.with_other_version(api_version, other)
    })
}

/// The other versions of a built-in kind, by way of the one it is stored in.
fn with_kinds(manager: FieldManager, own: &Resource, part: Part) -> FieldManager {
    let through = |from: &Resource, to: &Resource| -> Convert {
        let to_storage = from.conversion.map(|conversion| conversion.to_storage);
        let from_storage = to.conversion.map(|conversion| conversion.from_storage);
        Arc::new(move |value: &Value| {
            let stored = to_storage.map_or_else(|| value.clone(), |convert| convert(value.clone()));
            Some(match from_storage {
                Some(convert) => convert(stored),
                None => stored,
            })
        })
    };
    let others = table::RESOURCES
        .iter()
        .filter(|other| other.storage == own.storage && other.api_version != own.api_version);
    others.fold(manager, |manager, other| {
        let version = Version { schema: (*other.schema).clone(), filter: other.filter(part) };
        let other_version = OtherVersion { version, to: through(own, other), from: through(other, own) };
        manager.with_other_version(&other.api_version, other_version)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn owners_in_another_version_keep_what_another_does_not_change() {
        let resource = table::of_kind("autoscaling/v2", "HorizontalPodAutoscaler").unwrap();
        let entry = |fields: Value| {
            json!({"manager": "a", "operation": "Update", "apiVersion": "autoscaling/v1", "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": fields}})
        };
        let live = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "h", "namespace": "n", "uid": "u", "managedFields": [entry(json!({
                "f:maxReplicas": {}, "f:minReplicas": {}, "f:targetCPUUtilizationPercentage": {}}))]},
            "spec": {"scaleTargetRef": {"kind": "D", "name": "d"}, "minReplicas": 1, "maxReplicas": 3, "metrics": [
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]},
            "status": {"desiredReplicas": 0, "currentMetrics": null},
        });
        let mut new = live.clone();
        new["spec"]["maxReplicas"] = 5.into();
        resource.field_manager(Part::Main).update(Some(&live), &mut new, "b", "2026-01-01T00:00:01Z");
        let entries = new["metadata"]["managedFields"].as_array().unwrap();
        assert_eq!(entries[0], entry(json!({"f:minReplicas": {}, "f:targetCPUUtilizationPercentage": {}})));
        assert_eq!(entries[1]["fieldsV1"], json!({"f:spec": {"f:maxReplicas": {}}}));
        assert_eq!(entries[1]["apiVersion"], "autoscaling/v2");
    }
}
