//! Where requests meet faults: the one place.

use std::time::Duration;

use serde_json::json;

use super::{Fault, injector::Point, watch};
use crate::{
    status::{ApiError, ApiResult},
    verbs::{self, Answer, Call},
};

/// Answers a request on a resource, with what goes wrong on purpose.
pub async fn call(call: &mut Call<'_>) -> ApiResult<Answer> {
    let Some(injector) = call.cluster.faults().injector() else { return verbs::call(call).await };
    let point = Point::of(call);
    let (turn, fault) = injector.decide(&point);
    match fault {
        Some(Fault::Delay { milliseconds }) => {
            call.cluster.clock().sleep(Duration::from_millis(milliseconds)).await;
            call.now = call.cluster.clock().now();
        }
        Some(Fault::Refuse { code }) => return Err(refusal(call, code)),
        Some(Fault::Stale { revisions }) => call.stale_by = revisions,
        _ => {}
    }
    let answer = verbs::call(call).await;
    match fault {
        Some(Fault::LoseAnswer) => Err(timeout()),
        Some(Fault::NeverAnswer) => {
            drop(answer);
            call.cluster.closed().await;
            Err(timeout())
        }
        _ => match answer {
            Ok(Answer::Watch(items)) => {
                let cluster = call.cluster.clone();
                Ok(Answer::Watch(watch::with_faults(items, injector, point.events(turn), cluster)))
            }
            answer => answer,
        },
    }
}

fn timeout() -> ApiError {
    ApiError::new(504, "Timeout", "Timeout: request did not complete within the allotted timeout")
        .with_details(json!({}))
}

/// A refusal as Kubernetes words it.
fn refusal(call: &Call<'_>, code: u16) -> ApiError {
    match code {
        409 => ApiError::modified(call.resource.qualified(), &call.target.name),
        410 => ApiError::expired("The resourceVersion for the provided list is too old."),
        429 => ApiError::new(429, "TooManyRequests", "Too many requests, please try again later.")
            .with_details(json!({"retryAfterSeconds": 1})),
        500 => ApiError::internal("a fault on purpose"),
        503 => {
            ApiError::new(503, "ServiceUnavailable", "the server is currently unable to handle the request")
        }
        504 => timeout(),
        _ => ApiError::new(code, "", "a fault on purpose"),
    }
}
