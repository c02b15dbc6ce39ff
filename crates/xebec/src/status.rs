//! `xebec status`: how a running xebec fares, as it tells itself.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{asking, cli::StatusArguments, output};

/// Asks a running process, and prints what it says.
///
/// # Errors
/// Nobody answers there, or something else than xebec.
pub async fn run(arguments: StatusArguments) -> Result<()> {
    let address = arguments.address;
    let body = asking::get(address, "/status")
        .await
        .with_context(|| format!("ask the xebec at {address} (its --metrics-address)"))?;
    let value: Value = serde_json::from_slice(&body).with_context(|| format!("{address} is no xebec"))?;
    if !value["observers"].is_array() {
        bail!("{address} is no xebec");
    }
    output::write(&output::render(arguments.output, &value, || text(&value))?)
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
