//! The ways of writing an object: as a whole, or a part of it through a subresource; and what each can own.

use std::sync::OnceLock;

use super::Resource;
use crate::machinery::apply::{FieldManager, Filter, Version};

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
            Box::new(FieldManager::new(version, &self.api_version, &self.kind, part.subresource()))
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
