//! Deletes objects whose time is over, of kinds that are chosen when it starts.
//!
//! An object says how long it may live: `janitor.examples.xebec.dev/ttl: 24h`. Only metadata is watched, so that a
//! cluster's worth of objects is small.

use std::time::Duration;

use jiff::SignedDuration;
use xebec_coordinator::{
    BoxError, Event, EventRecord, Key, Kind, Observer, ObserverSpec, Plan, Right, View, Watch, Write,
};

/// The annotation that says how long an object may live.
pub const TTL: &str = "janitor.examples.xebec.dev/ttl";

/// Deletes what is over.
#[derive(Clone, Debug)]
pub struct Janitor {
    kinds: Vec<Kind>,
}

impl Janitor {
    /// Sees to objects of these kinds. One that the cluster does not have yet is waited for.
    pub fn new(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self { kinds: kinds.into_iter().collect() }
    }
}

impl Observer for Janitor {
    fn spec(&self) -> ObserverSpec {
        let spec = ObserverSpec::new("janitor", "deletes objects whose time to live is over")
            .settles()
            .concurrency(4);
        self.kinds.iter().fold(spec, |spec, kind| {
            let delete = Right::of(kind.group().to_owned(), kind.plural().to_owned(), &["delete"]);
            spec.watch(Watch::kind(kind.clone()).metadata_only().optional()).right(delete)
        })
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        vec![event.key().clone()]
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(object) = view.object(key).filter(|object| !object.is_terminating()) else {
            return Ok(plan);
        };
        let (Some(ttl), Some(created)) = (object.annotation(TTL), object.creation_timestamp()) else {
            return Ok(plan);
        };
        let over = match ttl.parse::<SignedDuration>().map(|ttl| created.checked_add(ttl)) {
            Ok(Ok(over)) => over,
            Ok(Err(error)) | Err(error) => {
                let note = format!("{TTL} is {ttl:?}, and should be a time such as 24h: {error}");
                plan.record(EventRecord::warning(object.reference(), "BadTimeToLive", note));
                return Ok(plan);
            }
        };
        if let Ok(left) = Duration::try_from(over.duration_since(view.now()))
            && !left.is_zero()
        {
            plan.requeue_after(left);
            return Ok(plan);
        }
        plan.write(Write::delete_object(object));
        plan.record(EventRecord::normal(object.reference(), "TimeIsOver", format!("deleted after {ttl}")));
        Ok(plan)
    }
}
