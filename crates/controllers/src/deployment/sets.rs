//! The ReplicaSets of a Deployment while a plan is made: what they are, and what they are to become.

use std::cmp::Reverse;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use xebec_coordinator::{EventRecord, Key, Kind, Plan, Write, reference_to};

use super::annotations::{self, set_replicas};
use super::fenceposts::Fenceposts;
use crate::controller::Writes;
use crate::naming::template_hash;
use crate::ownership::controller_reference;

/// The label by which the Pods of the ReplicaSets of a Deployment differ.
const HASH_LABEL: &str = "pod-template-hash";

/// A ReplicaSet and what a plan makes of it. All its changes are one write.
pub(crate) struct Set {
    pub(crate) object: ReplicaSet,
    change: Change,
    notes: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Update,
    Create,
}

/// The replicas that a ReplicaSet wants.
pub(crate) fn replicas(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// The replicas of a ReplicaSet that are available.
pub(crate) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or_default()
}

/// The replicas that a ReplicaSet has.
pub(crate) fn actual(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

impl Set {
    /// One that is there.
    pub(crate) fn existing(object: ReplicaSet) -> Self {
        Self { object, change: Change::None, notes: Vec::new() }
    }

    /// The one for the Deployment's present template, without replicas, to be created. Its name follows from the
    /// template, so that it cannot be created twice.
    pub(crate) fn for_template(deployment: &Deployment) -> Result<Self, serde_json::Error> {
        let spec = deployment.spec.clone().unwrap_or_default();
        let collisions = deployment.status.as_ref().and_then(|status| status.collision_count);
        let hash = template_hash(&spec.template, collisions)?;
        let mut template = spec.template;
        let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.insert(HASH_LABEL.to_owned(), hash.clone());
        let labels = labels.clone();
        let mut selector = spec.selector;
        selector.match_labels.get_or_insert_default().insert(HASH_LABEL.to_owned(), hash.clone());
        let object = ReplicaSet {
            metadata: ObjectMeta {
                name: Some(format!("{}-{hash}", deployment.metadata.name.as_deref().unwrap_or_default())),
                namespace: deployment.metadata.namespace.clone(),
                labels: Some(labels),
                owner_references: Some(vec![controller_reference(
                    &Kind::of::<Deployment>(),
                    &deployment.metadata,
                )]),
                ..ObjectMeta::default()
            },
            spec: Some(ReplicaSetSpec {
                min_ready_seconds: spec.min_ready_seconds,
                replicas: Some(0),
                selector,
                template: Some(template),
            }),
            status: None,
        };
        Ok(Self { object, change: Change::Create, notes: Vec::new() })
    }

    pub(crate) fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn replicas(&self) -> i32 {
        replicas(&self.object)
    }

    pub(crate) fn is_active(&self) -> bool {
        self.replicas() > 0
    }

    pub(crate) fn available(&self) -> i32 {
        available(&self.object)
    }

    pub(crate) fn is_new(&self) -> bool {
        self.change == Change::Create
    }

    /// Gives the newest one its revision, the Deployment's annotations and its `minReadySeconds`.
    pub(crate) fn set_newest(&mut self, deployment: &Deployment, revision: i64) {
        let mut changed = annotations::set_newest(&mut self.object, deployment, revision);
        let min_ready = deployment.spec.as_ref().and_then(|spec| spec.min_ready_seconds);
        if let Some(spec) = &mut self.object.spec
            && spec.min_ready_seconds.unwrap_or_default() != min_ready.unwrap_or_default()
        {
            spec.min_ready_seconds = min_ready;
            changed = true;
        }
        self.note_change(changed);
    }

    /// Scales it, and notes for which size of the Deployment; whether its size changes.
    pub(crate) fn scale(&mut self, to: i32, fenceposts: Fenceposts) -> bool {
        let from = self.replicas();
        let annotated = set_replicas(&mut self.object, fenceposts);
        if let Some(spec) = &mut self.object.spec {
            spec.replicas = Some(to);
        }
        self.note_change(annotated || from != to);
        if from == to {
            return false;
        }
        let direction = if from < to { "up" } else { "down" };
        self.notes.push(format!("Scaled {direction} replica set {} from {from} to {to}", self.name()));
        true
    }

    /// Scales it where its size is to change.
    pub(crate) fn scale_if_needed(&mut self, to: i32, fenceposts: Fenceposts) -> bool {
        self.replicas() != to && self.scale(to, fenceposts)
    }

    fn note_change(&mut self, changed: bool) {
        if changed && self.change == Change::None {
            self.change = Change::Update;
        }
    }

    /// Adds what has become of it to a plan.
    pub(crate) fn write(&self, plan: &mut Plan, deployment: &Deployment) -> Result<(), serde_json::Error> {
        match self.change {
            Change::None => return Ok(()),
            Change::Update => plan.put_update(&self.object)?,
            Change::Create => plan.put_new(&self.object)?,
        };
        for note in &self.notes {
            plan.record(EventRecord::normal(reference_to(deployment), "ScalingReplicaSet", note.clone()));
        }
        Ok(())
    }

    /// Whether it may be forgotten: nothing is left of it, and nobody deletes it already.
    pub(crate) fn is_disposable(&self) -> bool {
        let observed = self.object.status.as_ref().and_then(|status| status.observed_generation);
        actual(&self.object) == 0
            && self.replicas() == 0
            && self.object.metadata.generation.unwrap_or_default() <= observed.unwrap_or_default()
            && self.object.metadata.deletion_timestamp.is_none()
    }

    pub(crate) fn deletion(&self) -> Write {
        Write::delete(Key::of(&self.object)).if_uid(self.object.metadata.uid.as_deref().unwrap_or_default())
    }

    /// By which the oldest come first.
    pub(crate) fn age_order(&self) -> (Option<Timestamp>, String) {
        let created = self.object.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, self.name().to_owned())
    }

    /// By which the largest come first, and of equal ones the oldest.
    pub(crate) fn size_order(&self) -> (Reverse<i32>, (Option<Timestamp>, String)) {
        (Reverse(self.replicas()), self.age_order())
    }
}

/// Whether a ReplicaSet is of this template, but for the label that its Deployment added.
pub(crate) fn is_of_template(set: &ReplicaSet, template: &PodTemplateSpec) -> bool {
    fn plain(template: &PodTemplateSpec) -> PodTemplateSpec {
        let mut plain = template.clone();
        let meta = plain.metadata.get_or_insert_default();
        if let Some(labels) = &mut meta.labels {
            labels.remove(HASH_LABEL);
        }
        meta.labels.take_if(|labels| labels.is_empty());
        meta.annotations.take_if(|annotations| annotations.is_empty());
        plain
    }
    let own = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    own.is_some_and(|own| plain(own) == plain(template))
}
