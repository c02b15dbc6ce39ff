//! Which fields of an object somebody owns: a tree of [`PathElement`]s, in which a node that is a member says that
//! the value itself is owned, and its children which parts of it are (`fieldpath.Set` in Kubernetes).

use std::{cmp::Ordering, fmt};

use serde_json::{Map, Value};

use super::path_element::{InvalidElement, PathElement};

/// A set of fields. Its nodes are sorted, and each has a member in it or below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    nodes: Vec<Node>,
}

/// A part of a value, within a [`FieldSet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which part.
    pub element: PathElement,
    /// Whether the part itself is in the set.
    pub member: bool,
    /// Which parts of the part are in the set.
    pub children: FieldSet,
}

/// A path from the root of an object, such as `.spec.containers[name="web"].image`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(pub Vec<PathElement>);

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| element.fmt(f))
    }
}

impl FieldSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    /// The set of these paths, each a list of field names.
    pub fn of_fields(paths: &[&[&str]]) -> Self {
        let path = |names: &&[&str]| names.iter().map(|name| PathElement::field(name)).collect::<Vec<_>>();
        paths.iter().fold(Self::new(), |set, names| set.union(Self::of_path(&path(names))))
    }

    /// The set of the field at `path` alone.
    pub fn of_path(path: &[PathElement]) -> Self {
        let mut set = Self::new();
        for (position, element) in path.iter().enumerate().rev() {
            let member = position + 1 == path.len();
            set = Self { nodes: vec![Node { element: element.clone(), member, children: set }] };
        }
        set
    }

    /// A set of nodes in any order; nodes of the same element are joined, and nodes with no member are left out.
    pub fn of_nodes(mut nodes: Vec<Node>) -> Self {
        nodes.retain(|node| node.member || !node.children.is_empty());
        if !nodes.is_sorted_by(|left, right| left.element < right.element) {
            nodes.sort_by(|left, right| left.element.cmp(&right.element));
            nodes.dedup_by(|next, kept| {
                let same = next.element == kept.element;
                if same {
                    kept.member |= next.member;
                    let (kept_children, next_children) =
                        (std::mem::take(&mut kept.children), std::mem::take(&mut next.children));
                    kept.children = kept_children.union(next_children);
                }
                same
            });
        }
        Self { nodes }
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The topmost nodes, sorted.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of `element`, if it or something below it is in the set.
    pub fn get(&self, element: &PathElement) -> Option<&Node> {
        let position = self.nodes.binary_search_by(|node| node.element.cmp(element)).ok()?;
        self.nodes.get(position)
    }

    /// The node of the field `name`.
    pub fn get_field(&self, name: &str) -> Option<&Node> {
        let order = |node: &Node| match &node.element {
            PathElement::Field(field) => field.as_ref().cmp(name),
            _ => Ordering::Greater,
        };
        let position = self.nodes.binary_search_by(order).ok()?;
        self.nodes.get(position)
    }

    /// Whether the value at `path` is in the set; the object itself never is.
    pub fn has(&self, path: &[PathElement]) -> bool {
        let Some((last, parents)) = path.split_last() else { return false };
        let mut set = self;
        for element in parents {
            match set.get(element) {
                Some(node) => set = &node.children,
                None => return false,
            }
        }
        set.get(last).is_some_and(|node| node.member)
    }

    /// What is in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let mut nodes = Vec::with_capacity(self.nodes.len().max(other.nodes.len()));
        let mut right = other.nodes.into_iter().peekable();
        for mut node in self.nodes {
            while let Some(smaller) = right.next_if(|other| other.element < node.element) {
                nodes.push(smaller);
            }
            if let Some(same) = right.next_if(|other| other.element == node.element) {
                node.member |= same.member;
                node.children = node.children.union(same.children);
            }
            nodes.push(node);
        }
        nodes.extend(right);
        Self { nodes }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut nodes = Vec::new();
        for (left, right) in pairs(&self.nodes, &other.nodes) {
            let Some(right) = right else { continue };
            let member = left.member && right.member;
            let children = left.children.intersection(&right.children);
            if member || !children.is_empty() {
                nodes.push(Node { element: left.element.clone(), member, children });
            }
        }
        Self { nodes }
    }

    /// What is in this set and not in `other`; what is below a field that is in `other` stays.
    #[must_use]
    pub fn difference(mut self, other: &Self) -> Self {
        if other.is_empty() {
            return self;
        }
        retain(&mut self.nodes, &other.nodes, |node, other| {
            node.member &= !other.member;
            node.children = std::mem::take(&mut node.children).difference(&other.children);
        });
        self
    }

    /// What is in this set and neither in `other` nor below a field that is.
    #[must_use]
    pub fn recursive_difference(mut self, other: &Self) -> Self {
        if other.is_empty() {
            return self;
        }
        retain(&mut self.nodes, &other.nodes, |node, other| {
            if other.member {
                node.member = false;
                node.children = Self::new();
            } else {
                node.children = std::mem::take(&mut node.children).recursive_difference(&other.children);
            }
        });
        self
    }

    /// The members that have no members below them.
    #[must_use]
    pub fn leaves(&self) -> Self {
        let nodes = self.nodes.iter().map(|node| Node {
            element: node.element.clone(),
            member: node.member && node.children.is_empty(),
            children: node.children.leaves(),
        });
        Self { nodes: nodes.collect() }
    }

    /// The paths of all members: those of a value before those of its parts, each sorted.
    pub fn paths(&self) -> Vec<FieldPath> {
        fn visit(set: &FieldSet, prefix: &mut Vec<PathElement>, paths: &mut Vec<FieldPath>) {
            for node in set.nodes.iter().filter(|node| node.member) {
                let mut path = prefix.clone();
                path.push(node.element.clone());
                paths.push(FieldPath(path));
            }
            for node in &set.nodes {
                prefix.push(node.element.clone());
                visit(&node.children, prefix, paths);
                prefix.pop();
            }
        }
        let mut paths = Vec::new();
        visit(self, &mut Vec::new(), &mut paths);
        paths
    }

    /// Reads `fieldsV1`. Elements of a sort that is not known are left out.
    ///
    /// # Errors
    /// The first name that is no element, or a value that is no object.
    pub fn from_fields_v1(fields: &Value) -> Result<Self, InvalidElement> {
        let map = match fields {
            Value::Object(map) => map,
            Value::Null => return Ok(Self::new()),
            _ => return Err(InvalidElement("expect { or n".to_owned())),
        };
        let mut nodes = Vec::with_capacity(map.len());
        for (name, below) in map {
            if name == "." {
                continue;
            }
            let Some(element) = PathElement::parse(name)? else { continue };
            let children = Self::from_fields_v1(below)?;
            let member = children.is_empty() || below.get(".").is_some();
            nodes.push(Node { element, member, children });
        }
        Ok(Self::of_nodes(nodes))
    }

    /// Whether some field is in this set and in `fields`, a set as [`Self::to_fields_v1`] writes it.
    pub(super) fn overlaps_fields_v1(&self, fields: &Value) -> bool {
        self.nodes.iter().any(|node| {
            let Some(below) = fields.get(node.element.to_name()) else { return false };
            let member = below.as_object().is_none_or(|below| below.is_empty() || below.contains_key("."));
            (node.member && member) || (!node.children.is_empty() && node.children.overlaps_fields_v1(below))
        })
    }

    /// Writes `fieldsV1`. What is nested deeper than can be read again is owned as a whole.
    pub fn to_fields_v1(&self) -> Value {
        self.written(DEPTH_MAX)
    }

    fn written(&self, depth_left: usize) -> Value {
        let mut map = Map::new();
        for node in self.nodes.iter().take_while(|_| depth_left > 1) {
            let mut below = node.children.written(depth_left - 1);
            if let Value::Object(below) = &mut below
                && node.member
                && !below.is_empty()
            {
                below.insert(".".to_owned(), Value::Object(Map::new()));
            }
            map.insert(node.element.to_name(), below);
        }
        Value::Object(map)
    }
}

/// One element, each on a line of its own.
impl fmt::Display for FieldSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.paths().iter().try_for_each(|path| writeln!(f, "{path}"))
    }
}

/// How deep `fieldsV1` is nested at most: an object can be read as deep as the decoder goes (127), and `fieldsV1`
/// stands four deep in it.
const DEPTH_MAX: usize = 120;

/// Cuts `fieldsV1` to the depth that it may have.
pub(super) fn limit_depth(fields: &mut Value) {
    fn cut(fields: &mut Value, depth_left: usize) {
        let Value::Object(map) = fields else { return };
        if depth_left <= 1 {
            map.clear();
        }
        map.values_mut().for_each(|below| cut(below, depth_left - 1));
    }
    cut(fields, DEPTH_MAX);
}

/// Each node of `left` with the node of the same element in `right`, if there is one.
fn pairs<'a>(left: &'a [Node], right: &'a [Node]) -> impl Iterator<Item = (&'a Node, Option<&'a Node>)> {
    let mut others = right.iter().peekable();
    left.iter().map(move |node| {
        while others.next_if(|other| other.element < node.element).is_some() {}
        (node, others.next_if(|other| other.element == node.element))
    })
}

/// Lets `change` take from each node what the node of the same element in `others` says, and drops nodes that have
/// nothing left.
fn retain(nodes: &mut Vec<Node>, others: &[Node], change: impl Fn(&mut Node, &Node)) {
    let mut others = others.iter().peekable();
    nodes.retain_mut(|node| {
        while others.next_if(|other| other.element < node.element).is_some() {}
        if let Some(other) = others.next_if(|other| other.element == node.element) {
            change(node, other);
        }
        node.member || !node.children.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn set(fields: &Value) -> FieldSet {
        FieldSet::from_fields_v1(fields).unwrap()
    }

    #[test]
    fn fields_v1_is_read_and_written_as_kubernetes_does() {
        for (sent, want) in [
            (json!({}), json!({})),
            (json!(null), json!({})),
            (json!({"f:data": {}}), json!({"f:data": {}})),
            (json!({"f:data": {".": {}}}), json!({"f:data": {}})),
            (json!({".": {}, "f:data": {".": {}, "f:a": {}}}), json!({"f:data": {".": {}, "f:a": {}}})),
            (json!({"f:data": {"f:a": null}}), json!({"f:data": {"f:a": {}}})),
            (json!({"f:data": {"x:future": {"?": 1}}}), json!({"f:data": {}})),
            (
                json!({"k:{\"b\":1,\"a\":2}": {}, "k:{\"a\":2,\"b\":1.0}": {"f:c": {}}}),
                json!({"k:{\"a\":2,\"b\":1}": {".": {}, "f:c": {}}}),
            ),
        ] {
            assert_eq!(set(&sent).to_fields_v1(), want, "{sent}");
        }
        for wrong in [json!([]), json!("x"), json!({"f:a": 1}), json!({"nonsense": {}})] {
            assert!(FieldSet::from_fields_v1(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_difference_takes_members_and_a_recursive_one_takes_all_below_them() {
        let all = json!({"f:spec": {".": {}, "f:a": {}, "f:b": {"f:c": {}}}, "f:status": {"f:d": {}}});
        let spec = json!({"f:spec": {}});
        assert_eq!(
            set(&all).difference(&set(&spec)).to_fields_v1(),
            json!({"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}, "f:status": {"f:d": {}}})
        );
        assert_eq!(
            set(&all).recursive_difference(&set(&spec)).to_fields_v1(),
            json!({"f:status": {"f:d": {}}})
        );
        assert_eq!(
            set(&all).recursive_difference(&set(&json!({"f:spec": {"f:b": {}}}))).to_fields_v1(),
            json!({"f:spec": {".": {}, "f:a": {}}, "f:status": {"f:d": {}}})
        );
        assert_eq!(set(&all).intersection(&set(&spec)).to_fields_v1(), spec);
        assert_eq!(
            set(&all).leaves().to_fields_v1(),
            json!({"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}, "f:status": {"f:d": {}}})
        );
    }

    #[test]
    fn paths_are_told_from_the_outside_in() {
        let fields = json!({"f:a": {"f:b": {}}, "f:c": {".": {}, "k:{\"name\":\"x\"}": {"f:d": {}}}});
        let paths: Vec<String> = set(&fields).paths().iter().map(ToString::to_string).collect();
        assert_eq!(paths, [".c", ".a.b", ".c[name=\"x\"].d"]);
        assert!(set(&fields).has(&[PathElement::field("c")]));
        assert!(!set(&fields).has(&[PathElement::field("a")]));
        assert!(!set(&fields).has(&[]));
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        let mut deep = json!({});
        for _ in 0..200 {
            deep = json!({"f:a": deep, ".": {}});
        }
        let mut cut = deep.clone();
        limit_depth(&mut cut);
        // serde_json itself reads 127 deep.
        let object = json!({"metadata": {"managedFields": [{"fieldsV1": cut}]}});
        assert!(serde_json::from_str::<Value>(&object.to_string()).is_ok());
        assert_eq!(set(&deep).to_fields_v1(), set(&cut).to_fields_v1());
        assert_eq!(set(&cut).paths().len(), DEPTH_MAX - 1);
    }

    /// Any set, by way of the JSON it is read from.
    fn sets() -> impl Strategy<Value = FieldSet> {
        let name = prop_oneof![
            "[a-d]".prop_map(|name| format!("f:{name}")),
            (0..4).prop_map(|port| format!("k:{{\"port\":{port}}}")),
            (0..4).prop_map(|value| format!("v:{value}")),
        ];
        let leaf = Just(json!({}));
        let tree = leaf.prop_recursive(4, 40, 4, move |below| {
            (proptest::collection::btree_map(name.clone(), below, 0..4), any::<bool>()).prop_map(
                |(map, member)| {
                    let mut map: Map<String, Value> = map.into_iter().collect();
                    if member {
                        map.insert(".".to_owned(), json!({}));
                    }
                    Value::Object(map)
                },
            )
        });
        tree.prop_map(|fields| set(&fields))
    }

    fn paths(set: &FieldSet) -> std::collections::BTreeSet<FieldPath> {
        set.paths().into_iter().collect()
    }

    proptest! {
        #[test]
        fn a_set_survives_being_written_and_read(fields in sets()) {
            prop_assert_eq!(set(&fields.to_fields_v1()), fields);
        }

        #[test]
        fn sets_obey_the_laws_of_sets(left in sets(), right in sets()) {
            let (left_paths, right_paths) = (paths(&left), paths(&right));
            prop_assert_eq!(paths(&left.clone().union(right.clone())), &left_paths | &right_paths);
            prop_assert_eq!(paths(&left.intersection(&right)), &left_paths & &right_paths);
            prop_assert_eq!(paths(&left.clone().difference(&right)), &left_paths - &right_paths);
            for path in &left_paths {
                prop_assert!(left.has(&path.0));
            }
            let below = |path: &FieldPath| (1..=path.0.len()).any(|end| right.has(&path.0[..end]));
            let kept = left_paths.into_iter().filter(|path| !below(path)).collect();
            prop_assert_eq!(paths(&left.recursive_difference(&right)), kept);
        }
    }
}
