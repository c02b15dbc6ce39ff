//! Which kinds a server has, and which one an object or `Kind namespace/name` means.

use std::collections::BTreeMap;

use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroupList, APIResourceList};
use kube::{Client, Error};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Key, Kind};

/// Where an object is that does not say.
pub(super) const NAMESPACE: &str = "default";

/// The kinds that a server has, as far as anybody asked.
pub(super) struct Kinds {
    client: Client,
    /// By group and version.
    lists: BTreeMap<String, Vec<Served>>,
}

/// A kind that the server has.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) kind: Kind,
    pub(super) is_namespaced: bool,
    /// Whether its status is written apart.
    pub(super) has_status: bool,
}

impl Kinds {
    pub(super) fn new(client: Client) -> Self {
        Self { client, lists: BTreeMap::new() }
    }

    /// The kind of an object, and its key. The name is empty if it says none.
    pub(super) async fn of_object(&mut self, object: &Value) -> Result<(Served, Key), String> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let Some(kind) = text("/kind") else {
            return Err("this is no object: say `kind` and `metadata: {name: …}`".to_owned());
        };
        let served = self.kind(text("/apiVersion"), kind).await?;
        let key = served.key(text("/metadata/namespace"), text("/metadata/name").unwrap_or_default())?;
        Ok((served, key))
    }

    /// What `Kind namespace/name` means, and what is behind the name: a subresource.
    pub(super) async fn named(&mut self, text: &str) -> Result<(Served, Key, Option<String>), String> {
        let Some((kind, name)) = text.split_once(' ') else {
            return Err(format!("{text:?} names no object: say `Kind namespace/name`"));
        };
        let served = self.kind(None, kind).await?;
        let parts: Vec<&str> = name.trim().split('/').collect();
        let (namespace, name, subresource) = match (&*parts, served.is_namespaced) {
            ([name], _) => (None, *name, None),
            ([namespace, name], true) => (Some(*namespace), *name, None),
            ([namespace, name, sub], true) => (Some(*namespace), *name, Some(*sub)),
            ([name, sub], false) => (None, *name, Some(*sub)),
            _ => return Err(format!("{text:?} names no object: say `Kind namespace/name`")),
        };
        let key = served.key(namespace, name)?;
        Ok((served, key, subresource.map(str::to_owned)))
    }

    /// The kind of this name, which may have its group behind it: `Deployment`, `Deployment.apps`.
    async fn kind(&mut self, api_version: Option<&str>, name: &str) -> Result<Served, String> {
        if let Some(api_version) = api_version {
            let found = self.list(api_version).await?.iter().find(|served| served.kind.name() == name);
            return found.cloned().ok_or_else(|| {
                format!("the server has no {name} in {api_version}: is its definition before it in the file?")
            });
        }
        let (short, group) = name.split_once('.').map_or((name, None), |(short, group)| (short, Some(group)));
        let mut found = self.known(short, group);
        if found.is_empty() {
            self.list_all().await?;
            found = self.known(short, group);
        }
        match &*found {
            [one] => Ok(one.clone()),
            [] => Err(format!("the server has no kind {name}")),
            several => {
                let several: Vec<String> =
                    several.iter().map(|served| served.kind.api_version().to_owned()).collect();
                Err(format!("{name} may be of {}: say which, as `apiVersion`", several.join(" or ")))
            }
        }
    }

    fn known(&self, name: &str, group: Option<&str>) -> Vec<Served> {
        let served = self.lists.values().flatten().filter(|served| served.kind.name() == name);
        served.filter(|served| group.is_none_or(|group| served.kind.group() == group)).cloned().collect()
    }

    /// The kinds of a group and version. What is not there is not remembered: its definition may come.
    async fn list(&mut self, api_version: &str) -> Result<&[Served], String> {
        let known = self.lists.get(api_version).is_some_and(|list| !list.is_empty());
        if !known {
            let path = if api_version.contains('/') {
                format!("/apis/{api_version}")
            } else {
                format!("/api/{api_version}")
            };
            let list: Option<APIResourceList> = get(&self.client, &path).await?;
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let resources = list.map(|list| list.resources).unwrap_or_default();
            let names: Vec<String> = resources.iter().map(|resource| resource.name.clone()).collect();
            let served =
                resources.into_iter().filter(|resource| !resource.name.contains('/')).map(|resource| {
                    let has_status = names.contains(&format!("{}/status", resource.name));
                    let kind = Kind::named(group, version, &resource.kind, &resource.name);
                    Served { kind, is_namespaced: resource.namespaced, has_status }
                });
            self.lists.insert(api_version.to_owned(), served.collect());
        }
        Ok(self.lists.get(api_version).map(Vec::as_slice).unwrap_or_default())
    }

    async fn list_all(&mut self) -> Result<(), String> {
        let groups: Option<APIGroupList> = get(&self.client, "/apis").await?;
        let groups = groups.map(|list| list.groups).unwrap_or_default();
        let preferred = groups.into_iter().filter_map(|group| group.preferred_version);
        let versions = preferred.map(|version| version.group_version);
        for version in ["v1".to_owned()].into_iter().chain(versions) {
            self.list(&version).await?;
        }
        Ok(())
    }

    /// Whether the server has this kind by now.
    pub(super) async fn has(&mut self, api_version: &str, kind: &str) -> Result<bool, String> {
        self.lists.remove(api_version);
        Ok(self.list(api_version).await?.iter().any(|served| served.kind.name() == kind))
    }
}

impl Served {
    /// The key of an object of this kind.
    fn key(&self, namespace: Option<&str>, name: &str) -> Result<Key, String> {
        match (self.is_namespaced, namespace) {
            (true, namespace) => Ok(Key::of_kind(self.kind.clone(), namespace.unwrap_or(NAMESPACE), name)),
            (false, None) => Ok(Key::of_kind(self.kind.clone(), None, name)),
            (false, Some(_)) => Err(format!("a {} is in no namespace: leave it out", self.kind.name())),
        }
    }
}

/// What is at a path; none if it is not there.
pub(super) async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<Option<T>, String> {
    let request = Request::get(path).body(Vec::new()).map_err(|error| format!("{path}: {error}"))?;
    match client.request::<T>(request).await {
        Ok(value) => Ok(Some(value)),
        Err(Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(format!("cannot read {path}: {error}")),
    }
}
