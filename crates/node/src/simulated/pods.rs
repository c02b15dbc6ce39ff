//! Plays the Pods that are bound to simulated nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use xebec_coordinator::{
    BoxError, Event, Index, Key, Object, Observer, ObserverSpec, Plan, Right, View, Watch, Write,
};

use super::addresses::{self, Addresses};
use super::play::{self, Place, Played};
use super::requirements::{self, Source};
use super::{Options, conditions};

/// By this index the Pods are found that may wait for a ConfigMap or Secret.
const USES: &str = "uses";

/// Plays the Pods that are bound to simulated nodes: starts, ends and deletes them, as their scripts say.
#[derive(Debug)]
pub struct SimulatedKubelet {
    options: Options,
    addresses: Addresses,
}

/// What `wake` reads of a Pod.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Glance {
    #[serde(default)]
    spec: GlanceSpec,
    #[serde(default)]
    status: GlanceStatus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GlanceSpec {
    node_name: Option<String>,
}

#[derive(Default, Deserialize)]
struct GlanceStatus {
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
}

impl SimulatedKubelet {
    /// The observer for the Pods of these nodes.
    pub fn new(options: Options) -> Self {
        Self { options, addresses: Addresses::default() }
    }
}

impl Observer for SimulatedKubelet {
    fn spec(&self) -> ObserverSpec {
        let uses = Index::new(USES, |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            if matches!(phase, None | Some("Pending")) { requirements::index_values(pod) } else { Vec::new() }
        });
        ObserverSpec::new("simulated-kubelet", "plays the pods of simulated nodes")
            .watch(Watch::of::<Pod>())
            .watch(Watch::of::<ConfigMap>())
            .watch(Watch::of::<Secret>())
            .index(uses)
            .right(Right::to::<Pod>(&["delete"]))
            .right(Right::to_subresource::<Pod>("status", &["patch"]))
            .concurrency(16)
            .reports_as("kubelet")
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        let key = event.key();
        if !key.is::<Pod>() {
            let source = if key.is::<Secret>() { Source::Secret } else { Source::ConfigMap };
            let used = source.index_value(key.namespace().unwrap_or_default(), key.name());
            return view.typed::<Pod>().keys_by_index(USES, &used);
        }
        let object = event.object();
        if event.is_deleted() {
            self.addresses.release(object.uid());
            return Vec::new();
        }
        // One that cannot be decoded is an error when it is planned.
        let glance = object.decode::<Glance>().ok();
        let address = glance.as_ref().and_then(|glance| glance.status.pod_ip.as_ref()?.parse().ok());
        if let Some(address) = address {
            self.addresses.adopt(object.uid(), address);
        }
        let node = glance.as_ref().map(|glance| glance.spec.node_name.as_deref().unwrap_or_default());
        match node {
            Some(node) if self.options.number(node).is_none() => Vec::new(),
            _ => vec![key.clone()],
        }
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(object) = view.object(key) else { return Ok(plan) };
        let pod: Pod = object.decode()?;
        let Some(spec) = &pod.spec else { return Ok(plan) };
        let Some(number) = self.options.number(spec.node_name.as_deref().unwrap_or_default()) else {
            return Ok(plan);
        };
        if object.is_terminating() {
            remove(&mut plan, object, &pod, play::stop(&pod, spec, view.now()));
            return Ok(plan);
        }
        if pod.status.as_ref().is_some_and(conditions::is_final) {
            return Ok(plan);
        }
        let namespace = key.namespace().unwrap_or_default();
        let keys = |source, name: &str| keys_of(view, source, namespace, name);
        let has_address = pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some());
        let needs_address = !has_address && spec.host_network != Some(true);
        let address = if needs_address { self.addresses.of_pod(object.uid()) } else { None };
        let place = Place { host: addresses::of_node(number), pod: address };
        let played = play::play(&pod, spec, place, &keys, view.now());
        if let Some(next) = played.next {
            let wait = next.duration_since(view.now());
            plan.requeue_after(Duration::try_from(wait).unwrap_or_default());
        }
        write(&mut plan, object, &pod, played);
        Ok(plan)
    }
}

/// A Pod whose containers have ended is no more, except for its finalizers.
fn remove(plan: &mut Plan, object: &Object, pod: &Pod, stopped: Played) {
    write(plan, object, pod, stopped);
    if pod.metadata.deletion_grace_period_seconds != Some(0) {
        plan.write(Write::delete_object(object).grace_period(0));
    }
}

/// Writes the status, if it is another one, and says what happened.
fn write(plan: &mut Plan, object: &Object, pod: &Pod, played: Played) {
    if pod.status.as_ref() != Some(&played.status) {
        let patch = json!({"metadata": {"uid": object.uid()}, "status": played.status});
        plan.write(Write::strategic(object.key().clone(), patch).on("status"));
    }
    for record in played.records {
        plan.record(record);
    }
}

/// The keys of a ConfigMap or Secret; none if it is not there or cannot be read.
fn keys_of(view: &View, source: Source, namespace: &str, name: &str) -> Option<BTreeSet<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[expect(clippy::zero_sized_map_values, reason = "the values are skipped")]
    struct Contents {
        #[serde(default)]
        data: Option<BTreeMap<String, IgnoredAny>>,
        #[serde(default)]
        binary_data: Option<BTreeMap<String, IgnoredAny>>,
    }
    let table = match source {
        Source::ConfigMap => view.typed::<ConfigMap>(),
        Source::Secret => view.typed::<Secret>(),
    };
    let contents: Contents = table.get(namespace, name)?.decode().ok()?;
    let keys = contents.data.into_iter().chain(contents.binary_data).flatten().map(|(key, _)| key);
    Some(keys.collect())
}
