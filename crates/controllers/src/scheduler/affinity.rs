//! Which nodes a Pod's selectors and affinities to nodes allow, and which taints it tolerates.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Taint, Toleration,
};

type Labels = BTreeMap<String, String>;

/// Whether the Pod's node selector and required node affinity allow a node.
pub(super) fn allows(spec: &PodSpec, node: &Node) -> bool {
    let empty = Labels::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&empty);
    let selected = spec.node_selector.iter().flatten().all(|(name, value)| labels.get(name) == Some(value));
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required =
        affinity.and_then(|node| node.required_during_scheduling_ignored_during_execution.as_ref());
    selected
        && required.is_none_or(|required| required.node_selector_terms.iter().any(|term| matches(term, node)))
}

/// How much the Pod prefers a node by its affinity: the sum of the weights that apply.
pub(super) fn preference(spec: &PodSpec, node: &Node) -> i64 {
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let preferred =
        affinity.and_then(|node| node.preferred_during_scheduling_ignored_during_execution.as_ref());
    let applying = preferred.into_iter().flatten().filter(|term| matches(&term.preference, node));
    applying.map(|term| i64::from(term.weight)).sum()
}

/// A term without requirements matches nothing.
fn matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let label =
        |name: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
    let field = |name: &str| if name == "metadata.name" { node.metadata.name.as_deref() } else { None };
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|requirement| meets(requirement, label(&requirement.key)))
        && fields.iter().all(|requirement| meets(requirement, field(&requirement.key)))
}

fn meets(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let is_among = |value: &str| values.iter().any(|wanted| wanted == value);
    let numbers = || Some((value?.parse::<i64>().ok()?, values.first()?.parse::<i64>().ok()?));
    match &*requirement.operator {
        "In" => value.is_some_and(is_among),
        "NotIn" => !value.is_some_and(is_among),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => numbers().is_some_and(|(own, wanted)| own > wanted),
        "Lt" => numbers().is_some_and(|(own, wanted)| own < wanted),
        _ => false,
    }
}

/// Whether a Pod may be on a node in spite of its taints.
pub(super) fn tolerates_node(spec: &PodSpec, node: &Node) -> bool {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let mut forbidding = taints.filter(|taint| matches!(&*taint.effect, "NoSchedule" | "NoExecute"));
    forbidding.all(|taint| tolerates(spec, taint))
}

/// How many taints of a node advise against it.
pub(super) fn advised_against(spec: &PodSpec, node: &Node) -> i64 {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let advising = taints.filter(|taint| taint.effect == "PreferNoSchedule" && !tolerates(spec, taint));
    i64::try_from(advising.count()).unwrap_or(i64::MAX)
}

/// Whether the node takes no new Pods, or at least not this one.
pub(super) fn is_closed(spec: &PodSpec, node: &Node) -> bool {
    let closed = Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) && !tolerates(spec, &closed)
}

fn tolerates(spec: &PodSpec, taint: &Taint) -> bool {
    spec.tolerations.iter().flatten().any(|toleration| is_tolerated(toleration, taint))
}

fn is_tolerated(by: &Toleration, taint: &Taint) -> bool {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let effect = given(&by.effect).is_none_or(|effect| effect == taint.effect);
    let key = given(&by.key).is_none_or(|key| key == taint.key);
    let value = match by.operator.as_deref() {
        Some("Exists") => true,
        None | Some("" | "Equal") => {
            by.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default()
        }
        Some(_) => false,
    };
    effect && key && value
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node() -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": "n1", "labels": {"disk": "ssd", "size": "5"}},
            "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]},
        }))
        .unwrap()
    }

    fn spec(spec: Value) -> PodSpec {
        let mut spec = spec;
        spec["containers"] = json!([]);
        serde_json::from_value(spec).unwrap()
    }

    fn term(key: &str, operator: &str, values: &[&str]) -> Value {
        json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]})
    }

    #[test]
    fn node_selectors_and_affinity() {
        assert!(allows(&spec(json!({"nodeSelector": {"disk": "ssd"}})), &node()));
        assert!(!allows(&spec(json!({"nodeSelector": {"disk": "ssd", "zone": "a"}})), &node()));
        for (terms, allowed) in [
            (json!([term("disk", "In", &["hdd", "ssd"])]), true),
            (json!([term("disk", "In", &["hdd"])]), false),
            (json!([term("disk", "In", &["hdd"]), term("disk", "Exists", &[])]), true),
            (json!([term("zone", "NotIn", &["a"])]), true),
            (json!([term("disk", "NotIn", &["ssd"])]), false),
            (json!([term("disk", "DoesNotExist", &[])]), false),
            (json!([term("size", "Gt", &["4"])]), true),
            (json!([term("size", "Lt", &["5"])]), false),
            (json!([term("disk", "Gt", &["4"])]), false),
            (json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]), true),
            (json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}]), false),
            (json!([{}]), false),
        ] {
            let required =
                json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
            let spec = spec(json!({"affinity": {"nodeAffinity": required}}));
            assert_eq!(allows(&spec, &node()), allowed, "{terms}");
        }
        let preferred = json!([{"weight": 7, "preference": term("disk", "Exists", &[])}, {"weight": 9, "preference": term("no", "Exists", &[])}]);
        let spec = spec(
            json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}}),
        );
        assert_eq!(preference(&spec, &node()), 7);
    }

    #[test]
    fn tolerations() {
        for (toleration, tolerated) in [
            (json!({"key": "gpu", "value": "yes"}), true),
            (json!({"key": "gpu", "value": "yes", "effect": "NoSchedule"}), true),
            (json!({"key": "gpu", "value": "yes", "effect": "NoExecute"}), false),
            (json!({"key": "gpu", "value": "no"}), false),
            (json!({"key": "gpu", "operator": "Exists"}), true),
            (json!({"operator": "Exists"}), true),
            (json!({"key": "other", "operator": "Exists"}), false),
        ] {
            let spec = spec(json!({"tolerations": [toleration]}));
            assert_eq!(tolerates_node(&spec, &node()), tolerated, "{toleration}");
        }
    }
}
