//! The ConfigMaps and Secrets without which a Pod's containers cannot start.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, KeyToPath, Pod, Volume};

/// Where configuration comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    ConfigMap,
    Secret,
}

/// Gives the keys of a ConfigMap or Secret in the Pod's namespace; none if there is no such object.
pub(crate) type Keys<'a> = dyn Fn(Source, &str) -> Option<BTreeSet<String>> + 'a;

/// A use of a ConfigMap or Secret, whole or of some keys.
struct Use<'p> {
    source: Source,
    name: &'p str,
    keys: Vec<&'p str>,
    optional: bool,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    /// By which a Pod is found that uses it.
    pub(crate) fn index_value(self, namespace: &str, name: &str) -> String {
        format!("{} {namespace}/{name}", self.kind())
    }
}

/// The index values of everything that a Pod uses.
pub(crate) fn index_values(pod: &Pod) -> Vec<String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let Some(spec) = &pod.spec else { return Vec::new() };
    let volumes = spec.volumes.iter().flatten().flat_map(of_volume);
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers).flat_map(of_container);
    let used: BTreeSet<String> =
        volumes.chain(containers).map(|used| used.source.index_value(namespace, used.name)).collect();
    used.into_iter().collect()
}

/// Why volumes of a Pod cannot be mounted, in kubelet's words.
pub(crate) fn volume_problems(pod: &Pod, keys: &Keys) -> Vec<String> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let problems = volumes.filter_map(|volume| {
        let problem = of_volume(volume).iter().find_map(|used| {
            used.problem(keys, |key| match used.source {
                Source::ConfigMap => format!("configmap references non-existent config key: {key}"),
                Source::Secret => format!("references non-existent secret key: {key}"),
            })
        })?;
        Some(format!("MountVolume.SetUp failed for volume \"{}\" : {problem}", volume.name))
    });
    problems.collect()
}

/// Why the environment of a container cannot be made, in kubelet's words.
pub(crate) fn environment_problem(pod: &Pod, container: &Container, keys: &Keys) -> Option<String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    of_container(container).iter().find_map(|used| {
        used.problem(keys, |key| {
            format!("couldn't find key {key} in {} {namespace}/{}", used.source.kind(), used.name)
        })
    })
}

impl<'p> Use<'p> {
    fn whole(source: Source, name: &'p str, optional: Option<bool>) -> Self {
        Self { source, name, keys: Vec::new(), optional: optional.unwrap_or_default() }
    }

    fn with_items(mut self, items: Option<&'p Vec<KeyToPath>>) -> Self {
        self.keys = items.into_iter().flatten().map(|item| &*item.key).collect();
        self
    }

    fn problem(&self, keys: &Keys, missing_key: impl Fn(&str) -> String) -> Option<String> {
        if self.optional {
            return None;
        }
        let Some(there) = keys(self.source, self.name) else {
            return Some(format!("{} \"{}\" not found", self.source.name(), self.name));
        };
        self.keys.iter().find(|key| !there.contains(**key)).map(|key| missing_key(key))
    }
}

fn of_volume(volume: &Volume) -> Vec<Use<'_>> {
    let mut uses = Vec::new();
    if let Some(map) = &volume.config_map {
        uses.push(Use::whole(Source::ConfigMap, &map.name, map.optional).with_items(map.items.as_ref()));
    }
    if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        uses.push(Use::whole(Source::Secret, name, secret.optional).with_items(secret.items.as_ref()));
    }
    let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
    for source in projected {
        if let Some(map) = &source.config_map {
            uses.push(Use::whole(Source::ConfigMap, &map.name, map.optional).with_items(map.items.as_ref()));
        }
        if let Some(secret) = &source.secret {
            uses.push(
                Use::whole(Source::Secret, &secret.name, secret.optional).with_items(secret.items.as_ref()),
            );
        }
    }
    uses
}

fn of_container(container: &Container) -> Vec<Use<'_>> {
    let mut uses = Vec::new();
    for from in container.env_from.iter().flatten() {
        if let Some(map) = &from.config_map_ref {
            uses.push(Use::whole(Source::ConfigMap, &map.name, map.optional));
        }
        if let Some(secret) = &from.secret_ref {
            uses.push(Use::whole(Source::Secret, &secret.name, secret.optional));
        }
    }
    for from in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        if let Some(key) = &from.config_map_key_ref {
            let used = Use::whole(Source::ConfigMap, &key.name, key.optional);
            uses.push(Use { keys: vec![&key.key], ..used });
        }
        if let Some(key) = &from.secret_key_ref {
            let used = Use::whole(Source::Secret, &key.name, key.optional);
            uses.push(Use { keys: vec![&key.key], ..used });
        }
    }
    uses
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// There are ConfigMap `map` and Secret `secret`, each with key `a`.
    fn keys(source: Source, name: &str) -> Option<BTreeSet<String>> {
        (name == source.kind().to_lowercase().trim_start_matches("config")).then(|| ["a".to_owned()].into())
    }

    fn pod(volume: Value, env_from: Value, env: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "ns"},
            "spec": {
                "volumes": [volume],
                "containers": [{"name": "c", "envFrom": env_from, "env": env}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn volumes() {
        let failed = |text: &str| format!("MountVolume.SetUp failed for volume \"v\" : {text}");
        for (volume, problem) in [
            (json!({"configMap": {"name": "map"}}), None),
            (json!({"configMap": {"name": "none"}}), Some("configmap \"none\" not found")),
            (json!({"configMap": {"name": "none", "optional": true}}), None),
            (json!({"secret": {"secretName": "none"}}), Some("secret \"none\" not found")),
            (
                json!({"configMap": {"name": "map", "items": [{"key": "b", "path": "b"}]}}),
                Some("configmap references non-existent config key: b"),
            ),
            (
                json!({"secret": {"secretName": "secret", "items": [{"key": "b", "path": "b"}]}}),
                Some("references non-existent secret key: b"),
            ),
            (
                json!({"projected": {"sources": [{"configMap": {"name": "map"}}, {"secret": {"name": "x"}}]}}),
                Some("secret \"x\" not found"),
            ),
            (json!({"emptyDir": {}}), None),
        ] {
            let mut volume = volume;
            volume["name"] = "v".into();
            let problems = volume_problems(&pod(volume.clone(), json!([]), json!([])), &keys);
            assert_eq!(problems.first().cloned(), problem.map(failed), "{volume}");
        }
    }

    #[test]
    fn environments() {
        let map_key = |name: &str, key: &str, optional: bool| json!([{"name": "V", "valueFrom": {"configMapKeyRef": {"name": name, "key": key, "optional": optional}}}]);
        let secret_key = |name: &str, key: &str| json!([{"name": "V", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}]);
        for (from, env, problem) in [
            (json!([{"configMapRef": {"name": "map"}}]), json!([]), None),
            (json!([{"configMapRef": {"name": "none"}}]), json!([]), Some("configmap \"none\" not found")),
            (json!([{"secretRef": {"name": "none"}}]), json!([]), Some("secret \"none\" not found")),
            (json!([{"secretRef": {"name": "none", "optional": true}}]), json!([]), None),
            (json!([]), map_key("map", "a", false), None),
            (json!([]), map_key("map", "b", false), Some("couldn't find key b in ConfigMap ns/map")),
            (json!([]), map_key("map", "b", true), None),
            (json!([]), secret_key("secret", "b"), Some("couldn't find key b in Secret ns/secret")),
            (json!([]), secret_key("none", "b"), Some("secret \"none\" not found")),
        ] {
            let pod = pod(json!({"name": "v"}), from, env.clone());
            let container = &pod.spec.as_ref().unwrap().containers[0];
            assert_eq!(environment_problem(&pod, container, &keys).as_deref(), problem, "{env}");
        }
    }

    #[test]
    fn a_pod_is_found_by_what_it_uses() {
        let volume = json!({"name": "v", "secret": {"secretName": "s"}});
        let pod =
            pod(volume, json!([{"configMapRef": {"name": "m"}}, {"secretRef": {"name": "s"}}]), json!([]));
        assert_eq!(index_values(&pod), ["ConfigMap ns/m", "Secret ns/s"]);
    }
}
