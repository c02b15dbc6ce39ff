//! `xebec version`: what this is, and which Kubernetes it is.

use serde_json::json;

use crate::cli::VersionFormat;

/// The version of Kubernetes whose API is served.
const KUBERNETES: &str = "1.36";

/// The version, as a line or as JSON.
pub fn text(format: VersionFormat) -> String {
    let xebec = env!("CARGO_PKG_VERSION");
    match format {
        VersionFormat::Text => format!("xebec {xebec}, Kubernetes {KUBERNETES}\n"),
        VersionFormat::Json => format!("{}\n", json!({ "xebec": xebec, "kubernetes": KUBERNETES })),
    }
}
