//! What is not written again, and what is not written at all because the object is not the one that was seen.
#![allow(clippy::unwrap_used)]

mod running;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use parking_lot::Mutex;
use running::with;
use serde_json::{Value, json};
use xebec_coordinator::{
    Action, BoxError, Context, Coordinator, Event, Key, Object, Observer, ObserverSpec, Plan, Reconciler,
    View, Watch, Write,
};

/// Of the ConfigMap of each Pod's name it owns `data.of`, by applies, and the watches keep no `managedFields`.
struct Applies;

fn spec() -> ObserverSpec {
    ObserverSpec::new("applies", "").watch(Watch::of::<Pod>()).watch(Watch::of::<ConfigMap>())
}

fn wake(event: &Event) -> Vec<Key> {
    vec![Key::new::<Pod>(event.key().namespace(), event.key().name())]
}

fn apply(key: &Key) -> Write {
    let map = Key::new::<ConfigMap>(key.namespace(), key.name());
    Write::apply_value(map, json!({"data": {"of": key.name()}})).force()
}

#[async_trait]
impl Reconciler for Applies {
    fn spec(&self) -> ObserverSpec {
        spec()
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        wake(event)
    }

    async fn reconcile(&self, key: &Key, cx: &Context) -> Result<Action, BoxError> {
        if cx.object(key).is_some() {
            let map = cx.write(apply(key)).await?.ok_or("no answer")?;
            assert_eq!(map.to_value()?["data"]["of"], key.name(), "the object, sent or not");
        }
        Ok(Action::done())
    }
}

impl Observer for Applies {
    fn spec(&self) -> ObserverSpec {
        spec()
    }

    fn wake(&self, event: &Event, _view: &View) -> Vec<Key> {
        wake(event)
    }

    fn plan(&self, key: &Key, view: &View) -> Result<Plan, BoxError> {
        let mut plan = Plan::new();
        if view.object(key).is_some() {
            plan.write(apply(key));
        }
        Ok(plan)
    }
}

fn pod() -> Pod {
    let pod = json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    serde_json::from_value(pod).unwrap()
}

async fn an_apply_is_sent_once_for_each_change(coordinator: Coordinator, client: Client) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let merge = PatchParams::default();
    let turn = async |number: i32| {
        let patch = json!({"metadata": {"labels": {"turn": number.to_string()}}});
        pods.patch("web", &merge, &Patch::Merge(patch)).await.unwrap();
        coordinator.idle().await;
        coordinator.status().observers[0].writes
    };
    let data = async |value: Value| {
        maps.patch("web", &PatchParams::default(), &Patch::Merge(json!({ "data": value }))).await.unwrap()
    };
    pods.create(&PostParams::default(), &pod()).await.unwrap();
    coordinator.idle().await;
    assert_eq!(coordinator.status().observers[0].writes, 1);
    assert_eq!((turn(1).await, turn(2).await), (1, 1), "it is as it was left");

    data(json!({"other": "x"})).await;
    let once_more = turn(3).await;
    assert!(once_more <= 2, "what others do costs one at most: {once_more}");
    assert_eq!((turn(4).await, turn(5).await), (once_more, once_more));

    // Somebody takes the field, and sets it back: it has the value, and is theirs.
    data(json!({"of": "theirs"})).await;
    data(json!({"of": "web"})).await;
    assert!(turn(6).await > once_more, "the owner is another");
    let owners = maps.get("web").await.unwrap().metadata.managed_fields.unwrap();
    let ours = owners.iter().find(|entry| entry.manager.as_deref() == Some("applies")).unwrap();
    assert!(ours.fields_v1.as_ref().unwrap().0.to_string().contains("f:of"), "{owners:?}");

    maps.delete("web", &DeleteParams::default()).await.unwrap();
    coordinator.idle().await;
    assert!(maps.get_opt("web").await.unwrap().is_some(), "a dependent is made anew");
}

#[tokio::test]
async fn a_reconciler_sends_an_apply_once_for_each_change() {
    with(|coordinator| coordinator.reconcile(Applies).unwrap(), an_apply_is_sent_once_for_each_change).await;
}

#[tokio::test]
async fn an_observer_sends_an_apply_once_for_each_change() {
    with(|coordinator| coordinator.observe(Applies).unwrap(), an_apply_is_sent_once_for_each_change).await;
}

/// What a write was, and the status that it failed with.
type Answer = (&'static str, Option<u16>);

/// Writes to what was deleted, or replaced, since it was seen.
struct Late {
    answers: Arc<Mutex<Vec<Answer>>>,
}

#[async_trait]
impl Reconciler for Late {
    fn spec(&self) -> ObserverSpec {
        ObserverSpec::new("late", "").watch(Watch::of::<ConfigMap>().namespace("default").labelled("late"))
    }

    async fn reconcile(&self, key: &Key, cx: &Context) -> Result<Action, BoxError> {
        let Some(seen) = cx.object(key).cloned() else { return Ok(Action::done()) };
        let maps: Api<ConfigMap> = Api::namespaced(cx.client().clone(), "default");
        let (note, by_key) =
            (json!({"data": {"note": "x"}}), |note: &Value| Write::apply_value(key.clone(), note.clone()));
        let resurrects: Vec<(&'static str, Write)> = vec![
            ("of its key", by_key(&note)),
            ("of its object", Write::apply_to(&seen, note.clone())),
            ("unchanged", by_key(&note).if_unchanged(seen.resource_version())),
            ("merged", Write::merge(key.clone(), note.clone())),
        ];
        maps.delete(key.name(), &DeleteParams::default()).await?;
        for (why, write) in resurrects {
            self.tell(why, cx.write(write).await);
            assert!(maps.get_opt(key.name()).await?.is_none(), "{why} brought it back");
        }
        let again = json!({"metadata": {"name": key.name()}});
        maps.create(&PostParams::default(), &serde_json::from_value(again)?).await?;
        for (why, write) in [
            ("merged if it is the same", Write::merge(key.clone(), note.clone()).if_uid(seen.uid())),
            ("patched", Write::json(key.clone(), json!([])).if_uid(seen.uid())),
            ("applied", Write::apply_to(&seen, note.clone())),
            ("deleted", Write::delete_object(&seen)),
        ] {
            self.tell(why, cx.write(write).await);
            assert_eq!(maps.get(key.name()).await?.data, None, "{why} changed another of its name");
        }
        Ok(Action::done())
    }
}

impl Late {
    fn tell(&self, why: &'static str, end: Result<Option<Object>, xebec_coordinator::WriteError>) {
        let code = end.err().map(|error| error.status().map_or(0, |status| status.code));
        self.answers.lock().push((why, code));
    }
}

#[tokio::test]
async fn what_is_gone_is_not_brought_back() {
    let answers = Arc::<Mutex<Vec<_>>>::default();
    let late = Late { answers: Arc::clone(&answers) };
    with(
        |coordinator| coordinator.reconcile(late).unwrap(),
        async |coordinator: Coordinator, client: Client| {
            let maps: Api<ConfigMap> = Api::namespaced(client, "default");
            let map = json!({"metadata": {"name": "map", "labels": {"late": "yes"}}});
            maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
            coordinator.idle().await;
            let answers = answers.lock().clone();
            assert_eq!(answers.len(), 8, "{answers:?} {:?}", coordinator.status().observers);
            for (why, code) in answers {
                assert!(matches!(code, Some(404 | 409 | 422)), "{why}: {code:?}");
            }
        },
    )
    .await;
}
