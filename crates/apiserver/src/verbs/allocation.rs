//! The addresses of Services and the ports of Nodes that a cluster gives out: each once. What is taken follows from
//! the Services that there are; what a write under way has taken is remembered until it is done.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
};

use parking_lot::Mutex;
use serde_json::Value;

use super::Call;
use crate::{
    chance::Chance,
    kinds::network::service::allocation::{AllocationError, Family, Held, Pool, assign, held},
    status::{ApiError, ApiResult},
    storage::Snapshot,
};

/// Where Services are kept.
const SERVICES: &str = "/services";
/// Services have addresses of this network…
const NETWORK: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 0);
const NETWORK_SIZE: u32 = 1 << 16;
/// …and Nodes give out these ports.
const PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

/// What a cluster has given out.
#[derive(Debug, Default)]
pub struct Allocations(Mutex<Taken>);

/// How many hold each address and port (two Services may have ended up with one).
#[derive(Debug, Default)]
struct Taken {
    addresses: HashMap<IpAddr, usize>,
    ports: HashMap<i64, usize>,
    /// What is here holds for the Services at this revision.
    revision: Option<u64>,
}

/// What a write has taken; given back when the write is done, since what it has written holds it then.
#[derive(Debug, Default)]
pub struct Reservation(Held);

/// Gives a new Service, or one that replaces `old`, what it needs. Does nothing for other kinds.
///
/// # Errors
/// 422 for what cannot be had, 500 where nothing is left.
pub fn reserve(call: &Call<'_>, new: &mut Value, old: Option<&Value>) -> ApiResult<Reservation> {
    if &*call.resource.storage != SERVICES {
        return Ok(Reservation::default());
    }
    let mut taken = call.cluster.allocations().0.lock();
    taken.catch_up(&call.cluster.storage().snapshot());
    let chance = call.cluster.chance();
    let mut taking = Taking { taken: &mut taken, own: Held::default(), chance };
    let assigned = assign(new, old, &mut taking);
    let own = taking.own;
    match assigned {
        Ok(()) => Ok(Reservation(own)),
        Err(error) => {
            taken.give_back(&own);
            Err(match error {
                AllocationError::Invalid(errors) => {
                    let name = crate::machinery::object::name(new);
                    ApiError::invalid(call.resource.qualified_kind(), name, &errors)
                }
                AllocationError::Exhausted(why) => ApiError::internal(why),
            })
        }
    }
}

/// Ends a reservation, whether the write succeeded or not.
pub fn release(call: &Call<'_>, reservation: Reservation) {
    if reservation.0 != Held::default() {
        call.cluster.allocations().0.lock().give_back(&reservation.0);
    }
}

impl Taken {
    /// Takes in what has happened to Services since.
    fn catch_up(&mut self, snapshot: &Snapshot) {
        let events = self.revision.and_then(|revision| snapshot.events_after(SERVICES, revision).ok());
        if let Some(events) = events {
            for event in events {
                if let Some(previous) = &event.previous {
                    self.give_back(&held(&previous.decode()));
                }
                if !event.deleted {
                    self.take(&held(&event.object.decode()));
                }
            }
        } else {
            // From the start; reservations of writes under way are forgotten, which costs at most a conflict.
            *self = Self::default();
            for service in snapshot.range(SERVICES, "", None) {
                self.take(&held(&service.decode()));
            }
        }
        self.revision = Some(snapshot.revision());
    }

    fn take(&mut self, held: &Held) {
        for address in &held.addresses {
            *self.addresses.entry(*address).or_default() += 1;
        }
        for port in &held.ports {
            *self.ports.entry(*port).or_default() += 1;
        }
    }

    fn give_back(&mut self, held: &Held) {
        for address in &held.addresses {
            decrease(&mut self.addresses, address);
        }
        for port in &held.ports {
            decrease(&mut self.ports, port);
        }
    }
}

fn decrease<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The pool as one write sees it.
struct Taking<'a> {
    taken: &'a mut Taken,
    own: Held,
    chance: &'a Chance,
}

impl Pool for Taking<'_> {
    fn families(&self) -> &[Family] {
        &[Family::IPv4]
    }

    fn take_address(&mut self, family: Family, wanted: Option<IpAddr>) -> Result<IpAddr, String> {
        let base = u32::from(NETWORK);
        // The network's own address and its last one are nobody's.
        let usable = base + 1..base + NETWORK_SIZE - 1;
        if let Some(wanted) = wanted {
            let inside = matches!(wanted, IpAddr::V4(address) if usable.contains(&u32::from(address)));
            if !inside || family != Family::IPv4 {
                return Err("the provided network does not match the current range".into());
            }
            if self.taken.addresses.contains_key(&wanted) {
                return Err("provided IP is already allocated".into());
            }
            return Ok(self.keep_address(wanted));
        }
        let count = usable.end - usable.start;
        let start = self.chance.below("address", count);
        let free = (0..count)
            .map(|step| IpAddr::V4(Ipv4Addr::from(usable.start + (start + step) % count)))
            .find(|address| !self.taken.addresses.contains_key(address));
        free.map(|address| self.keep_address(address)).ok_or_else(|| "range is full".into())
    }

    fn take_port(&mut self, wanted: Option<i64>) -> Result<i64, String> {
        if let Some(wanted) = wanted {
            if !PORTS.contains(&wanted) {
                let (low, high) = PORTS.into_inner();
                return Err(format!(
                    "provided port is not in the valid range. The range of valid ports is {low}-{high}"
                ));
            }
            if self.taken.ports.contains_key(&wanted) {
                return Err("provided port is already allocated".into());
            }
            return Ok(self.keep_port(wanted));
        }
        let (low, high) = PORTS.into_inner();
        let count = high - low + 1;
        let start = i64::from(self.chance.below("port", count as u32));
        let free = (0..count)
            .map(|step| low + (start + step) % count)
            .find(|port| !self.taken.ports.contains_key(port));
        free.map(|port| self.keep_port(port)).ok_or_else(|| "range is full".into())
    }
}

impl Taking<'_> {
    fn keep_address(&mut self, address: IpAddr) -> IpAddr {
        *self.taken.addresses.entry(address).or_default() += 1;
        self.own.addresses.push(address);
        address
    }

    fn keep_port(&mut self, port: i64) -> i64 {
        *self.taken.ports.entry(port).or_default() += 1;
        self.own.ports.push(port);
        port
    }
}
