//! The one list of all controllers.
//!
//! Unlike that of the observers it cannot be a list of `&dyn Observer`: the garbage collector and the namespace controller
//! ask the server what it serves, and so are reconcilers; the publisher of root certificates is given them; and the
//! scheduler keeps what it has computed of each Pod across all keys (`scheduler::memo`), a cache whose loss changes nothing but
//! time, which what an observer remembers, key by key, cannot be.

use std::fmt;

use xebec_coordinator::{AddError, Coordinator};

use crate::deployment::DeploymentController;
use crate::disruption::DisruptionController;
use crate::endpoints::{EndpointSliceController, EndpointSliceMirroringController, EndpointsController};
use crate::garbage_collection::GarbageCollection;
use crate::job::JobController;
use crate::namespace::NamespaceController;
use crate::replicaset::{ReplicaSetController, ReplicationManager};
use crate::scheduler::Scheduler;
use crate::service_account::{RootCertificatePublisher, ServiceAccountController};

/// What controllers need to know of the cluster they run for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The certificates by which Pods know the API server, in PEM form: what `kube-root-ca.crt` says in every namespace.
    pub root_certificates: String,
}

/// A controller in the list of all.
pub struct Registration {
    /// Its name, which is also its observer's.
    pub name: &'static str,
    observe: fn(&Coordinator, &Options) -> Result<(), AddError>,
}

impl Registration {
    /// Adds it to a coordinator. It fails if that has an observer of this name.
    pub fn observe(&self, coordinator: &Coordinator, options: &Options) -> Result<(), AddError> {
        (self.observe)(coordinator, options)
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// All controllers.
pub const CONTROLLERS: &[Registration] = &[
    Registration { name: "deployment", observe: |to, _| to.observe(DeploymentController) },
    Registration { name: "replicaset", observe: |to, _| to.observe(ReplicaSetController::default()) },
    Registration {
        name: "replicationcontroller",
        observe: |to, _| to.observe(ReplicationManager::default()),
    },
    Registration { name: "job", observe: |to, _| to.observe(JobController) },
    Registration {
        name: "garbage-collection",
        observe: |to, _| to.reconcile(GarbageCollection::new(to.downgrade())),
    },
    Registration { name: "endpointslice", observe: |to, _| to.observe(EndpointSliceController) },
    Registration { name: "endpoints", observe: |to, _| to.observe(EndpointsController) },
    Registration {
        name: "endpointslicemirroring",
        observe: |to, _| to.observe(EndpointSliceMirroringController),
    },
    Registration { name: "disruption", observe: |to, _| to.observe(DisruptionController) },
    Registration { name: "namespace", observe: |to, _| to.reconcile(NamespaceController) },
    Registration { name: "scheduler", observe: |to, _| to.observe(Scheduler::default()) },
    Registration { name: "serviceaccount", observe: |to, _| to.observe(ServiceAccountController) },
    Registration {
        name: "root-ca-certificate",
        observe: |to, options| {
            to.observe(RootCertificatePublisher { certificates: options.root_certificates.clone() })
        },
    },
];
