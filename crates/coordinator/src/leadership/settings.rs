//! What one may choose: an election or sharding, where its Leases are, and how long they last.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;

use crate::{Key, Right};

/// One replica serves, the others stand by: who holds a Lease leads.
///
/// The Lease is that of client-go's `leaderelection`, so that a replica of ours and one of controller-runtime's
/// exclude each other. A replica that shuts down lets the work in flight end and hands over at once; one that dies is
/// succeeded when its Lease has expired. A replica writes nothing from ⅔ of the Lease's duration after it sent its
/// last successful renewal on; that leaves ⅓ for clocks that run at different rates and for writes that are under way.
///
/// ```
/// use std::time::Duration;
/// use xebec_coordinator::{Coordinator, Election};
///
/// # fn build(client: kube::Client) -> Coordinator {
/// let election = Election::new("default", "my-operator").lease_duration(Duration::from_secs(30));
/// Coordinator::builder(client).election(election).build()
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Election {
    pub(crate) lease: Settings,
}

/// All replicas serve, each key one of them: the keys are shared out by rendezvous hashing.
///
/// Each replica keeps a Lease of its own, labelled for its group, and sees those of the others. When a replica joins
/// or leaves, only the keys move that it takes or leaves; a key moves only when its old owner has let it go, or its
/// Lease has expired and with it its right to write. So no key is ever served by two.
///
/// Keys are shared out by what is in the [`Key`] that an observer's `wake` yields: a dependent is served wherever the
/// object is whose key it wakes. There is no `by_uid` for a reason: a name may be given again, and replicas that see
/// the old and the new object of a name for a moment would both take its key for theirs.
///
/// ```
/// use xebec_coordinator::{Coordinator, Sharding};
///
/// # fn build(client: kube::Client) -> Coordinator {
/// Coordinator::builder(client).sharding(Sharding::by_namespace("default", "my-operator")).build()
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sharding {
    pub(crate) lease: Settings,
    pub(crate) rule: Rule,
}

/// What election and sharding have in common. `name` is the Lease's, or the group's.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) identity: Option<String>,
    pub(crate) times: Times,
}

/// The durations that follow from that of a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// How long others wait after they saw the last renewal: a whole number of seconds.
    pub(crate) lease: Duration,
    /// How long after the last renewal was sent one may write.
    pub(crate) fence: Duration,
    /// How long to wait between two renewals, or attempts.
    pub(crate) retry: Duration,
}

/// Which keys belong together.
#[derive(Clone)]
pub(crate) struct Rule {
    /// Replicas that go by different rules exclude each other.
    pub(crate) name: String,
    pub(crate) shard: Arc<dyn Fn(&Key) -> String + Send + Sync>,
}

const DEFAULT_LEASE: Duration = Duration::from_secs(15);
const SHORTEST_LEASE: Duration = Duration::from_secs(3);
const LONGEST_LEASE: Duration = Duration::from_hours(1);

impl Election {
    /// An election by the Lease of this namespace and name. The Lease lasts 15 s, as client-go's do.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { lease: Settings::new(namespace.into(), name.into()) }
    }

    /// Sets how this replica is called in the Lease; by default the coordinator's
    /// [instance](crate::Builder::instance) and a random number.
    ///
    /// Each process must have a name of its own. One that finds its name in the Lease without having written it takes
    /// it for somebody else's, and waits until it has expired.
    #[must_use]
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.lease.identity = Some(identity.into());
        self
    }

    /// Sets how long a Lease lasts that is not renewed, and so how long it takes to succeed a replica that died:
    /// from 3 s to an hour, in whole seconds (it is rounded up). It is renewed every ²⁄₁₅ of that.
    #[must_use]
    pub fn lease_duration(mut self, duration: Duration) -> Self {
        self.lease.times = Times::of(duration);
        self
    }

    /// The rights it needs, in the namespace of the Lease only.
    pub fn rights(&self) -> Vec<Right> {
        vec![Right::to::<Lease>(&["get", "create", "update"])]
    }

    /// The namespace of the Lease.
    pub fn namespace(&self) -> &str {
        &self.lease.namespace
    }
}

impl Sharding {
    /// Objects of a namespace are served by one replica, of all observers and kinds; a cluster-scoped object is by its
    /// name, so that a Namespace goes with what is in it.
    pub fn by_namespace(namespace: impl Into<String>, group: impl Into<String>) -> Self {
        Self::by(namespace, group, "namespace", |key| {
            key.namespace().unwrap_or_else(|| key.name()).to_owned()
        })
    }

    /// Each key on its own: the most even shares.
    pub fn by_key(namespace: impl Into<String>, group: impl Into<String>) -> Self {
        Self::by(namespace, group, "key", |key| {
            let kind = key.kind();
            format!("{}/{}/{}/{}", kind.group(), kind.name(), key.namespace().unwrap_or_default(), key.name())
        })
    }

    /// Keys for which `shard` returns the same are served by one replica. It must depend on nothing but the key.
    ///
    /// `rule` names what it does, and its version. While replicas of one rule serve, those of another wait: a new
    /// release that shares out otherwise takes over when the old one is gone.
    pub fn by(
        namespace: impl Into<String>,
        group: impl Into<String>,
        rule: impl Into<String>,
        shard: impl Fn(&Key) -> String + Send + Sync + 'static,
    ) -> Self {
        let rule = Rule { name: rule.into(), shard: Arc::new(shard) };
        Self { lease: Settings::new(namespace.into(), group.into()), rule }
    }

    /// Sets how this replica is called, see [`Election::identity`]. Its Lease is named for the group and for it.
    #[must_use]
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.lease.identity = Some(identity.into());
        self
    }

    /// Sets how long a Lease lasts that is not renewed, see [`Election::lease_duration`]. The keys of a replica that
    /// died are served by others after that and one renewal's time at most.
    #[must_use]
    pub fn lease_duration(mut self, duration: Duration) -> Self {
        self.lease.times = Times::of(duration);
        self
    }

    /// The rights it needs, in the namespace of the Leases only.
    pub fn rights(&self) -> Vec<Right> {
        vec![Right::to::<Lease>(&["get", "list", "create", "update", "delete"])]
    }

    /// The namespace of the Leases.
    pub fn namespace(&self) -> &str {
        &self.lease.namespace
    }
}

impl Settings {
    fn new(namespace: String, name: String) -> Self {
        Self { namespace, name, identity: None, times: Times::of(DEFAULT_LEASE) }
    }
}

impl Times {
    pub(crate) fn of(lease: Duration) -> Self {
        let lease = lease.clamp(SHORTEST_LEASE, LONGEST_LEASE);
        let lease = Duration::from_secs(lease.as_secs() + u64::from(lease.subsec_nanos() > 0));
        Self { lease, fence: lease * 2 / 3, retry: lease * 2 / 15 }
    }

    /// How long a write may be under way: what was sent so long ago has happened, or never will.
    pub(crate) fn margin(self) -> Duration {
        self.lease.saturating_sub(self.fence)
    }

    /// How long work that is to end may take.
    pub(crate) fn grace(self) -> Duration {
        self.fence / 2
    }

    /// How long the answer to one request may take.
    pub(crate) fn answer(self) -> Duration {
        self.fence / 2
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_seconds_within_bounds_and_as_client_go_has_them() {
        for (wished_ms, lease, fence_ms, retry_ms) in [
            (15_000, 15, 10_000, 2000),
            (14_001, 15, 10_000, 2000),
            (0, 3, 2000, 400),
            (u64::MAX, 3600, 2_400_000, 480_000),
        ] {
            let times = Times::of(Duration::from_millis(wished_ms));
            assert_eq!(times.lease, Duration::from_secs(lease));
            assert_eq!((times.fence.as_millis(), times.retry.as_millis()), (fence_ms, retry_ms));
            assert!(times.margin() + times.fence == times.lease && times.grace() < times.fence);
        }
    }
}
