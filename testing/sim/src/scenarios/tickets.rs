//! An observer that counts: a ConfigMap says how many Secrets of generated names there are to be. Whoever plans on a view
//! older than its own writes makes too many, and has to delete them again.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Resource, ResourceExt};
use serde_json::json;
use xebec_coordinator::sim::{Scenario, Server, Step};
use xebec_coordinator::{
    AddError, BoxError, Coordinator, Key, Observer, ObserverSpec, Plan, Random, View, Watch, Write,
};

use super::{controllers, one_of, pause, put};
use crate::Simulated;

/// As many Secrets as ConfigMaps say, and the garbage collector.
pub struct Tickets;

struct Issue;

impl Observer for Issue {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("tickets", "keeps as many Secrets as ConfigMaps say")
            .watch(Watch::of::<ConfigMap>())
            .watch(Watch::of::<Secret>())
            .concurrency(2)
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(map) = view.get_key::<ConfigMap>(key)? else { return Ok(plan) };
        let (Some(uid), Some(owner)) = (map.uid(), map.controller_owner_ref(&())) else { return Ok(plan) };
        let wanted = map.data.iter().flatten().find(|(name, _)| *name == "tickets");
        let wanted: usize = wanted.and_then(|(_, count)| count.parse().ok()).unwrap_or(0);
        let there: Vec<Secret> = view.controlled_by(&uid)?;
        for _ in there.len()..wanted {
            let mut ticket = Secret::default();
            ticket.metadata.generate_name = Some(format!("{}-", key.name()));
            ticket.metadata.namespace = map.namespace();
            ticket.metadata.owner_references = Some(vec![owner.clone()]);
            plan.create(&ticket);
        }
        for ticket in there.iter().skip(wanted) {
            plan.delete(Key::of(ticket));
        }
        Ok(plan)
    }
}

impl Scenario for Tickets {
    fn name(&self) -> &'static str {
        "tickets"
    }

    fn server(&self, seed: u64) -> Arc<dyn Server> {
        Arc::new(Simulated::new(seed))
    }

    fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError> {
        coordinator.observe(Issue)?;
        controllers(coordinator, &["garbage-collection"])
    }

    fn steps(&self, random: &Random) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..4 + random.number() % 8 {
            let key = Key::new::<ConfigMap>("default", one_of(random, &["a", "b"]));
            let count = (random.number() % 5).to_string();
            let write = match random.number() % 6 {
                0 => Write::delete(key),
                _ => put(key, json!({"data": {"tickets": count}})),
            };
            steps.push(Step::new(pause(random, 4000), write));
        }
        steps
    }
}
