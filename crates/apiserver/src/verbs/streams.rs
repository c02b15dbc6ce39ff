//! What containers say and hear: logs, and streams into them. Pods of simulated nodes have nothing behind them.

use serde_json::Value;

use super::{Answer, Call};
use crate::{
    http::query::Query,
    machinery::{FieldErrors, Path, go_quoted, object},
    status::{ApiError, ApiResult, Qualified},
};

/// The log of a container: pods of simulated nodes write none.
pub fn log(call: &Call<'_>) -> ApiResult<Answer> {
    check_log_options(call.query, &call.target.name)?;
    let pod = pod_of(call)?;
    check_container(&pod, call.query.get("container"))?;
    Ok(Answer::Text(if has_node(&pod) { 200 } else { 204 }, String::new()))
}

/// Streams into containers and to ports: there is nothing behind them on simulated nodes.
pub fn connect(call: &Call<'_>) -> ApiResult<Answer> {
    let pod = pod_of(call)?;
    let (name, what) = (&call.target.name, call.target.subresource.as_str());
    if matches!(what, "exec" | "attach") {
        check_container(&pod, call.query.get("container"))?;
    }
    if !has_node(&pod) {
        return Err(ApiError::bad_request(format!("pod {name} does not have a host assigned")));
    }
    let why = format!("{what}: {name} runs on a simulated node, which has no containers to connect to");
    Err(ApiError::new(501, "NotImplemented", why))
}

fn pod_of(call: &Call<'_>) -> ApiResult<Value> {
    let snapshot = call.cluster.storage().snapshot();
    match snapshot.get(&call.resource.storage, &call.key()) {
        Some(stored) => Ok(stored.decode()),
        None => Err(ApiError::not_found(call.resource.qualified(), &call.target.name)),
    }
}

fn has_node(pod: &Value) -> bool {
    !object::text(&pod["spec"], "nodeName").is_empty()
}

/// Refuses options that make no sense (`ValidatePodLogOptions`).
fn check_log_options(query: &Query, pod: &str) -> ApiResult<()> {
    let mut errors = FieldErrors::new();
    let (tail, limit, since) =
        (query.number("tailLines")?, query.number("limitBytes")?, query.number("sinceSeconds")?);
    if let Some(lines) = tail.filter(|lines| *lines < 0) {
        errors.invalid(&Path::new("tailLines"), lines, "must be greater than or equal to 0");
    }
    if let Some(bytes) = limit.filter(|bytes| *bytes < 1) {
        errors.invalid(&Path::new("limitBytes"), bytes, "must be greater than 0");
    }
    let since_time = match query.get("sinceTime") {
        "" => None,
        text => Some(text.parse::<jiff::Timestamp>().map_err(|_| {
            let text = go_quoted(text);
            let layout = "\"2006-01-02T15:04:05Z07:00\"";
            ApiError::bad_request(format!("parsing time {text} as {layout}: cannot parse {text} as \"2006\""))
        })?),
    };
    match since {
        Some(_) if since_time.is_some() => {
            let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            errors.forbidden(&Path::ROOT.key(""), why);
        }
        Some(seconds) if seconds < 1 => {
            errors.invalid(&Path::new("sinceSeconds"), seconds, "must be greater than 0");
        }
        _ => {}
    }
    if query.has("stream") {
        errors.forbidden(&Path::new("stream"), "may not be specified");
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(Qualified { group: "", name: "PodLogOptions" }, pod, &errors))
}

/// Whether the pod has the container, or no other than one where none is named.
fn check_container(pod: &Value, container: &str) -> ApiResult<()> {
    let name = object::name(pod);
    let names = |list: &str| -> Vec<&str> {
        object::list(&pod["spec"], list).iter().map(|container| object::text(container, "name")).collect()
    };
    let (own, init, ephemeral) = (names("containers"), names("initContainers"), names("ephemeralContainers"));
    if !container.is_empty() {
        if own.iter().chain(&init).chain(&ephemeral).any(|own| *own == container) {
            return Ok(());
        }
        return Err(ApiError::bad_request(format!("container {container} is not valid for pod {name}")));
    }
    let choice = match own.len() {
        1 => return Ok(()),
        0 => String::new(),
        _ => {
            let or = |sort: &str, names: Vec<&str>| match names.as_slice() {
                [] => String::new(),
                names => format!(" or one of the {sort} containers: [{}]", names.join(" ")),
            };
            let others = [or("init", init), or("ephemeral", ephemeral)].concat();
            format!(", choose one of: [{}]{others}", own.join(" "))
        }
    };
    Err(ApiError::bad_request(format!("a container name must be specified for pod {name}{choice}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_of_a_log_are_checked() {
        let invalid = "PodLogOptions \"p\" is invalid: ";
        for (query, want) in [
            ("tailLines=0&limitBytes=1&sinceSeconds=1", ""),
            ("sinceTime=2024-01-01T00:00:00Z", ""),
            ("tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"),
            ("limitBytes=0", "limitBytes: Invalid value: 0: must be greater than 0"),
            ("sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than 0"),
            (
                "sinceSeconds=0&sinceTime=2024-01-01T00:00:00Z",
                "[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
            ),
            ("stream=Stdout", "stream: Forbidden: may not be specified"),
        ] {
            let said = check_log_options(&Query::parse(query), "p")
                .map_or_else(|error| error.message, |()| String::new());
            assert_eq!(said.strip_prefix(invalid).unwrap_or_default(), want, "{query}: {said}");
        }
        for query in ["tailLines=x", "sinceTime=yesterday"] {
            assert_eq!(check_log_options(&Query::parse(query), "p").unwrap_err().code, 400);
        }
    }

    #[test]
    fn a_container_is_named_where_there_are_several() {
        let one = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}], "initContainers": [{"name": "i"}]}});
        let two = json!({"metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]}});
        for (pod, container, want) in [
            (&one, "", ""),
            (&one, "i", ""),
            (&one, "x", "container x is not valid for pod p"),
            (
                &two,
                "",
                "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]",
            ),
        ] {
            let said = check_container(pod, container).map_or_else(|error| error.message, |()| String::new());
            assert_eq!(said, want);
        }
    }
}
