//! End to end: the real binary, and the real kubectl, as a person uses them.
//!
//! Every test has a cluster of its own ([`cluster::Cluster`]); it waits for what it wants by kubectl's own means (`wait`,
//! `rollout status`, `get --watch`), never for a time to pass. A kubectl that hangs, or that prints a warning, fails the
//! test that ran it ([`kubectl::Kubectl`]). `$XEBEC_KUBECTL` names another kubectl than that of `.venv`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod access;
mod applying;
mod changing;
mod cluster;
mod creating;
mod kubectl;
mod monitoring;
mod observers;
#[path = "../process/mod.rs"]
mod process;
mod program;
mod reading;
mod reload;
mod rollouts;
mod workloads;
