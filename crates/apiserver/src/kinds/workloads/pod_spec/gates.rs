//! Fields that are behind feature gates which are off: they are dropped from what is written, without a word.

use serde_json::Value;

use crate::machinery::{
    fields::{object_mut, objects_mut},
    object,
};

/// Drops from a spec what is behind a gate: the gang that a Pod is scheduled with, files with trust bundles or
/// certificates.
pub fn drop_disabled(spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    spec.remove("schedulingGroup");
    for volume in objects_mut(spec, "volumes") {
        if let Some(projected) = object_mut(volume, "projected") {
            for source in objects_mut(projected, "sources") {
                source.remove("clusterTrustBundle");
                source.remove("podCertificate");
            }
        }
    }
}

/// The same for the template in the spec of an object.
pub fn drop_disabled_in_template(object: &mut Value) {
    let spec = object::child_mut(object, "spec");
    if let Some(spec) = object_mut(spec, "template").and_then(|template| template.get_mut("spec")) {
        drop_disabled(spec);
    }
}
