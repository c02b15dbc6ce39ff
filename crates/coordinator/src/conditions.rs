//! Conditions of a status: what is true of an object, since when, and of which generation of it.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::names::{is_name, is_subdomain};
use crate::{DecodeError, Object, Write};

/// As Kubernetes' own schema of conditions has it.
const REASON_CHARS_MAX: usize = 1024;
const MESSAGE_CHARS_MAX: usize = 32_768;

/// The conditions of one object (`metav1.Condition`): those it has, and those that an observer states now.
///
/// A condition that is [`set`](Self::set) keeps its `lastTransitionTime` unless its status changes, and carries the
/// generation of the object as `observedGeneration`. The list stays in its order, a type is in it once; conditions of
/// other owners are left alone. Two ways to write them:
///
/// - [`apply`](Self::apply): the conditions stated here, and no others, by server-side apply on the status; those that the
///   observer applied before and states no more are dropped. Several observers can each have conditions of their own so.
/// - [`changed`](Self::changed): the whole list for an update of the status; none if nothing changed.
///
/// ```
/// use serde_json::{Value, json};
/// use xebec_coordinator::{Conditions, Kind, Object, Truth};
///
/// let widget = Object::from_value(&Kind::named("example.com", "v1", "Widget", "widgets"), &json!({
///     "metadata": {"name": "w", "generation": 4},
///     "status": {"conditions": [
///         {"type": "Ready", "status": "False", "reason": "Starting", "message": "",
///          "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 3},
///     ]},
/// }))?;
/// let now = "2026-01-02T00:00:00Z".parse()?;
/// let mut conditions = Conditions::of(&widget, now)?;
/// conditions.set("Ready", Truth::False, "Starting", "1 of 3 started");
/// let ready = &conditions.changed()?.ok_or("the message changed")?[0];
/// assert_eq!(ready.observed_generation, Some(4));
/// assert_eq!(ready.last_transition_time.0, "2026-01-01T00:00:00Z".parse()?, "it still is not ready");
/// # Ok::<(), xebec_coordinator::BoxError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conditions {
    list: Vec<Condition>,
    before: Vec<Condition>,
    /// The types stated, in the order in which they were first.
    stated: Vec<String>,
    generation: Option<i64>,
    now: Timestamp,
    error: Option<ConditionError>,
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be told.
    Unknown,
}

/// A condition that the API server would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("condition {condition:?}: {why}")]
pub struct ConditionError {
    /// Its type.
    pub condition: String,
    /// What is wrong, and how it should be.
    pub why: String,
}

impl Truth {
    /// As objects have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Conditions {
    /// Of any object that keeps them in `status.conditions`: of a built-in kind, a custom resource, or a kind known at run
    /// time only. `now` is the [view's](crate::View::now) time.
    pub fn of(object: &Object, now: Timestamp) -> Result<Self, DecodeError> {
        #[derive(Deserialize)]
        struct Whole {
            metadata: Meta,
            #[serde(default)]
            status: Option<Status>,
        }
        #[derive(Deserialize)]
        struct Meta {
            generation: Option<i64>,
        }
        #[derive(Deserialize)]
        struct Status {
            #[serde(default)]
            conditions: Option<Vec<Condition>>,
        }
        let whole: Whole = object.decode()?;
        let list = whole.status.and_then(|status| status.conditions).unwrap_or_default();
        Ok(Self::new(list, whole.metadata.generation, now))
    }

    /// Of a typed object: its conditions as they are, and its `metadata.generation`.
    pub fn new(
        current: impl IntoIterator<Item = Condition>,
        generation: Option<i64>,
        now: Timestamp,
    ) -> Self {
        let before: Vec<_> = current.into_iter().collect();
        Self { list: before.clone(), before, stated: Vec::new(), generation, now, error: None }
    }

    /// States a condition. Stated again, the last counts.
    ///
    /// The reason is for programs (`MinimumReplicasUnavailable`), the message for people; a message that is too long is
    /// cut. A type or a reason that Kubernetes would refuse is an error of whatever writes the conditions.
    pub fn set(
        &mut self,
        condition: &str,
        truth: impl Into<Truth>,
        reason: &str,
        message: impl Into<String>,
    ) -> &mut Self {
        if let Err(why) = check(condition, reason) {
            self.error.get_or_insert(ConditionError { condition: condition.to_owned(), why });
            return self;
        }
        let status = truth.into().as_str();
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(MESSAGE_CHARS_MAX) {
            message.truncate(end);
        }
        // What this very list was when it was read decides, not what has been stated since.
        let same = self.before.iter().find(|known| known.type_ == condition && known.status == status);
        let now = Time(Timestamp::from_second(self.now.as_second()).unwrap_or(self.now));
        let new = Condition {
            last_transition_time: same.map_or(now, |known| known.last_transition_time.clone()),
            message,
            observed_generation: self.generation,
            reason: reason.to_owned(),
            status: status.to_owned(),
            type_: condition.to_owned(),
        };
        match self.list.iter_mut().find(|known| known.type_ == condition) {
            Some(known) => *known = new,
            None => self.list.push(new),
        }
        if !self.stated.iter().any(|stated| stated == condition) {
            self.stated.push(condition.to_owned());
        }
        self
    }

    /// Removes a condition.
    pub fn remove(&mut self, condition: &str) -> &mut Self {
        self.list.retain(|known| known.type_ != condition);
        self.stated.retain(|stated| stated != condition);
        self
    }

    /// A condition as it is now, stated or not.
    pub fn get(&self, condition: &str) -> Option<&Condition> {
        self.list.iter().find(|known| known.type_ == condition)
    }

    /// Whether a condition is there and true.
    pub fn is_true(&self, condition: &str) -> bool {
        self.get(condition).is_some_and(|known| known.status == Truth::True.as_str())
    }

    /// The whole list, if it is not what it was.
    pub fn changed(&self) -> Result<Option<Vec<Condition>>, ConditionError> {
        self.check()?;
        Ok((self.list != self.before).then(|| self.list.clone()))
    }

    /// The conditions stated. [`apply_with`](Self::apply_with) writes them with the rest of a status: an observer has to
    /// apply all that it owns at once, or it drops the rest.
    pub fn stated(&self) -> Result<Vec<&Condition>, ConditionError> {
        self.check()?;
        Ok(self.stated.iter().filter_map(|stated| self.get(stated)).collect())
    }

    /// Applies the conditions stated to the status of the object that they are of, with force: nobody else has a say in
    /// them. Stated in every turn, it is sent where it changes something, see [`Context::write`](crate::Context::write).
    pub fn apply(&self, object: &Object) -> Result<Write, ConditionError> {
        self.apply_with(object, json!({}))
    }

    /// The same, in one write with the other fields of the status that the observer owns.
    ///
    /// ```
    /// # use serde_json::{Value, json};
    /// # use xebec_coordinator::*;
    /// # fn f(object: &Object, now: jiff::Timestamp) -> Result<Write, BoxError> {
    /// let mut conditions = Conditions::of(object, now)?;
    /// conditions.set("Ready", true, "AllReady", "3 of 3 pods are ready");
    /// Ok(conditions.apply_with(object, json!({"observedGeneration": object.generation(), "readyReplicas": 3}))?)
    /// # }
    /// ```
    pub fn apply_with(&self, object: &Object, mut status: Value) -> Result<Write, ConditionError> {
        let Value::Object(fields) = &mut status else {
            let why = "the other fields of the status must be an object".to_owned();
            return Err(ConditionError { condition: "(none)".to_owned(), why });
        };
        fields.insert("conditions".to_owned(), json!(self.stated()?));
        Ok(Write::apply_to(object, json!({ "status": status })).on("status").force())
    }

    fn check(&self) -> Result<(), ConditionError> {
        self.error.clone().map_or(Ok(()), Err)
    }
}

/// The rules of `metav1.Condition`.
fn check(condition: &str, reason: &str) -> Result<(), String> {
    let is_type = match condition.split_once('/') {
        Some((domain, name)) => is_subdomain(domain) && is_name(name),
        None => is_name(condition),
    };
    if !is_type {
        return Err(
            "its type must be a CamelCase word, perhaps with a domain: Ready, example.com/Ready".to_owned()
        );
    }
    if reason.is_empty() {
        return Err("it has no reason; state one CamelCase word for programs, such as AsExpected".to_owned());
    }
    let is_reason = reason.len() <= REASON_CHARS_MAX
        && reason.starts_with(|c: char| c.is_ascii_alphabetic())
        && reason.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && reason.chars().all(|c| c.is_ascii_alphanumeric() || "_,:".contains(c));
    if !is_reason {
        return Err(format!(
            "the reason {reason:?} must be one CamelCase word for programs; the rest is for the message"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * 86_400).unwrap()
    }

    fn condition(
        type_: &str,
        status: &str,
        reason: &str,
        message: &str,
        generation: i64,
        day: i64,
    ) -> Condition {
        Condition {
            last_transition_time: Time(at(day)),
            message: message.to_owned(),
            observed_generation: Some(generation),
            reason: reason.to_owned(),
            status: status.to_owned(),
            type_: type_.to_owned(),
        }
    }

    /// The object is at generation 2 and day 9, and has been ready since day 1, and not degraded since day 2.
    fn known() -> Vec<Condition> {
        vec![condition("Ready", "True", "Up", "", 1, 1), condition("Degraded", "False", "Fine", "", 2, 2)]
    }

    #[test]
    fn what_is_set_replaces_its_type_and_keeps_its_time_while_its_status_stays() {
        use Truth::{False, True, Unknown};
        let degraded = || condition("Degraded", "False", "Fine", "", 2, 2);
        for (why, sets, list) in [
            ("nothing", vec![], None),
            ("the same", vec![("Degraded", False, "Fine", "")], None),
            (
                "another generation",
                vec![("Ready", True, "Up", "")],
                Some(vec![condition("Ready", "True", "Up", "", 2, 1), degraded()]),
            ),
            (
                "another reason and message",
                vec![("Ready", True, "Better", "all of it")],
                Some(vec![condition("Ready", "True", "Better", "all of it", 2, 1), degraded()]),
            ),
            (
                "another status",
                vec![("Ready", False, "Down", "")],
                Some(vec![condition("Ready", "False", "Down", "", 2, 9), degraded()]),
            ),
            (
                "a new type",
                vec![("Paused", Unknown, "Lost", "")],
                Some(vec![known().remove(0), degraded(), condition("Paused", "Unknown", "Lost", "", 2, 9)]),
            ),
            ("there and back", vec![("Degraded", True, "Broken", ""), ("Degraded", False, "Fine", "")], None),
        ] {
            let mut conditions = Conditions::new(known(), Some(2), at(9));
            for (type_, truth, reason, message) in sets {
                conditions.set(type_, truth, reason, message);
            }
            assert_eq!(conditions.changed().unwrap(), list, "{why}");
        }
    }

    #[test]
    fn only_what_is_stated_is_applied() {
        let mut conditions = Conditions::new(known(), Some(2), at(9));
        conditions.set("Ready", true, "Up", "").set("Paused", true, "Asked", "").remove("Paused");
        let stated = conditions.stated().unwrap();
        assert_eq!(stated, [&condition("Ready", "True", "Up", "", 2, 1)]);
        assert!(
            conditions.is_true("Ready")
                && !conditions.is_true("Degraded")
                && conditions.get("Paused").is_none()
        );
        conditions.remove("Degraded");
        assert_eq!(conditions.changed().unwrap().unwrap().len(), 1);
    }

    #[test]
    fn they_are_written_with_the_rest_of_the_status_in_one() {
        let value = json!({"metadata": {"name": "w", "uid": "u", "generation": 2}});
        let object =
            Object::from_value(&crate::Kind::named("example.com", "v1", "Widget", "widgets"), &value);
        let object = object.unwrap();
        let mut conditions = Conditions::of(&object, at(9)).unwrap();
        conditions.set("Ready", true, "Up", "");
        let write = conditions.apply_with(&object, json!({"replicas": 3})).unwrap();
        assert_eq!(write.to_string(), "apply Widget.example.com w/status");
        let crate::Operation::Patch(crate::Patch::Apply { fields, force: true }) = write.operation else {
            panic!("with force");
        };
        assert_eq!(fields["metadata"], json!({"name": "w", "uid": "u"}), "of this very object");
        assert_eq!(fields["status"]["replicas"], 3);
        assert_eq!(fields["status"]["conditions"], json!([condition("Ready", "True", "Up", "", 2, 9)]));
        assert!(conditions.apply_with(&object, json!([])).is_err());
        conditions.set("Ready", true, "", "");
        assert!(conditions.apply_with(&object, json!({})).is_err(), "what is wrong with them stays so");
    }

    #[test]
    fn times_are_whole_seconds_and_messages_are_bounded() {
        let now = Timestamp::from_millisecond(1_500).unwrap();
        let mut conditions = Conditions::new([], None, now);
        conditions.set("Ready", true, "Up", "é".repeat(40_000));
        let list = conditions.changed().unwrap().unwrap();
        assert_eq!(list[0].last_transition_time.0, Timestamp::from_second(1).unwrap());
        assert_eq!(list[0].message.chars().count(), MESSAGE_CHARS_MAX);
    }

    #[test]
    fn what_the_server_would_refuse_is_an_error() {
        for (type_, reason, wrong) in [
            ("Ready", "Up", None),
            ("example.com/Ready", "Up_2:x,y", None),
            ("Ready", "", Some("no reason")),
            ("Ready", "not one word", Some("one CamelCase word")),
            ("Ready", "1st", Some("one CamelCase word")),
            ("Ready", "Up:", Some("one CamelCase word")),
            ("", "Up", Some("its type")),
            ("is ready", "Up", Some("its type")),
            ("Example.com/Ready", "Up", Some("its type")),
        ] {
            let mut conditions = Conditions::new(known(), Some(2), at(9));
            conditions.set(type_, true, reason, "").set("Other", true, "Fine", "");
            let answer = conditions.changed().map_err(|error| error.to_string());
            match wrong {
                None => assert!(answer.is_ok(), "{type_} {reason}: {answer:?}"),
                Some(words) => {
                    assert!(answer.clone().unwrap_err().contains(words), "{type_} {reason}: {answer:?}");
                }
            }
            assert_eq!(conditions.stated().is_err(), wrong.is_some());
        }
    }
}
