//! Which ConfigMaps and Secrets a pod template uses, and what of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::api::core::v1::{Container, KeyToPath, PodSpec, Volume};

/// A ConfigMap or Secret in the namespace of the workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// Which of the two it is.
    pub kind: SourceKind,
    /// Its name.
    pub name: String,
}

/// The kinds of objects that hold configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// What of a source is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Use {
    /// All keys, whichever there are.
    pub(super) whole: bool,
    /// These keys, and whether they must be there.
    pub(super) keys: BTreeMap<String, bool>,
    /// Whether the source must be there.
    pub(super) required: bool,
}

/// All that a pod template uses.
pub(super) type Uses = BTreeMap<Source, Use>;

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

impl SourceKind {
    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

impl Use {
    /// Whether a key is used.
    pub(super) fn has(&self, key: &str) -> bool {
        self.whole || self.keys.contains_key(key)
    }

    /// What is used, for telling one use from another: empty for the whole.
    pub(super) fn selection(&self) -> String {
        let keys: Vec<&str> = self.keys.keys().map(String::as_str).collect();
        if self.whole { String::new() } else { format!("[{}]", keys.join(",")) }
    }
}

/// What the containers and volumes of a pod template use.
pub(super) fn of(spec: &PodSpec) -> Uses {
    let mut uses = Collected::default();
    for volume in spec.volumes.iter().flatten() {
        uses.volume(volume);
    }
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        uses.container(container);
    }
    uses.0
}

#[derive(Default)]
struct Collected(Uses);

impl Collected {
    fn volume(&mut self, volume: &Volume) {
        use SourceKind::{ConfigMap, Secret};
        if let Some(map) = &volume.config_map {
            self.items(ConfigMap, &map.name, map.items.as_deref(), map.optional);
        }
        if let Some(secret) = &volume.secret {
            let name = secret.secret_name.as_deref().unwrap_or_default();
            self.items(Secret, name, secret.items.as_deref(), secret.optional);
        }
        for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()) {
            if let Some(map) = &source.config_map {
                self.items(ConfigMap, &map.name, map.items.as_deref(), map.optional);
            }
            if let Some(secret) = &source.secret {
                self.items(Secret, &secret.name, secret.items.as_deref(), secret.optional);
            }
        }
    }

    fn container(&mut self, container: &Container) {
        use SourceKind::{ConfigMap, Secret};
        for from in container.env_from.iter().flatten() {
            if let Some(map) = &from.config_map_ref {
                self.items(ConfigMap, &map.name, None, map.optional);
            }
            if let Some(secret) = &from.secret_ref {
                self.items(Secret, &secret.name, None, secret.optional);
            }
        }
        for from in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            if let Some(key) = &from.config_map_key_ref {
                self.add(ConfigMap, &key.name, Some([&*key.key].into()), key.optional);
            }
            if let Some(key) = &from.secret_key_ref {
                self.add(Secret, &key.name, Some([&*key.key].into()), key.optional);
            }
        }
    }

    fn items(&mut self, kind: SourceKind, name: &str, items: Option<&[KeyToPath]>, optional: Option<bool>) {
        let items = items.filter(|items| !items.is_empty());
        let keys = items.map(|items| items.iter().map(|item| &*item.key).collect());
        self.add(kind, name, keys, optional);
    }

    fn add(&mut self, kind: SourceKind, name: &str, keys: Option<BTreeSet<&str>>, optional: Option<bool>) {
        if name.is_empty() {
            return;
        }
        let used = self.0.entry(Source { kind, name: name.to_owned() }).or_default();
        let required = optional != Some(true);
        used.required |= required;
        used.whole |= keys.is_none();
        for key in keys.into_iter().flatten() {
            *used.keys.entry(key.to_owned()).or_default() |= required;
        }
    }
}
