//! One look at a Deployment and its ReplicaSets: what is to become of them.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use xebec_coordinator::{BoxError, Key, Plan, View};

use super::annotations::{REVISION, desired_replicas, replace, revision};
use super::conditions::{self, PAUSED, PROGRESSING, TIMED_OUT, progress_reason};
use super::fenceposts::Fenceposts;
use super::scale::scale;
use super::sets::{Set, actual, is_of_template};
use super::status;
use crate::controller::Writes;
use crate::pod;

/// A plan for a Deployment in the making.
pub(crate) struct Rollout<'v> {
    /// As it is in the view.
    before: Deployment,
    /// With the conditions and the revision that it gets.
    deployment: Deployment,
    fenceposts: Fenceposts,
    sets: Vec<Set>,
    /// The place of the one for the present template.
    newest: Option<usize>,
    view: &'v View,
}

/// Whether the status tells how a rollout gets on.
#[derive(PartialEq, Eq)]
enum Progress {
    Tell,
    Ignore,
}

impl<'v> Rollout<'v> {
    /// `sets` are the ReplicaSets that the Deployment controls.
    pub(crate) fn new(deployment: Deployment, sets: Vec<ReplicaSet>, view: &'v View) -> Self {
        let mut sets: Vec<Set> = sets.into_iter().map(Set::existing).collect();
        sets.sort_by_cached_key(Set::age_order);
        let template = deployment.spec.as_ref().map(|spec| &spec.template);
        let newest =
            template.and_then(|template| sets.iter().position(|set| is_of_template(&set.object, template)));
        let fenceposts = Fenceposts::of(&deployment);
        Self { before: deployment.clone(), deployment, fenceposts, sets, newest, view }
    }

    pub(crate) fn plan(mut self) -> Result<Plan, BoxError> {
        if self.deployment.metadata.deletion_timestamp.is_some() {
            self.sync_newest();
            return self.finish(Progress::Ignore, false);
        }
        self.note_pause();
        self.sync_newest();
        let paused = self.deployment.spec.as_ref().and_then(|spec| spec.paused) == Some(true);
        let scaled = self.sets.iter().filter(|set| set.is_active()).any(|set| {
            desired_replicas(&set.object).is_some_and(|desired| desired != self.fenceposts.replicas)
        });
        if paused || scaled {
            let total =
                self.deployment.status.as_ref().and_then(|status| status.replicas).unwrap_or_default();
            scale(&mut self.sets, self.newest, self.fenceposts, total);
            return self.finish(Progress::Ignore, paused);
        }
        let complete = if self.fenceposts.rolling { self.roll()? } else { self.recreate()? };
        self.finish(Progress::Tell, complete)
    }

    /// Notes that it was paused or resumed, so that the time between does not count as a rollout that stands still.
    fn note_pause(&mut self) {
        if status::progress_deadline(&self.deployment).is_none() {
            return;
        }
        let paused = self.deployment.spec.as_ref().and_then(|spec| spec.paused) == Some(true);
        let status = self.deployment.status.get_or_insert_default();
        let reason = progress_reason(status);
        if reason == Some(TIMED_OUT) {
            return;
        }
        let noted = reason == Some(PAUSED);
        let (reason, message) = match (paused, noted) {
            (true, false) => (PAUSED, "Deployment is paused"),
            (false, true) => ("DeploymentResumed", "Deployment is resumed"),
            _ => return,
        };
        let condition = conditions::new(PROGRESSING, "Unknown", reason, message.to_owned(), self.view.now());
        conditions::set(status, condition);
    }

    /// The revision that the newest ReplicaSet has at least.
    fn next_revision(&self) -> i64 {
        let old = self.sets.iter().enumerate().filter(|(place, _)| Some(*place) != self.newest);
        old.map(|(_, set)| revision(&set.object)).max().unwrap_or_default().saturating_add(1)
    }

    /// Gives the newest ReplicaSet, if there is one, what it has of the Deployment, and the Deployment its revision.
    fn sync_newest(&mut self) {
        let Some(newest) = self.newest else { return };
        let next = self.next_revision();
        let set = &mut self.sets[newest];
        set.set_newest(&self.deployment, next);
        let name = set.name().to_owned();
        let newest_revision = revision(&set.object).to_string();
        replace(self.deployment.metadata.annotations.get_or_insert_default(), REVISION, newest_revision);
        let has_deadline = status::progress_deadline(&self.deployment).is_some();
        let status = self.deployment.status.get_or_insert_default();
        if has_deadline && conditions::get(status, PROGRESSING).is_none() {
            let message = format!("Found new replica set {name:?}");
            let condition =
                conditions::new(PROGRESSING, "True", "FoundNewReplicaSet", message, self.view.now());
            conditions::set(status, condition);
        }
    }

    /// The place of the newest ReplicaSet, which is made if there is none; none if its name is taken.
    fn newest_or_new(&mut self) -> Result<Option<usize>, BoxError> {
        if self.newest.is_some() {
            return Ok(self.newest);
        }
        let mut set = Set::for_template(&self.deployment)?;
        if self.view.object(&Key::of(&set.object)).is_some() {
            // Not ours, or of another template: the next look makes another name.
            let status = self.deployment.status.get_or_insert_default();
            status.collision_count = Some(status.collision_count.unwrap_or_default().saturating_add(1));
            return Ok(None);
        }
        let next = self.next_revision();
        set.set_newest(&self.deployment, next);
        let now = self.view.now();
        replace(self.deployment.metadata.annotations.get_or_insert_default(), REVISION, next.to_string());
        if status::progress_deadline(&self.deployment).is_some() {
            let message = format!("Created new replica set {:?}", set.name());
            let condition = conditions::new(PROGRESSING, "True", "NewReplicaSetCreated", message, now);
            conditions::set(self.deployment.status.get_or_insert_default(), condition);
        }
        let size = if self.fenceposts.rolling { self.new_size(0) } else { self.fenceposts.replicas };
        set.scale(size, self.fenceposts);
        self.sets.push(set);
        self.newest = Some(self.sets.len() - 1);
        Ok(self.newest)
    }

    /// To how many replicas the newest ReplicaSet, which has `replicas`, may grow.
    fn new_size(&self, replicas: i32) -> i32 {
        let room = self.fenceposts.max_total() - self.total();
        if room <= 0 { replicas } else { replicas + room.min(self.fenceposts.replicas - replicas) }
    }

    fn total(&self) -> i32 {
        self.sets.iter().map(Set::replicas).sum()
    }

    /// A step of a rolling update: up with the new, or down with the old. Whether the rollout is complete.
    fn roll(&mut self) -> Result<bool, BoxError> {
        let Some(newest) = self.newest_or_new()? else { return Ok(false) };
        let replicas = self.sets[newest].replicas();
        let size = if replicas > self.fenceposts.replicas {
            self.fenceposts.replicas
        } else {
            self.new_size(replicas)
        };
        let (wanted, fenceposts) = (self.fenceposts.replicas, self.fenceposts);
        if replicas != wanted && self.sets[newest].scale_if_needed(size, fenceposts) {
            return Ok(false);
        }
        if self.scale_down_old(newest) {
            return Ok(false);
        }
        Ok(self.was_complete())
    }

    fn scale_down_old(&mut self, newest: usize) -> bool {
        let old: Vec<usize> =
            (0..self.sets.len()).filter(|place| *place != newest && self.sets[*place].is_active()).collect();
        if old.is_empty() {
            return false;
        }
        let min_available = self.fenceposts.min_available();
        let new_unavailable = self.sets[newest].replicas() - self.sets[newest].available();
        let allowed = self.total() - min_available - new_unavailable;
        if allowed <= 0 {
            return false;
        }
        // First those that serve nobody, else they would stand in the way of the rest. Sets are ordered by age.
        let mut ended = 0;
        for place in &old {
            let set = &mut self.sets[*place];
            let unhealthy = (set.replicas() - set.available()).min(allowed - ended);
            if unhealthy > 0 {
                set.scale_if_needed(set.replicas() - unhealthy, self.fenceposts);
                ended += unhealthy;
            }
        }
        let spare = self.sets.iter().map(Set::available).sum::<i32>() - min_available;
        let mut taken = 0;
        for place in &old {
            let set = &mut self.sets[*place];
            let count = set.replicas().min(spare - taken);
            if count > 0 {
                set.scale_if_needed(set.replicas() - count, self.fenceposts);
                taken += count;
            }
        }
        ended + taken > 0
    }

    /// A step of a recreation: first end all that is old. Whether the rollout is complete.
    fn recreate(&mut self) -> Result<bool, BoxError> {
        let mut scaled = false;
        for place in 0..self.sets.len() {
            if Some(place) != self.newest {
                scaled |= self.sets[place].scale_if_needed(0, self.fenceposts);
            }
        }
        if scaled || self.has_old_pods()? {
            return Ok(false);
        }
        let Some(newest) = self.newest_or_new()? else { return Ok(false) };
        self.sets[newest].scale_if_needed(self.fenceposts.replicas, self.fenceposts);
        Ok(self.was_complete())
    }

    fn has_old_pods(&self) -> Result<bool, BoxError> {
        for (_, set) in self.sets.iter().enumerate().filter(|(place, _)| Some(*place) != self.newest) {
            let pods: Vec<Pod> =
                self.view.controlled_by(set.object.metadata.uid.as_deref().unwrap_or_default())?;
            if actual(&set.object) > 0 || pods.iter().any(|pod| !pod::is_finished(pod)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn was_complete(&self) -> bool {
        self.before.status.as_ref().is_some_and(|status| status::is_complete(&self.deployment, status))
    }

    fn finish(mut self, progress: Progress, clean_up: bool) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        for set in &self.sets {
            set.write(&mut plan, &self.deployment)?;
        }
        if clean_up {
            self.forget_old(&mut plan);
        }
        let sets = self.sets.iter().map(|set| &set.object);
        let newest = self.newest.map(|newest| &self.sets[newest].object);
        let now = self.view.now();
        let status: DeploymentStatus = match progress {
            Progress::Tell => status::rollout(&self.deployment, sets, newest, now),
            Progress::Ignore => status::counts(&self.deployment, sets, newest, now),
        };
        if progress == Progress::Tell
            && let Some(wait) = status::next_check(&self.deployment, &status, now)
        {
            plan.requeue_after(wait);
        }
        self.deployment.status = Some(status);
        self.deployment.metadata.annotations.take_if(|annotations| annotations.is_empty());
        if self.deployment != self.before {
            plan.put_status(&self.deployment)?;
        }
        Ok(plan)
    }

    /// Deletes the oldest ReplicaSets without replicas, beyond what is to be kept.
    fn forget_old(&self, plan: &mut Plan) {
        let limit = self.deployment.spec.as_ref().and_then(|spec| spec.revision_history_limit);
        let Some(limit) = limit.filter(|limit| *limit != i32::MAX) else { return };
        let old = self.sets.iter().enumerate().filter(|(place, _)| Some(*place) != self.newest);
        let mut old: Vec<&Set> = old
            .map(|(_, set)| set)
            .filter(|set| !set.is_new() && set.object.metadata.deletion_timestamp.is_none())
            .collect();
        old.sort_by_cached_key(|set| (revision(&set.object), set.age_order()));
        let excess = old.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
        for set in old.iter().take(excess).filter(|set| set.is_disposable()) {
            plan.put(set.deletion());
        }
    }
}
