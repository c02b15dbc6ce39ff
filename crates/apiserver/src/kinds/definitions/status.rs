//! Whether the names of a definition are accepted, and what its status says (the naming and establishing controllers
//! of Kubernetes' API server).

use serde_json::{Value, json};

use crate::machinery::{fields, object};

/// The finalizer that keeps a definition until its objects are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Whether a definition's resources are served.
pub fn is_established(definition: &Value) -> bool {
    condition(definition, "Established") == Some("True")
}

/// The status of a condition.
pub fn condition<'a>(definition: &'a Value, name: &str) -> Option<&'a str> {
    let conditions = fields::list(&definition["status"], "conditions");
    conditions.iter().find(|condition| condition["type"] == name)?["status"].as_str()
}

/// The definition with the status that its names deserve beside `others` (all definitions of its group), at `now`.
#[must_use]
pub fn named(definition: &Value, others: &[Value], now: &str) -> Value {
    let mut new = definition.clone();
    let conflict = conflict(definition, others);
    let accepted = accepted_names(definition, others);
    let status = object::child_mut(&mut new, "status");
    status.insert("acceptedNames".into(), accepted);
    let was_established = is_established(definition);
    let (names, established) = match conflict {
        None => (
            json!({"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found"}),
            json!({"type": "Established", "status": "True", "reason": "InitialNamesAccepted",
                "message": "the initial names have been accepted"}),
        ),
        Some((reason, message)) => (
            json!({"type": "NamesAccepted", "status": "False", "reason": reason, "message": message}),
            json!({"type": "Established", "status": "False", "reason": "NotAccepted",
                "message": "not all names are accepted"}),
        ),
    };
    set_condition(&mut new, names, now);
    // Once established it stays so.
    if !was_established {
        set_condition(&mut new, established, now);
    }
    new
}

/// Sets a condition; its time changes with its status alone.
pub fn set_condition(definition: &mut Value, mut condition: Value, now: &str) {
    let conditions = object::child_mut(definition, "status").entry("conditions").or_insert_with(|| json!([]));
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    let Some(conditions) = conditions.as_array_mut() else { return };
    condition["lastTransitionTime"] = now.into();
    match conditions.iter_mut().find(|own| own["type"] == condition["type"]) {
        Some(own) => {
            if own["status"] == condition["status"] {
                condition["lastTransitionTime"] = own["lastTransitionTime"].clone();
            }
            *own = condition;
        }
        None => conditions.push(condition),
    }
}

/// The names that other definitions of the group have, by what they are used as.
fn taken<'a>(definition: &Value, others: &'a [Value], kinds: bool) -> Vec<&'a str> {
    let own = object::name(definition);
    let group = &definition["spec"]["group"];
    let others = others.iter().filter(|other| object::name(other) != own && other["spec"]["group"] == *group);
    others
        .flat_map(|other| {
            let names = &other["status"]["acceptedNames"];
            if kinds {
                vec![fields::text(names, "kind"), fields::text(names, "listKind")]
            } else {
                let short = fields::list(names, "shortNames").iter().filter_map(Value::as_str);
                [fields::text(names, "plural"), fields::text(names, "singular")]
                    .into_iter()
                    .chain(short)
                    .collect()
            }
        })
        .filter(|name| !name.is_empty())
        .collect()
}

fn conflict(definition: &Value, others: &[Value]) -> Option<(&'static str, String)> {
    let names = &definition["spec"]["names"];
    let (resources, kinds) = (taken(definition, others, false), taken(definition, others, true));
    let used = |name: &str| format!("\"{name}\" is already in use");
    let mut conflict = None;
    for (field, taken, reason) in [
        ("plural", &resources, "PluralConflict"),
        ("singular", &resources, "SingularConflict"),
        ("kind", &kinds, "KindConflict"),
        ("listKind", &kinds, "ListKindConflict"),
    ] {
        let name = fields::text(names, field);
        if taken.contains(&name) {
            conflict = Some((reason, used(name)));
        }
        if field == "singular" {
            let mut short = fields::list(names, "shortNames").iter().filter_map(Value::as_str);
            if let Some(name) = short.find(|name| resources.contains(name)) {
                conflict = Some(("ShortNamesConflict", used(name)));
            }
        }
    }
    conflict
}

fn accepted_names(definition: &Value, others: &[Value]) -> Value {
    let names = &definition["spec"]["names"];
    let before = &definition["status"]["acceptedNames"];
    let (resources, kinds) = (taken(definition, others, false), taken(definition, others, true));
    let mut accepted = json!({});
    for (field, taken) in
        [("plural", &resources), ("singular", &resources), ("kind", &kinds), ("listKind", &kinds)]
    {
        let name = fields::text(names, field);
        let name = if taken.contains(&name) { fields::text(before, field) } else { name };
        if !name.is_empty() || matches!(field, "plural" | "kind") {
            accepted[field] = name.into();
        }
    }
    let short = fields::list(names, "shortNames");
    if !short.is_empty() && !short.iter().filter_map(Value::as_str).any(|name| resources.contains(&name)) {
        accepted["shortNames"] = short.into();
    }
    let categories = fields::list(names, "categories");
    if !categories.is_empty() {
        accepted["categories"] = categories.into();
    }
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(plural: &str, kind: &str, short: &str) -> Value {
        json!({"metadata": {"name": format!("{plural}.g")}, "spec": {"group": "g", "names": {"plural": plural,
            "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List"), "shortNames": [short]}}})
    }

    #[test]
    fn the_first_with_a_name_keeps_it() {
        let first = named(&definition("widgets", "Widget", "w"), &[], "t");
        assert!(is_established(&first));
        let second = named(&definition("wodgets", "Wodget", "w"), std::slice::from_ref(&first), "t");
        assert!(!is_established(&second));
        assert_eq!(second["status"]["conditions"][0]["reason"], "ShortNamesConflict");
        assert_eq!(second["status"]["acceptedNames"]["plural"], "wodgets");
        assert!(second["status"]["acceptedNames"].get("shortNames").is_none());
        // A name that becomes free is accepted.
        assert!(is_established(&named(&second, &[], "t")));
    }
}
