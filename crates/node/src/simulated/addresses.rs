//! The addresses of nodes and Pods: what a network plugin gives out.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use parking_lot::Mutex;

/// Pods are in 10.244.0.0/14, nodes in 172.16.0.0/12.
const PODS: u32 = u32::from_be_bytes([10, 244, 0, 0]);
const PODS_END: u32 = u32::from_be_bytes([10, 248, 0, 0]);
const NODES: u32 = u32::from_be_bytes([172, 18, 0, 1]);

/// The address of a node.
pub(crate) fn of_node(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(NODES.saturating_add(u32::try_from(number).unwrap_or(u32::MAX)))
}

/// The addresses given to Pods. No two Pods that are there have the same.
///
/// It is told of every Pod and its address before anything is planned, so that it knows what was given out before it
/// was made.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<Given>);

#[derive(Debug, Default)]
struct Given {
    by_pod: HashMap<Box<str>, u32>,
    /// Two Pods may claim the same address, if others write their status: it is free when neither has it.
    taken: BTreeSet<(u32, Box<str>)>,
    last: u32,
}

impl Addresses {
    /// The address of a Pod, by its unique id; none if there is none left.
    pub(crate) fn of_pod(&self, uid: &str) -> Option<Ipv4Addr> {
        let mut given = self.0.lock();
        if let Some(address) = given.by_pod.get(uid) {
            return Some(Ipv4Addr::from_bits(*address));
        }
        let after = given.last.max(PODS) + 1;
        let free = (after..PODS_END).chain(PODS..after).find(|address| given.is_free(*address))?;
        given.last = free;
        given.take(uid, free);
        Some(Ipv4Addr::from_bits(free))
    }

    /// A Pod has this address already.
    pub(crate) fn adopt(&self, uid: &str, address: Ipv4Addr) {
        let address = address.to_bits();
        if (PODS..PODS_END).contains(&address) {
            self.0.lock().take(uid, address);
        }
    }

    /// A Pod is gone.
    pub(crate) fn release(&self, uid: &str) {
        let mut given = self.0.lock();
        if let Some(address) = given.by_pod.remove(uid) {
            given.taken.remove(&(address, uid.into()));
        }
    }
}

impl Given {
    fn is_free(&self, address: u32) -> bool {
        let host = !matches!(address & 0xff, 0 | 255);
        host && self.taken.range((address, "".into())..(address + 1, "".into())).next().is_none()
    }

    fn take(&mut self, uid: &str, address: u32) {
        if let Some(before) = self.by_pod.insert(uid.into(), address) {
            self.taken.remove(&(before, uid.into()));
        }
        self.taken.insert((address, uid.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(addresses: &Addresses, uid: &str) -> String {
        addresses.of_pod(uid).unwrap().to_string()
    }

    #[test]
    fn addresses_are_unique_stable_and_not_reused_at_once() {
        let addresses = Addresses::default();
        addresses.adopt("old", "10.244.0.2".parse().unwrap());
        addresses.adopt("elsewhere", "192.168.0.1".parse().unwrap());
        assert_eq!(address(&addresses, "a"), "10.244.0.1");
        assert_eq!(address(&addresses, "b"), "10.244.0.3", "the second is taken");
        assert_eq!(address(&addresses, "a"), "10.244.0.1");
        addresses.release("a");
        assert_eq!(address(&addresses, "c"), "10.244.0.4", "the first rests");
        addresses.release("a");
        assert_eq!(of_node(1).to_string(), "172.18.0.2");
    }

    #[test]
    fn an_address_claimed_twice_is_free_when_both_are_gone() {
        let addresses = Addresses::default();
        let first: Ipv4Addr = "10.244.0.1".parse().unwrap();
        addresses.adopt("a", first);
        addresses.adopt("b", first);
        addresses.release("a");
        assert_eq!(address(&addresses, "c"), "10.244.0.2");
    }

    #[test]
    fn the_pool_comes_round() {
        let addresses = Addresses::default();
        addresses.0.lock().last = PODS_END - 3;
        assert_eq!(address(&addresses, "a"), "10.247.255.254");
        assert_eq!(address(&addresses, "b"), "10.244.0.1");
        assert_eq!(address(&addresses, "c"), "10.244.0.2");
    }
}
