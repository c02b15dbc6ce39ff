//! What one can see of an election or of sharding.

use jiff::Timestamp;

use crate::LastError;

/// Where a replica stands among others: see [`Status::leadership`](crate::Status::leadership).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeadershipStatus {
    /// How this replica is called.
    pub identity: String,
    /// The Lease that it holds or wants to hold, as `namespace/name`.
    pub lease: String,
    /// Since when it leads, or serves its share of the keys, without a break; none while it stands by.
    pub serving_since: Option<Timestamp>,
    /// Who leads, as far as this replica knows: itself or another. None with sharding.
    pub leader: Option<String>,
    /// With sharding, the members of the group that this replica sees alive, itself included, ordered by name.
    pub members: Vec<Member>,
    /// Why the last request about its Lease failed; none if it succeeded.
    pub last_error: Option<LastError>,
}

/// A replica among those that share out the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// How it is called.
    pub identity: String,
    /// Whether it goes by the same members as this replica does. While one does not, some keys may wait.
    pub agrees: bool,
}

impl LeadershipStatus {
    /// Whether it leads, or serves a share of the keys.
    pub fn is_serving(&self) -> bool {
        self.serving_since.is_some()
    }
}
