//! How far a rollout may go above and below the wanted number of replicas.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// A number, or a share of `total` in percent, rounded up or down; 0 if it is neither.
pub(crate) fn scaled(value: Option<&IntOrString>, total: i32, round_up: bool) -> i32 {
    match value {
        None => 0,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(text)) => {
            let Some(percent) = text.strip_suffix('%').and_then(|text| text.parse::<i64>().ok()) else {
                return 0;
            };
            let product = percent.saturating_mul(total.into());
            let share =
                if round_up { product.saturating_add(99).div_euclid(100) } else { product.div_euclid(100) };
            i32::try_from(share).unwrap_or(i32::MAX)
        }
    }
}

/// What a Deployment wants and allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fenceposts {
    /// How many replicas it wants.
    pub(crate) replicas: i32,
    /// How many may be there beyond those.
    pub(crate) max_surge: i32,
    /// How many of them may be missing.
    pub(crate) max_unavailable: i32,
    /// Whether it replaces replicas little by little.
    pub(crate) rolling: bool,
}

impl Fenceposts {
    pub(crate) fn of(deployment: &Deployment) -> Self {
        let spec = deployment.spec.as_ref();
        let replicas = spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let strategy = spec.and_then(|spec| spec.strategy.as_ref());
        let rolling = strategy.and_then(|strategy| strategy.type_.as_deref()) != Some("Recreate");
        if !rolling {
            return Self { replicas, max_surge: 0, max_unavailable: 0, rolling };
        }
        let limits = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let max_surge = scaled(limits.and_then(|limits| limits.max_surge.as_ref()), replicas, true);
        let mut max_unavailable =
            scaled(limits.and_then(|limits| limits.max_unavailable.as_ref()), replicas, false);
        if max_surge == 0 && max_unavailable == 0 {
            max_unavailable = 1; // rounded down to 0: without one of the two nothing could ever change
        }
        Self { replicas, max_surge, max_unavailable: max_unavailable.min(replicas), rolling }
    }

    /// How many replicas there may be at most.
    pub(crate) fn max_total(self) -> i32 {
        self.replicas.saturating_add(self.max_surge)
    }

    /// How many replicas must be available at least.
    pub(crate) fn min_available(self) -> i32 {
        self.replicas - self.max_unavailable
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(strategy: Value, replicas: i32, surge_and_unavailable: (i32, i32)) {
        let deployment =
            json!({"spec": {"replicas": replicas, "selector": {}, "template": {}, "strategy": strategy}});
        let fenceposts = Fenceposts::of(&serde_json::from_value(deployment).unwrap());
        assert_eq!((fenceposts.max_surge, fenceposts.max_unavailable), surge_and_unavailable, "{strategy}");
    }

    fn rolling(surge: impl Into<Value>, unavailable: impl Into<Value>) -> Value {
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge.into(), "maxUnavailable": unavailable.into()}})
    }

    #[test]
    fn surge_is_rounded_up_and_unavailability_down() {
        check(rolling("25%", "25%"), 10, (3, 2));
        check(rolling("25%", "25%"), 1, (1, 0));
        check(rolling("1%", "100%"), 3, (1, 3));
        check(rolling(2, 5), 3, (2, 3));
    }

    #[test]
    fn something_is_always_allowed() {
        check(rolling(0, "10%"), 2, (0, 1));
        check(rolling("0%", "0%"), 10, (0, 1));
        check(rolling(0, "10%"), 0, (0, 0));
    }

    #[test]
    fn recreate_allows_nothing() {
        check(json!({"type": "Recreate"}), 10, (0, 0));
    }
}
