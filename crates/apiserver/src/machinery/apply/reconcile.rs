//! Sets of fields that were written when the schema was another: what is owned as a whole now, and was owned by
//! its parts then, is owned as a whole (`typed.ReconcileFieldSetWithSchema` in Kubernetes).

use serde_json::Value;

use super::{
    atom::{Atom, Type},
    field_set::{FieldSet, Node},
    path_element::PathElement,
};

/// The set as it would have been with this schema; `None` if it is as it would be.
pub fn reconcile(of: Type<'_>, fields: &FieldSet) -> Option<FieldSet> {
    let mut changed = false;
    let nodes = fields.nodes().iter().map(|node| walk(of, node, &mut changed)).collect();
    changed.then(|| FieldSet::of_nodes(nodes))
}

fn walk(of: Type<'_>, node: &Node, changed: &mut bool) -> Node {
    let Some(below) = type_of(of, &node.element) else { return node.clone() };
    if node.children.is_empty() {
        return node.clone();
    }
    let atomic = match below.atom(&Value::Null) {
        Atom::Map(fields) if fields.is_free_form() => return node.clone(),
        Atom::Map(fields) => fields.atomic,
        Atom::List(list) => list.is_atomic(),
        Atom::Scalar(_) => return node.clone(),
    };
    if atomic {
        *changed = true;
        return Node { element: node.element.clone(), member: true, children: FieldSet::new() };
    }
    let children = node.children.nodes().iter().map(|child| walk(below, child, changed)).collect();
    Node { element: node.element.clone(), member: node.member, children: FieldSet::of_nodes(children) }
}

/// The type of the part `element` of a value, whatever the value is.
fn type_of<'s>(of: Type<'s>, element: &PathElement) -> Option<Type<'s>> {
    match (of.atom(&Value::Null), element) {
        (Atom::Map(fields), PathElement::Field(name)) => fields.child(name),
        (Atom::Map(fields), _) => fields.rest,
        (Atom::List(list), _) => Some(list.items),
        (Atom::Scalar(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machinery::builtin;

    #[test]
    fn parts_of_what_is_atomic_are_owned_as_a_whole() {
        let schema = builtin::schema("io.k8s.api.apps.v1.Deployment").unwrap();
        let reconciled = |fields: Value| {
            let fields = FieldSet::from_fields_v1(&fields).unwrap();
            reconcile(Type::object(schema), &fields).map(|fields| fields.to_fields_v1())
        };
        assert_eq!(
            reconciled(json!({"f:spec": {
                "f:selector": {"f:matchLabels": {"f:app": {}}},
                "f:template": {"f:spec": {"f:tolerations": {"k:{\"key\":\"a\"}": {}}, "f:bogus": {"f:x": {}}}},
            }})),
            Some(json!({"f:spec": {
                "f:selector": {},
                "f:template": {"f:spec": {"f:tolerations": {}, "f:bogus": {"f:x": {}}}},
            }}))
        );
        assert_eq!(
            reconciled(json!({
                "f:metadata": {"f:labels": {"f:x": {}}},
                "f:spec": {"f:selector": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"a\"}": {
                    ".": {}, "f:env": {"k:{\"name\":\"E\"}": {"f:value": {}}}}}}}},
            })),
            None
        );
    }
}
