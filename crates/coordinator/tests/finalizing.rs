//! Finalizers: added before anything is written elsewhere, removed when everything is cleaned up.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod running;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use parking_lot::Mutex;
use running::with;
use serde_json::json;
use xebec_coordinator::{
    Action, AddError, BoxError, Context, Coordinator, Event, Key, Object, Observer, ObserverSpec, Plan,
    Reconciler, View, Watch, Write,
};

const FINALIZER: &str = "copies.example.com/cleanup";
const NAMESPACE: &str = "default";

/// Keeps a Secret beside each ConfigMap that asks for one, without being its owner.
#[derive(Default)]
struct Copies {
    /// Cleans up in two turns: the finalizer stays until the Secret is seen to be gone.
    waits: bool,
}

fn spec() -> ObserverSpec {
    ObserverSpec::new("copies", "keeps a Secret beside each ConfigMap")
        .watch(Watch::of::<ConfigMap>().namespace(NAMESPACE))
        .watch(Watch::of::<Secret>())
        .finalizer(FINALIZER)
}

fn copy(key: &Key) -> Key {
    Key::new::<Secret>(key.namespace(), key.name())
}

impl Observer for Copies {
    fn spec(&self) -> ObserverSpec {
        spec()
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        vec![Key::new::<ConfigMap>(event.key().namespace(), event.key().name())]
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        let Some(map) = view.object(key) else { return Ok(plan) };
        match (map.label("copy").is_some(), view.object(&copy(key)).is_some()) {
            (true, false) => {
                let secret = json!({"metadata": {"namespace": key.namespace(), "name": key.name()}});
                plan.write(Write::create_value(copy(key).kind().clone(), secret));
            }
            (false, true) => {
                plan.delete(copy(key)).release_finalizer();
            }
            _ => {}
        }
        Ok(plan)
    }

    fn finalize(&self, key: &Key, object: &Object, view: &View) -> Result<Plan, BoxError> {
        assert!(object.is_terminating());
        let mut plan = Plan::new();
        if view.object(&copy(key)).is_some() {
            plan.delete(copy(key));
            if self.waits {
                plan.keep_finalizer();
            }
        }
        Ok(plan)
    }
}

fn config_map(name: &str, copy: bool) -> ConfigMap {
    let labels = if copy { json!({"copy": "yes"}) } else { json!({}) };
    serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap()
}

fn finalizers(map: &ConfigMap) -> Vec<String> {
    map.metadata.finalizers.clone().unwrap_or_default()
}

async fn a_copy_comes_and_goes(observer: Copies) {
    let add = |coordinator: &Coordinator| coordinator.observe(observer).unwrap();
    with(add, |coordinator, client| async move {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
        let secrets: Api<Secret> = Api::namespaced(client, NAMESPACE);
        for (name, wanted) in [("with", true), ("without", false)] {
            maps.create(&PostParams::default(), &config_map(name, wanted)).await.unwrap();
        }
        coordinator.idle().await;
        assert_eq!(finalizers(&maps.get("with").await.unwrap()), [FINALIZER]);
        assert!(secrets.get_opt("with").await.unwrap().is_some());
        assert!(finalizers(&maps.get("without").await.unwrap()).is_empty(), "it needs nothing");

        maps.delete("with", &DeleteParams::default()).await.unwrap();
        maps.delete("without", &DeleteParams::default()).await.unwrap();
        coordinator.idle().await;
        assert!(maps.get_opt("with").await.unwrap().is_none());
        assert!(secrets.get_opt("with").await.unwrap().is_none());
        let status = coordinator.status();
        assert_eq!(status.observers[0].retries, 0, "{:?}", status.observers[0].last_error);
    })
    .await;
}

#[tokio::test]
async fn it_is_there_before_the_first_write_elsewhere_and_goes_after_the_last() {
    a_copy_comes_and_goes(Copies { waits: false }).await;
}

#[tokio::test]
async fn a_plan_that_keeps_it_is_asked_again() {
    a_copy_comes_and_goes(Copies { waits: true }).await;
}

#[tokio::test]
async fn an_object_that_no_longer_concerns_the_observer_loses_it_alive() {
    let add = |coordinator: &Coordinator| coordinator.observe(Copies::default()).unwrap();
    with(add, |coordinator, client| async move {
        let maps: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
        let mut map = config_map("map", true);
        map.metadata.finalizers = Some(vec!["example.com/other".to_owned()]);
        maps.create(&PostParams::default(), &map).await.unwrap();
        coordinator.idle().await;
        assert_eq!(finalizers(&maps.get("map").await.unwrap()), ["example.com/other", FINALIZER]);
        let patch = Patch::Merge(json!({"metadata": {"labels": {"copy": null}}}));
        maps.patch("map", &PatchParams::default(), &patch).await.unwrap();
        coordinator.idle().await;
        assert_eq!(finalizers(&maps.get("map").await.unwrap()), ["example.com/other"]);

        // While others hold it, the observer has done its part and is not asked to plan.
        maps.delete("map", &DeleteParams::default()).await.unwrap();
        coordinator.idle().await;
        let patch = Patch::Merge(json!({"metadata": {"labels": {"copy": "yes"}}}));
        maps.patch("map", &PatchParams::default(), &patch).await.unwrap();
        coordinator.idle().await;
        assert_eq!(finalizers(&maps.get("map").await.unwrap()), ["example.com/other"]);
        assert_eq!(coordinator.status().observers[0].retries, 0);
    })
    .await;
}

#[tokio::test]
async fn an_observer_that_is_released_holds_nothing_and_does_nothing_more() {
    let add = |coordinator: &Coordinator| coordinator.observe(Copies::default()).unwrap();
    with(add, |coordinator, client| async move {
        let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
        for number in 0..3 {
            maps.create(&PostParams::default(), &config_map(&format!("map-{number}"), number > 0))
                .await
                .unwrap();
        }
        coordinator.idle().await;
        maps.delete("map-2", &DeleteParams::default().dry_run()).await.unwrap();
        assert_eq!(coordinator.release("copies").await.unwrap(), 2);
        for number in 0..3 {
            assert!(finalizers(&maps.get(&format!("map-{number}")).await.unwrap()).is_empty());
        }
        assert!(coordinator.status().observers.is_empty());
        assert!(coordinator.release("copies").await.is_err());
        let secrets: Api<Secret> = Api::namespaced(client, NAMESPACE);
        maps.delete("map-1", &DeleteParams::default()).await.unwrap();
        assert!(maps.get_opt("map-1").await.unwrap().is_none(), "nothing holds it");
        assert!(secrets.get_opt("map-1").await.unwrap().is_some(), "nothing was cleaned up");
    })
    .await;
}

/// What a dry run shows: the plan of a key, given these objects.
fn dry(waits: bool, map: serde_json::Value, with_copy: bool) -> Vec<String> {
    let kind = Key::new::<ConfigMap>(NAMESPACE, "map").kind().clone();
    let key = Key::of_kind(kind.clone(), NAMESPACE, "map");
    let mut objects = vec![Object::from_value(&kind, &map).unwrap()];
    if with_copy {
        let secret = json!({"metadata": {"namespace": NAMESPACE, "name": "map"}});
        objects.push(Object::from_value(copy(&key).kind(), &secret).unwrap());
    }
    let view = View::of(&spec(), jiff::Timestamp::UNIX_EPOCH, objects);
    let observer: &dyn Observer = &Copies { waits };
    let plan = observer.planned(&key, &view);
    plan.unwrap().writes().map(ToString::to_string).collect()
}

#[test]
fn a_dry_run_shows_what_the_finalizer_asks_for() {
    let map = |finalizers: &[&str], deleted: bool| {
        let mut metadata = json!({
            "namespace": NAMESPACE, "name": "map", "uid": "u", "resourceVersion": "7", "labels": {"copy": ""},
            "finalizers": finalizers,
        });
        if deleted {
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        json!({ "metadata": metadata })
    };
    let (patch, create, delete) =
        ("patch ConfigMap default/map", "create Secret default/map", "delete Secret default/map");
    for (why, waits, object, copy, writes) in [
        ("first the finalizer", false, map(&[], false), false, vec![patch]),
        ("then the plan", false, map(&[FINALIZER], false), false, vec![create]),
        ("nothing to do, nothing to hold", false, map(&[], false), true, vec![]),
        ("clean up, then let go", false, map(&[FINALIZER], true), true, vec![delete, patch]),
        ("nothing to clean up", false, map(&[FINALIZER], true), false, vec![patch]),
        ("not yet", true, map(&[FINALIZER], true), true, vec![delete]),
        ("others hold it", false, map(&["example.com/other"], true), true, vec![]),
    ] {
        assert_eq!(dry(waits, object, copy), writes, "{why}");
    }
}

/// Speaks with another system, which refuses once.
struct Accounts {
    known: Arc<Mutex<Vec<String>>>,
    refuses: AtomicBool,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Reconciler for Accounts {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("accounts", "")
            .watch(Watch::of::<ConfigMap>().namespace(NAMESPACE))
            .finalizer(FINALIZER)
    }

    async fn reconcile(&self, key: &Key, cx: &Context) -> Result<Action, BoxError> {
        let Some(object) = cx.view().object(key) else { return Ok(Action::done()) };
        assert_eq!(object.finalizers()?, [FINALIZER], "before anything is done outside");
        let mut known = self.known.lock();
        if !known.iter().any(|name| name == key.name()) {
            known.push(key.name().to_owned());
        }
        Ok(Action::done())
    }

    async fn finalize(&self, key: &Key, _object: &Object, cx: &Context) -> Result<Action, BoxError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.refuses.swap(false, Ordering::SeqCst) {
            // Says so on the object, which thereby changes, and waits for that to be seen.
            let note = json!({"metadata": {"annotations": {"note": "not yet"}}});
            cx.write(Write::merge(key.clone(), note)).await?;
            return Ok(Action::keep_finalizer());
        }
        let note = json!({"metadata": {"annotations": {"note": "done"}}});
        cx.write(Write::merge(key.clone(), note)).await?;
        self.known.lock().retain(|name| name != key.name());
        Ok(Action::done())
    }
}

#[tokio::test]
async fn a_reconciler_has_it_before_its_first_turn_and_until_it_is_done() {
    let (known, asked) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(AtomicUsize::new(0)));
    let reconciler =
        Accounts { known: Arc::clone(&known), refuses: AtomicBool::new(true), asked: Arc::clone(&asked) };
    let add = |coordinator: &Coordinator| coordinator.reconcile(reconciler).unwrap();
    with(add, |coordinator, client| async move {
        let maps: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
        maps.create(&PostParams::default(), &config_map("map", false)).await.unwrap();
        coordinator.idle().await;
        assert!(known.lock().contains(&"map".to_owned()));
        maps.delete("map", &DeleteParams::default()).await.unwrap();
        coordinator.idle().await;
        assert!(maps.get_opt("map").await.unwrap().is_none());
        assert!(!known.lock().contains(&"map".to_owned()));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        assert_eq!(coordinator.status().observers[0].retries, 0);
    })
    .await;
}

/// Has an account for each ConfigMap that asks for one.
struct Wanted {
    known: Arc<Mutex<BTreeSet<String>>>,
    served: Arc<AtomicUsize>,
}

#[async_trait]
impl Reconciler for Wanted {
    fn spec(&self) -> ObserverSpec {
        spec().finalizes_only(|map| map.label("copy").is_some())
    }

    async fn reconcile(&self, key: &Key, cx: &Context) -> Result<Action, BoxError> {
        self.served.fetch_add(1, Ordering::SeqCst);
        if let Some(map) = cx.object(key).filter(|map| map.label("copy").is_some()) {
            assert!(map.finalizers()?.contains(&FINALIZER.to_owned()), "before anything is done outside");
            self.known.lock().insert(key.name().to_owned());
        }
        Ok(Action::done())
    }

    async fn finalize(&self, key: &Key, object: &Object, cx: &Context) -> Result<Action, BoxError> {
        if !object.is_terminating() {
            // Another writer meanwhile, and a write of its own: neither the one nor the other is lost.
            let name = "example.com/meanwhile";
            let patch = json!({"metadata": {"finalizers": [FINALIZER, name]}});
            let maps: Api<ConfigMap> = Api::namespaced(cx.client().clone(), NAMESPACE);
            maps.patch(key.name(), &PatchParams::default(), &Patch::Merge(patch)).await?;
            cx.write(Write::merge(key.clone(), json!({"metadata": {"annotations": {"note": "gone"}}})))
                .await?;
        }
        self.known.lock().remove(key.name());
        Ok(Action::done())
    }
}

#[tokio::test]
async fn only_objects_that_need_it_have_it_and_only_while_they_do() {
    let known = Arc::<Mutex<BTreeSet<String>>>::default();
    let served = Arc::<AtomicUsize>::default();
    let reconciler = Wanted { known: Arc::clone(&known), served: Arc::clone(&served) };
    let add = |coordinator: &Coordinator| coordinator.reconcile(reconciler).unwrap();
    with(add, |coordinator, client| async move {
        let maps: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
        let untouched = maps.create(&PostParams::default(), &config_map("without", false)).await.unwrap();
        maps.create(&PostParams::default(), &config_map("with", true)).await.unwrap();
        coordinator.idle().await;
        let without = maps.get("without").await.unwrap();
        assert_eq!(without.metadata.resource_version, untouched.metadata.resource_version);
        assert_eq!(finalizers(&maps.get("with").await.unwrap()), [FINALIZER]);
        assert!(known.lock().iter().eq(["with"]), "{known:?}");

        let before = served.load(Ordering::SeqCst);
        let patch = Patch::Merge(json!({"metadata": {"labels": {"copy": null}}}));
        maps.patch("with", &PatchParams::default(), &patch).await.unwrap();
        coordinator.idle().await;
        assert!(known.lock().is_empty(), "it is finalized");
        assert_eq!(finalizers(&maps.get("with").await.unwrap()), ["example.com/meanwhile"], "and let go");
        assert!(served.load(Ordering::SeqCst) > before, "and served on");
        assert_eq!(coordinator.status().observers[0].retries, 0);
    })
    .await;
}

#[tokio::test]
async fn an_observer_that_forgets_to_finalize_says_so() {
    struct Forgetful;
    impl Observer for Forgetful {
        fn spec(&self) -> ObserverSpec {
            spec()
        }
        fn plan(&self, _key: &Key, _view: &View) -> Result<Plan, BoxError> {
            Ok(Plan::new())
        }
    }
    let add = |coordinator: &Coordinator| coordinator.observe(Forgetful).unwrap();
    with(add, |coordinator, client| async move {
        let maps: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
        let mut map = config_map("map", false);
        map.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
        maps.create(&PostParams::default(), &map).await.unwrap();
        maps.delete("map", &DeleteParams::default()).await.unwrap();
        coordinator.idle().await;
        assert!(maps.get_opt("map").await.unwrap().is_some());
        let error = coordinator.status().observers[0].last_error.clone().unwrap();
        assert!(error.message.contains("does not implement finalize"), "{}", error.message);
    })
    .await;
}

#[tokio::test]
async fn what_could_not_be_kept_is_refused() {
    let cluster = xebec_apiserver::Cluster::new();
    let coordinator = Coordinator::new(cluster.client());
    let refused = |spec: ObserverSpec, why: &str| {
        struct Any(ObserverSpec);
        impl Observer for Any {
            fn spec(&self) -> ObserverSpec {
                self.0.clone()
            }
            fn plan(&self, _key: &Key, _view: &View) -> Result<Plan, BoxError> {
                Ok(Plan::new())
            }
        }
        let error = coordinator.observe(Any(spec)).unwrap_err();
        assert!(matches!(error, AddError::Finalizer { .. }) && error.to_string().contains(why), "{error}");
    };
    let maps = || ObserverSpec::new("any", "");
    refused(maps().watch(Watch::of::<ConfigMap>()).finalizer("cleanup"), "domain/name");
    refused(maps().watch(Watch::of::<ConfigMap>().labelled("a")).finalizer(FINALIZER), "selects");
    refused(
        maps().watch(Watch::of::<ConfigMap>().fields("metadata.name=a,data.x=y")).finalizer(FINALIZER),
        "selects",
    );
    let callback = coordinator.callback(spec(), |_event, _cx| async {});
    assert!(callback.unwrap_err().to_string().contains("callback"));
    coordinator.observe(Copies::default()).unwrap();
    refused(maps().watch(Watch::of::<ConfigMap>()).finalizer(FINALIZER), "copies has it already");
    let forgotten = coordinator.reconfigure("copies", |spec| ObserverSpec { finalizer: None, ..spec });
    assert!(forgotten.unwrap_err().to_string().contains("release that first"));
    coordinator.reconfigure("copies", |spec| spec.concurrency(4)).unwrap();
    let rights = spec().rights();
    assert!(
        rights.iter().any(|right| right.resource == "configmaps" && right.verbs == ["patch"]),
        "{rights:?}"
    );
}
