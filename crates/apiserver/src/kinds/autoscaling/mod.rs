//! HorizontalPodAutoscaler: kept as `autoscaling/v2`, of which `autoscaling/v1` is another view.

pub mod conversion;
pub mod horizontal;
mod metrics;

use super::strategies::Row;

/// The kinds of this subject.
pub static ROWS: &[Row] = &[
    Row::new("autoscaling", "v2", "HorizontalPodAutoscaler", &horizontal::V2),
    Row {
        storage_version: Some("autoscaling/v2"),
        conversion: Some(&conversion::CONVERSION),
        ..Row::new("autoscaling", "v1", "HorizontalPodAutoscaler", &horizontal::V1)
    },
];
