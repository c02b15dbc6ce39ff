//! Writes of observers that do not succeed, as a case has it: refused by the way, or done without an answer.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::file::Refusal;
use super::kinds::Kinds;
use crate::BoxError;

const APPLY: &str = "application/apply-patch+yaml";
/// At the end of a name it stands for what the server puts there.
const GENERATED: char = '*';

/// The writes that are not to succeed, and have not been made yet.
#[derive(Clone, Default)]
pub(super) struct Refusals(Arc<Mutex<Vec<Expected>>>);

/// A write that will not succeed.
struct Expected {
    /// As the case says it.
    line: String,
    method: Method,
    is_apply: bool,
    /// Of the collection for a create, else of the object or its subresource.
    path: String,
    /// Of what is created.
    name: String,
    refusal: Refusal,
}

/// The answer of a write did not come.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost")]
struct Lost;

impl Refusals {
    /// The next write of this sort does not succeed.
    pub(super) async fn expect(&self, line: &str, refusal: Refusal, kinds: &mut Kinds) -> Result<(), String> {
        let (method, is_apply) = match line.split(' ').next().unwrap_or_default() {
            "create" => (Method::POST, false),
            "update" => (Method::PUT, false),
            "apply" => (Method::PATCH, true),
            "patch" => (Method::PATCH, false),
            "delete" => (Method::DELETE, false),
            other => {
                return Err(format!(
                    "{other:?} is nothing that can be refused: say create, update, apply, patch or delete, and then \
                     `Kind namespace/name`"
                ));
            }
        };
        let (_, target) = line.split_once(' ').unwrap_or((line, ""));
        let (_, key, subresource) = kinds.named(target).await?;
        let collection = key.kind().url(key.namespace());
        let path = match subresource {
            None if method == Method::POST => collection,
            None => format!("{collection}/{}", key.name()),
            Some(subresource) => format!("{collection}/{}/{subresource}", key.name()),
        };
        let name = key.name().to_owned();
        self.0.lock().push(Expected { line: line.to_owned(), method, is_apply, path, name, refusal });
        Ok(())
    }

    /// Forgets all, and returns those that nothing came of.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock()).into_iter().map(|expected| expected.line).collect()
    }

    /// The same client, but for what is not to succeed.
    pub(super) fn through(&self, client: Client) -> Client {
        let namespace = client.default_namespace().to_owned();
        let refusals = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (client, refusals) = (client.clone(), refusals.clone());
            async move { refusals.send(client, request).await }
        });
        Client::new(service, namespace)
    }

    async fn send(&self, client: Client, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        if request.method() == Method::GET || self.0.lock().is_empty() {
            return Ok(client.send(request).await?);
        }
        let (head, body) = request.into_parts();
        let body = body.collect_bytes().await?;
        let refusal = {
            let mut refusals = self.0.lock();
            let position = refusals.iter().position(|expected| expected.means(&head, &body));
            position.map(|position| refusals.remove(position).refusal)
        };
        let request = Request::from_parts(head, Body::from(body.to_vec()));
        match refusal {
            None => Ok(client.send(request).await?),
            Some(Refusal::Status(code)) => refused(code),
            Some(Refusal::Lost) => {
                client.send(request).await?;
                Err(Lost.into())
            }
        }
    }
}

impl Expected {
    fn means(&self, head: &http::request::Parts, body: &Bytes) -> bool {
        let content = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if head.method != self.method
            || (head.method == Method::PATCH && (content == Some(APPLY)) != self.is_apply)
        {
            return false;
        }
        let path = head.uri.path();
        let prefix = self.path.strip_suffix(GENERATED);
        if !prefix.map_or(path == self.path, |prefix| path.starts_with(prefix)) {
            return false;
        }
        if self.method != Method::POST || self.path.ends_with(&format!("/{}", self.name)) {
            return true;
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |field: &str| body["metadata"][field].as_str().unwrap_or_default().to_owned();
        match self.name.strip_suffix(GENERATED) {
            Some(prefix) => text("generateName") == prefix,
            None => text("name") == self.name,
        }
    }
}

fn refused(code: u16) -> Result<Response<Body>, BoxError> {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        400..500 => "BadRequest",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "refused by the case",
        "reason": reason,
        "code": code,
    });
    let answer = Response::builder().status(code).header(header::CONTENT_TYPE, "application/json");
    Ok(answer.body(Body::from(serde_json::to_vec(&status)?))?)
}
