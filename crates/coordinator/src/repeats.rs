//! Applies that need not be sent again: the server answered the very same at the very state that the view shows.
//!
//! Whether an apply would change anything can be seen from who owns which field ([`applied`]), but few
//! watches keep that. What needs nothing to be kept is this: an apply of some fields, by some manager, was answered with
//! the object at some version. While the object is at that version nobody has changed it, ownership included, and the same
//! apply would change nothing. Where others write to the object, one apply is sent for each of their writes that is seen,
//! which the server finds to change nothing, and not one for each plan.
//!
//! The fields are remembered as a number. It is made with chance that a process has for itself, so that nobody can make
//! two sorts of fields of one number.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use serde_json::Value;

use crate::write::{Operation, Patch};
use crate::{Key, Object, Write, applied};

/// How many objects an observer remembers its applies to; of more, the first is forgotten, and applied to once more.
const REPEATS_MAX: usize = 65_536;

/// The applies of late of one observer.
#[derive(Default)]
pub(crate) struct Repeats {
    /// Never iterated.
    known: HashMap<Place, Applied>,
    order: VecDeque<Place>,
    chance: RandomState,
}

/// What an apply is about: the object, the manager, the subresource.
type Place = (Key, Box<str>, Option<&'static str>);

/// What was applied there last, and the state that the server answered it with.
struct Applied {
    fields: u64,
    uid: Box<str>,
    version: Box<str>,
}

impl Repeats {
    /// Remembers that an apply was answered with this state of the object.
    pub(crate) fn remember(&mut self, write: &Write, manager: &str, answer: &Object) {
        let Some((place, fields)) = self.place(write, manager) else { return };
        if answer.uid().is_empty() || answer.resource_version().is_empty() || answer.key() != &write.target {
            return;
        }
        let applied = Applied { fields, uid: answer.uid().into(), version: answer.resource_version().into() };
        if self.known.insert(place.clone(), applied).is_none() {
            self.order.push_back(place);
        }
        if self.order.len() > REPEATS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Whether an apply is the last one of its manager to this object, which is as that left it.
    pub(crate) fn is_repeated(&self, write: &Write, manager: &str, now: &Object) -> bool {
        let Some((place, fields)) = self.place(write, manager) else { return false };
        if let Operation::Patch(Patch::Apply { fields, .. }) = &write.operation
            && !applied::is_conditioned_on(fields, now)
        {
            return false;
        }
        self.known.get(&place).is_some_and(|last| {
            last.fields == fields && *last.uid == *now.uid() && *last.version == *now.resource_version()
        })
    }

    /// None if it is no apply.
    fn place(&self, write: &Write, manager: &str) -> Option<(Place, u64)> {
        let Operation::Patch(Patch::Apply { fields, force }) = &write.operation else { return None };
        let manager = write.field_manager.as_deref().unwrap_or(manager);
        let stated = Value::from(applied::stated(fields)?);
        let number = self.chance.hash_one((stated.to_string(), fields["apiVersion"].as_str(), force));
        Some(((write.target.clone(), manager.into(), write.subresource), number))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;

    fn object(uid: &str, version: &str) -> Object {
        let metadata = json!({"namespace": "ns", "name": "a", "uid": uid, "resourceVersion": version});
        let kind = Kind::named("", "v1", "ConfigMap", "configmaps");
        Object::from_value(&kind, &json!({ "metadata": metadata })).unwrap()
    }

    fn apply(data: &str) -> Write {
        Write::apply_value(object("u", "1").key().clone(), json!({"data": {"a": data}}))
    }

    #[test]
    fn only_the_same_apply_to_the_same_state_is_repeated() {
        let mut repeats = Repeats::default();
        repeats.remember(&apply("x"), "me", &object("u", "7"));
        for (why, write, manager, now, repeated) in [
            ("the same", apply("x"), "me", object("u", "7"), true),
            ("and of this very object", apply("x").if_uid("u"), "me", object("u", "7"), true),
            ("by name", apply("x").managed_by("me"), "other", object("u", "7"), true),
            ("if it is another", apply("x").if_uid("v"), "me", object("u", "7"), false),
            ("somebody has written since", apply("x"), "me", object("u", "8"), false),
            ("it is not in view yet", apply("x"), "me", object("u", "6"), false),
            ("another of its name", apply("x"), "me", object("v", "7"), false),
            ("other fields", apply("y"), "me", object("u", "7"), false),
            ("by another", apply("x"), "other", object("u", "7"), false),
            ("with force", apply("x").force(), "me", object("u", "7"), false),
            ("to the status", apply("x").on("status"), "me", object("u", "7"), false),
            ("no apply", Write::merge(apply("x").target, json!({})), "me", object("u", "7"), false),
        ] {
            assert_eq!(repeats.is_repeated(&write, manager, &now), repeated, "{why}");
        }
        repeats.remember(&apply("y"), "me", &object("u", "8"));
        assert!(!repeats.is_repeated(&apply("x"), "me", &object("u", "7")), "only the last counts");
    }

    #[test]
    fn it_is_bounded() {
        let mut repeats = Repeats::default();
        for number in 0..=REPEATS_MAX {
            repeats.remember(&apply("x").managed_by(number.to_string()), "", &object("u", "7"));
        }
        assert_eq!((repeats.known.len(), repeats.order.len()), (REPEATS_MAX, REPEATS_MAX));
        assert!(!repeats.is_repeated(&apply("x").managed_by("0"), "", &object("u", "7")));
        assert!(repeats.is_repeated(&apply("x").managed_by("1"), "", &object("u", "7")));
    }
}
