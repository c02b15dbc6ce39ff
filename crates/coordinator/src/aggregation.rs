//! Which Kubernetes Events are written, and when: what keeps a storm of records from becoming a storm of writes.
//!
//! Plain data; time is an argument. Four rules, as in client-go's `tools/events` and, for the two that these lack, in the
//! `tools/record` before them:
//!
//! - The same record again within six minutes of the last is one more of a *series*. The second is written at once, the
//!   next no sooner than six minutes after the write before; the last count always is.
//! - Ten records that differ in nothing but their note have Events of their own; all others within ten minutes of each
//!   other are combined into one series.
//! - Of one reporter about one object there are at most 25 new Events at once, and one more every five minutes. What is
//!   above that is dropped.
//! - What is remembered is bounded; the least recently used is forgotten first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use jiff::{SignedDuration, Timestamp};

use crate::{EventRecord, Key, Severity};

/// A series ends when nothing has been recorded for so long; and is written no more often.
const SERIES_WITHIN: SignedDuration = SignedDuration::from_mins(6);
/// How many records that differ only in their note have Events of their own.
const SIMILAR_MAX: usize = 10;
/// Those that are further apart are not similar.
const SIMILAR_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// How many new Events a reporter may write about an object at once.
const BURST: f64 = 25.0;
/// After how many seconds it may write one more.
const REFILL_SECONDS: f64 = 300.0;
/// How much is remembered of each sort.
const REMEMBERED_MAX: usize = 4096;
const NOTE_BYTES_MAX: usize = 1024;
const COMBINED: &str = "(combined from similar events): ";

/// What is remembered of the records of late.
#[derive(Default)]
pub(crate) struct Aggregation {
    series: Recent<Identity, Series>,
    similar: Recent<Identity, Similar>,
    budgets: Recent<Source, Budget>,
}

/// What is to be done about a record.
#[derive(Debug, PartialEq)]
pub(crate) enum Decision {
    /// Write a new Event with this note.
    Create(String),
    /// Write the count of a series.
    Update(Update),
    /// It is counted; its series is written later.
    Later,
    /// There are too many about this object.
    Drop,
}

/// The state of a series that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Update {
    pub(crate) key: Key,
    pub(crate) component: String,
    pub(crate) count: i32,
    pub(crate) last: Timestamp,
}

/// Who reports about what.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    component: String,
    severity: Severity,
    /// Group and version, kind, namespace, name and unique id of what it is about.
    regarding: [Option<String>; 5],
}

/// What makes two records the same. The resource version of what they are about does not.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    source: Source,
    field: Option<String>,
    related: [Option<String>; 3],
    reason: String,
    action: String,
    /// None for all that are combined.
    note: Option<String>,
}

struct Series {
    /// None until the Event is made.
    key: Option<Key>,
    count: i32,
    last: Timestamp,
    written: Timestamp,
    /// It has been counted since it was written.
    counted: bool,
}

struct Similar {
    notes: HashSet<String>,
    last: Timestamp,
}

struct Budget {
    events: f64,
    at: Timestamp,
}

impl Aggregation {
    /// Takes in a record, and says what to do about it. The identity is what [`created`](Self::created) goes by.
    pub(crate) fn take(
        &mut self,
        record: &EventRecord,
        component: &str,
        now: Timestamp,
    ) -> (Identity, Decision) {
        let note = cut(&record.note, NOTE_BYTES_MAX);
        let mut identity = Identity::of(record, component);
        let note = if self.is_one_of_many(&identity, note, now) {
            cut(&format!("{COMBINED}{note}"), NOTE_BYTES_MAX).to_owned()
        } else {
            identity.note = Some(note.to_owned());
            note.to_owned()
        };
        if let Some(series) = self.series.get(&identity)
            && now.duration_since(series.last) < SERIES_WITHIN
        {
            let decision = series.again(&identity, now);
            return (identity, decision);
        }
        if !self.may_create(&identity.source, now) {
            return (identity, Decision::Drop);
        }
        let series = Series { key: None, count: 1, last: now, written: now, counted: false };
        self.series.insert(identity.clone(), series);
        (identity, Decision::Create(note))
    }

    /// Takes in that the Event of a record has been made, or, if none, that it could not be.
    pub(crate) fn created(&mut self, identity: &Identity, key: Option<Key>) {
        match (key, self.series.get(identity)) {
            (Some(key), Some(series)) => series.key = Some(key),
            (None, Some(_)) => self.series.remove(identity),
            (_, None) => {}
        }
    }

    /// Takes in that the Event of a series is gone. What has been counted since is forgotten with it.
    pub(crate) fn gone(&mut self, key: &Key) {
        self.series.values.retain(|_, (_, series)| series.key.as_ref() != Some(key));
        let values = &self.series.values;
        self.series.order.retain(|_, identity| values.contains_key(identity));
    }

    /// When the next series is to be written.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.series.values.values().filter_map(|(_, series)| series.due()).min()
    }

    /// The series that are to be written now, in the order of their records.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Vec<Update> {
        let due = self.series.values.iter_mut();
        let due = due.filter(|(_, (_, series))| series.due().is_some_and(|due| due <= now));
        let mut due: Vec<_> = due
            .filter_map(|(identity, (order, series))| Some((*order, series.update(identity, now)?)))
            .collect();
        due.sort_by_key(|(order, _)| *order);
        due.into_iter().map(|(_, update)| update).collect()
    }

    fn is_one_of_many(&mut self, identity: &Identity, note: &str, now: Timestamp) -> bool {
        if let Some(similar) = self.similar.get(identity)
            && now.duration_since(similar.last) <= SIMILAR_WITHIN
        {
            similar.last = now;
            let is_known = similar.notes.contains(note);
            let is_full = similar.notes.len() >= SIMILAR_MAX;
            if !is_known && !is_full {
                similar.notes.insert(note.to_owned());
            }
            return !is_known && is_full;
        }
        let notes = HashSet::from([note.to_owned()]);
        self.similar.insert(identity.clone(), Similar { notes, last: now });
        false
    }

    fn may_create(&mut self, source: &Source, now: Timestamp) -> bool {
        let Some(budget) = self.budgets.get(source) else {
            self.budgets.insert(source.clone(), Budget { events: BURST - 1.0, at: now });
            return true;
        };
        let seconds = now.duration_since(budget.at).as_secs_f64().max(0.0);
        budget.events = (budget.events + seconds / REFILL_SECONDS).min(BURST);
        budget.at = now;
        let may = budget.events >= 1.0;
        if may {
            budget.events -= 1.0;
        }
        may
    }
}

impl Series {
    fn again(&mut self, identity: &Identity, now: Timestamp) -> Decision {
        self.count = self.count.saturating_add(1);
        self.last = now;
        self.counted = true;
        let now_or_later = self.count == 2 || self.due().is_some_and(|due| due <= now);
        let update = now_or_later.then(|| self.update(identity, now)).flatten();
        update.map_or(Decision::Later, Decision::Update)
    }

    /// When it is to be written: not before the Event itself is.
    fn due(&self) -> Option<Timestamp> {
        (self.counted && self.key.is_some())
            .then(|| self.written.checked_add(SERIES_WITHIN).unwrap_or(Timestamp::MAX))
    }

    fn update(&mut self, identity: &Identity, now: Timestamp) -> Option<Update> {
        let key = self.key.clone()?;
        self.written = now;
        self.counted = false;
        let component = identity.source.component.clone();
        Some(Update { key, component, count: self.count, last: self.last })
    }
}

impl Identity {
    fn of(record: &EventRecord, component: &str) -> Self {
        let about = record.regarding.clone();
        let related = record.related.clone().unwrap_or_default();
        Self {
            source: Source {
                component: component.to_owned(),
                severity: record.severity,
                regarding: [about.api_version, about.kind, about.namespace, about.name, about.uid],
            },
            field: about.field_path,
            related: [related.kind, related.name, related.uid],
            reason: record.reason.clone(),
            action: record.action.clone(),
            note: None,
        }
    }
}

/// A text of at most so many bytes.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// A map that forgets what has not been used for longest.
struct Recent<K, V> {
    /// Iterated only where the order is not told, or is restored.
    values: HashMap<K, (u64, V)>,
    /// By last use.
    order: BTreeMap<u64, K>,
    uses: u64,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: BTreeMap::new(), uses: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    fn get(&mut self, key: &K) -> Option<&mut V> {
        let (order, value) = self.values.get_mut(key)?;
        self.uses += 1;
        if let Some(key) = self.order.remove(order) {
            self.order.insert(self.uses, key);
        }
        *order = self.uses;
        Some(value)
    }

    fn insert(&mut self, key: K, value: V) {
        self.remove(&key);
        self.uses += 1;
        self.order.insert(self.uses, key.clone());
        self.values.insert(key, (self.uses, value));
        if self.values.len() > REMEMBERED_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.values.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some((order, _)) = self.values.remove(key) {
            self.order.remove(&order);
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ObjectReference, Pod};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn record(pod: &str, note: &str) -> EventRecord {
        let regarding = ObjectReference { name: Some(pod.to_owned()), ..ObjectReference::default() };
        EventRecord::normal(regarding, "Did", note)
    }

    /// Takes a record and makes its Event; what was decided.
    fn take(aggregation: &mut Aggregation, record: &EventRecord, seconds: i64) -> String {
        let (identity, decision) = aggregation.take(record, "tester", at(seconds));
        match decision {
            Decision::Create(note) => {
                let name = format!("{}-{note}", record.regarding.name.as_deref().unwrap_or_default());
                aggregation.created(&identity, Some(Key::new::<Pod>("ns", &name)));
                format!("create {}", cut(&note, 40))
            }
            Decision::Update(update) => format!("update {}", update.count),
            Decision::Later => "later".to_owned(),
            Decision::Drop => "drop".to_owned(),
        }
    }

    #[test]
    fn a_series_is_written_at_its_second_then_every_six_minutes_and_at_last() {
        let mut aggregation = Aggregation::default();
        let again = record("a", "x");
        for (seconds, decided) in [
            (0, "create x"),
            (10, "update 2"),
            (20, "later"),
            (300, "later"),
            (370, "update 5"),
            (380, "later"),
            (725, "later"),
        ] {
            assert_eq!(take(&mut aggregation, &again, seconds), decided, "{seconds}");
        }
        assert_eq!(aggregation.next_due(), Some(at(370 + 360)));
        assert!(aggregation.take_due(at(729)).is_empty());
        let due = aggregation.take_due(at(740));
        assert_eq!(due.iter().map(|update| (update.count, update.last)).collect::<Vec<_>>(), [(7, at(725))]);
        assert_eq!(aggregation.next_due(), None);
        // Another resource version is no other record; six minutes of silence end the series.
        let mut newer = again.clone();
        newer.regarding.resource_version = Some("8".to_owned());
        assert_eq!(take(&mut aggregation, &newer, 800), "later");
        assert_eq!(take(&mut aggregation, &newer, 800 + 360), "create x");
    }

    #[test]
    fn counts_wait_for_their_event_and_end_with_it() {
        let mut aggregation = Aggregation::default();
        let again = record("a", "x");
        let (identity, decision) = aggregation.take(&again, "tester", at(0));
        assert_eq!(decision, Decision::Create("x".to_owned()));
        // It is on its way: nothing to update yet.
        assert_eq!(aggregation.take(&again, "tester", at(1)).1, Decision::Later);
        assert_eq!(aggregation.next_due(), None);
        let key = Key::new::<Pod>("ns", "e");
        aggregation.created(&identity, Some(key.clone()));
        assert_eq!(aggregation.next_due(), Some(at(360)));
        aggregation.gone(&key);
        assert_eq!(take(&mut aggregation, &again, 2), "create x");
        // It was refused: the next tries again.
        let (identity, _) = aggregation.take(&record("b", "x"), "tester", at(0));
        aggregation.created(&identity, None);
        assert_eq!(take(&mut aggregation, &record("b", "x"), 3), "create x");
    }

    #[test]
    fn many_that_differ_in_their_note_are_combined() {
        let mut aggregation = Aggregation::default();
        for number in 0..10 {
            assert_eq!(
                take(&mut aggregation, &record("a", &number.to_string()), 0),
                format!("create {number}")
            );
        }
        assert_eq!(take(&mut aggregation, &record("a", "10"), 1), format!("create {COMBINED}10"));
        assert_eq!(take(&mut aggregation, &record("a", "11"), 2), "update 2");
        assert_eq!(take(&mut aggregation, &record("a", "12"), 3), "later");
        assert_eq!(take(&mut aggregation, &record("a", "3"), 4), "update 2", "it has an Event of its own");
        assert_eq!(take(&mut aggregation, &record("b", "12"), 5), "create 12", "about another object");
        assert_eq!(take(&mut aggregation, &record("a", "13"), 5 + 601), "create 13", "long after");
    }

    #[test]
    fn a_storm_about_one_object_is_cut_off_and_others_are_not() {
        let mut aggregation = Aggregation::default();
        let of = |reason: i32| EventRecord { reason: format!("R{reason}"), ..record("a", "x") };
        let created =
            (0..1000).filter(|reason| take(&mut aggregation, &of(*reason), 0) == "create x").count();
        assert_eq!(created, 25);
        assert_eq!(take(&mut aggregation, &record("b", "x"), 0), "create x");
        assert_eq!(take(&mut aggregation, &of(1), 1), "update 2", "what there is goes on");
        assert_eq!(take(&mut aggregation, &of(2000), 299), "drop");
        assert_eq!(take(&mut aggregation, &of(2000), 301), "create x");
        assert_eq!(take(&mut aggregation, &of(2001), 302), "drop");
    }

    #[test]
    fn memory_and_notes_are_bounded() {
        let mut aggregation = Aggregation::default();
        let kept = record("kept", "x");
        take(&mut aggregation, &kept, 0);
        for number in 0..2 * REMEMBERED_MAX {
            take(&mut aggregation, &record(&format!("pod-{number}"), "x"), 0);
            if number % 1000 == 0 {
                assert!(!take(&mut aggregation, &kept, 1).starts_with("create"), "used of late");
            }
        }
        let sizes = [aggregation.series.values.len(), aggregation.series.order.len()];
        assert_eq!(sizes, [REMEMBERED_MAX; 2]);
        assert_eq!(
            (aggregation.similar.order.len(), aggregation.budgets.order.len()),
            (REMEMBERED_MAX, REMEMBERED_MAX)
        );
        let (_, decision) = aggregation.take(&record("long", &"é".repeat(600)), "tester", at(0));
        assert_eq!(decision, Decision::Create("é".repeat(512)));
    }
}
