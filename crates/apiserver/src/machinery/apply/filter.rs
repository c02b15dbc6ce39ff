//! Which fields a write can own at all. A status write does not own the spec, and the other way round, since it
//! cannot change it.

use super::{
    field_set::{FieldSet, Node},
    path_element::PathElement,
};

/// What a way of writing an object can own (`resetFields` in Kubernetes).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Filter {
    /// Everything.
    #[default]
    All,
    /// Everything but these fields and what is below them.
    Except(FieldSet),
    /// What lies below one of these paths, or on the way to it.
    Only(Vec<Vec<Step>>),
}

/// A step of a path that a [`Filter`] lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// This field.
    Field(&'static str),
    /// Any part.
    Any,
}

impl Filter {
    /// Everything but these fields, each a path of names, and what is below them.
    pub fn except(paths: &[&[&str]]) -> Self {
        Self::Except(FieldSet::of_fields(paths))
    }

    /// What is left of `fields`.
    #[must_use]
    pub fn apply(&self, fields: FieldSet) -> FieldSet {
        match self {
            Self::All => fields,
            Self::Except(excluded) => fields.recursive_difference(excluded),
            Self::Only(paths) => {
                let paths: Vec<&[Step]> = paths.iter().map(Vec::as_slice).collect();
                only(&paths, &fields)
            }
        }
    }
}

fn only(paths: &[&[Step]], fields: &FieldSet) -> FieldSet {
    let nodes = fields.nodes().iter().filter_map(|node| {
        let matching: Vec<&[Step]> = paths
            .iter()
            .filter_map(|path| path.split_first())
            .filter(|(step, _)| step.is(&node.element))
            .map(|(_, rest)| rest)
            .collect();
        if matching.is_empty() {
            return None;
        }
        let whole = matching.iter().any(|rest| rest.is_empty());
        let children = if whole { node.children.clone() } else { only(&matching, &node.children) };
        Some(Node { element: node.element.clone(), member: node.member, children })
    });
    FieldSet::of_nodes(nodes.collect())
}

impl Step {
    fn is(self, element: &PathElement) -> bool {
        match (self, element) {
            (Self::Any, _) => true,
            (Self::Field(name), PathElement::Field(field)) => field.as_ref() == name,
            (Self::Field(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_leaves_what_a_write_can_own() {
        let fields = FieldSet::from_fields_v1(&json!({
            "f:metadata": {"f:labels": {}},
            "f:spec": {".": {}, "f:containers": {"k:{\"name\":\"a\"}": {"f:image": {}, "f:resources": {"f:x": {}}}}},
            "f:status": {".": {}, "f:phase": {}},
        }))
        .unwrap();
        for (filter, want) in [
            (
                Filter::except(&[&["status"], &["metadata", "labels"]]),
                json!({"f:spec": {".": {}, "f:containers": {"k:{\"name\":\"a\"}": {"f:image": {}, "f:resources": {"f:x": {}}}}}}),
            ),
            (
                Filter::Only(vec![vec![
                    Step::Field("spec"),
                    Step::Field("containers"),
                    Step::Any,
                    Step::Field("resources"),
                ]]),
                json!({"f:spec": {".": {}, "f:containers": {"k:{\"name\":\"a\"}": {"f:resources": {"f:x": {}}}}}}),
            ),
        ] {
            assert_eq!(filter.apply(fields.clone()).to_fields_v1(), want);
        }
        assert_eq!(Filter::All.apply(fields.clone()), fields);
    }
}
