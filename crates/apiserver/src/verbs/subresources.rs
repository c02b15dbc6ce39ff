//! Actions on pods and answers that are not kept: binding, eviction, reviews.

use serde_json::{Value, json};

use super::{
    Answer, Call,
    body::{self, Wanted},
    delete,
    options::DeleteOptions,
    pipeline::{self, Ownership, Preconditions},
};
use crate::{
    http::query::WriteOptions,
    kinds::{Part, Resource, workloads::pod::binding},
    machinery::{FieldErrors, builtin, object, selector::LabelSelector},
    status::{ApiError, ApiResult, Qualified},
};

/// Whether the resource is a question that is answered and forgotten.
pub fn is_review(call: &Call<'_>) -> bool {
    matches!(&*call.resource.group, "authentication.k8s.io" | "authorization.k8s.io")
}

/// Whether the resource is the old way to bind a pod.
pub fn is_binding(call: &Call<'_>) -> bool {
    call.resource.group.is_empty() && &*call.resource.plural == "bindings"
}

/// Answers a review.
pub fn review(call: &mut Call<'_>) -> ApiResult<Answer> {
    let options = call.query.write_options("CreateOptions")?;
    let resource = call.resource.clone();
    let mut asked = body::object(call, &Wanted::resource(&resource), options.field_validation)?;
    // What only the server says of an object is not there to be refused.
    let metadata = object::metadata_mut(&mut asked);
    for field in ["creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        metadata.remove(field);
    }
    pipeline::settle_namespace(call, &mut asked)?;
    pipeline::own_fields(call, None, &mut asked, Part::Main, &options);
    let body = call.cluster.review(&resource.kind, asked, call.user, &call.target.namespace)?;
    Ok(Answer::Other { code: 201, body })
}

fn done(code: u16) -> Answer {
    let body =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code});
    Answer::Other { code, body }
}

fn pods() -> Option<std::sync::Arc<Resource>> {
    crate::kinds::table::of_kind("v1", "Pod")
}

/// Binds a pod to a node.
pub async fn bind(call: &mut Call<'_>) -> ApiResult<Answer> {
    let options = call.query.write_options("CreateOptions")?;
    let (Some(schema), Some(pods)) = (builtin::schema("io.k8s.api.core.v1.Binding"), pods()) else {
        return Err(ApiError::internal("no schema of Binding"));
    };
    let wanted = Wanted { api_version: "v1", kind: "Binding", schema };
    let mut sent = body::object(call, &wanted, options.field_validation)?;
    pipeline::settle_namespace(call, &mut sent)?;
    let name = object::name(&sent).to_owned();
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut preconditions = Preconditions {
        uid: given(object::uid(&sent)),
        resource_version: given(object::resource_version(&sent)),
    };
    let mut target = call.target.clone();
    if target.name.is_empty() {
        // An object of its own is given its uid by the server, whatever the caller says.
        preconditions.uid = None;
        target.name.clone_from(&name);
    } else if name != target.name {
        return Err(ApiError::bad_request("name in URL does not match name in Binding object"));
    }
    let mut errors = FieldErrors::new();
    binding::validate(&mut errors, &sent);
    if !errors.is_empty() {
        // Kubernetes takes this for its own mistake.
        return Err(ApiError::new(500, "", errors.to_string()));
    }
    let mut inner = of_pods(call, &pods, &target);
    let now = call.now;
    let replaced = pipeline::replace(&mut inner, Part::Binding, &options, Ownership::Settled, |call, old| {
        preconditions.check(call, &name, old)?;
        let mut pod = old.clone();
        binding::assign(&mut pod, &sent, now).map_err(|why| {
            let resource = Qualified { group: "", name: "pods/binding" };
            ApiError::conflict(resource, &name, &why.to_string())
        })?;
        Ok(pod)
    })
    .await;
    let warnings = std::mem::take(&mut inner.warnings);
    call.warnings.extend(warnings);
    replaced.map(|_| done(201))
}

/// The same request, as one on pods.
fn of_pods<'a>(
    call: &Call<'a>,
    pods: &std::sync::Arc<Resource>,
    target: &'a crate::http::target::Target,
) -> Call<'a> {
    Call {
        cluster: call.cluster,
        user: call.user,
        resource: pods.clone(),
        target,
        query: call.query,
        content_type: String::new(),
        body: bytes::Bytes::new(),
        agent: call.agent.clone(),
        now: call.now,
        warnings: Vec::new(),
    }
}

fn set_condition(object: &mut Value, condition: Value) {
    let conditions = object::child_mut(object, "status").entry("conditions").or_insert_with(|| json!([]));
    let Some(conditions) = conditions.as_array_mut() else { return };
    match conditions.iter_mut().find(|own| own["type"] == condition["type"]) {
        Some(own) if own["status"] == condition["status"] => {
            let since = own["lastTransitionTime"].clone();
            *own = condition;
            own["lastTransitionTime"] = since;
        }
        Some(own) => *own = condition,
        None => conditions.push(condition),
    }
}

/// Evicts a pod: deletes it, if its disruption budget allows that.
pub async fn evict(call: &mut Call<'_>) -> ApiResult<Answer> {
    let options = call.query.write_options("CreateOptions")?;
    let Some(schema) = builtin::schema("io.k8s.api.policy.v1.Eviction") else {
        return Err(ApiError::internal("no schema of Eviction"));
    };
    let wanted = Wanted { api_version: "policy/v1", kind: "Eviction", schema };
    let eviction = body::object(call, &wanted, options.field_validation)?;
    if object::name(&eviction) != call.target.name {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    let delete = &eviction["deleteOptions"];
    let text = |field: &str| delete["preconditions"][field].as_str().map(str::to_owned);
    let dry = delete["dryRun"].as_array().is_some_and(|values| values.iter().any(|value| value == "All"));
    let options = DeleteOptions {
        dry_run: options.dry_run || dry,
        grace_period: delete["gracePeriodSeconds"].as_i64(),
        propagation: None,
        uid: text("uid"),
        resource_version: text("resourceVersion"),
    };
    let snapshot = call.cluster.storage().snapshot();
    let Some(stored) = snapshot.get(&call.resource.storage, &call.key()) else {
        return Err(ApiError::not_found(call.resource.qualified(), &call.target.name));
    };
    let pod = stored.decode();
    // A pod that does not run, or is going already, disrupts nothing.
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    let disrupts =
        !matches!(phase, "Succeeded" | "Failed" | "Pending") && object::deletion_timestamp(&pod).is_none();
    if disrupts {
        take_from_budget(call, &pod, options.dry_run).await?;
    }
    let name = call.target.name.clone();
    delete::delete_named(call, &name, &options).await?;
    Ok(done(201))
}

/// Takes one disruption from the budget that covers the pod, if any does.
async fn take_from_budget(call: &Call<'_>, pod: &Value, dry_run: bool) -> ApiResult<()> {
    let Some(budgets) = crate::kinds::table::of_kind("policy/v1", "PodDisruptionBudget") else {
        return Ok(());
    };
    let snapshot = call.cluster.storage().snapshot();
    let prefix = format!("{}/", call.target.namespace);
    let labels = object::meta(pod, "labels").cloned().unwrap_or_default();
    let covering: Vec<Value> = snapshot
        .range(&budgets.storage, &prefix, None)
        .map(|stored| stored.decode())
        .filter(|budget| {
            LabelSelector::of(&budget["spec"]["selector"])
                .is_ok_and(|selector| selector.matches_labels(&labels))
        })
        .collect();
    let budget = match covering.as_slice() {
        [] => return Ok(()),
        [budget] => budget,
        _ => {
            return Err(ApiError::new(
                500,
                "InternalError",
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            ));
        }
    };
    let name = object::name(budget).to_owned();
    let mut target = call.target.clone();
    target.name.clone_from(&name);
    target.subresource.clear();
    let mut inner = of_pods(call, &budgets, &target);
    let time = inner.timestamp();
    let options = WriteOptions { dry_run, ..WriteOptions::default() };
    let cause = |message: String, seconds: Option<i64>| {
        let causes = json!([{"reason": "DisruptionBudget", "message": message}]);
        ApiError::new(
            429,
            "TooManyRequests",
            "Cannot evict pod as it would violate the pod's disruption budget.",
        )
        .with_details(json!({"causes": causes, "retryAfterSeconds": seconds}))
    };
    pipeline::replace(&mut inner, Part::Status, &options, Ownership::Settled, |_, old| {
        let status = &old["status"];
        let number = |field: &str| status[field].as_i64().unwrap_or(0);
        let generation = object::meta(old, "generation").and_then(Value::as_i64).unwrap_or(0);
        if number("observedGeneration") < generation {
            return Err(cause(
                format!("The disruption budget {name} is still being processed by the server."),
                Some(10),
            ));
        }
        let allowed = number("disruptionsAllowed");
        if allowed <= 0 {
            return Err(cause(
                format!(
                    "The disruption budget {name} needs {} healthy pods and has {} currently",
                    number("desiredHealthy"),
                    number("currentHealthy")
                ),
                None,
            ));
        }
        let mut new = old.clone();
        let status = object::child_mut(&mut new, "status");
        status.insert("disruptionsAllowed".into(), (allowed - 1).into());
        let disrupted = status.entry("disruptedPods").or_insert_with(|| json!({}));
        object::map_mut(disrupted).insert(object::name(pod).to_owned(), time.as_str().into());
        if allowed == 1 {
            let condition = json!({
                "type": "DisruptionAllowed", "status": "False", "observedGeneration": generation,
                "lastTransitionTime": time, "reason": "InsufficientPods", "message": "",
            });
            set_condition(&mut new, condition);
        }
        Ok(new)
    })
    .await
    .map(|_| ())
}
