//! Documents as kubectl reads them.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};

use crate::{
    discovery::Discovery,
    kinds::{Resource, Subresource, table::RESOURCES},
    machinery::schema::{ArrayShape, Field, Format, ListType, ObjectShape, Schema, Shape, Width},
};

fn json_of(document: crate::discovery::Document) -> Value {
    serde_json::from_slice(&document.bytes).unwrap()
}

fn builtin(path: &str) -> Value {
    json_of(Discovery::new(&RESOURCES).openapi_v3(path).unwrap())
}

#[test]
fn the_index_names_each_document_by_its_hash() {
    let discovery = Discovery::new(&RESOURCES);
    let index = json_of(discovery.openapi_index());
    let paths = index["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 22);
    for (path, entry) in paths {
        let url = entry["serverRelativeURL"].as_str().unwrap();
        let (before, hash) = url.split_once("?hash=").unwrap();
        assert_eq!(before, format!("/openapi/v3/{path}"));
        assert_eq!(hash.len(), 128);
    }
    let path = "/openapi/v3/apis/policy/v1";
    let document = discovery.openapi(path, false).unwrap();
    assert_eq!(paths["apis/policy/v1"]["serverRelativeURL"], super::url(path, &document.etag));
    for path in
        ["/openapi", "/openapi/v1", "/openapi/v3/", "/openapi/v3/apis/policy", "/openapi/v3/apis/x/v1"]
    {
        assert!(discovery.openapi(path, false).is_none(), "{path}");
    }
}

#[test]
fn every_reference_leads_to_a_definition() {
    let discovery = Discovery::new(&RESOURCES);
    let index = json_of(discovery.openapi_index());
    let v3 = index["paths"].as_object().unwrap().keys().map(|path| builtin(path));
    for document in v3.chain([json_of(discovery.openapi_v2())]) {
        let definitions = document
            .get("definitions")
            .unwrap_or_else(|| &document["components"]["schemas"])
            .as_object()
            .unwrap();
        let mut names = Vec::new();
        super::definitions::references(&document, &mut names);
        assert!(!names.is_empty());
        for name in names {
            assert!(definitions.contains_key(&name), "{name}");
        }
    }
}

#[test]
fn every_operation_has_an_identifier_of_its_own() {
    let document = json_of(Discovery::new(&RESOURCES).openapi_v2());
    let mut seen = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if method != "parameters" {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                assert!(seen.insert(id.clone()), "{path} {id}");
                assert_eq!(operation["tags"][0].as_str().map(str::is_empty), Some(false), "{path}");
            }
        }
    }
    assert!(seen.len() > 700, "{}", seen.len());
}

#[test]
fn a_definition_says_what_kubectl_explains_and_merges_by() {
    let document = builtin("apis/apps/v1");
    let schemas = &document["components"]["schemas"];
    let deployment = &schemas["io.k8s.api.apps.v1.Deployment"];
    assert_eq!(
        deployment["x-kubernetes-group-version-kind"],
        json!([{"group": "apps", "version": "v1", "kind": "Deployment"}])
    );
    assert_eq!(
        deployment["properties"]["spec"],
        json!({
            "description": "Specification of the desired behavior of the Deployment.",
            "default": {}, "allOf": [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}],
        })
    );
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["x-kubernetes-list-type"], "map");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(
        containers["items"],
        json!({"default": {}, "allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"}]})
    );
    let policy = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["restartPolicy"];
    assert_eq!(policy["enum"], json!(["Always", "Never", "OnFailure"]));
    assert!(policy["description"].as_str().unwrap().contains("Possible enum values"));
    let limits = &schemas["io.k8s.api.core.v1.ResourceRequirements"]["properties"]["limits"];
    assert_eq!(
        limits["additionalProperties"],
        json!({"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity"})
    );
    let selector =
        &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"]["properties"]["matchLabels"];
    assert_eq!(selector["additionalProperties"], json!({"type": "string", "default": ""}));
}

#[test]
fn a_patch_says_what_it_supports() {
    let document = builtin("apis/apps/v1");
    let path = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"];
    let patch = &path["patch"];
    assert_eq!(patch["x-kubernetes-action"], "patch");
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "apps", "version": "v1", "kind": "Deployment"})
    );
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&patch["parameters"]), ["dryRun", "fieldManager", "fieldValidation", "force"]);
    assert_eq!(names(&path["parameters"]), ["name", "namespace", "pretty"]);
    let content = patch["requestBody"]["content"].as_object().unwrap();
    assert!(content.contains_key("application/strategic-merge-patch+json"));
    assert!(content.contains_key("application/apply-patch+yaml"));
}

/// A widget with what definitions can say.
fn widget() -> Arc<Resource> {
    let of = |shape| Field { schema: Schema::of(shape), ..Field::default() };
    let rules = |shape, rules: Value| Field {
        schema: Schema { rules: Some(Arc::new(rules)), ..Schema::of(shape) },
        ..Field::default()
    };
    let object = |fields: Vec<(&str, Field)>| ObjectShape {
        fields: fields.into_iter().map(|(name, field)| (name.into(), field)).collect(),
        ..ObjectShape::default()
    };
    let list = |list_type| {
        let items =
            Schema::of(Shape::Object(Arc::new(object(vec![("name", of(Shape::String(Format::Plain)))]))));
        Shape::Array(Arc::new(ArrayShape { items, list_type, ..ArrayShape::default() }))
    };
    let open = Shape::Object(Arc::new(ObjectShape {
        preserve_unknown: true,
        ..object(vec![("known", of(Shape::Boolean))])
    }));
    let embedded = Shape::Object(Arc::new(ObjectShape { embedded_resource: true, ..object(vec![]) }));
    let map = Shape::Object(Arc::new(ObjectShape {
        additional: Some(Schema::of(Shape::Number)),
        ..ObjectShape::default()
    }));
    let size = Field {
        required: true,
        ..rules(
            Shape::Integer(Width::Int64),
            json!({"minimum": 1, "anyOf": [{"minimum": 3}], "properties": {}}),
        )
    };
    let maybe = Field { schema: Schema { nullable: true, ..Schema::of(Shape::Boolean) }, ..Field::default() };
    let spec = object(vec![
        ("size", size),
        ("maybe", maybe),
        ("port", of(Shape::IntOrString)),
        ("parts", of(list(ListType::Map(vec!["name".into()])))),
        ("open", of(open)),
        ("template", of(embedded)),
        ("amounts", of(map)),
        ("anything", of(Shape::Any)),
    ]);
    let root = object(vec![("spec", of(Shape::Object(Arc::new(spec))))]);
    let schema = Schema {
        description: Some("Widget is a thing.".into()),
        ..Schema::of(Shape::Object(Arc::new(root)))
    };
    let base = RESOURCES.iter().find(|resource| &*resource.plural == "configmaps").unwrap();
    let status = Subresource {
        name: "status".into(),
        group: "".into(),
        version: "".into(),
        kind: "Widget".into(),
        verbs: vec!["get".into(), "patch".into(), "update".into()].into(),
    };
    let scale = Subresource {
        name: "scale".into(),
        group: "autoscaling".into(),
        version: "v1".into(),
        kind: "Scale".into(),
        ..status.clone()
    };
    Arc::new(Resource {
        group: "stable.example.com".into(),
        version: "v1".into(),
        plural: "widgets".into(),
        kind: "Widget".into(),
        list_kind: "WidgetList".into(),
        api_version: "stable.example.com/v1".into(),
        subresources: vec![scale, status].into(),
        selectable_fields: vec!["metadata.name".into(), "spec.size".into()].into(),
        type_name: None,
        schema: Arc::new(schema),
        ..(**base).clone()
    })
}

#[test]
fn a_custom_resource_is_described_by_its_schema() {
    let discovery = Discovery::new(&[widget()]);
    let document = json_of(discovery.openapi_v3("apis/stable.example.com/v1").unwrap());
    assert_eq!(document["info"], json!({"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}));
    let schemas = &document["components"]["schemas"];
    let widget = &schemas["com.example.stable.v1.Widget"];
    assert_eq!(widget["description"], "Widget is a thing.");
    assert_eq!(
        widget["x-kubernetes-group-version-kind"],
        json!([{"group": "stable.example.com", "version": "v1", "kind": "Widget"}])
    );
    assert_eq!(widget["x-kubernetes-selectable-fields"], json!([{"fieldPath": "spec.size"}]));
    assert_eq!(
        widget["properties"]["metadata"]["allOf"],
        json!([{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}])
    );
    assert!(schemas["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"].is_object());
    let spec = &widget["properties"]["spec"];
    assert_eq!(spec["required"], json!(["size"]));
    let fields = &spec["properties"];
    assert_eq!(fields["size"], json!({"type": "integer", "minimum": 1, "anyOf": [{"minimum": 3}]}));
    assert_eq!(fields["maybe"], json!({"type": "boolean", "nullable": true}));
    assert_eq!(
        fields["port"],
        json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]})
    );
    assert_eq!(fields["parts"]["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(fields["parts"]["items"]["properties"]["name"], json!({"type": "string"}));
    assert_eq!(fields["amounts"], json!({"type": "object", "additionalProperties": {"type": "number"}}));
    assert_eq!(fields["anything"], json!({"x-kubernetes-preserve-unknown-fields": true}));
    assert_eq!(fields["template"]["required"], json!(["apiVersion", "kind"]));
    assert_eq!(fields["open"]["properties"]["known"], json!({"type": "boolean"}));
    let list = &schemas["com.example.stable.v1.WidgetList"];
    let items = json!({"$ref": "#/components/schemas/com.example.stable.v1.Widget"});
    assert_eq!(list["properties"]["items"]["items"], items);
}

#[test]
fn a_custom_resource_has_the_operations_that_kubectl_looks_for() {
    let discovery = Discovery::new(&[widget()]);
    let document = json_of(discovery.openapi_v3("apis/stable.example.com/v1").unwrap());
    let paths = document["paths"].as_object().unwrap();
    let root = "/apis/stable.example.com/v1";
    let one = format!("{root}/namespaces/{{namespace}}/widgets/{{name}}");
    let expected = [
        format!("{root}/namespaces/{{namespace}}/widgets"),
        one.clone(),
        format!("{one}/scale"),
        format!("{one}/status"),
        format!("{root}/widgets"),
    ];
    assert_eq!(
        paths.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        expected.iter().map(String::as_str).collect()
    );
    let patch = &paths[&one]["patch"];
    assert_eq!(patch["operationId"], "patchStableExampleComV1NamespacedWidget");
    assert_eq!(patch["tags"], json!(["stableExampleCom_v1"]));
    assert_eq!(patch["requestBody"]["content"].get("application/strategic-merge-patch+json"), None);
    assert!(
        patch["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .any(|parameter| parameter["name"] == "fieldValidation")
    );
    let scale = &paths[&format!("{one}/scale")]["get"];
    let answer = &scale["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(answer, &json!({"$ref": "#/components/schemas/io.k8s.api.autoscaling.v1.Scale"}));
}

#[test]
fn swagger_leaves_out_what_it_has_no_words_for() {
    let discovery = Discovery::new(&[widget()]);
    let document = json_of(discovery.openapi_v2());
    let fields = &document["definitions"]["com.example.stable.v1.Widget"]["properties"]["spec"]["properties"];
    assert_eq!(fields["size"], json!({"type": "integer", "minimum": 1}));
    assert_eq!(fields["maybe"], json!({}));
    assert_eq!(fields["port"], json!({"x-kubernetes-int-or-string": true}));
    assert_eq!(fields["open"], json!({"x-kubernetes-preserve-unknown-fields": true}));
    let metadata = &document["definitions"]["com.example.stable.v1.Widget"]["properties"]["metadata"];
    assert_eq!(metadata["$ref"], "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
}

#[test]
fn another_definition_is_another_document() {
    let url = |resources: &[Arc<Resource>]| {
        let index = json_of(Discovery::new(resources).openapi_index());
        index["paths"]["apis/stable.example.com/v1"]["serverRelativeURL"].clone()
    };
    let one = widget();
    let mut other = (*one).clone();
    other.schema = Arc::new(Schema::default());
    assert_eq!(url(&[widget()]), url(&[widget()]));
    assert_ne!(url(&[one]), url(&[Arc::new(other)]));
}

#[test]
fn swagger_in_protobuf_is_another_form_of_the_same_document() {
    let discovery = Discovery::new(&[widget()]);
    let document = discovery.openapi("/openapi/v2", true).unwrap();
    assert!(super::is_protobuf(document.media_type));
    // The first field is the version of Swagger.
    assert_eq!(document.bytes[..5], *b"\x0a\x032.0");
    assert_ne!(document.etag, discovery.openapi_v2().etag);
    let name = b"com.example.stable.v1.WidgetList";
    assert!(document.bytes.windows(name.len()).any(|window| window == name));
}
