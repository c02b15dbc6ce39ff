//! What xebec adds to a cluster: config reload and its siblings, an observer each.
//!
//! Every observer is a folder, and a line in [`OBSERVERS`], from which the binary takes them. They run on any cluster.

pub mod reload;

use std::fmt;

use xebec_coordinator::{AddError, Coordinator, ObserverSpec};

use reload::Reload;

/// An observer in the list of all.
pub struct Registration {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub description: &'static str,
    spec: fn() -> ObserverSpec,
    observe: fn(&Coordinator) -> Result<(), AddError>,
}

/// All observers.
pub const OBSERVERS: &[Registration] = &[Registration {
    name: reload::NAME,
    description: reload::DESCRIPTION,
    spec: || xebec_coordinator::Observer::spec(&Reload::default()),
    observe: |coordinator| coordinator.observe(Reload::default()),
}];

impl Registration {
    /// What it watches, needs and offers, as data.
    pub fn spec(&self) -> ObserverSpec {
        (self.spec)()
    }

    /// Adds it to a coordinator. It fails if that has an observer of this name.
    pub fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError> {
        (self.observe)(coordinator)
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_agrees_with_the_specs() {
        for registration in OBSERVERS {
            let spec = registration.spec();
            assert_eq!((&*spec.name, &*spec.description), (registration.name, registration.description));
        }
    }
}
