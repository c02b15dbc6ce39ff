//! What can fail, one type an operation.

use crate::leadership::Fenced;
use crate::{Key, OptionError, Write};

/// Any error an observer may return: it is logged, shown in the status, and the key is retried.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// An observer could not be added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// Names are unique, because field managers, metrics and the command line go by them.
    #[error("there is an observer named {0} already")]
    DuplicateName(String),
    /// Without a watch nothing would ever wake it.
    #[error("observer {0} watches nothing")]
    WatchesNothing(String),
    /// An index over a kind that it does not watch would always be empty.
    #[error("observer {observer} has an index {index} over a kind that it does not watch")]
    IndexOfUnwatchedKind {
        /// The observer.
        observer: String,
        /// The index.
        index: &'static str,
    },
    /// It could not keep the promise of the finalizer that its spec names.
    #[error("observer {observer} cannot have the finalizer {finalizer}: {why}")]
    Finalizer {
        /// The observer.
        observer: String,
        /// The finalizer.
        finalizer: String,
        /// Why not, and what to do.
        why: String,
    },
    /// A trigger goes by an index over the primary kind.
    #[error("observer {observer} has a trigger by {index}, which is no index over its primary kind")]
    TriggerWithoutIndex {
        /// The observer.
        observer: String,
        /// The index.
        index: &'static str,
    },
    /// Prometheus would not take it.
    #[error("observer {observer} cannot have the metric {metric}: {why}")]
    Metric {
        /// The observer.
        observer: String,
        /// The metric.
        metric: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// An option was set that it does not have, or to what it does not take.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// Only what is there can be replaced or changed.
    #[error("there is no observer named {0} to replace")]
    NoSuchObserver(String),
    /// The name of an observer stays: field managers, metrics and the command line go by it.
    #[error("observer {0} cannot be renamed to {1}")]
    Renamed(String, String),
}

/// The finalizer of an observer could not be taken off every object.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// No observer has this name.
    #[error("there is no observer named {0}")]
    NoSuchObserver(String),
    /// Listing or writing failed; what was released until then stays so, and it may be tried again.
    #[error("cannot release what observer {observer} holds: {source}")]
    Failed {
        /// The observer.
        observer: String,
        /// The server's error.
        #[source]
        source: BoxError,
    },
}

/// A write that the server refused, or whose answer was lost.
#[derive(Debug, thiserror::Error)]
#[error("{write}: {source}")]
pub struct WriteError {
    /// What was written where.
    pub write: Write,
    /// Why it failed.
    #[source]
    pub source: Box<kube::Error>,
}

impl WriteError {
    /// The server's status, if it answered.
    pub fn status(&self) -> Option<&kube::core::Status> {
        match &*self.source {
            kube::Error::Api(status) => Some(status),
            _ => None,
        }
    }

    /// Whether it was not sent, or given up, because this replica leads no more, or serves the key no more.
    pub fn is_fenced(&self) -> bool {
        matches!(&*self.source, kube::Error::Service(source) if source.is::<Fenced>())
    }
}

/// A plan could not be made on request.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No observer has this name.
    #[error("there is no observer named {0}")]
    NoSuchObserver(String),
    /// It is a reconciler or a callback.
    #[error("observer {0} makes no plans")]
    MakesNoPlans(String),
    /// It has no view yet.
    #[error("observer {0} has not synced yet")]
    NotSynced(String),
    /// The observer itself returned an error.
    #[error("cannot plan for {key}: {source}")]
    Failed {
        /// The key that was to be planned.
        key: Key,
        /// The observer's error.
        #[source]
        source: BoxError,
    },
}

/// It could not be said what an observer would do.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// There is no such observer, or it makes no plans.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// What it watches cannot be read.
    #[error("cannot read {what}: {source}")]
    Unreadable {
        /// What it watches.
        what: String,
        /// Why not.
        #[source]
        source: BoxError,
    },
}

/// The coordinator could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It runs already.
    #[error("the coordinator runs already")]
    RunsAlready,
}
