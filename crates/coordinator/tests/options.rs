//! Options of observers: declared in the spec, read from the view, set while it runs.
#![allow(clippy::unwrap_used)]

mod fake;

use std::time::Duration;

use fake::{Fake, Planner, Run};
use k8s_openapi::api::core::v1::Pod;
use xebec_coordinator::{
    AddError, BoxError, EventRecord, Key, LabelSelector, Observer, ObserverSpec, OptionError, Plan, Setting,
    View, Watch,
};

const WHICH: Setting<LabelSelector> = Setting::selector("which", "Which Pods.");
const WORD: Setting<str> = Setting::text("word", "What to say.", "hello");
const TIMES: Setting<i64> = Setting::integer("times", "How often.", (1, 9), Some("times a day"), 1);
const EVERY: Setting<Duration> = Setting::duration("every", "How soon again.", Duration::from_mins(1));
const LOUD: Setting<bool> = Setting::boolean("loud", "Whether to shout.", false);
const TONE: Setting<str> = Setting::one_of("tone", "How.", &["kind", "stern"]);

fn greeting() -> impl Observer {
    let spec = ObserverSpec::new("greeting", "greets Pods")
        .watch(Watch::of::<Pod>())
        .option(&WHICH)
        .option(&WORD)
        .option(&TIMES)
        .option(&EVERY)
        .option(&LOUD)
        .option(&TONE);
    Planner(spec, |key: &Key, view: &View| {
        let mut plan = Plan::new();
        let pod = view.object(key).filter(|pod| view.option(&WHICH).selects(pod.labels()));
        let Some(pod) = pod else { return Ok(plan) };
        let mut note = format!("{} {}", view.option(&TONE), view.option(&WORD).repeat(2));
        note = if *view.option(&LOUD) { note.to_uppercase() } else { note };
        let note = format!("{note} {}", view.option(&TIMES));
        plan.record(EventRecord::normal(pod.reference(), "Greeted", note))
            .requeue_after(*view.option(&EVERY));
        Ok::<_, BoxError>(plan)
    })
}

/// What it would say now, and how soon again.
fn said(run: &Run) -> (Vec<String>, Option<Duration>) {
    let plan = run.coordinator.plan("greeting", &Key::new::<Pod>("ns", "a")).unwrap();
    (plan.records().map(|record| record.note.clone()).collect(), plan.requeues_after())
}

#[tokio::test]
async fn options_have_their_defaults_until_they_are_set() {
    let fake = Fake::new();
    fake.pod("a");
    let spec = greeting().spec().set("times", "3").unwrap();
    let run = Run::start(&fake, |to| to.observe_as(spec, greeting()).unwrap());
    run.idle().await;
    assert_eq!(said(&run), (vec!["kind hellohello 3".to_owned()], Some(Duration::from_mins(1))));
    let served = run.status("greeting").served;
    let options = [("every", "5m"), ("loud", "true"), ("tone", "stern"), ("word", "hey")];
    run.coordinator.configure("greeting", &options).unwrap();
    // All is looked at again, as it may be judged otherwise.
    run.until("it to be served again", "greeting", |status| status.served > served).await;
    assert_eq!(said(&run), (vec!["STERN HEYHEY 3".to_owned()], Some(Duration::from_mins(5))));
    run.coordinator.configure("greeting", &[("which", "app in (web, shop),!old")]).unwrap();
    run.idle().await;
    assert_eq!(said(&run), (Vec::new(), None), "it is not selected");
    run.stop().await;
}

#[tokio::test]
async fn a_wrong_option_is_refused_and_nothing_changes() {
    let fake = Fake::new();
    fake.pod("a");
    let run = Run::start(&fake, |to| to.observe(greeting()).unwrap());
    run.idle().await;
    let told = |option, text| match run.coordinator.configure("greeting", &[("word", "x"), (option, text)]) {
        Err(AddError::Option(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let known = "it has which, word, times, every, loud, tone";
    assert_eq!(told("volume", "1"), format!("observer greeting has no option volume: {known}"));
    for (option, text, expected) in [
        ("times", "10", "\"10\" is no whole number from 1 to 9"),
        ("every", "soon", "\"soon\" is no duration, write one such as 30s, 5m or 1h30m"),
        ("loud", "yes", "\"yes\" is neither true nor false"),
        ("tone", "mild", "\"mild\" is none of kind, stern"),
        (
            "which",
            "app=a=b",
            "\"app=a=b\" is no label requirement, write one such as app=web, app!=web, app in (a, b), app or !app",
        ),
        (
            "which",
            "a,b in c",
            "\"b in c\" is no label requirement, write one such as app=web, app!=web, app in (a, b), app or !app",
        ),
    ] {
        assert_eq!(told(option, text), format!("option {option} of observer greeting: {expected}"));
    }
    assert_eq!(said(&run).0, ["kind hellohello 1"]);
    assert!(matches!(run.coordinator.configure("nobody", &[]), Err(AddError::NoSuchObserver(_))));
    assert!(matches!(greeting().spec().set("volume", "1"), Err(OptionError::Unknown { .. })));
    run.stop().await;
}

#[tokio::test]
async fn options_that_could_not_be_set_are_refused() {
    const TOO_FEW: Setting<i64> = Setting::integer("times", "", (1, 9), None, 0);
    const SHOUTED: Setting<bool> = Setting::boolean("LOUD", "", false);
    for (setting, why) in [
        (TOO_FEW.spec(), "its default is wrong: \"0\" is no whole number from 1 to 9"),
        (SHOUTED.spec(), "names of options are lower case, digits and dashes"),
        (WORD.spec(), "there is another of this name"),
    ] {
        let mut spec = greeting().spec();
        spec.options.retain(|option| option.name != "times");
        spec.options.push(setting.clone());
        let coordinator = xebec_coordinator::Coordinator::new(Fake::new().client());
        let error = coordinator.observe_as(spec, greeting()).unwrap_err().to_string();
        let expected = format!("observer greeting cannot have the option {}: {why}", setting.name);
        assert_eq!(error, expected);
    }
}

#[test]
#[should_panic(expected = "the observer's spec has no option word")]
fn an_option_that_is_not_declared_is_a_bug() {
    let spec = ObserverSpec::new("other", "declares none").watch(Watch::of::<Pod>());
    View::of(&spec, jiff::Timestamp::UNIX_EPOCH, []).option(&WORD);
}
