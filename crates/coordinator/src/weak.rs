//! A coordinator that is not kept alive.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Coordinator;
use crate::coordinator::Registry;
use crate::runtime::Runtime;

/// A [`Coordinator`] that is not kept alive: for observers that add or remove others, who would else keep the
/// coordinator that keeps them.
#[derive(Clone)]
pub struct WeakCoordinator {
    runtime: Weak<Runtime>,
    registry: Weak<Mutex<Registry>>,
    changed: Weak<Notify>,
}

impl WeakCoordinator {
    /// The coordinator; none if all its clones are gone.
    pub fn upgrade(&self) -> Option<Coordinator> {
        let (runtime, registry) = (self.runtime.upgrade()?, self.registry.upgrade()?);
        Some(Coordinator { runtime, registry, changed: self.changed.upgrade()? })
    }
}

impl Coordinator {
    /// The same coordinator, without keeping it alive.
    pub fn downgrade(&self) -> WeakCoordinator {
        WeakCoordinator {
            runtime: Arc::downgrade(&self.runtime),
            registry: Arc::downgrade(&self.registry),
            changed: Arc::downgrade(&self.changed),
        }
    }
}
