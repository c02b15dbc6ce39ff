//! The rules of operators as files: see `cases/`.

use kube::CustomResourceExt;
use serde_json::json;
use xebec_coordinator::sim::cases::{Cases, Failures};
use xebec_examples::website::{Website, Websites};
use xebec_simulated::Simulated;

#[test]
fn websites() -> Result<(), Failures> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/cases/website");
    Cases::new(folder, Simulated::new, |coordinator| coordinator.observe(Websites::new("gateway")))
        .given([json!(Website::crd())])
        .check()
}
