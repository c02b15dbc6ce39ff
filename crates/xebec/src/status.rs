//! `xebec status`: how a running xebec fares, as it tells itself.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use xebec_coordinator::{Health, LastError, LeadershipStatus, Status, WatchState};

use crate::{cli::StatusArguments, monitoring, output};

/// Asks a running process, and prints what it says.
///
/// # Errors
/// Nobody answers there, or something else than xebec.
pub async fn run(arguments: StatusArguments) -> Result<()> {
    let address = arguments.address;
    let body = monitoring::get(address, "/status")
        .await
        .with_context(|| format!("ask the xebec at {address} (its --metrics-address)"))?;
    let value: Value = serde_json::from_slice(&body).with_context(|| format!("{address} is no xebec"))?;
    if !value["observers"].is_array() {
        bail!("{address} is no xebec");
    }
    output::write(&output::render(arguments.output, &value, || text(&value))?)
}

/// A status as it is told to programs.
pub fn value(status: &Status) -> Value {
    let observers = status.observers.iter().map(|observer| {
        let (health, detail) = health(&observer.health);
        json!({
            "name": observer.name,
            "health": health,
            "detail": detail,
            "queued": observer.queued,
            "active": observer.active,
            "held": observer.held,
            "delayed": observer.delayed,
            "lagSeconds": observer.lag.unwrap_or_default().as_secs_f64(),
            "served": observer.served,
            "retries": observer.retries,
            "panics": observer.panics,
            "hangs": observer.hangs,
            "restarts": observer.restarts,
            "writes": observer.writes,
            "gaps": observer.gaps,
            "lastError": observer.last_error.as_ref().map(last_error),
        })
    });
    let watches = status.watches.iter().map(|watch| {
        let (state, detail) = state(&watch.state);
        json!({
            "kind": watch.kind.to_string(),
            "namespace": watch.namespace,
            "labels": watch.labels,
            "fields": watch.fields,
            "keeps": watch.detail.to_string(),
            "state": state,
            "detail": detail,
            "observers": watch.observers,
            "objects": watch.objects,
            "position": watch.position,
            "lists": watch.lists,
            "watches": watch.watches,
        })
    });
    json!({
        "observers": observers.collect::<Vec<_>>(),
        "watches": watches.collect::<Vec<_>>(),
        "leadership": status.leadership.as_ref().map(leadership),
    })
}

fn leadership(leadership: &LeadershipStatus) -> Value {
    let members = leadership.members.iter();
    let members = members.map(|member| json!({ "identity": member.identity, "agrees": member.agrees }));
    json!({
        "identity": leadership.identity,
        "lease": leadership.lease,
        "serving": leadership.is_serving(),
        "servingSince": leadership.serving_since.map(|since| since.to_string()),
        "leader": leadership.leader,
        "members": members.collect::<Vec<_>>(),
        "lastError": leadership.last_error.as_ref().map(last_error),
    })
}

fn health(health: &Health) -> (&'static str, Option<String>) {
    match health {
        Health::Running => ("running", None),
        Health::Waiting(reason) => ("waiting", Some(format!("for {reason}"))),
        Health::Restarting(at) => ("restarting", Some(format!("at {at}"))),
        Health::Hanging { since, doing } => ("hanging", Some(format!("since {since}: {doing}"))),
        Health::Stopped => ("stopped", None),
    }
}

fn state(state: &WatchState) -> (&'static str, Option<&str>) {
    match state {
        WatchState::Listing => ("listing", None),
        WatchState::Synced => ("synced", None),
        WatchState::Missing => ("missing", None),
        WatchState::Forbidden(why) => ("forbidden", Some(why)),
        WatchState::Failing(why) => ("failing", Some(why)),
    }
}

fn last_error(error: &LastError) -> Value {
    json!({ "at": error.at.to_string(), "message": error.message })
}

fn text(value: &Value) -> String {
    let observers = rows(
        &value["observers"],
        &[
            ("OBSERVER", &|one| word(&one["name"])),
            ("HEALTH", &|one| {
                format!("{} {}", word(&one["health"]), word(&one["detail"])).trim_end().to_owned()
            }),
            ("QUEUED", &|one| word(&one["queued"])),
            ("ACTIVE", &|one| word(&one["active"])),
            ("HELD", &|one| word(&one["held"])),
            ("DELAYED", &|one| word(&one["delayed"])),
            ("LAG", &|one| format!("{:.3}s", one["lagSeconds"].as_f64().unwrap_or_default())),
            ("SERVED", &|one| word(&one["served"])),
            ("RETRIES", &|one| word(&one["retries"])),
            ("RESTARTS", &|one| word(&one["restarts"])),
            ("LAST ERROR", &|one| word(&one["lastError"]["message"])),
        ],
    );
    let watches = rows(
        &value["watches"],
        &[
            ("WATCH", &|one| word(&one["kind"])),
            ("NAMESPACE", &|one| one["namespace"].as_str().unwrap_or("*").to_owned()),
            ("STATE", &|one| {
                format!("{} {}", word(&one["state"]), word(&one["detail"])).trim_end().to_owned()
            }),
            ("OBJECTS", &|one| word(&one["objects"])),
            ("OBSERVERS", &|one| word(&one["observers"])),
            ("LISTS", &|one| word(&one["lists"])),
        ],
    );
    let mut text = format!("{observers}\n{watches}");
    let leadership = &value["leadership"];
    if leadership.is_object() {
        let does = if leadership["serving"] == true { "serves" } else { "stands by" };
        let mut line =
            format!("{} {does}, by the Lease {}", word(&leadership["identity"]), word(&leadership["lease"]));
        if let Some(leader) = leadership["leader"].as_str() {
            line = format!("{line}; the leader is {leader}");
        }
        let members = leadership["members"].as_array().map_or(0, Vec::len);
        if members > 0 {
            line = format!("{line}; {members} replicas share");
        }
        if let Some(error) = leadership["lastError"]["message"].as_str() {
            line = format!("{line}; last error: {error}");
        }
        text = format!("{text}\n{}\n", output::printable(&line));
    }
    text
}

/// A heading, and what stands below it.
type Column<'a> = (&'a str, &'a dyn Fn(&Value) -> String);

fn rows(items: &Value, columns: &[Column<'_>]) -> String {
    let heading = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let items = items.as_array().into_iter().flatten();
    let rows = items.map(|item| columns.iter().map(|(_, cell)| cell(item)).collect());
    output::table(&std::iter::once(heading).chain(rows).collect::<Vec<Vec<String>>>())
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
