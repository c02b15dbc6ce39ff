//! The controllers of a Kubernetes control plane, an observer each.
mod controller;
pub mod deployment;
pub mod job;
mod naming;
mod ownership;
mod pod;
pub mod replicaset;
mod template;
#[cfg(test)]
mod testing;
mod time;
