//! Documents: definitions and operations, written in a dialect.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    custom,
    definitions::{closure, references},
    dialect::Dialect,
    offers,
    operations::{self, Answer, Operation, Parameter, Paths},
};
use crate::kinds::Resource;

/// The document of a group and version in OpenAPI 3.0.
pub fn version_3<'a>(
    group: &str,
    version: &str,
    resources: impl Iterator<Item = &'a Resource> + Clone,
) -> Value {
    let mut paths = Paths::new();
    let custom = resources.clone().all(|resource| resource.type_name.is_none());
    if !custom {
        let path = format!("{}/", operations::root(group, version));
        paths.entry(path).or_default().push(operations::discovery(group, version));
    }
    resources.clone().for_each(|resource| offers::of_resource(resource, &mut paths));
    let paths: Map<String, Value> = paths
        .iter()
        .map(|(path, operations)| {
            (path.clone(), path_item(operations, &operations::tag(group, version), Dialect::V3))
        })
        .collect();
    let paths = Value::Object(paths);
    let definitions = definitions(&paths, resources, &[(group, version)], Dialect::V3);
    if custom {
        return json!({
            "openapi": "3.0.0", "info": {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"},
            "paths": paths, "components": {"schemas": definitions},
        });
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.36.0"}, "paths": paths,
        "components": {"schemas": definitions, "securitySchemes": {"BearerToken": security()}},
    })
}

/// The document of everything in Swagger 2.0.
pub fn version_2<'a>(resources: impl Iterator<Item = &'a Resource> + Clone) -> Value {
    let mut paths = Paths::new();
    let mut tags = BTreeMap::new();
    for resource in resources.clone() {
        let root = format!("{}/", operations::root(&resource.group, &resource.version));
        tags.entry(root.clone()).or_insert_with(|| operations::tag(&resource.group, &resource.version));
        if resource.type_name.is_some() {
            paths
                .entry(root)
                .or_insert_with(|| vec![operations::discovery(&resource.group, &resource.version)]);
        }
        offers::of_resource(resource, &mut paths);
    }
    let tag_of = |path: &str| {
        let depth = if path.starts_with("/api/") { 3 } else { 4 };
        let root: String = path.split_inclusive('/').take(depth).collect();
        tags.get(&root).map_or("", String::as_str)
    };
    let paths: Map<String, Value> = paths
        .iter()
        .map(|(path, operations)| (path.clone(), path_item(operations, tag_of(path), Dialect::V2)))
        .collect();
    let paths = Value::Object(paths);
    let mut versions: Vec<(&str, &str)> =
        resources.clone().map(|resource| (&*resource.group, &*resource.version)).collect();
    versions.dedup();
    let definitions = definitions(&paths, resources, &versions, Dialect::V2);
    json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.36.0"}, "paths": paths,
        "definitions": definitions, "securityDefinitions": {"BearerToken": security()},
        "security": [{"BearerToken": []}],
    })
}

fn security() -> Value {
    json!({"description": "Bearer Token authentication", "type": "apiKey", "name": "authorization", "in": "header"})
}

/// The definitions that the paths need: those of custom resources, and built-in ones.
fn definitions<'a>(
    paths: &Value,
    resources: impl Iterator<Item = &'a Resource>,
    versions: &[(&str, &str)],
    dialect: Dialect,
) -> Map<String, Value> {
    let mut custom: Map<String, Value> = Map::new();
    for resource in resources.filter(|resource| resource.type_name.is_none()) {
        custom.extend(custom::definitions(resource, dialect));
    }
    let mut names = Vec::new();
    references(paths, &mut names);
    custom.values().for_each(|definition| references(definition, &mut names));
    let mut all = closure(names.into_iter().collect::<BTreeSet<_>>(), dialect);
    for kind in ["DeleteOptions", "WatchEvent"] {
        if let Some(definition) = all.get_mut(&format!("io.k8s.apimachinery.pkg.apis.meta.v1.{kind}")) {
            definition["x-kubernetes-group-version-kind"] = kinds_of(kind, versions);
        }
    }
    all.extend(custom);
    all
}

/// What is of each group and version of the document, and of the core group.
fn kinds_of(kind: &str, versions: &[(&str, &str)]) -> Value {
    let core = ("", "v1");
    let others = versions.iter().copied().filter(|version| *version != core);
    let json = |(group, version)| json!({"group": group, "version": version, "kind": kind});
    std::iter::once(core).chain(others).map(json).collect()
}

/// The operations of a path. What all of them may be asked is said once.
fn path_item(operations: &[Operation], tag: &str, dialect: Dialect) -> Value {
    let shared =
        |parameter: &&Parameter| operations.iter().all(|operation| operation.parameters.contains(parameter));
    let common: Vec<&Parameter> =
        operations.first().into_iter().flat_map(|operation| &operation.parameters).filter(shared).collect();
    let mut item = Map::new();
    if !common.is_empty() {
        let common = common.iter().map(|parameter| parameter_json(parameter, dialect)).collect();
        item.insert("parameters".to_owned(), Value::Array(common));
    }
    for operation in operations {
        let own: Vec<Value> = operation
            .parameters
            .iter()
            .filter(|parameter| !common.contains(parameter))
            .map(|parameter| parameter_json(parameter, dialect))
            .collect();
        item.insert(operation.method.to_owned(), operation_json(operation, own, tag, dialect));
    }
    Value::Object(item)
}

fn parameter_json(parameter: &Parameter, dialect: Dialect) -> Value {
    let mut json =
        json!({"name": parameter.name, "in": parameter.place, "description": parameter.description});
    match dialect {
        Dialect::V2 => {
            json["type"] = parameter.type_.into();
            json["uniqueItems"] = true.into();
        }
        Dialect::V3 => json["schema"] = json!({"type": parameter.type_, "uniqueItems": true}),
    }
    if parameter.place == "path" {
        json["required"] = true.into();
    }
    json
}

fn operation_json(operation: &Operation, mut parameters: Vec<Value>, tag: &str, dialect: Dialect) -> Value {
    let mut json = Map::new();
    let mut set = |name: &str, value: Value| drop(json.insert(name.to_owned(), value));
    set("tags", json!([tag]));
    set("description", operation.description.as_str().into());
    set("operationId", operation.id.as_str().into());
    if let Some(action) = operation.action {
        set("x-kubernetes-action", action.into());
    }
    if let Some(kind) = &operation.kind {
        set("x-kubernetes-group-version-kind", kind.clone());
    }
    let mut responses: Map<String, Value> = operation
        .answers
        .iter()
        .map(|(code, answer)| (code.to_string(), response_json(*code, answer, operation.produces, dialect)))
        .collect();
    responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    set("responses", Value::Object(responses));
    if let Some(body) = &operation.body {
        let schema = json!({"$ref": dialect.reference(&body.definition)});
        match dialect {
            Dialect::V2 => {
                let mut parameter = json!({"name": "body", "in": "body", "schema": schema});
                if body.required {
                    parameter["required"] = true.into();
                }
                parameters.insert(0, parameter);
            }
            Dialect::V3 => {
                let mut request = json!({"content": content(body.consumes, &schema)});
                if body.required {
                    request["required"] = true.into();
                }
                set("requestBody", request);
            }
        }
    }
    if dialect == Dialect::V2 {
        set("schemes", json!(["https"]));
        set("produces", json!(operation.produces));
        let consumes = match (&operation.body, operation.action) {
            (Some(body), _) => body.consumes,
            (None, Some(_)) => &["*/*"],
            (None, None) => operation.produces,
        };
        set("consumes", json!(consumes));
    }
    if !parameters.is_empty() {
        set("parameters", parameters.into());
    }
    Value::Object(json)
}

fn response_json(code: u16, answer: &Answer, produces: &[&str], dialect: Dialect) -> Value {
    let description = match code {
        201 => "Created",
        202 => "Accepted",
        _ => "OK",
    };
    let schema = match answer {
        Answer::Definition(name) => json!({"$ref": dialect.reference(name)}),
        Answer::Text => json!({"type": "string"}),
    };
    match dialect {
        Dialect::V2 => json!({"description": description, "schema": schema}),
        Dialect::V3 => json!({"description": description, "content": content(produces, &schema)}),
    }
}

fn content(media_types: &[&str], schema: &Value) -> Value {
    media_types
        .iter()
        .map(|type_| ((*type_).to_owned(), json!({"schema": schema})))
        .collect::<Map<_, _>>()
        .into()
}
