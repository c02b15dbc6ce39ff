//! What xebec adds to a cluster: config reload and its siblings, an observer each.
//!
//! Every observer is a folder, and a line in [`OBSERVERS`], from which the binary takes them. They run on any cluster.
//! An observer here has no state, so that the list is a constant; what it has to say of itself is its spec.

pub mod reload;

use xebec_coordinator::Observer;

use reload::Reload;

/// All observers.
pub const OBSERVERS: &[&dyn Observer] = &[&Reload];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = OBSERVERS.iter().map(|observer| observer.spec().name).collect();
        assert_eq!(names.len(), OBSERVERS.len());
    }
}
