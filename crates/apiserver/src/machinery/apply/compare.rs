//! Which fields differ between two objects of a kind.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    atom::{Atom, Fields, List, Type},
    field_set::{FieldSet, Node},
    path_element::{self, PathElement},
    validate::{SchemaError, SchemaErrors},
};

/// How one object differs from another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What the new object has and the old one had not, or had otherwise.
    pub changed: FieldSet,
    /// What the old object had and the new one has not.
    pub removed: FieldSet,
}

/// Compares two objects of the type.
///
/// # Errors
/// An item of a list that cannot be told from others.
pub fn compare(of: Type<'_>, old: &Value, new: &Value) -> Result<Comparison, SchemaErrors> {
    let difference = walk(of, Some(old), Some(new))?;
    Ok(Comparison {
        changed: FieldSet::of_nodes(difference.changed.below),
        removed: FieldSet::of_nodes(difference.removed.below),
    })
}

#[derive(Default)]
struct Difference {
    changed: Part,
    removed: Part,
}

/// What of a value is in a set: itself, and its parts.
#[derive(Default)]
struct Part {
    itself: bool,
    below: Vec<Node>,
}

impl Difference {
    /// Adds what was found at `element` of this value.
    fn add(&mut self, element: PathElement, found: Difference) {
        let changed = found.changed.itself || !found.changed.below.is_empty();
        let removed = found.removed.itself || !found.removed.below.is_empty();
        match (changed, removed) {
            (true, true) => {
                self.changed.add(element.clone(), found.changed);
                self.removed.add(element, found.removed);
            }
            (true, false) => self.changed.add(element, found.changed),
            (false, true) => self.removed.add(element, found.removed),
            (false, false) => {}
        }
    }

    /// Notes that the value itself came, went, or is another.
    fn note(&mut self, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (Some(_), None) => self.removed.itself = true,
            (None, _) => self.changed.itself = true,
            (Some(old), Some(new)) => self.changed.itself |= !path_element::equal(old, new),
        }
    }
}

impl Part {
    fn add(&mut self, element: PathElement, part: Part) {
        self.below.push(Node { element, member: part.itself, children: FieldSet::of_nodes(part.below) });
    }
}

/// At least one of `old` and `new` is there. Depth is bounded by the decoder.
fn walk(of: Type<'_>, old: Option<&Value>, new: Option<&Value>) -> Result<Difference, SchemaErrors> {
    let mut found = Difference::default();
    let (old_atom, new_atom) = (old.map(|old| of.atom(old)), new.map(|new| of.atom(new)));
    let mut whole = false;
    // Where the sorts differ (which only values without a schema can) each side is looked at by its own.
    if let (Some(old_atom), Some(new_atom)) = (old_atom, new_atom)
        && std::mem::discriminant(&old_atom) != std::mem::discriminant(&new_atom)
    {
        atom(old_atom, old, new, &mut found)?;
    }
    if let Some(sort) = new_atom.or(old_atom) {
        whole = atom(sort, old, new, &mut found)?;
    }
    if !whole && (old.is_none() || new.is_none()) {
        found.note(old, new);
    }
    Ok(found)
}

/// Compares by the sort of the value; tells whether it was compared as a whole.
fn atom(
    sort: Atom<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    found: &mut Difference,
) -> Result<bool, SchemaErrors> {
    match sort {
        Atom::Scalar(_) => {}
        Atom::Map(fields) => {
            let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
            if !fields.atomic
                && (old.is_some_and(|map| !map.is_empty()) || new.is_some_and(|map| !map.is_empty()))
            {
                entries(&fields, old, new, found)?;
                return Ok(false);
            }
        }
        Atom::List(list) => {
            let items = |value: Option<&'_ Value>| value.and_then(Value::as_array).map_or(0, Vec::len);
            if !list.is_atomic() && (items(old) > 0 || items(new) > 0) {
                let (old, new) = (old.and_then(Value::as_array), new.and_then(Value::as_array));
                list_items(&list, old.map_or(&[], Vec::as_slice), new.map_or(&[], Vec::as_slice), found)?;
                return Ok(false);
            }
        }
    }
    found.note(old, new);
    Ok(true)
}

fn entries(
    fields: &Fields<'_>,
    old: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
    found: &mut Difference,
) -> Result<(), SchemaErrors> {
    let mut visit = |name: &String, old: Option<&Value>, new: Option<&Value>| {
        if old == new {
            return Ok(());
        }
        let of = fields.child(name).ok_or_else(|| SchemaErrors::one(SchemaError::undeclared(name)))?;
        let below = walk(of, old, new).map_err(|errors| errors.below(&PathElement::field(name)))?;
        found.add(PathElement::field(name), below);
        Ok(())
    };
    for (name, value) in old.into_iter().flatten() {
        visit(name, Some(value), new.and_then(|new| new.get(name)))?;
    }
    for (name, value) in new.into_iter().flatten() {
        if old.is_none_or(|old| !old.contains_key(name)) {
            visit(name, None, Some(value))?;
        }
    }
    Ok(())
}

/// Items known by the same thing, in the old list and in the new one.
type Same<'v> = (Vec<&'v Value>, Vec<&'v Value>);

fn list_items(
    list: &List<'_>,
    old: &[Value],
    new: &[Value],
    found: &mut Difference,
) -> Result<(), SchemaErrors> {
    let mut items: BTreeMap<PathElement, Same<'_>> = BTreeMap::new();
    let element = |(index, item)| list.element(item).map_err(|why| SchemaErrors::item(index, &why));
    for (index, item) in old.iter().enumerate() {
        items.entry(element((index, item))?).or_default().0.push(item);
    }
    for (index, item) in new.iter().enumerate() {
        items.entry(element((index, item))?).or_default().1.push(item);
    }
    for (element, same) in items {
        let mut below = Difference::default();
        let within = |old: Option<&Value>, new: Option<&Value>| {
            walk(list.items, old, new).map_err(|errors| errors.below(&element))
        };
        match (same.0.as_slice(), same.1.as_slice()) {
            ([old], [new]) if old == new => {}
            (old, new) if old.len() <= 1 && new.len() <= 1 => {
                below = within(old.first().copied(), new.first().copied())?;
            }
            // Items that cannot be told apart are owned together, as one value.
            ([_, _, ..], [_, _, ..]) => {
                let equal = same.0.len() == same.1.len()
                    && same.0.iter().zip(&same.1).all(|(old, new)| path_element::equal(old, new));
                below.changed.itself = !equal;
            }
            (_, new) if new.len() <= 1 => {
                if let Some(new) = new.first() {
                    below = within(None, Some(new))?;
                }
                below.removed.itself = true;
            }
            (old, _) => {
                if let Some(old) = old.first() {
                    below = within(Some(old), None)?;
                }
                below.changed.itself = true;
            }
        }
        found.add(element, below);
    }
    Ok(())
}
