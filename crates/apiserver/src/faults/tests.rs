//! Each fault as a client meets it, in the cluster's own time; and that what was decided can be replayed in part.

use std::time::Duration;

use futures::{FutureExt, TryStreamExt, pin_mut};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

use super::*;
use crate::{Clock, Cluster};

fn cluster() -> (Cluster, Api<ConfigMap>) {
    let cluster = Cluster::with_clock(Clock::still(Timestamp::UNIX_EPOCH));
    let maps = Api::default_namespaced(cluster.client());
    (cluster, maps)
}

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

fn always(verb: &str, fault: Fault) -> Policy {
    let rule = Rule {
        verbs: vec![verb.to_owned()],
        resources: vec!["configmaps".to_owned()],
        users: Vec::new(),
        probability: 1.0,
        fault,
    };
    Policy { seed: 1, rules: vec![rule] }
}

async fn create(maps: &Api<ConfigMap>, name: &str) -> u16 {
    match maps.create(&PostParams::default(), &map(name)).await {
        Ok(_) => 201,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn requests_are_refused_in_kubernetes_words() {
    let (cluster, maps) = cluster();
    for (code, reason) in [
        (409, "Conflict"),
        (410, "Expired"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
        (504, "Timeout"),
        (418, ""),
    ] {
        cluster.faults().inject(always("create", Fault::Refuse { code }));
        let error = maps.create(&PostParams::default(), &map("a")).await.unwrap_err();
        let kube::Error::Api(status) = error else { panic!("{error}") };
        assert_eq!((status.code, status.reason.as_str()), (code, reason));
    }
    assert!(
        maps.get_opt("a").await.unwrap().is_none(),
        "refused is not executed, and gets are not concerned"
    );
    cluster.faults().clear();
    assert_eq!(create(&maps, "a").await, 201);
}

#[tokio::test]
async fn an_answer_may_be_lost_but_what_was_asked_is_done() {
    let (cluster, maps) = cluster();
    cluster.faults().inject(always("create", Fault::LoseAnswer));
    assert_eq!(create(&maps, "a").await, 504);
    cluster.faults().inject(always("create", Fault::NeverAnswer));
    assert!(create(&maps, "b").now_or_never().is_none());
    cluster.faults().clear();
    let list = maps.list(&ListParams::default()).await.unwrap();
    assert!(list.iter().any(|map| map.metadata.name.as_deref() == Some("a")));
}

#[tokio::test]
async fn a_delay_is_in_the_clusters_time() {
    let (cluster, maps) = cluster();
    cluster.faults().inject(always("create", Fault::Delay { milliseconds: 1000 }));
    let created = tokio::spawn(async move { create(&maps, "a").await });
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert!(!created.is_finished());
    cluster.clock().advance(Duration::from_secs(1));
    assert_eq!(created.await.unwrap(), 201);
}

#[tokio::test]
async fn a_watch_lags_in_order_is_cut_and_expires() {
    let (cluster, maps) = cluster();
    let since = cluster.snapshot().revision().to_string();
    for (fault, told) in
        [(Fault::Lag { milliseconds: 1000 }, "a b"), (Fault::Cut, ""), (Fault::Expire, "410")]
    {
        cluster.faults().inject(always("watch", fault));
        let events = maps.watch(&WatchParams::default(), &since).await.unwrap();
        for name in ["a", "b"] {
            create(&maps, name).await; // the second time they are there already
        }
        let mut said = Vec::new();
        pin_mut!(events);
        while said.len() < 2 {
            let next = tokio::select! {
                biased;
                next = events.try_next() => next.unwrap(),
                () = async {
                    loop {
                        tokio::task::yield_now().await;
                        cluster.clock().advance(Duration::from_millis(1));
                    }
                } => None,
            };
            match next {
                Some(WatchEvent::Added(map)) => said.push(map.metadata.name.unwrap()),
                Some(WatchEvent::Error(status)) => said.push(status.code.to_string()),
                Some(other) => panic!("{other:?}"),
                None => break,
            }
        }
        assert_eq!(said.join(" "), told, "{fault:?}");
    }
}

#[tokio::test]
async fn only_reads_that_any_version_suits_are_stale() {
    let (cluster, maps) = cluster();
    create(&maps, "a").await;
    cluster.faults().inject(always("list", Fault::Stale { revisions: 1 }));
    let names = async |params: ListParams| {
        let list = maps.list(&params).await.unwrap();
        list.items.into_iter().filter_map(|map| map.metadata.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(ListParams::default()).await, "a");
    assert_eq!(names(ListParams::default().match_any()).await, "");
}

#[tokio::test]
async fn what_was_decided_can_be_replayed_in_part() {
    let play = |faults: Box<dyn Fn(&Faults)>| async move {
        let (cluster, maps) = cluster();
        faults(cluster.faults());
        let mut codes = Vec::new();
        for _ in 0..40 {
            codes.push(create(&maps, "a").await);
        }
        (codes, cluster.faults().taken(0))
    };
    let mut policy = always("create", Fault::Refuse { code: 500 });
    policy.rules[0].probability = 0.3;
    let drawn = policy.clone();
    let (codes, taken) = play(Box::new(move |faults| faults.inject(drawn.clone()))).await;
    assert!((3..25).contains(&taken.len()), "{taken:?}");
    let all = taken.clone();
    assert_eq!(play(Box::new(move |faults| faults.replay(all.clone()))).await, (codes, taken.clone()));
    let last = taken[taken.len() - 1].clone();
    let turn = usize::try_from(last.turn).unwrap();
    let (codes, _) = play(Box::new(move |faults| faults.replay([last.clone()]))).await;
    let refused: Vec<usize> = (0..40).filter(|number| codes[*number] == 500).collect();
    assert_eq!(refused, [turn]);
    policy.seed = 2;
    assert_ne!(play(Box::new(move |faults| faults.inject(policy.clone()))).await.1, taken);
}

#[test]
fn a_policy_is_read_from_a_file_and_what_is_unknown_refused() {
    let policy: Policy = serde_json::from_value(json!({
        "rules": [{"probability": 0.5, "fault": "loseAnswer"}, {"probability": 1, "fault": {"lag": {"milliseconds": 5}}}],
    }))
    .unwrap();
    assert_eq!(policy.rules[1].fault, Fault::Lag { milliseconds: 5 });
    assert!(serde_json::from_value::<Policy>(json!({"rule": []})).is_err());
}
