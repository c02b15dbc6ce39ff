//! Devices: what drivers have, the classes that they fall into, and claims on them.

pub mod binding;
pub mod capacity;
pub mod claim;
pub mod claim_status;
pub mod class;
pub mod names;
pub mod request;
pub mod slice;
pub mod taint;

use super::strategies::Row;

const GROUP: &str = "resource.k8s.io";

/// The kinds of this subject.
pub static ROWS: &[Row] = &[
    Row::new(GROUP, "v1", "DeviceClass", &class::STRATEGY),
    Row::new(GROUP, "v1", "ResourceClaim", &claim::STRATEGY),
    Row::new(GROUP, "v1", "ResourceClaimTemplate", &claim::TEMPLATE),
    Row::new(GROUP, "v1", "ResourceSlice", &slice::STRATEGY),
];
