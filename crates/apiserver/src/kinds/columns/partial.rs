//! Objects with nothing but their metadata.

use serde_json::{Map, Value, json};

use super::read::text;

/// A version of the group `meta.k8s.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaVersion {
    /// `meta.k8s.io/v1`.
    V1,
    /// `meta.k8s.io/v1beta1`.
    V1Beta1,
}

impl MetaVersion {
    /// The version as `Accept` names it (`v=`).
    pub fn parse(version: &str) -> Option<Self> {
        match version {
            "v1" => Some(Self::V1),
            "v1beta1" => Some(Self::V1Beta1),
            _ => None,
        }
    }

    /// `apiVersion` of what has this version.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// Annotations in which versions keep what Kubernetes itself has fields for: metadata by itself does not show them.
const FIELDS_KEPT_IN_ANNOTATIONS: &[(&str, &str, &[&str])] = &[
    ("apps/", "DaemonSet", &["deprecated.daemonset.template.generation"]),
    ("apps/", "Deployment", &["deprecated.deployment.rollback.revision"]),
    (
        "autoscaling/",
        "HorizontalPodAutoscaler",
        &[
            "autoscaling.alpha.kubernetes.io/behavior",
            "autoscaling.alpha.kubernetes.io/conditions",
            "autoscaling.alpha.kubernetes.io/current-metrics",
            "autoscaling.alpha.kubernetes.io/metrics",
        ],
    ),
];

/// Which annotations of a kind its metadata by itself does not show.
fn kept_in_annotations(api_version: &str, kind: &str) -> &'static [&'static str] {
    FIELDS_KEPT_IN_ANNOTATIONS
        .iter()
        .find(|(group, own, _)| kind == *own && api_version.starts_with(group))
        .map_or(&[], |(_, _, kept)| kept)
}

/// Whether the metadata of an object of this kind is shown just as it is encoded.
pub fn shows_metadata_as_encoded(api_version: &str, kind: &str, metadata: &[u8]) -> bool {
    let kept = kept_in_annotations(api_version, kind);
    let has = |name: &&str| metadata.windows(name.len()).any(|part| part == name.as_bytes());
    !kept.iter().any(has)
}

/// The object's metadata as a `PartialObjectMetadata`.
pub fn partial_object_metadata(object: &Value, version: MetaVersion) -> Value {
    let mut metadata = object.get("metadata").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    let kept = kept_in_annotations(text(object, "apiVersion"), text(object, "kind"));
    if let Value::Object(metadata) = &mut metadata
        && !kept.is_empty()
        && let Some(Value::Object(annotations)) = metadata.get_mut("annotations")
    {
        annotations.retain(|name, _| !kept.contains(&name.as_str()));
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    json!({"kind": "PartialObjectMetadata", "apiVersion": version.api_version(), "metadata": metadata})
}

/// The metadata of the objects of a list as a `PartialObjectMetadataList`.
pub fn partial_object_metadata_list<'a>(
    objects: impl IntoIterator<Item = &'a Value>,
    list_metadata: &Value,
    version: MetaVersion,
) -> Value {
    let items: Vec<Value> =
        objects.into_iter().map(|object| partial_object_metadata(object, version)).collect();
    json!({
        "kind": "PartialObjectMetadataList", "apiVersion": version.api_version(),
        "metadata": list_metadata, "items": items,
    })
}
