//! Whatever happens to watches and writes, every observer ends where a run without faults would: seeded random scripts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fake;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fake::{Answer, CONFIG_MAPS, Fake, PODS, Run, status_body};
use http::Method;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use parking_lot::Mutex;
use serde_json::{Value, json};
use xebec_coordinator::{
    BoxError, Context, Event, Key, Kind, Observer, ObserverSpec, Plan, Random, View, Watch, Write,
};

const NAMES: u64 = 6;
/// With several threads the clock runs on while one of them waits for its turn: minutes pass, and nothing hangs.
const NEVER: Duration = Duration::MAX;

/// Keeps a ConfigMap for each Pod, of its name, with what its label says; and none for others. Counts what it created.
struct Mirror;

impl Observer for Mirror {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("mirror", "")
            .watch(Watch::of::<Pod>())
            .watch(Watch::of::<ConfigMap>())
            .concurrency(3)
            .hangs_after(NEVER)
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        vec![Key::new::<Pod>(event.key().namespace(), event.key().name())]
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let target = Key::new::<ConfigMap>(key.namespace(), key.name());
        let wanted = view.object(key).map(|pod| pod.label("color").unwrap_or("none").to_owned());
        let there = view.get_key::<ConfigMap>(&target)?;
        match (wanted, there) {
            (None, Some(_)) => drop(plan.delete(target)),
            (Some(color), None) => {
                let map = json!({
                    "metadata": {"name": key.name(), "namespace": key.namespace()}, "data": {"color": color}
                });
                plan.write(Write::create_value(Kind::of::<ConfigMap>(), map));
            }
            (Some(color), Some(mut map)) if map.data.as_ref().is_none_or(|data| data["color"] != color) => {
                map.data.get_or_insert_default().insert("color".to_owned(), color);
                plan.update(&map);
            }
            _ => {}
        }
        Ok(plan)
    }
}

/// What an observer knows by what it was told alone: versions by name.
type Known = Arc<Mutex<BTreeMap<String, String>>>;

fn server(fake: &Fake, field: impl Fn(&Value) -> Value) -> BTreeMap<String, String> {
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    fake.objects(PODS).iter().map(|pod| (name(pod), field(pod).as_str().unwrap().to_owned())).collect()
}

async fn play(seed: u64) {
    let random = Random::seeded(seed);
    let fake = Fake::new();
    let (levels, edges): (Known, Known) = Default::default();
    let breaks = Arc::new(Mutex::new(0_u64));
    let run = Run::start(&fake, |coordinator| {
        coordinator.observe(Mirror).unwrap();
        let spec = |name: &'static str| {
            ObserverSpec::new(name, "").watch(Watch::of::<Pod>()).concurrency(2).hangs_after(NEVER)
        };
        let (known, chance) = (Arc::clone(&levels), random.fork("levels"));
        let callback = move |event: Event, _cx: Context| {
            let version = event.new().map(|new| new.resource_version().to_owned());
            match version {
                Some(version) => drop(known.lock().insert(event.key().name().to_owned(), version)),
                None => drop(known.lock().remove(event.key().name())),
            }
            let yields = chance.number() % 4;
            async move {
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
            }
        };
        coordinator.callback(spec("levels"), callback).unwrap();
        let (known, chance, broken) = (Arc::clone(&edges), random.fork("edges"), Arc::clone(&breaks));
        let callback = move |event: Event, _cx: Context| {
            let (name, version) =
                (event.key().name().to_owned(), event.object().resource_version().to_owned());
            let fails = chance.number().is_multiple_of(20);
            if !fails {
                let mut known = known.lock();
                let before = known.get(&name).cloned();
                let follows = match &event {
                    Event::Added(_) => before.is_none(),
                    Event::Modified { old, .. } => before.as_deref() == Some(old.resource_version()),
                    Event::Deleted(_) => before.is_some(),
                };
                *broken.lock() += u64::from(!follows);
                if event.is_deleted() {
                    known.remove(&name)
                } else {
                    known.insert(name, version)
                };
            }
            let yields = chance.number() % 16;
            async move {
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
                if fails { Err("by chance") } else { Ok(()) }
            }
        };
        coordinator.callback(spec("edges").edges(3), callback).unwrap();
    });

    for _ in 0..120 {
        let name = format!("pod-{}", random.number() % NAMES);
        let map = format!("/api/v1/namespaces/ns/configmaps/{name}");
        match random.number() % 16 {
            0..=5 => {
                let color = ["red", "green", "blue"][random.number() as usize % 3];
                fake.put(PODS, "ns", &name, json!({"metadata": {"labels": {"color": color}}}));
            }
            6 | 7 if fake.object(PODS, "ns", &name).is_some() => fake.delete(PODS, "ns", &name),
            8 if fake.object(CONFIG_MAPS, "ns", &name).is_some() => fake.delete(CONFIG_MAPS, "ns", &name),
            9 => fake.hold(),
            10 => fake.release(),
            11 => fake.cut(),
            12 => fake.forget(),
            13 => fake.script(Method::PUT, &map, Answer::Status(409, status_body(409, "Conflict"))),
            14 => fake.script(Method::POST, "/api/v1/namespaces/ns/configmaps", Answer::Lost),
            _ => fake.script(Method::DELETE, &map, Answer::Status(500, status_body(500, "InternalError"))),
        }
        for _ in 0..random.number() % 12 {
            tokio::task::yield_now().await;
        }
        if random.number().is_multiple_of(8) {
            run.clock.advance(Duration::from_secs(1));
        }
    }
    fake.release();

    // The faults end; time goes on.
    let settled = async {
        for _ in 0..8 {
            let idle = run.coordinator.idle();
            tokio::pin!(idle);
            loop {
                tokio::select! {
                    biased;
                    () = &mut idle => break,
                    () = tokio::task::yield_now() => run.clock.advance(Duration::from_millis(50)),
                }
            }
            run.clock.advance(Duration::from_mins(2));
        }
        run.coordinator.idle().await;
    };
    fake::within("all to settle", settled).await;
    let versions = server(&fake, |pod| pod["metadata"]["resourceVersion"].clone());
    assert_eq!(*levels.lock(), versions, "levels, seed {seed}");
    assert_eq!(*edges.lock(), versions, "edges, seed {seed}");
    assert_eq!(*breaks.lock(), 0, "no transition is told that does not follow from the last, seed {seed}");
    let colors = server(&fake, |pod| pod["metadata"]["labels"]["color"].clone());
    let maps = fake.objects(CONFIG_MAPS);
    let mirrored: BTreeMap<String, String> = maps
        .iter()
        .map(|map| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&map["metadata"]["name"]), text(&map["data"]["color"]))
        })
        .collect();
    assert_eq!(mirrored, colors, "mirror, seed {seed}");
    let status = run.coordinator.status();
    assert!(status.observers.iter().all(|observer| observer.panics == 0), "{status:?}");
    run.stop().await;
}

#[tokio::test]
async fn every_observer_ends_where_a_run_without_faults_would() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100);
    for seed in 0..seeds {
        play(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn and_so_on_several_threads() {
    for seed in 1000..1030 {
        play(seed).await;
    }
}
