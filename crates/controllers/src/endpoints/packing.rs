//! Spreading endpoints over slices, with few writes: what is in a slice stays there.

use std::collections::BTreeMap;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use xebec_coordinator::{Key, Plan, Write};

use super::backends::TRIGGER_TIME;
use crate::controller::Writes;
use crate::naming::Names;

/// Endpoints with the same ports and sort of address.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) address_type: String,
    pub(super) ports: Vec<EndpointPort>,
    pub(super) endpoints: Vec<Endpoint>,
}

/// What the slices of an owner are to look like.
pub(super) struct Packing {
    /// Namespace, labels, owner and `generateName` of every slice.
    pub(super) metadata: ObjectMeta,
    /// When the change happened that they are written for.
    pub(super) trigger_time: Option<String>,
    /// No slice has more endpoints.
    pub(super) endpoints_max: usize,
    pub(super) names: Names,
}

impl Packing {
    /// Plans what makes `existing` slices hold just these groups.
    pub(super) fn plan(
        mut self,
        plan: &mut Plan,
        existing: Vec<EndpointSlice>,
        groups: Vec<Group>,
        is_taken: impl Fn(&str) -> bool,
    ) -> Result<(), serde_json::Error> {
        let mut left = existing;
        left.retain(|slice| slice.metadata.deletion_timestamp.is_none());
        let (mut updated, mut created) = (Vec::new(), Vec::new());
        for group in groups {
            let (own, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|slice| is_of(slice, &group));
            left = others;
            self.pack(own, group, &mut updated, &mut created, &mut left);
        }
        for slice in created {
            // What would be deleted can be another slice as well.
            let reusable = left.iter().position(|other| other.address_type == slice.address_type);
            if let Some(old) = reusable.map(|place| left.remove(place)) {
                let metadata = self.updated(old.metadata);
                updated.push(EndpointSlice { metadata, ..slice });
            } else {
                let name = self.names.next(&is_taken);
                let metadata = ObjectMeta { name: Some(name), ..self.updated(ObjectMeta::default()) };
                plan.put_new(&EndpointSlice { metadata, ..slice })?;
            }
        }
        for slice in updated {
            plan.put_update(&slice)?;
        }
        for slice in left {
            plan.put(
                Write::delete(Key::of(&slice)).if_uid(slice.metadata.uid.as_deref().unwrap_or_default()),
            );
        }
        Ok(())
    }

    /// Sorts a group's endpoints into its slices; slices that become empty are left over.
    fn pack(
        &self,
        slices: Vec<EndpointSlice>,
        group: Group,
        updated: &mut Vec<EndpointSlice>,
        created: &mut Vec<EndpointSlice>,
        left: &mut Vec<EndpointSlice>,
    ) {
        let is_placeholder = group.endpoints.is_empty();
        let mut new: BTreeMap<String, Endpoint> = BTreeMap::new();
        for endpoint in group.endpoints {
            new.insert(identity(&endpoint), endpoint);
        }
        let mut kept: Vec<(EndpointSlice, bool)> = Vec::new();
        for mut slice in slices {
            let before = slice.endpoints.take().unwrap_or_default();
            let after: Vec<Endpoint> =
                before.iter().filter_map(|known| new.remove(&identity(known))).collect();
            let changed = before != after || !self.has_metadata(&slice.metadata);
            slice.endpoints = Some(after);
            kept.push((slice, changed));
        }
        // Slices that are written anyway take the new ones first, then the fullest.
        kept.sort_by_key(|(slice, changed)| (!changed, std::cmp::Reverse(count(slice))));
        let mut rest = new.into_values().peekable();
        for (slice, changed) in &mut kept {
            let room = self.endpoints_max.saturating_sub(count(slice));
            // A slice that nothing else changes is only worth a write if it takes all that is left.
            if rest.peek().is_none() || room == 0 || (!*changed && rest.len() > room) {
                continue;
            }
            let endpoints = slice.endpoints.get_or_insert_default();
            endpoints.extend(rest.by_ref().take(room));
            *changed = true;
        }
        let rest: Vec<Endpoint> = rest.collect();
        let new_slice = |endpoints: Vec<Endpoint>| EndpointSlice {
            address_type: group.address_type.clone(),
            endpoints: Some(endpoints),
            metadata: ObjectMeta::default(),
            ports: Some(group.ports.clone()),
        };
        let mut has_any = !rest.is_empty();
        created.extend(rest.chunks(self.endpoints_max.max(1)).map(|chunk| new_slice(chunk.to_vec())));
        for (slice, changed) in kept {
            if count(&slice) == 0 && (!is_placeholder || has_any) {
                left.push(slice);
                continue;
            }
            has_any = true;
            if changed {
                let metadata = self.updated(slice.metadata);
                updated.push(EndpointSlice { metadata, ..slice });
            }
        }
        if is_placeholder && !has_any {
            created.push(new_slice(Vec::new()));
        }
    }

    fn has_metadata(&self, meta: &ObjectMeta) -> bool {
        meta.labels == self.metadata.labels && meta.owner_references == self.metadata.owner_references
    }

    fn updated(&self, old: ObjectMeta) -> ObjectMeta {
        let ObjectMeta { labels, owner_references, generate_name, namespace, .. } = self.metadata.clone();
        let mut annotations = old.annotations.clone().unwrap_or_default();
        if let Some(time) = &self.trigger_time {
            annotations.insert(TRIGGER_TIME.to_owned(), time.clone());
        }
        ObjectMeta {
            labels,
            owner_references,
            namespace,
            generate_name: old.generate_name.clone().or(generate_name),
            annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
            ..old
        }
    }
}

fn count(slice: &EndpointSlice) -> usize {
    slice.endpoints.as_ref().map_or(0, Vec::len)
}

/// Whether a slice is for endpoints of this group.
fn is_of(slice: &EndpointSlice, group: &Group) -> bool {
    let ports = slice.ports.as_deref().unwrap_or_default();
    slice.address_type == group.address_type
        && ports.len() == group.ports.len()
        && group.ports.iter().all(|port| ports.contains(port))
}

/// What makes an endpoint the same in spite of changes: the Pod behind it, or its addresses.
fn identity(endpoint: &Endpoint) -> String {
    let uid = endpoint.target_ref.as_ref().and_then(|target| target.uid.clone()).unwrap_or_default();
    format!("{uid}/{}", endpoint.addresses.join(","))
}
