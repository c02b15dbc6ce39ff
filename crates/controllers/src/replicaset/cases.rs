//! The rules as files: see `cases/`.

use serde_json::json;
use xebec_coordinator::sim::cases::{Cases, Failures};
use xebec_simulated::Simulated;

use super::ReplicaSetController;

#[test]
fn rules() -> Result<(), Failures> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/replicaset/cases");
    // No Pod is admitted without it.
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    Cases::new(folder, Simulated::new, |coordinator| coordinator.observe(ReplicaSetController::default()))
        .given([account])
        .check()
}
