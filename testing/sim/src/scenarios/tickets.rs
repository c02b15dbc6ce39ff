//! An observer that counts: a ConfigMap says how many Secrets of generated names there are to be. Whoever plans on a view
//! older than its own writes makes too many, and has to delete them again.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::json;
use xebec_coordinator::sim::{Scenario, Server, Step};
use xebec_coordinator::{
    AddError, BoxError, Coordinator, Event, Index, Key, Observer, ObserverSpec, Plan, Random, View, Watch,
    Write,
};

use super::{one_of, pause, put};
use crate::Simulated;

/// As many Secrets as ConfigMaps say.
pub struct Tickets;

/// On a Secret: the name of its ConfigMap. Also the index by it.
const OF: &str = "ticket-of";

/// Makes and deletes them.
pub(super) struct Issue;

impl Observer for Issue {
    fn spec(&self) -> ObserverSpec {
        let of = |secret: &Secret| -> Vec<String> {
            secret
                .metadata
                .labels
                .iter()
                .flatten()
                .filter(|(label, _)| *label == OF)
                .map(|(_, of)| of.clone())
                .collect()
        };
        ObserverSpec::new("tickets", "keeps as many Secrets as ConfigMaps say")
            .watch(Watch::of::<ConfigMap>())
            .watch(Watch::of::<Secret>())
            .index(Index::new(OF, of))
            .concurrency(2)
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        let key = event.key();
        if key.is::<ConfigMap>() {
            return vec![key.clone()];
        }
        let of = event.object().label(OF);
        of.map(|name| Key::new::<ConfigMap>(key.namespace(), name)).into_iter().collect()
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let map = view.get_key::<ConfigMap>(key)?;
        let wanted = map.and_then(|map| map.data?.get("tickets")?.parse().ok()).unwrap_or(0);
        let mut there: Vec<Secret> = view.by_index(OF, key.name())?;
        there.retain(|ticket| ticket.metadata.namespace.as_deref() == key.namespace());
        for _ in there.len()..wanted {
            let mut ticket = Secret::default();
            ticket.metadata.generate_name = Some(format!("{}-", key.name()));
            ticket.metadata.namespace = key.namespace().map(str::to_owned);
            ticket.metadata.labels = Some([(OF.to_owned(), key.name().to_owned())].into());
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
        coordinator.observe(Issue)
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
