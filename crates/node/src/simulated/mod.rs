//! Simulated nodes: Pods bound to them start, become ready and end, without a process anywhere.
//!
//! What happens to a container is its [`Script`]: how long until it is ready, whether and when it ends, and how. All
//! state is in the Pod's status, and the next status is a function of Pod, scripts and time, so that a restart of
//! xebec goes on where it left off. Times are whole seconds, as in any Pod's status.

mod addresses;
mod conditions;
mod containers;
mod identity;
mod machine;
mod nodes;
mod play;
mod pods;
mod requirements;
pub mod script;

use xebec_coordinator::{AddError, Coordinator};

pub use nodes::SimulatedNodes;
pub use pods::SimulatedKubelet;
pub use script::Script;

/// Which nodes are simulated, and how large they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many nodes there are.
    pub nodes: usize,
    /// What their names begin with: `node` gives `node-1`, `node-2`, ….
    pub prefix: String,
    /// The CPUs of each, as a quantity.
    pub cpu: String,
    /// The memory of each, as a quantity.
    pub memory: String,
    /// The disk of each, as a quantity.
    pub ephemeral_storage: String,
    /// How many Pods each may have.
    pub pods: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 1,
            prefix: "node".to_owned(),
            cpu: "8".to_owned(),
            memory: "32Gi".to_owned(),
            ephemeral_storage: "100Gi".to_owned(),
            pods: 110,
        }
    }
}

impl Options {
    /// The names of the nodes.
    pub fn names(&self) -> impl Iterator<Item = String> {
        (1..=self.nodes).map(|number| format!("{}-{number}", self.prefix))
    }

    /// The number, from 1, of the node of this name; none if it is not one of these.
    pub fn number(&self, name: &str) -> Option<usize> {
        let digits = name.strip_prefix(&*self.prefix)?.strip_prefix('-')?;
        let number: usize = digits.parse().ok()?;
        (digits == number.to_string() && (1..=self.nodes).contains(&number)).then_some(number)
    }
}

/// Adds what simulates these nodes to a coordinator. Fails if they have been added already.
pub fn observe(coordinator: &Coordinator, options: &Options) -> Result<(), AddError> {
    coordinator.observe(SimulatedNodes::new(options.clone()))?;
    coordinator.observe(SimulatedKubelet::new(options.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_known_by_name() {
        let options = Options { nodes: 12, prefix: "w".to_owned(), ..Options::default() };
        assert_eq!(options.names().last().as_deref(), Some("w-12"));
        for (name, number) in [
            ("w-1", Some(1)),
            ("w-12", Some(12)),
            ("w-13", None),
            ("w-0", None),
            ("w-01", None),
            ("x-1", None),
        ] {
            assert_eq!(options.number(name), number, "{name}");
        }
    }
}
