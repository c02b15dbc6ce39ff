//! The flags of an operator: which cluster, beside which replicas, and where it tells how it fares.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

use super::cluster::ClusterFlags;
use crate::{Builder, Election, Sharding};

/// The flags that operators have in common; an operator with flags of its own flattens them into its own.
///
/// ```
/// use clap::Parser;
/// use xebec_coordinator::operator::Flags;
///
/// /// Gives each Deployment a Service.
/// #[derive(Parser)]
/// struct Arguments {
///     #[command(flatten)]
///     operator: Flags,
///     /// The port of the Services.
///     #[arg(long, default_value_t = 80)]
///     port: u16,
/// }
///
/// let arguments = Arguments::parse_from(["exposer", "--leader-elect", "--port", "8080"]);
/// # assert!(arguments.operator.leader_elect.is_some() && arguments.port == 8080);
/// ```
#[derive(Args, Clone, Debug)]
#[non_exhaustive]
pub struct Flags {
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterFlags,
    /// Run beside other replicas, of which only the leader acts: the one that holds this Lease. It needs the rights to
    /// get, create and update leases.coordination.k8s.io in that namespace. [default if no value: the name of the
    /// program, in the namespace of the pod or of the kubeconfig]
    #[arg(long, value_name = "NAMESPACE/NAME", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "", value_parser = Place::read, conflicts_with = "shard_by")]
    pub leader_elect: Option<Place>,
    /// Run beside other replicas, each of which serves its share: of the namespaces, or of the single objects. It needs
    /// the rights to get, list, create, update and delete leases.coordination.k8s.io in the namespace of --shard-group.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub shard_by: Option<ShardBy>,
    /// The namespace of the Leases of those who share, and the name that they have in common. [default: as that of
    /// --leader-elect]
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = Place::read, requires = "shard_by")]
    pub shard_group: Option<Place>,
    /// Where /metrics, /healthz and /readyz are served, over plain HTTP, and what `xebec status` asks: an address with a
    /// port (0 takes a free one), or none.
    #[arg(long, value_name = "ADDRESS", default_value = METRICS_ADDRESS, value_parser = MetricsAddress::read)]
    pub metrics_address: MetricsAddress,
}

/// Where an operator tells how it fares, unless told otherwise.
pub const METRICS_ADDRESS: &str = "127.0.0.1:9476";

/// Namespace and name of a Lease, or none: that of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(Option<(String, String)>);

/// What replicas share out among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShardBy {
    /// All of a namespace is served by one replica.
    Namespace,
    /// Each object on its own: the most even shares.
    Key,
}

/// An address to serve metrics at; none for nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsAddress(pub Option<SocketAddr>);

impl Place {
    /// Reads `NAMESPACE/NAME`; of nothing, that of the program.
    ///
    /// # Errors
    /// It is something else.
    pub fn read(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            None if text.is_empty() => Ok(Self(None)),
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self(Some((namespace.to_owned(), name.to_owned()))))
            }
            _ => Err("it must be NAMESPACE/NAME".to_owned()),
        }
    }

    fn or(self, namespace: &str, name: &str) -> (String, String) {
        self.0.unwrap_or_else(|| (namespace.to_owned(), name.to_owned()))
    }
}

impl MetricsAddress {
    /// Reads `IP:PORT` or `none`.
    ///
    /// # Errors
    /// It is something else.
    pub fn read(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let address = text.parse();
        let address =
            address.map_err(|_| "it must be IP:PORT (an IPv6 address in brackets), or none".to_owned())?;
        Ok(Self(Some(address)))
    }
}

impl Flags {
    /// Makes it one of several replicas if these flags say so.
    pub(super) fn replicas(&self, builder: Builder, namespace: &str, name: &str) -> Builder {
        let group = || self.shard_group.clone().unwrap_or_default().or(namespace, name);
        match (&self.leader_elect, self.shard_by) {
            (Some(lease), _) => {
                let (namespace, name) = lease.clone().or(namespace, name);
                builder.election(Election::new(namespace, name))
            }
            (None, Some(ShardBy::Namespace)) => {
                let (namespace, group) = group();
                builder.sharding(Sharding::by_namespace(namespace, group))
            }
            (None, Some(ShardBy::Key)) => {
                let (namespace, group) = group();
                builder.sharding(Sharding::by_key(namespace, group))
            }
            (None, None) => builder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_addresses_are_read() {
        let place = |namespace: &str, name: &str| Ok(Place(Some((namespace.to_owned(), name.to_owned()))));
        for (text, read) in [("a/b", place("a", "b")), ("", Ok(Place(None)))] {
            assert_eq!(Place::read(text), read, "{text}");
        }
        for wrong in ["a", "a/", "/b", "a/b/c"] {
            assert!(Place::read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(MetricsAddress::read("none"), Ok(MetricsAddress(None)));
        assert!(MetricsAddress::read("[::1]:0").is_ok_and(|address| address.0.is_some()));
        assert!(MetricsAddress::read("8080").is_err());
        assert_eq!(Place(None).or("ns", "exposer"), ("ns".to_owned(), "exposer".to_owned()));
    }
}
