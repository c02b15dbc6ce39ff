//! Where data is kept: volumes and the claims on them, the classes that make them, and the drivers that serve them.

pub mod attachment;
pub mod attributes_class;
pub mod capacity;
pub mod claim;
pub mod class;
pub mod driver;
pub mod node;
mod parameters;
mod sources;
pub mod volume;

use super::strategies::Row;

/// The kinds of this subject.
pub static ROWS: &[Row] = &[
    Row::new("", "v1", "PersistentVolume", &volume::STRATEGY),
    Row::new("", "v1", "PersistentVolumeClaim", &claim::STRATEGY),
    Row::new("storage.k8s.io", "v1", "CSIDriver", &driver::STRATEGY),
    Row::new("storage.k8s.io", "v1", "CSINode", &node::STRATEGY),
    Row::new("storage.k8s.io", "v1", "CSIStorageCapacity", &capacity::STRATEGY),
    Row::new("storage.k8s.io", "v1", "StorageClass", &class::STRATEGY),
    Row::new("storage.k8s.io", "v1", "VolumeAttachment", &attachment::STRATEGY),
    Row::new("storage.k8s.io", "v1", "VolumeAttributesClass", &attributes_class::STRATEGY),
];
