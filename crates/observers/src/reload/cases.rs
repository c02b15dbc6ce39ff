//! The rules as files: see `cases/`.

use xebec_coordinator::sim::cases::{Cases, Failures};
use xebec_simulated::Simulated;

use super::{Reload, Reloaded};

#[test]
fn rules() -> Result<(), Failures> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/reload/cases");
    Cases::new(folder, Simulated::new, |coordinator| coordinator.observe(Reload))
        .emitted::<Reloaded>()
        .check()
}
