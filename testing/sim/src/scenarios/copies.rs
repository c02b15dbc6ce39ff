//! An observer by the book: for each ConfigMap that asks for it there is a copy, for no other, with the same content.
//! Every lost wake-up shows in the end.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use xebec_coordinator::sim::{Scenario, Server, Step};
use xebec_coordinator::{
    AddError, BoxError, Coordinator, Event, Key, Observer, ObserverSpec, Plan, Random, View, Watch, Write,
};

use super::{one_of, pause, put};
use crate::Simulated;

/// The label of ConfigMaps that are copied.
pub const ORIGINAL: &str = "copied";

/// The copy of a ConfigMap, and of a copy what it is a copy of.
pub fn copy_of(key: &Key) -> Key {
    match key.name().strip_prefix("copy-of-") {
        Some(name) => Key::new::<ConfigMap>(key.namespace(), name),
        None => Key::new::<ConfigMap>(key.namespace(), &format!("copy-of-{}", key.name())),
    }
}

/// Copies ConfigMaps.
#[derive(Clone, Debug, Default)]
pub struct Copy;

impl Observer for Copy {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("copy", "copies ConfigMaps").watch(Watch::of::<ConfigMap>()).concurrency(2)
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        let key = event.key();
        vec![if key.name().starts_with("copy-of-") { copy_of(key) } else { key.clone() }]
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let original = view
            .get_key::<ConfigMap>(key)?
            .filter(|map| map.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(ORIGINAL)));
        let target = copy_of(key);
        match (original, view.get_key::<ConfigMap>(&target)?) {
            (None, Some(_)) => drop(plan.delete(target)),
            (Some(original), None) => {
                let mut copy = ConfigMap { data: original.data, ..ConfigMap::default() };
                copy.metadata.name = Some(target.name().to_owned());
                copy.metadata.namespace = target.namespace().map(str::to_owned);
                plan.create(&copy);
            }
            (Some(original), Some(mut copy)) if copy.data != original.data => {
                copy.data = original.data;
                plan.update(&copy);
            }
            _ => {}
        }
        Ok(plan)
    }
}

/// Copies of ConfigMaps, by an observer of one's choice.
pub struct Copies<O = Copy>(pub fn() -> O);

impl Default for Copies {
    fn default() -> Self {
        Self(|| Copy)
    }
}

impl<O: Observer> Scenario for Copies<O> {
    fn name(&self) -> &'static str {
        "copies"
    }

    fn server(&self, seed: u64) -> Arc<dyn Server> {
        Arc::new(Simulated::new(seed))
    }

    fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError> {
        coordinator.observe((self.0)())
    }

    fn steps(&self, random: &Random) -> Vec<Step> {
        let mut steps = Vec::new();
        for number in 0..6 + random.number() % 12 {
            let name = one_of(random, &["a", "b", "c"]);
            let key = Key::new::<ConfigMap>("default", name);
            let write = match random.number() % 8 {
                0 | 1 => Write::delete(key),
                2 => Write::delete(copy_of(&key)),
                3 => put(key, json!({"data": {"number": number.to_string()}})),
                _ => {
                    let labels = json!({"labels": {ORIGINAL: "yes"}});
                    let fields = json!({"metadata": labels, "data": {"number": number.to_string()}});
                    put(key, fields)
                }
            };
            steps.push(Step::new(pause(random, 4000), write));
        }
        steps.push(Step::new(Duration::ZERO, Write::delete(Key::new::<ConfigMap>("default", "none"))));
        steps
    }
}
