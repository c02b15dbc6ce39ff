//! The operations of a resource, as a kube-apiserver offers them: on its collection, its objects, its subresources, and
//! the old paths of watches.

use serde_json::{Value, json};

use super::{
    operations::{Answer, Body, META, Names, OBJECT, Operation, Parameter, Paths, camel, identifier, root},
    texts,
};
use crate::{
    discovery::lists,
    kinds::{Resource, Text},
};

const ANYTHING: &[&str] = &["*/*"];
const STREAM: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
const LOG: &[&str] =
    &["text/plain", "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const CUSTOM_OBJECT: &[&str] = &["application/json", "application/yaml"];
const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const CUSTOM_PATCHES: &[&str] =
    &["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

const DEPRECATED: &str = "deprecated: use the 'watch' parameter with a list operation instead";

/// Kinds whose deletion answers the object, not a `Status`.
const ANSWER_DELETED: &[(&str, &str)] = &[
    ("", "PersistentVolume"),
    ("", "PersistentVolumeClaim"),
    ("", "Pod"),
    ("", "PodTemplate"),
    ("", "ResourceQuota"),
    ("", "Service"),
    ("", "ServiceAccount"),
    ("resource.k8s.io", "DeviceClass"),
    ("resource.k8s.io", "ResourceClaim"),
    ("resource.k8s.io", "ResourceClaimTemplate"),
    ("resource.k8s.io", "ResourceSlice"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "CSINode"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttachment"),
    ("storage.k8s.io", "VolumeAttributesClass"),
];

/// Adds the operations of a resource.
pub fn of_resource(resource: &Resource, paths: &mut Paths) {
    let writer = Writer::new(resource);
    writer.collection(paths);
    writer.objects(paths);
    writer.watches(paths);
    for subresource in lists::subresources(resource) {
        writer.subresource(subresource, paths);
    }
}

struct Writer<'a> {
    resource: &'a Resource,
    names: Names,
    /// What stands between verb and kind in identifiers: `CoreV1`.
    camel: String,
    namespaced: &'static str,
    root: String,
    /// The path of the collection.
    collection: String,
    custom: bool,
}

impl<'a> Writer<'a> {
    fn new(resource: &'a Resource) -> Self {
        let root = root(&resource.group, &resource.version);
        let namespace = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        Self {
            resource,
            names: Names::of(resource),
            camel: camel(&resource.group, &resource.version),
            namespaced: if resource.namespaced { "Namespaced" } else { "" },
            collection: format!("{root}{namespace}/{}", resource.plural),
            root,
            custom: resource.type_name.is_none(),
        }
    }

    fn kind_json(&self) -> Value {
        json!({"group": self.resource.group, "version": self.resource.version, "kind": self.resource.kind})
    }

    /// An operation on objects of the resource's own kind.
    fn operation(
        &self,
        (method, action): (&'static str, &'static str),
        id: String,
        description: String,
        options: &[&str],
    ) -> Operation {
        let mut parameters: Vec<Parameter> = [""]
            .iter()
            .chain(options)
            .flat_map(|options| texts::parameters(options))
            .map(|(name, type_, description)| Parameter {
                name: name.to_owned(),
                place: "query",
                type_,
                description: description.to_owned(),
            })
            .collect();
        // Those of two kinds of options may have the same name.
        parameters.sort_by(|a, b| a.name.cmp(&b.name));
        parameters.dedup_by(|a, b| a.name == b.name);
        if action == "deletecollection" && !self.custom {
            parameters.retain(|parameter| !matches!(&*parameter.name, "allowWatchBookmarks" | "watch"));
        }
        Operation {
            method,
            id,
            description,
            action: Some(action),
            kind: Some(self.kind_json()),
            parameters,
            body: None,
            answers: Vec::new(),
            produces: if self.custom { CUSTOM_OBJECT } else { OBJECT },
        }
    }

    /// Adds an operation under a path, with the parameters that the path has.
    fn add(paths: &mut Paths, path: String, mut operation: Operation) {
        let name = operation.kind.as_ref().and_then(|kind| kind["kind"].as_str()).unwrap_or_default();
        let in_path = [
            ("name", format!("name of the {name}")),
            ("namespace", "object name and auth scope, such as for teams and projects".to_owned()),
            ("path", "path to the resource".to_owned()),
        ];
        for (parameter, description) in in_path {
            if path.contains(&format!("{{{parameter}}}")) {
                let name = parameter.to_owned();
                operation.parameters.push(Parameter { name, place: "path", type_: "string", description });
            }
        }
        operation.parameters.sort_by(|a, b| (&a.name, a.place).cmp(&(&b.name, b.place)));
        paths.entry(path).or_default().push(operation);
    }

    fn answers(codes: &[u16], definition: &str) -> Vec<(u16, Answer)> {
        codes.iter().map(|code| (*code, Answer::Definition(definition.to_owned()))).collect()
    }

    fn body(&self, definition: &str, required: bool) -> Body {
        let consumes = if self.custom { CUSTOM_OBJECT } else { ANYTHING };
        Body { definition: definition.to_owned(), consumes, required }
    }

    fn collection(&self, paths: &mut Paths) {
        let (camel, kind) = (&self.camel, &self.resource.kind);
        let namespaced = self.namespaced;
        if self.resource.allows("list") {
            let list = |id: String| {
                let described = format!("{} objects of kind {kind}", self.list_verb());
                let options = &["ListOptions"];
                let mut operation = self.operation(("get", "list"), id, described, options);
                operation.answers = Self::answers(&[200], &self.names.list);
                if !self.custom {
                    operation.produces = STREAM;
                }
                operation
            };
            Self::add(paths, self.collection.clone(), list(format!("list{camel}{namespaced}{kind}")));
            if self.resource.namespaced {
                let path = format!("{}/{}", self.root, self.resource.plural);
                Self::add(paths, path, list(format!("list{camel}{kind}ForAllNamespaces")));
            }
        }
        if self.resource.allows("create") {
            let described = format!("create {}{kind}", article(kind));
            let id = format!("create{camel}{namespaced}{kind}");
            let mut operation = self.operation(("post", "post"), id, described, &["CreateOptions"]);
            operation.body = Some(self.body(&self.names.object, true));
            operation.answers = Self::answers(&[200, 201, 202], &self.names.object);
            Self::add(paths, self.collection.clone(), operation);
        }
        if self.resource.allows("deletecollection") {
            let id = format!("delete{camel}Collection{namespaced}{kind}");
            let options: &[&str] =
                if self.custom { &["ListOptions"] } else { &["ListOptions", "DeleteOptions"] };
            let described = format!("delete collection of {kind}");
            let mut operation = self.operation(("delete", "deletecollection"), id, described, options);
            if !self.custom {
                operation.body = Some(self.body(&format!("{META}.DeleteOptions"), false));
            }
            operation.answers = Self::answers(&[200], &format!("{META}.Status"));
            Self::add(paths, self.collection.clone(), operation);
        }
    }

    fn list_verb(&self) -> &'static str {
        if self.resource.allows("watch") && !self.custom { "list or watch" } else { "list" }
    }

    fn objects(&self, paths: &mut Paths) {
        let path = format!("{}/{{name}}", self.collection);
        self.get_put_patch(&path, "", &self.resource.verbs, &self.names.object, &self.kind_json(), paths);
        if self.resource.allows("delete") {
            let kind = &self.resource.kind;
            let id = format!("delete{}{}{kind}", self.camel, self.namespaced);
            let described = format!("delete {}{kind}", article(kind));
            let mut operation = self.operation(("delete", "delete"), id, described, &["DeleteOptions"]);
            operation.body = Some(self.body(&format!("{META}.DeleteOptions"), false));
            let answers_object = ANSWER_DELETED.contains(&(&*self.resource.group, &**kind));
            let status = format!("{META}.Status");
            let answer = if answers_object { &self.names.object } else { &status };
            operation.answers = Self::answers(&[200, 202], answer);
            Self::add(paths, path, operation);
        }
    }

    /// Reading, replacing and patching an object or a subresource.
    fn get_put_patch(
        &self,
        path: &str,
        part: &str,
        verbs: &[Text],
        definition: &str,
        kind_json: &Value,
        paths: &mut Paths,
    ) {
        let kind = &self.resource.kind;
        let of = if part.is_empty() { String::new() } else { format!("{part} of ") };
        let suffix = capitalized(part);
        let id = |verb: &str| format!("{verb}{}{}{kind}{suffix}", self.camel, self.namespaced);
        let allows = |verb: &str| verbs.iter().any(|own| &**own == verb);
        let mut add = |mut operation: Operation, codes: &[u16]| {
            operation.kind = Some(kind_json.clone());
            operation.answers = Self::answers(codes, definition);
            Self::add(paths, path.to_owned(), operation);
        };
        if allows("get") {
            let described = format!("read {of}the specified {kind}");
            // Custom resources can be read as of a revision.
            let options: &[&str] = if self.custom { &["GetOptions"] } else { &[] };
            add(self.operation(("get", "get"), id("read"), described, options), &[200]);
        }
        if allows("update") {
            let described = format!("replace {of}the specified {kind}");
            let mut operation = self.operation(("put", "put"), id("replace"), described, &["UpdateOptions"]);
            operation.body = Some(self.body(definition, true));
            add(operation, &[200, 201]);
        }
        if allows("patch") {
            let described = format!("partially update {of}the specified {kind}");
            let mut operation = self.operation(("patch", "patch"), id("patch"), described, &["PatchOptions"]);
            let consumes = if self.custom { CUSTOM_PATCHES } else { PATCHES };
            operation.body = Some(Body { definition: format!("{META}.Patch"), consumes, required: true });
            add(operation, if self.custom { &[200] } else { &[200, 201] });
        }
    }

    /// The old paths of watches, which built-in kinds still have.
    fn watches(&self, paths: &mut Paths) {
        if self.custom || !self.resource.allows("watch") {
            return;
        }
        let (camel, kind, namespaced) = (&self.camel, &self.resource.kind, self.namespaced);
        let operation = |action, id: String, described: String| {
            let mut operation = self.operation(("get", action), id, described, &["ListOptions"]);
            operation.answers = Self::answers(&[200], &format!("{META}.WatchEvent"));
            operation.produces = STREAM;
            operation
        };
        let below = self.collection.strip_prefix(&self.root).unwrap_or_default();
        let list = |id| {
            operation("watchlist", id, format!("watch individual changes to a list of {kind}. {DEPRECATED}."))
        };
        let path = format!("{}/watch{below}", self.root);
        Self::add(paths, path.clone(), list(format!("watch{camel}{namespaced}{kind}List")));
        if self.resource.namespaced {
            let all = format!("{}/watch/{}", self.root, self.resource.plural);
            Self::add(paths, all, list(format!("watch{camel}{kind}ListForAllNamespaces")));
        }
        if self.resource.allows("get") {
            let described = format!(
                "watch changes to an object of kind {kind}. {DEPRECATED}, filtered to a single item with the \
                 'fieldSelector' parameter."
            );
            let one = operation("watch", format!("watch{camel}{namespaced}{kind}"), described);
            Self::add(paths, format!("{path}/{{name}}"), one);
        }
    }

    fn subresource(&self, subresource: &crate::kinds::Subresource, paths: &mut Paths) {
        let path = format!("{}/{{name}}/{}", self.collection, subresource.name);
        let own = subresource.version.is_empty();
        let (group, version) = if own {
            (&self.resource.group, &self.resource.version)
        } else {
            (&subresource.group, &subresource.version)
        };
        let definition = if own && subresource.kind == self.resource.kind {
            self.names.object.clone()
        } else {
            crate::kinds::table::type_name(group, version, &subresource.kind).unwrap_or_default().to_owned()
        };
        // A custom resource's scale is said to be of the resource's own kind, as Kubernetes says it.
        let kind = if self.custom {
            self.kind_json()
        } else {
            json!({"group": group, "version": version, "kind": subresource.kind})
        };
        if subresource.kind.ends_with("Options") {
            self.connect(&path, subresource, &kind, paths);
            return;
        }
        if &*subresource.name == "log" {
            self.log(path, paths);
            return;
        }
        if subresource.verbs.iter().any(|verb| &**verb == "create") {
            let (name, noun) = (&subresource.name, &self.resource.kind);
            let id = format!("create{}{}{noun}{}", self.camel, self.namespaced, capitalized(name));
            let described = format!("create {name} of {}{noun}", article(noun));
            let mut operation = self.operation(("post", "post"), id, described, &["CreateOptions"]);
            operation.kind = Some(kind.clone());
            operation.body = Some(self.body(&definition, true));
            operation.answers = Self::answers(&[200, 201, 202], &definition);
            Self::add(paths, path.clone(), operation);
        }
        self.get_put_patch(&path, &subresource.name, &subresource.verbs, &definition, &kind, paths);
    }

    fn log(&self, path: String, paths: &mut Paths) {
        let kind = &self.resource.kind;
        let id = format!("read{}{}{kind}Log", self.camel, self.namespaced);
        let described = format!("read log of the specified {kind}");
        let mut operation = self.operation(("get", "get"), id, described, &["PodLogOptions"]);
        operation.answers = vec![(200, Answer::Text)];
        operation.produces = LOG;
        Self::add(paths, path, operation);
    }

    fn connect(&self, path: &str, subresource: &crate::kinds::Subresource, json: &Value, paths: &mut Paths) {
        let (kind, name) = (&self.resource.kind, &subresource.name);
        let proxies = &**name == "proxy";
        let methods: &[&'static str] = if proxies {
            &["get", "put", "post", "delete", "options", "head", "patch"]
        } else {
            &["get", "post"]
        };
        for method in methods {
            let upper = method.to_uppercase();
            let described = format!("connect {upper} requests to {name} of {kind}");
            let id = format!(
                "connect{}{}{}{kind}{}",
                self.camel,
                capitalized(method),
                self.namespaced,
                identifier(name, true)
            );
            let with_path = proxies.then(|| (format!("{path}/{{path}}"), format!("{id}WithPath")));
            for (path, id) in std::iter::once((path.to_owned(), id)).chain(with_path) {
                let options = &[&*subresource.kind];
                let mut operation = self.operation((method, "connect"), id, described.clone(), options);
                operation.parameters.retain(|parameter| parameter.name != "pretty");
                operation.kind = Some(json.clone());
                operation.answers = vec![(200, Answer::Text)];
                operation.produces = ANYTHING;
                Self::add(paths, path, operation);
            }
        }
    }
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// The article of a noun and a space behind it; plurals have none.
fn article(noun: &str) -> &'static str {
    match () {
        () if noun.ends_with('s') && !noun.ends_with("ss") => "",
        () if noun.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']) => "an ",
        () => "a ",
    }
}
