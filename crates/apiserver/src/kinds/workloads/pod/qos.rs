//! The quality of service of a Pod, which decides who is evicted first: from what its containers ask for.

use serde_json::Value;

use super::super::pod_spec::aggregate::{Amounts, amounts};
use crate::machinery::fields::{list, present};

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub fn class_of(spec: &Value) -> &'static str {
    let askers: Vec<&Value> = if let Some(own) = present(spec, "resources") {
        vec![own]
    } else {
        let containers = list(spec, "containers").iter().chain(list(spec, "initContainers"));
        containers.map(|container| &container["resources"]).collect()
    };
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    let mut all_limited = true;
    for asker in askers {
        sum(&mut requests, asker, "requests");
        all_limited &= sum(&mut limits, asker, "limits") == 2;
    }
    if requests.is_empty() && limits.is_empty() {
        return "BestEffort";
    }
    if all_limited && requests == limits { "Guaranteed" } else { "Burstable" }
}

/// Adds up the processors and memory that are asked for; gives how many of the two are.
fn sum<'a>(sum: &mut Amounts<'a>, asker: &'a Value, kind: &str) -> usize {
    let mut found = 0;
    for (name, amount) in amounts(asker, kind) {
        if matches!(name, "cpu" | "memory") && amount.signum() > 0 {
            sum.entry(name).and_modify(|own| *own = own.plus(amount)).or_insert(amount);
            found += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_as_good_as_its_limits() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        for (resources, want) in [
            (json!([{}]), "BestEffort"),
            (json!([{"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}]), "BestEffort"),
            (json!([{"requests": {"cpu": "0"}}]), "BestEffort"),
            (json!([{"requests": {"cpu": "1"}}]), "Burstable"),
            (json!([{"requests": both, "limits": both}]), "Guaranteed"),
            (json!([{"requests": both, "limits": both}, {}]), "Burstable"),
            (json!([{"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}]), "Burstable"),
            (json!([{"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": both}]), "Burstable"),
        ] {
            let containers: Vec<Value> =
                resources.as_array().unwrap().iter().map(|r| json!({"resources": r})).collect();
            assert_eq!(class_of(&json!({"containers": containers})), want, "{resources}");
        }
        let spec =
            json!({"resources": {"limits": both, "requests": both}, "containers": [{"resources": {}}]});
        assert_eq!(class_of(&spec), "Guaranteed");
    }
}
