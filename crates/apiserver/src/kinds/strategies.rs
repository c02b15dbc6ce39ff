//! Which strategy each built-in kind has. A kind that is not here is [`Strategy::PLAIN`](super::Strategy::PLAIN).

use super::{Conversion, Strategy};

/// A kind's behaviour, and where its objects are kept when not under its own name and version.
#[derive(Debug)]
pub struct Row {
    /// The API group.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The behaviour.
    pub strategy: &'static Strategy,
    /// `GROUP/PLURAL` under which objects are kept, where it is not this kind's own.
    pub storage: Option<&'static str>,
    /// `apiVersion` in which objects are kept, where it is not this one.
    pub storage_version: Option<&'static str>,
    /// To and from that version.
    pub conversion: Option<&'static Conversion>,
}

impl Row {
    /// A kind that is kept under its own name and version.
    pub const fn new(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        strategy: &'static Strategy,
    ) -> Self {
        Self { group, version, kind, strategy, storage: None, storage_version: None, conversion: None }
    }
}

/// The kinds that behave in a way of their own, by subject.
pub static STRATEGIES: &[&[Row]] = &[
    super::access::ROWS,
    super::autoscaling::ROWS,
    super::core::ROWS,
    super::definitions::strategy::ROWS,
    super::network::ROWS,
    super::policy::ROWS,
    super::storage::ROWS,
    super::workloads::ROWS,
];

/// The row of a kind, if it has one.
pub fn of(group: &str, version: &str, kind: &str) -> Option<&'static Row> {
    STRATEGIES
        .iter()
        .copied()
        .flatten()
        .find(|row| row.group == group && row.version == version && row.kind == kind)
}
