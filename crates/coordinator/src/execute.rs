//! Executing a write: from data to a request, and from the answer to an object.

use http::{Method, Request, header};
use kube::api::{DeleteParams, PatchParams, PostParams};
use kube::core::request::{Error as RequestError, Request as RequestBuilder};
use serde::Deserialize;
use serde_json::Value;

use crate::leadership::{Fenced, Permit};
use crate::runtime::{ANSWER_MAX, Runtime};
use crate::write::{Operation, Patch};
use crate::{Kind, Object, Write, WriteError};

impl Runtime {
    /// Writes, as `manager` where the write names no other; returns the object written, none if the server answered
    /// with a status. Deleting what is not there succeeds. Nothing is written that `permit` does not cover: it is not
    /// sent, and what is under way is given up.
    pub(crate) async fn write(
        &self,
        write: &Write,
        manager: &str,
        permit: &Permit,
    ) -> Result<Option<Object>, WriteError> {
        let failed = |error| WriteError { write: write.clone(), source: Box::new(error) };
        write.check().map_err(|misuse| failed(kube::Error::Service(misuse.into())))?;
        let request = request(write, manager).map_err(|error| failed(kube::Error::BuildRequest(error)))?;
        let writing =
            permit.write(&*self.clock).map_err(|fenced| failed(kube::Error::Service(fenced.into())))?;
        let answer = tokio::select! {
            biased;
            () = permit.fenced(&*self.clock) => Err(kube::Error::Service(Fenced.into())),
            // It may have happened without an answer; the plan is made anew, from what is seen.
            answer = self.in_time(ANSWER_MAX, self.client.request_text(request)) => match answer {
                Ok(answer) => answer,
                Err(error) => Err(kube::Error::Service(error.into())),
            },
        };
        if is_answered(&answer) {
            writing.answered();
        }
        match answer {
            Ok(body) => Ok(written(write.target.kind(), body)),
            Err(kube::Error::Api(status))
                if status.code == 404 && matches!(write.operation, Operation::Delete(_)) =>
            {
                Ok(None)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// Whether a write has happened by now, or never will.
fn is_answered(answer: &Result<String, kube::Error>) -> bool {
    match answer {
        Ok(_) | Err(kube::Error::BuildRequest(_)) => true,
        Err(kube::Error::Api(status)) => status.code < 500,
        Err(_) => false,
    }
}

pub(crate) fn request(write: &Write, manager: &str) -> Result<Request<Vec<u8>>, RequestError> {
    let target = &write.target;
    let builder = RequestBuilder::new(target.kind().url(target.namespace()));
    let manager = write.field_manager.as_deref().unwrap_or(manager).to_owned();
    let post = PostParams { field_manager: Some(manager.clone()), ..PostParams::default() };
    let encode = |value: &Value| serde_json::to_vec(value).map_err(RequestError::SerializeBody);
    match (&write.operation, write.subresource) {
        (Operation::Create(body), None) => builder.create(&post, encode(body)?),
        (Operation::Create(body), Some(subresource)) => {
            builder.create_subresource(subresource, target.name(), &post, encode(body)?)
        }
        (Operation::Update(body), None) => builder.replace(target.name(), &post, encode(body)?),
        (Operation::Update(body), Some(subresource)) => {
            builder.replace_subresource(subresource, target.name(), &post, encode(body)?)
        }
        (Operation::Patch(patch), subresource) => patch_request(write, &builder, patch, subresource, manager),
        (Operation::Delete(params), None) => builder.delete(target.name(), params),
        (Operation::Delete(params), Some(subresource)) => {
            delete_subresource(&builder, target.name(), subresource, params)
        }
    }
}

fn patch_request(
    write: &Write,
    builder: &RequestBuilder,
    patch: &Patch,
    subresource: Option<&str>,
    manager: String,
) -> Result<Request<Vec<u8>>, RequestError> {
    let (patch, force) = match patch {
        Patch::Json(operations) => {
            let operations = json_patch(operations).map_err(RequestError::SerializeBody)?;
            (kube::api::Patch::Json::<&Value>(operations), false)
        }
        Patch::Merge(value) => (kube::api::Patch::Merge(value), false),
        Patch::Strategic(value) => (kube::api::Patch::Strategic(value), false),
        Patch::Apply { fields, force } => (kube::api::Patch::Apply(fields), *force),
    };
    let params = PatchParams { force, field_manager: Some(manager), ..PatchParams::default() };
    match subresource {
        None => builder.patch(write.target.name(), &params, &patch),
        Some(subresource) => builder.patch_subresource(subresource, write.target.name(), &params, &patch),
    }
}

fn json_patch<T: for<'de> Deserialize<'de>>(operations: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(operations)
}

fn delete_subresource(
    builder: &RequestBuilder,
    name: &str,
    subresource: &str,
    params: &DeleteParams,
) -> Result<Request<Vec<u8>>, RequestError> {
    let body = serde_json::to_vec(params).map_err(RequestError::SerializeBody)?;
    Request::builder()
        .method(Method::DELETE)
        .uri(format!("{}/{name}/{subresource}", builder.url_path))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(RequestError::BuildRequest)
}

/// The object of an answer; none if it is a status, or nothing that can be read as an object.
fn written(kind: &Kind, body: String) -> Option<Object> {
    #[derive(Deserialize)]
    struct Type<'a> {
        kind: Option<&'a str>,
    }
    // Answers are long, and few speak of a status so.
    if body.contains("\"Status\"") {
        let answer: Type = serde_json::from_str(&body).ok()?;
        if answer.kind == Some("Status") && kind.name() != "Status" {
            return None;
        }
    }
    Object::parse(kind, body.into_bytes().into()).ok()
}
