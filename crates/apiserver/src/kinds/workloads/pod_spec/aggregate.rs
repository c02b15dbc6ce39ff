//! What a Pod asks for as a whole, from what its containers ask for: the sum of those that run side by side, or what
//! starting it takes, whichever is more.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::machinery::{
    fields::{entries, list, text},
    quantity::Quantity,
};

/// Amounts by the name of the resource.
pub type Amounts<'a> = BTreeMap<&'a str, Quantity>;

/// The sum of what all containers of a Pod's spec have under `resources.KIND` (`requests` or `limits`). Init
/// containers run one after the other, next to the sidecars started before them.
pub fn container_resources<'a>(spec: &'a Value, kind: &str) -> Amounts<'a> {
    let mut running = Amounts::new();
    for container in list(spec, "containers") {
        add(&mut running, &amounts(&container["resources"], kind));
    }
    let mut sidecars = Amounts::new();
    let mut starting = Amounts::new();
    for container in list(spec, "initContainers") {
        let mut own = amounts(&container["resources"], kind);
        if is_sidecar(container) {
            add(&mut running, &own);
            add(&mut sidecars, &own);
            own.clone_from(&sidecars);
        } else {
            add(&mut own, &sidecars);
        }
        raise(&mut starting, &own);
    }
    raise(&mut running, &starting);
    running
}

/// The amounts under `KIND` of a `ResourceRequirements`.
pub fn amounts<'a>(requirements: &'a Value, kind: &str) -> Amounts<'a> {
    entries(requirements, kind).map(|(name, value)| (name, quantity(value))).collect()
}

/// A quantity of a decoded object; nothing where there is none.
pub fn quantity(value: &Value) -> Quantity {
    // Decoding has refused what is no quantity.
    value.as_str().and_then(|text| Quantity::parse(text).ok()).unwrap_or(Quantity::ZERO)
}

/// Whether an init container runs on next to the others.
pub fn is_sidecar(container: &Value) -> bool {
    text(container, "restartPolicy") == "Always"
}

fn add<'a>(sum: &mut Amounts<'a>, more: &Amounts<'a>) {
    for (name, amount) in more {
        sum.entry(name).and_modify(|own| *own = own.plus(*amount)).or_insert(*amount);
    }
}

fn raise<'a>(most: &mut Amounts<'a>, other: &Amounts<'a>) {
    for (name, amount) in other {
        let own = most.entry(name).or_insert(*amount);
        *own = (*own).max(*amount);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn starting_may_take_more_than_running() {
        let container = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let sidecar = |cpu: &str| json!({"restartPolicy": "Always", "resources": {"requests": {"cpu": cpu}}});
        for (containers, init, want) in [
            (vec![container("1"), container("500m")], vec![], "1500m"),
            (vec![container("1")], vec![container("3"), container("2")], "3"),
            (vec![container("1")], vec![sidecar("1"), container("3")], "4"),
            (vec![container("4")], vec![sidecar("1"), container("3")], "5"),
        ] {
            let spec = json!({"containers": containers, "initContainers": init});
            assert_eq!(container_resources(&spec, "requests")["cpu"].to_string(), want, "{spec}");
        }
    }
}
