//! Which workloads want to be reloaded: by our own annotation, or those of Wave and Reloader.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;

/// Opts a Deployment in with `true`, and out, whatever other annotations say, with `false`.
pub const AUTO: &str = "reload.xebec.dev/auto";
const WAVE: &str = "wave.pusher.com/update-on-config-change";
const RELOADER: &str = "reloader.stakater.com/auto";

/// Whether a Deployment is to be rolled out when its configuration changes.
pub(super) fn is_in(deployment: &Deployment) -> bool {
    let own = deployment.metadata.annotations.as_ref();
    let template = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let template = template.and_then(|metadata| metadata.annotations.as_ref());
    match value(own, AUTO) {
        Some(auto) => auto == "true",
        None => [value(own, WAVE), value(own, RELOADER), value(template, RELOADER)].contains(&Some("true")),
    }
}

fn value<'a>(annotations: Option<&'a BTreeMap<String, String>>, name: &str) -> Option<&'a str> {
    annotations?.get(name).map(String::as_str)
}
