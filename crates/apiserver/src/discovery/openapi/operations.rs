//! What may be done under which path, before it is written in a dialect: the parts of an operation, and how operations
//! and types are named.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::kinds::Resource;

/// Something that may be done: a method on a path.
pub struct Operation {
    /// `get`, `post` and so on.
    pub method: &'static str,
    /// The identifier, unique in all documents: `listCoreV1NamespacedPod`.
    pub id: String,
    /// A sentence.
    pub description: String,
    /// `x-kubernetes-action`; none for discovery itself.
    pub action: Option<&'static str>,
    /// `x-kubernetes-group-version-kind`.
    pub kind: Option<Value>,
    /// What may be asked in the path and the query.
    pub parameters: Vec<Parameter>,
    /// The body, if it takes one.
    pub body: Option<Body>,
    /// The codes of success and what each answers.
    pub answers: Vec<(u16, Answer)>,
    /// The media types of answers.
    pub produces: &'static [&'static str],
}

/// A parameter in a path or a query.
#[derive(Clone, PartialEq)]
pub struct Parameter {
    /// The name.
    pub name: String,
    /// `path` or `query`.
    pub place: &'static str,
    /// Its OpenAPI type.
    pub type_: &'static str,
    /// What it means.
    pub description: String,
}

/// The body of a request.
pub struct Body {
    /// The name of its definition.
    pub definition: String,
    /// The media types that are understood.
    pub consumes: &'static [&'static str],
    /// Whether there must be one.
    pub required: bool,
}

/// The body of an answer.
#[derive(Clone)]
pub enum Answer {
    /// An object of that definition.
    Definition(String),
    /// A text.
    Text,
}

/// The operations by path.
pub type Paths = BTreeMap<String, Vec<Operation>>;

/// The package of the types that all groups share.
pub const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
/// The media types of built-in objects.
pub const OBJECT: &[&str] = &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
/// Where the paths of a group and version begin.
pub fn root(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

/// `rbac.authorization.k8s.io/v1` as it stands in identifiers: `RbacAuthorizationV1`.
pub fn camel(group: &str, version: &str) -> String {
    let group = if group.is_empty() { "core" } else { group.strip_suffix(".k8s.io").unwrap_or(group) };
    identifier(group, true) + &identifier(version, true)
}

/// The tag of operations: `rbacAuthorization_v1`.
pub fn tag(group: &str, version: &str) -> String {
    let group = if group.is_empty() { "core" } else { group.strip_suffix(".k8s.io").unwrap_or(group) };
    format!("{}_{}", identifier(group, false), identifier(version, false))
}

/// A text without what identifiers cannot have; what follows such a character is capitalized.
pub fn identifier(text: &str, mut capitalize: bool) -> String {
    let mut out = String::new();
    for (index, character) in text.chars().enumerate() {
        if character.is_alphabetic() || character == '_' || (index > 0 && character.is_numeric()) {
            if capitalize {
                out.extend(character.to_uppercase());
            } else {
                out.push(character);
            }
            capitalize = false;
        } else {
            capitalize = true;
        }
    }
    out
}

/// The operation that lists the resources of a version.
pub fn discovery(group: &str, version: &str) -> Operation {
    Operation {
        method: "get",
        id: format!("get{}APIResources", camel(group, version)),
        description: "get available resources".to_owned(),
        action: None,
        kind: None,
        parameters: Vec::new(),
        body: None,
        answers: vec![(200, Answer::Definition(format!("{META}.APIResourceList")))],
        produces: OBJECT,
    }
}

/// The OpenAPI names of a resource's types.
pub struct Names {
    /// Of an object.
    pub object: String,
    /// Of a list.
    pub list: String,
}

impl Names {
    /// Those of a built-in resource, or those that Kubernetes makes up for a custom one.
    pub fn of(resource: &Resource) -> Self {
        if let Some(name) = resource.type_name {
            return Self { object: name.to_owned(), list: format!("{name}List") };
        }
        let mut parts: Vec<&str> = resource.group.split('.').collect();
        parts.reverse();
        let package = format!("{}.{}", parts.join("."), resource.version);
        Self {
            object: format!("{package}.{}", resource.kind),
            list: format!("{package}.{}", resource.list_kind),
        }
    }
}
