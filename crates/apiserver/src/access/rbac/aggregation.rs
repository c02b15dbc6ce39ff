//! ClusterRoles that are the sum of others: `aggregationRule`, as Kubernetes' controller fills them.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::rule::Rule;
use crate::machinery::{object, selector::LabelSelector};

/// The rules of every ClusterRole, by name: those it states, or the sum of the roles that it selects, which may be
/// sums themselves.
pub(super) fn effective_rules(roles: &BTreeMap<&str, &Value>) -> HashMap<String, Vec<Rule>> {
    let selected: HashMap<&str, Vec<&str>> = roles
        .iter()
        .filter_map(|(name, role)| Some((*name, selectors(role)?)))
        .map(|(name, selectors)| (name, members(roles, name, selectors)))
        .collect();
    roles
        .iter()
        .map(|(name, role)| {
            let rules =
                if selected.contains_key(name) { sum(roles, &selected, name) } else { Rule::of(role) };
            ((*name).to_owned(), rules)
        })
        .collect()
}

fn selectors(role: &Value) -> Option<&Vec<Value>> {
    role.get("aggregationRule")?.get("clusterRoleSelectors")?.as_array()
}

/// The roles that the selectors of `owner` select, in the order of selectors and names.
fn members<'a>(roles: &BTreeMap<&'a str, &Value>, owner: &str, selectors: &[Value]) -> Vec<&'a str> {
    let mut members = Vec::new();
    for selector in selectors {
        // One that cannot be understood selects nothing.
        let Ok(selector) = LabelSelector::of(selector) else { continue };
        for (name, role) in roles {
            let labels = object::meta(role, "labels").unwrap_or(&Value::Null);
            if *name != owner && selector.matches_labels(labels) {
                members.push(*name);
            }
        }
    }
    members
}

/// The rules of all roles that `name` leads to. A role is visited once, so that roles that select each other end.
fn sum(roles: &BTreeMap<&str, &Value>, selected: &HashMap<&str, Vec<&str>>, name: &str) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut known = HashSet::new();
    let mut visited = HashSet::from([name]);
    let mut waiting: Vec<&str> = selected.get(name).into_iter().flatten().rev().copied().collect();
    while let Some(member) = waiting.pop() {
        if !visited.insert(member) {
            continue;
        }
        if let Some(members) = selected.get(member) {
            waiting.extend(members.iter().rev());
            continue;
        }
        for rule in roles.get(member).into_iter().flat_map(|role| Rule::of(role)) {
            if known.insert(rule.clone()) {
                rules.push(rule);
            }
        }
    }
    rules
}
