//! Faults on purpose: requests that are delayed, refused or whose answer is lost, watches that lag or are cut, reads
//! from a cache that is behind. What a client must bear with from any API server, at the probability one likes.
//!
//! A [`Policy`] is rules and a seed. Whether a rule hits a request is drawn from the seed, from what the request is
//! about (user, verb, resource, name) and from how many of these there were: what happens to one object does not change
//! what happens to another. Every fault that happens is noted as a [`Decision`]; the same list, or a part of it, can be
//! [replayed](Faults::replay), which is how a simulation finds the few that matter.
//!
//! Faults only do what a real API server, or the network before it, does: each watch tells its kind's changes in order,
//! however late, and only reads that any version suits (`resourceVersion=0`) may be answered from the past.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use k8s_openapi::api::core::v1::ConfigMap;
//! use kube::api::{Api, ListParams};
//! use xebec_apiserver::{Cluster, faults::Policy};
//!
//! let cluster = Cluster::new();
//! let policy: Policy = serde_json::from_value(serde_json::json!({
//!     "seed": 7,
//!     "rules": [{"verbs": ["list"], "resources": ["configmaps"], "probability": 1.0, "fault": {"refuse": {"code": 429}}}],
//! }))?;
//! cluster.faults().inject(policy);
//! let maps: Api<ConfigMap> = Api::default_namespaced(cluster.client());
//! assert!(maps.list(&ListParams::default()).await.is_err());
//! println!("{:?}", cluster.faults().taken(0));
//! cluster.faults().clear();
//! assert!(maps.list(&ListParams::default()).await.is_ok());
//! # Ok(())
//! # }
//! ```

mod injector;
mod request;
mod watch;

use std::{fmt, sync::Arc};

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};

use injector::Injector;
pub use request::call;

/// What goes wrong, how often, and the seed that decides when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The seed of all decisions.
    pub seed: u64,
    /// The rules; of those that hit, the first counts.
    pub rules: Vec<Rule>,
}

/// Which requests a fault happens to, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; all if empty.
    #[serde(default)]
    pub verbs: Vec<String>,
    /// Plurals with their group, such as `pods` or `deployments.apps`; all if empty.
    #[serde(default)]
    pub resources: Vec<String>,
    /// Names of users; all if empty.
    #[serde(default)]
    pub users: Vec<String>,
    /// From 0, never, to 1, always.
    pub probability: f64,
    /// What happens.
    pub fault: Fault,
}

/// What may happen. In a [`Rule`] times and numbers are the most there may be; in a [`Decision`], what there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Fault {
    /// The request waits before it is looked at.
    Delay {
        /// For how long.
        milliseconds: u64,
    },
    /// The request is refused: 409, 410, 429, 500, 503, 504 in Kubernetes' words, others in general ones.
    Refuse {
        /// The HTTP status.
        code: u16,
    },
    /// The request is executed, but answered with 504, as if it had taken too long.
    LoseAnswer,
    /// The request is executed, and never answered.
    NeverAnswer,
    /// A watch tells its next event, and all after it, so much later.
    Lag {
        /// For how long.
        milliseconds: u64,
    },
    /// A watch ends instead of telling its next event.
    Cut,
    /// A watch ends with 410 instead of telling its next event: the server has forgotten where it was.
    Expire,
    /// A read that any version suits is answered from a cache that is behind.
    Stale {
        /// By how many revisions of the cluster.
        revisions: u64,
    },
}

/// One fault that happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Decision {
    /// To what: the user, the verb, the resource and the name; for a watch also which of them, and `event`.
    pub point: String,
    /// To the how many-th of them, from 0.
    pub turn: u64,
    /// What happened.
    pub fault: Fault,
}

/// The faults of a cluster.
#[derive(Default)]
pub struct Faults(ArcSwapOption<Injector>);

impl Faults {
    /// From now on faults happen by this policy, whatever was before.
    pub fn inject(&self, policy: Policy) {
        self.0.store(Some(Arc::new(Injector::drawing(policy))));
    }

    /// From now on exactly these faults happen.
    pub fn replay(&self, decisions: impl IntoIterator<Item = Decision>) {
        self.0.store(Some(Arc::new(Injector::replaying(decisions))));
    }

    /// No more faults; those under way run out. What had been [taken](Self::taken) is forgotten.
    pub fn clear(&self) {
        self.0.store(None);
    }

    /// The faults that have happened since the policy was set, in order, but for the first `skip`; of the first 100,000.
    pub fn taken(&self, skip: usize) -> Vec<Decision> {
        self.0.load().as_ref().map(|injector| injector.taken(skip)).unwrap_or_default()
    }

    fn injector(&self) -> Option<Arc<Injector>> {
        self.0.load_full()
    }
}

impl Fault {
    /// Whether it happens to the events of a watch, rather than to a request.
    fn is_of_events(self) -> bool {
        matches!(self, Self::Lag { .. } | Self::Cut | Self::Expire)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay { milliseconds } => write!(f, "delayed by {milliseconds} ms"),
            Self::Refuse { code } => write!(f, "refused with {code}"),
            Self::LoseAnswer => f.write_str("answer lost"),
            Self::NeverAnswer => f.write_str("never answered"),
            Self::Lag { milliseconds } => write!(f, "lags by {milliseconds} ms"),
            Self::Cut => f.write_str("cut"),
            Self::Expire => f.write_str("expired"),
            Self::Stale { revisions } => write!(f, "answered from {revisions} revisions ago"),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (number {}): {}", self.point, self.turn + 1, self.fault)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faults").field(&self.0.load().is_some()).finish()
    }
}

#[cfg(test)]
mod tests;
