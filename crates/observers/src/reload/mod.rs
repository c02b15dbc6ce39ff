//! Rolls out Deployments whose ConfigMaps or Secrets have changed, once for each content.
//!
//! A Deployment opts in with the annotation [`AUTO`], or with that of Wave (`wave.pusher.com/update-on-config-change`)
//! or Reloader (`reloader.stakater.com/auto`). What counts is the content, keys and values, of whatever its containers
//! and volumes use, no more: single keys where single keys are used.
//!
//! It works by levels. The Deployment itself says in [`OBSERVED`] for which content it was last rolled out: the hash of
//! each source. Where that differs from what is there now, one server-side apply writes the present hashes there and
//! their sum into the pod template's [`CONFIG_HASH`], which is the rollout. Both in one write: neither a crash nor a
//! change while xebec is down leads to no rollout or to two.
//!
//! A Deployment that is seen for the first time has neither annotation. Its pods have read what is there, so that only
//! [`OBSERVED`] is written: the first rollout is that of the first change. The same holds for a source that a change of
//! the template adds, since that rolls out by itself, and after an undo, which brings an older [`CONFIG_HASH`] back.
//!
//! While something is missing that must be there, nothing is rolled out: the pods could not start. [`HELD`] says so,
//! and an Event.
//!
//! Values never leave this module, but hashes of them do: who can read Deployments can tell whether a guess at a whole
//! Secret is right, as with any checksum annotation.

mod contents;
mod opting;
mod seen;
mod uses;

#[cfg(test)]
mod cases;

use std::collections::BTreeSet;
use std::fmt;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};
use xebec_coordinator::{
    BoxError, Column, Event, EventRecord, Index, Key, LabelSelector, Metric, Observer, ObserverSpec, Plan,
    Right, Setting, Severity, View, Watch, Write, reference_to,
};

use contents::{Contents, Hashes, Missing};
pub use opting::AUTO;
use seen::Seen;
use uses::Uses;
pub use uses::{Source, SourceKind};

/// The observer's name.
pub const NAME: &str = "reload";
/// What it does.
pub const DESCRIPTION: &str = "rolls out Deployments whose ConfigMaps or Secrets have changed";
/// On the Deployment: the hashes of the contents it was last rolled out for, by source.
pub const OBSERVED: &str = "reload.xebec.dev/observed-hashes";
/// On the Deployment: what is missing, so that it is not rolled out.
pub const HELD: &str = "reload.xebec.dev/held";
/// On the pod template: the hash of all contents; changing it is the rollout.
pub const CONFIG_HASH: &str = "reload.xebec.dev/config-hash";
/// The owner of these annotations.
const FIELD_MANAGER: &str = "xebec-reload";
/// By this index the Deployments are found that use a source.
const USES: &str = "uses";
/// The reasons of its Events.
const RELOADED: &str = "Reloaded";
const RELOAD_HELD: &str = "ReloadHeld";
/// Which Deployments it serves.
pub const SELECTOR: Setting<LabelSelector> = Setting::selector(
    "selector",
    "Serve only Deployments whose labels this selects, of those that opt in; all by default.",
);
/// What its users have to know.
const DETAILS: &str = "\
A Deployment opts in with the annotation `reload.xebec.dev/auto: \"true\"`, or with that of Wave \
(`wave.pusher.com/update-on-config-change`) or Reloader (`reloader.stakater.com/auto`); `reload.xebec.dev/auto: \"false\"` \
opts it out. What counts is the content, keys and values, of the ConfigMaps and Secrets that its containers and volumes \
use: single keys where single keys are used.

It writes `reload.xebec.dev/observed-hashes` to the Deployment, what the configuration was when it last looked, and, to \
roll out, `reload.xebec.dev/config-hash` to the Pod template, both in one server-side apply: one rollout for each change, \
whatever happens while xebec is down. While something that must be there is missing, nothing is rolled out, and \
`reload.xebec.dev/held` says for what it waits.";
const STATES: &str =
    "`new`: not looked at yet; `observed`: no change so far; `rolled out`; `held`: something is missing.";
const LAST: &str = "How long ago that was written: that it was rolled out, held or observed.";
/// What it counts: a rollout by what has changed, and how many Deployments wait.
const CHANGED: &[&str] = &["ConfigMap", "Secret", "both", "unknown"];
const ROLLOUTS: Metric =
    Metric::counter("rollouts_total", "Rollouts by what had changed.").label("changed", CHANGED);
const HELD_BACK: Metric =
    Metric::gauge("held", "Deployments that wait for something that must be there and is missing.");
/// How many names of changed keys are told at most.
const KEYS_TOLD_MAX: usize = 20;

/// A Deployment was rolled out because its configuration changed: told to other observers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The Deployment.
    pub workload: Key,
    /// What changed.
    pub changes: Vec<ConfigChanged>,
}

impl fmt::Display for Reloaded {
    /// As a terminal is told: `default/web rolled out: ConfigMap settings changed (color, size)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, name) = (self.workload.namespace().unwrap_or_default(), self.workload.name());
        write!(f, "{namespace}/{name} rolled out")?;
        for (position, change) in self.changes.iter().enumerate() {
            write!(f, "{} {} changed", if position == 0 { ":" } else { "," }, change.source)?;
            if !change.keys.is_empty() {
                let keys: Vec<&str> = change.keys.iter().map(String::as_str).collect();
                write!(f, " ({})", keys.join(", "))?;
            }
        }
        Ok(())
    }
}

/// A ConfigMap or Secret whose content changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChanged {
    /// Which one.
    pub source: Source,
    /// The names of the keys in use that changed. Empty if that is not known, because nobody watched.
    pub keys: BTreeSet<String>,
}

/// Rolls out Deployments whose ConfigMaps or Secrets have changed.
#[derive(Clone, Copy, Debug)]
pub struct Reload;

impl Observer for Reload {
    fn spec(&self) -> ObserverSpec {
        let uses = Index::new(USES, |deployment: &Deployment| {
            let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
            let uses = if opting::is_in(deployment) { uses_of(deployment) } else { Uses::new() };
            uses.keys().map(|source| index_value(namespace, source)).collect()
        });
        ObserverSpec::new(NAME, DESCRIPTION)
            .watch(Watch::of::<Deployment>())
            .watch(Watch::of::<ConfigMap>())
            .watch(Watch::of::<Secret>())
            .index(uses)
            .right(Right::to::<Deployment>(&["patch"]))
            .details(DETAILS)
            .option(&SELECTOR)
            .column(Column::new("STATE", STATES, state))
            .column(Column::new("WAITS FOR", "What is missing, so that it is held.", held))
            .column(Column::last_written("LAST", LAST, FIELD_MANAGER))
            .metric(&ROLLOUTS)
            .metric(&HELD_BACK)
            .records(
                Severity::Normal,
                RELOADED,
                "A Deployment was rolled out: which keys of what have changed.",
            )
            .records(
                Severity::Warning,
                RELOAD_HELD,
                "A Deployment waits for something that must be there and is missing.",
            )
            .emits::<Reloaded>("A Deployment was rolled out.")
            .concurrency(8)
            .reports_as(FIELD_MANAGER)
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        let key = event.key();
        if key.is::<Deployment>() {
            return vec![key.clone()];
        }
        let kind = if key.is::<Secret>() { SourceKind::Secret } else { SourceKind::ConfigMap };
        let source = Source { kind, name: key.name().to_owned() };
        let value = index_value(key.namespace().unwrap_or_default(), &source);
        view.typed::<Deployment>().keys_by_index(USES, &value)
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(deployment) = view.get_key::<Deployment>(key)? else { return Ok(plan) };
        if !is_served(&deployment, view) || deployment.metadata.deletion_timestamp.is_some() {
            return Ok(plan);
        }
        let seen = view.remembered::<Seen>().cloned().unwrap_or_default();
        let state = State::of(&deployment);
        let uses = uses_of(&deployment);
        let contents = match Contents::of(&uses, key.namespace().unwrap_or_default(), view)? {
            Ok(contents) => contents,
            Err(Missing(what)) => {
                plan.remember(seen).measure(&HELD_BACK, &[], 1.0);
                if state.held.as_ref() != Some(&what) {
                    plan.write(State { held: Some(what.clone()), ..state }.apply(key, &deployment)?);
                    let note = format!("waits for {what}, which is missing");
                    let record = EventRecord::warning(reference_to(&deployment), RELOAD_HELD, note);
                    plan.record(record.action("Reload"));
                }
                return Ok(plan);
            }
        };
        let hashes = &contents.hashes;
        let total = hashes.total();
        let seen = seen.with(&uses, &contents, state.observed.as_ref());
        plan.remember(seen.clone());
        let rolls_out = match (&state.observed, &state.config_hash) {
            (Some(observed), _) => !hashes.changed_since(observed, &uses).is_empty(),
            // The template tells for what it was rolled out, where somebody has removed what the Deployment told.
            (None, Some(hash)) => *hash != total,
            (None, None) => false,
        };
        let config_hash = if rolls_out { Some(total) } else { state.config_hash.clone() };
        let wanted = State { observed: Some(hashes.clone()), held: None, config_hash };
        if wanted == state {
            return Ok(plan);
        }
        plan.write(wanted.apply(key, &deployment)?);
        if rolls_out {
            let changes = match &state.observed {
                Some(observed) => changes(&seen, &contents, observed, &uses),
                None => Vec::new(),
            };
            let record = EventRecord::normal(reference_to(&deployment), RELOADED, note(&changes));
            plan.record(record.action("Reload")).count(&ROLLOUTS, &[changed(&changes)]);
            plan.emit(Reloaded { workload: key.clone(), changes });
        }
        Ok(plan)
    }
}

/// What has changed since `observed`.
fn changes(seen: &Seen, contents: &Contents, observed: &Hashes, uses: &Uses) -> Vec<ConfigChanged> {
    let keys = |source: &Source| {
        let before = observed.get(source, uses.get(source)?)?;
        seen.changed_keys(source, before, contents.keys.get(source)?)
    };
    let sources = contents.hashes.changed_since(observed, uses).into_iter();
    sources
        .map(|source| ConfigChanged { source: source.clone(), keys: keys(source).unwrap_or_default() })
        .collect()
}

/// What our annotations say of a Deployment.
#[derive(Clone, Debug, PartialEq)]
struct State {
    observed: Option<Hashes>,
    held: Option<String>,
    config_hash: Option<String>,
}

impl State {
    fn of(deployment: &Deployment) -> Self {
        let own = deployment.metadata.annotations.as_ref();
        let template = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
        let template = template.and_then(|metadata| metadata.annotations.as_ref());
        Self {
            // One that cannot be read counts as none.
            observed: own.and_then(|own| serde_json::from_str(own.get(OBSERVED)?).ok()),
            held: own.and_then(|own| own.get(HELD).cloned()),
            config_hash: template.and_then(|annotations| annotations.get(CONFIG_HASH).cloned()),
        }
    }

    /// The write that makes the annotations say so. It holds all of them, since an apply removes what it leaves out.
    fn apply(&self, key: &Key, deployment: &Deployment) -> Result<Write, BoxError> {
        let mut own = serde_json::Map::new();
        if let Some(observed) = &self.observed {
            own.insert(OBSERVED.to_owned(), serde_json::to_string(observed)?.into());
        }
        if let Some(held) = &self.held {
            own.insert(HELD.to_owned(), held.as_str().into());
        }
        let mut fields = json!({
            "metadata": {
                "name": key.name(),
                "namespace": key.namespace(),
                "uid": deployment.metadata.uid,
                "annotations": Value::Object(own),
            },
        });
        if let Some(hash) = &self.config_hash {
            fields["spec"] = json!({"template": {"metadata": {"annotations": {CONFIG_HASH: hash}}}});
        }
        // These annotations are nobody else's, whoever copied or restored them.
        Ok(Write::apply_value(key.clone(), fields).managed_by(FIELD_MANAGER).force())
    }
}

fn uses_of(deployment: &Deployment) -> Uses {
    let spec = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    spec.map(uses::of).unwrap_or_default()
}

fn index_value(namespace: &str, source: &Source) -> String {
    format!("{} {namespace}/{}", source.kind.as_str(), source.name)
}

/// Which kinds of sources have changed, as metrics tell it.
fn changed(changes: &[ConfigChanged]) -> &'static str {
    let has = |kind| changes.iter().any(|change| change.source.kind == kind);
    match (has(SourceKind::ConfigMap), has(SourceKind::Secret)) {
        (true, true) => "both",
        (true, false) => SourceKind::ConfigMap.as_str(),
        (false, true) => SourceKind::Secret.as_str(),
        (false, false) => "unknown",
    }
}

/// Whether a Deployment is to be rolled out when its configuration changes, by its own word and by ours.
fn is_served(deployment: &Deployment, view: &View) -> bool {
    let labels = deployment.metadata.labels.iter().flatten().map(|(name, value)| (&**name, &**value));
    opting::is_in(deployment) && view.option(&SELECTOR).selects(labels)
}

fn state(deployment: &Deployment, view: &View) -> String {
    let state = State::of(deployment);
    let text = match (is_served(deployment, view), state.held, state.config_hash, state.observed) {
        (false, ..) => "",
        (true, Some(_), ..) => "held",
        (true, None, Some(_), _) => "rolled out",
        (true, None, None, Some(_)) => "observed",
        (true, None, None, None) => "new",
    };
    text.to_owned()
}

fn held(deployment: &Deployment, view: &View) -> String {
    State::of(deployment).held.filter(|_| is_served(deployment, view)).unwrap_or_default()
}

/// What people are told of a rollout.
fn note(changes: &[ConfigChanged]) -> String {
    if changes.is_empty() {
        return "rolled out, because the configuration changed".to_owned();
    }
    let shown = changes.iter().map(|change| {
        let mut keys: Vec<&str> = change.keys.iter().map(String::as_str).take(KEYS_TOLD_MAX).collect();
        if change.keys.len() > KEYS_TOLD_MAX {
            keys.push("…");
        }
        if keys.is_empty() {
            change.source.to_string()
        } else {
            format!("{} ({})", change.source, keys.join(", "))
        }
    });
    format!("rolled out, because of a change of {}", shown.collect::<Vec<_>>().join(", "))
}
