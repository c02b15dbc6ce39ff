//! What an observer keeps of a key between its plans.
#![allow(clippy::unwrap_used)]

mod fake;

use fake::{Answer, CONFIG_MAPS, Fake, PODS, Planner, Run};
use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use xebec_coordinator::{
    BoxError, Coordinator, Event, Key, Observer, ObserverSpec, Plan, View, Watch, Write,
};

/// Counts its plans for a Pod, in its memory: not for one labelled `forget`; one labelled `write` makes a write first.
fn counting() -> impl Observer {
    let spec = ObserverSpec::new("counting", "counts").watch(Watch::of::<Pod>());
    Planner(spec, |key: &Key, view: &View| {
        let mut plan = Plan::new();
        let label = |name| view.object(key).and_then(|pod| pod.label(name));
        if label("forget").is_some() {
            return Ok(plan);
        }
        if label("write").is_some() {
            let map = json!({"metadata": {"name": "map", "namespace": "ns"}});
            plan.write(Write::create_value(xebec_coordinator::Kind::of::<ConfigMap>(), map));
        }
        let count = view.remembered::<usize>().copied().unwrap_or_default();
        plan.remember(count + 1);
        Ok::<_, BoxError>(plan)
    })
}

fn pod() -> Key {
    Key::new::<Pod>("ns", "a")
}

/// How many plans for the Pod are kept in memory, if that holds a count.
fn kept(coordinator: &Coordinator) -> Option<usize> {
    coordinator.plan("counting", &pod()).unwrap().remembers::<usize>().map(|next| next - 1)
}

#[tokio::test]
async fn a_plan_finds_what_the_last_one_for_its_key_remembered() {
    let fake = Fake::new();
    fake.pod("a");
    let run = Run::start(&fake, |to| to.observe(counting()).unwrap());
    run.idle().await;
    assert_eq!(kept(&run.coordinator), Some(1));
    fake.pod("a");
    fake.pod("b");
    run.idle().await;
    assert_eq!(kept(&run.coordinator), Some(2), "and no other key's");
    let dry = Coordinator::new(fake.client());
    dry.observe(counting()).unwrap();
    let rehearsal = dry.rehearse("counting").await.unwrap();
    assert_eq!(rehearsal.plan(&pod()).unwrap().remembers(), Some(&1_usize), "a dry run has no memory");

    fake.put(PODS, "ns", "a", json!({"metadata": {"labels": {"forget": "yes"}}}));
    run.idle().await;
    fake.pod("a");
    run.idle().await;
    assert_eq!(kept(&run.coordinator), Some(1), "a plan that remembered nothing was made between");
    fake.delete(PODS, "ns", "a");
    run.idle().await;
    assert_eq!(kept(&run.coordinator), Some(0), "of what is gone, nothing is kept");
    fake.pod("a");
    run.idle().await;
    assert_eq!(kept(&run.coordinator), Some(1));
    run.stop().await;
}

/// Is not woken by deletions.
struct Deaf<T>(T);

impl<T: Observer> Observer for Deaf<T> {
    fn spec(&self) -> ObserverSpec {
        self.0.spec()
    }

    fn wake(&self, event: &Event, view: &View) -> Vec<Key> {
        if event.is_deleted() { Vec::new() } else { self.0.wake(event, view) }
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        self.0.plan(key, view)
    }
}

#[tokio::test]
async fn what_is_gone_is_forgotten_though_nobody_is_woken_by_it() {
    let fake = Fake::new();
    fake.pod("a");
    let run = Run::start(&fake, |to| to.observe(Deaf(counting())).unwrap());
    run.idle().await;
    fake.delete(PODS, "ns", "a");
    run.idle().await;
    assert_eq!((kept(&run.coordinator), run.status("counting").served), (Some(0), 1));
    run.stop().await;
}

#[tokio::test]
async fn what_a_failed_plan_remembers_is_not_kept() {
    let fake = Fake::new();
    fake.pod("a");
    let run = Run::start(&fake, |to| to.observe(counting()).unwrap());
    run.idle().await;
    let refusal = Answer::Status(500, fake::status_body(500, "InternalError"));
    fake.script(Method::POST, "/api/v1/namespaces/ns/configmaps", refusal);
    fake.put(PODS, "ns", "a", json!({"metadata": {"labels": {"write": "yes"}}}));
    run.until("the failure", "counting", |status| status.retries == 1).await;
    assert_eq!((kept(&run.coordinator), fake.objects(CONFIG_MAPS).len()), (Some(1), 0));
    run.clock.advance(std::time::Duration::from_mins(1));
    run.until("the second try", "counting", |status| status.served == 3).await;
    run.idle().await;
    assert_eq!((kept(&run.coordinator), fake.objects(CONFIG_MAPS).len()), (Some(2), 1));
    run.stop().await;
}

#[tokio::test]
async fn memory_goes_on_with_a_successor_and_ends_with_the_run() {
    let fake = Fake::new();
    fake.pod("a");
    let run = Run::start(&fake, |to| to.observe(counting()).unwrap());
    run.idle().await;
    run.coordinator.reconfigure("counting", |spec| spec.concurrency(2)).unwrap();
    run.idle().await;
    assert_eq!(kept(&run.coordinator), Some(1));
    run.coordinator.replace(counting()).unwrap();
    run.until("the successor to serve", "counting", |status| status.served == 2).await;
    run.idle().await;
    assert_eq!(kept(&run.coordinator), Some(2));
    let other = |_: &Key, view: &View| {
        assert_eq!(view.remembered::<String>(), None, "that was a number");
        let mut plan = Plan::new();
        plan.remember("a text".to_owned());
        Ok::<_, BoxError>(plan)
    };
    let spec = ObserverSpec::new("counting", "is another").watch(Watch::of::<Pod>());
    run.coordinator.replace(Planner(spec, other)).unwrap();
    run.until("the other to serve", "counting", |status| status.served == 3).await;
    assert_eq!(run.status("counting").panics, 0);
    run.coordinator.replace(counting()).unwrap();
    run.until("the last to serve", "counting", |status| status.served == 4).await;
    run.idle().await;
    assert_eq!(kept(&run.coordinator), Some(1), "a text is no count");

    fake.pod("a");
    run.idle().await;
    assert_eq!(kept(&run.coordinator), Some(2));
    let coordinator = run.coordinator.clone();
    run.stop().await;
    let shutdown = CancellationToken::new();
    let (running, token) = (coordinator.clone(), shutdown.clone());
    let task = tokio::spawn(async move { running.run(token).await });
    fake::within("the second run", coordinator.idle()).await;
    assert_eq!(kept(&coordinator), Some(1), "a restart remembers nothing");
    shutdown.cancel();
    task.await.unwrap().unwrap();
}

#[test]
fn a_test_gives_a_plan_the_memory_of_the_one_before() {
    let observer = counting();
    let view = View::of(&observer.spec(), jiff::Timestamp::UNIX_EPOCH, []);
    let first = observer.plan(&pod(), &view).unwrap();
    let second = observer.plan(&pod(), &view.clone().with_memory_of(&first)).unwrap();
    assert_eq!((first.remembers(), second.remembers()), (Some(&1_usize), Some(&2_usize)));
    assert!(second.is_empty() && second.remembers::<String>().is_none());
}
