//! From what a verb answered to the bytes that go out.

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::{
    Body,
    negotiation::{self, Format, Representation, Shape},
    text,
};
use crate::{
    cluster::Shared,
    kinds::{
        Resource,
        columns::{self, IncludeObject, MetaVersion, Printer, TableOptions},
        table,
    },
    machinery::protobuf::{self, Message, envelope},
    status::{ApiError, ApiResult},
    storage::{EventType, Object, event_line, event_line_of},
    verbs::{self, Answer, Call, List, WatchItem},
};

/// Writes an answer in the representation that was asked for.
pub fn write(call: &Call<'_>, representation: Representation, answer: Answer) -> ApiResult<Response<Body>> {
    let as_stored = call.resource.storage_version == call.resource.api_version;
    match answer {
        Answer::Stored { code, object } if as_stored && representation == Representation::default() => {
            Ok(json(code, object.bytes().clone()))
        }
        Answer::Stored { code, object } => {
            Ok(value(code, representation.format, &shaped(call, representation.shape, call.decode(&object))?))
        }
        Answer::Object { code, object } => {
            Ok(value(code, representation.format, &shaped(call, representation.shape, object)?))
        }
        Answer::Other { code, body } => other(call, code, representation, body),
        Answer::Text(204, _) => {
            let mut response = Response::new(Body::whole(Bytes::new()));
            *response.status_mut() = StatusCode::NO_CONTENT;
            Ok(response)
        }
        Answer::Text(code, body) => Ok(text(status(code), "text/plain", body)),
        Answer::List(list) => self::list(call, representation, list, as_stored),
        Answer::Watch(items) => {
            let mut writer = EventWriter::of(call, representation)?;
            let lines = items.map(move |item| writer.line(item));
            let mut response = Response::new(Body::stream(lines));
            let media_type = HeaderValue::from_static(representation.format.watch_media_type());
            response.headers_mut().insert(header::CONTENT_TYPE, media_type);
            Ok(response)
        }
    }
}

/// What is no object of the resource; a Scale can be shown as a table all the same.
fn other(
    call: &Call<'_>,
    code: u16,
    representation: Representation,
    body: Value,
) -> ApiResult<Response<Body>> {
    let body = match representation.shape {
        Shape::Table(version) if body["kind"] == "Scale" => {
            let options = table_options(call, version, true)?;
            columns::table_of_object(&Printer::of_scale(), &body, &options)
        }
        _ => body,
    };
    Ok(value(code, representation.format, &body))
}

fn list(
    call: &Call<'_>,
    representation: Representation,
    list: List,
    as_stored: bool,
) -> ApiResult<Response<Body>> {
    let mut metadata = json!({"resourceVersion": list.revision.to_string()});
    if let Some(token) = &list.continue_token {
        metadata["continue"] = token.as_str().into();
    }
    if let Some(remaining) = list.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    let resource = &call.resource;
    let custom = resource.type_name.is_none();
    if custom && list.continue_token.is_none() {
        metadata["continue"] = "".into();
    }
    if as_stored && representation == Representation::default() {
        let head = format!(
            "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
            resource.list_kind, resource.api_version
        );
        let mut response = Response::new(Body::list(head.into_bytes(), list.objects, custom));
        let media_type = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        return Ok(response);
    }
    if representation.format == Format::Protobuf {
        return protobuf_list(call, representation.shape, &list, &metadata);
    }
    let objects: Vec<Value> = list.objects.iter().map(|object| call.decode(object)).collect();
    let body = match representation.shape {
        Shape::Table(version) => {
            let options = table_options(call, version, true)?;
            columns::table_of_list(&Printer::of(resource), &objects, &metadata, &options)
        }
        Shape::Metadata(version) => {
            columns::partial_object_metadata_list(&objects, &metadata, meta_version(version))
        }
        Shape::Whole => {
            let items: Vec<Value> = objects.into_iter().map(|object| item(object, custom)).collect();
            json!({
                "kind": &*resource.list_kind, "apiVersion": &*resource.api_version, "metadata": metadata, "items": items,
            })
        }
    };
    Ok(value(200, representation.format, &body))
}

/// A list in protobuf, written object by object: it is never there as values.
fn protobuf_list(call: &Call<'_>, shape: Shape, list: &List, metadata: &Value) -> ApiResult<Response<Body>> {
    let resource = &call.resource;
    let (api_version, kind, item) = if let Shape::Metadata(version) = shape {
        let api_version = meta_version(version).api_version();
        (api_version, "PartialObjectMetadataList", Some(Message::of_metadata()))
    } else {
        let item = resource.type_name.and_then(Message::of);
        (&*resource.api_version, &*resource.list_kind, item)
    };
    let item = item.ok_or_else(|| ApiError::internal("the kind has no protobuf"))?;
    let objects = list.objects.iter().map(|object| match shape {
        Shape::Metadata(version) => {
            columns::partial_object_metadata(&call.decode(object), meta_version(version))
        }
        _ => call.decode(object),
    });
    let bytes = envelope::list(api_version, kind, metadata, item, objects);
    Ok(text(status(200), protobuf::MEDIA_TYPE, bytes))
}

/// Items of built-in lists go without kind and apiVersion.
fn item(mut object: Value, custom: bool) -> Value {
    if !custom && let Some(map) = object.as_object_mut() {
        map.remove("apiVersion");
        map.remove("kind");
    }
    object
}

fn shaped(call: &Call<'_>, shape: Shape, object: Value) -> ApiResult<Value> {
    Ok(match shape {
        Shape::Whole => object,
        Shape::Metadata(version) => columns::partial_object_metadata(&object, meta_version(version)),
        Shape::Table(version) => {
            let options = table_options(call, version, true)?;
            columns::table_of_object(&Printer::of(&call.resource), &object, &options)
        }
    })
}

fn table_options(call: &Call<'_>, version: &str, headers: bool) -> ApiResult<TableOptions> {
    let include = IncludeObject::parse(call.query.get("includeObject"))?;
    Ok(TableOptions { version: meta_version(version), include, headers, now: call.now })
}

fn meta_version(version: &str) -> MetaVersion {
    MetaVersion::parse(version).unwrap_or(MetaVersion::V1)
}

/// Writes the items of one watch.
struct EventWriter {
    resource: std::sync::Arc<Resource>,
    cluster: std::sync::Arc<Shared>,
    representation: Representation,
    table: Option<TableOptions>,
}

impl EventWriter {
    fn of(call: &Call<'_>, representation: Representation) -> ApiResult<Self> {
        let table = match representation.shape {
            Shape::Table(version) => Some(table_options(call, version, true)?),
            _ => None,
        };
        Ok(Self { resource: call.resource.clone(), cluster: call.cluster.clone(), representation, table })
    }

    fn line(&mut self, item: WatchItem) -> Bytes {
        let as_stored = self.resource.storage_version == self.resource.api_version;
        match item {
            WatchItem::Object(event_type, object, line)
                if as_stored && self.representation == Representation::default() =>
            {
                line.unwrap_or_else(|| event_line(event_type, object.bytes()))
            }
            WatchItem::Object(event_type, object, _) => {
                let metadata = if as_stored { self.metadata_line(event_type, &object) } else { None };
                metadata.unwrap_or_else(|| {
                    let object = self.object(&object);
                    self.written(event_type.as_str(), &object)
                })
            }
            WatchItem::Bookmark(revision, initial_end) => {
                let bookmark = self.bookmark(revision, initial_end);
                self.written("BOOKMARK", &bookmark)
            }
            WatchItem::Error(status) => self.written("ERROR", &status),
        }
    }

    /// The line of an object whose metadata is to be told just as it is stored: nothing is decoded. Who watches all
    /// kinds watches them so.
    fn metadata_line(&self, event_type: EventType, object: &Object) -> Option<Bytes> {
        let Representation { format: Format::Json, shape: Shape::Metadata(version) } = self.representation
        else {
            return None;
        };
        let (resource, metadata) = (&self.resource, object.metadata());
        if !columns::shows_metadata_as_encoded(&resource.api_version, &resource.kind, metadata) {
            return None;
        }
        let api_version = meta_version(version).api_version();
        let head =
            format!("{{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"{api_version}\",\"metadata\":");
        Some(event_line_of(event_type, &[head.as_bytes(), metadata, b"}"]))
    }

    fn object(&mut self, object: &Object) -> Value {
        let object = verbs::decode(&self.resource, object);
        self.shaped(object)
    }

    fn shaped(&mut self, object: Value) -> Value {
        match (self.representation.shape, &mut self.table) {
            (Shape::Table(_), Some(options)) => {
                options.now = self.cluster.clock().now();
                let table = columns::table_of_object(&Printer::of(&self.resource), &object, options);
                // A watch says its columns once.
                options.headers = false;
                table
            }
            (Shape::Metadata(version), _) => columns::partial_object_metadata(&object, meta_version(version)),
            _ => object,
        }
    }

    /// An object of which nothing is known but the revision; after the initial events, with the mark of their end.
    fn bookmark(&mut self, revision: u64, initial_end: bool) -> Value {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let mut object = json!({
            "kind": &*self.resource.kind, "apiVersion": &*self.resource.api_version, "metadata": metadata,
        });
        if self.resource.type_name.is_some() && !matches!(self.representation.shape, Shape::Metadata(_)) {
            // A bookmark of a built-in kind has the empty structs that every object of it has.
            let mut whole = crate::machinery::conform::zero(&self.resource.schema);
            if let (Some(whole), Value::Object(own)) = (whole.as_object_mut(), object.take()) {
                whole.extend(own);
            }
            object = whole;
        }
        self.shaped(object)
    }

    fn written(&self, event_type: &str, object: &Value) -> Bytes {
        if self.representation.format == Format::Protobuf
            && let Some(message) = message_of(object)
        {
            return envelope::watch_event(event_type, &envelope::object(message, object)).into();
        }
        let event = json!({"type": event_type, "object": object});
        if self.representation.format == Format::Yaml {
            return format!("---\n{}", crate::machinery::encode::yaml(&event)).into();
        }
        format!("{event}\n").into()
    }
}

/// What is answered where there is nothing at all.
pub fn page_not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n")
}

/// Writes a refusal.
pub fn error(error: &ApiError, headers: &HeaderMap) -> Response<Body> {
    let format = negotiation::format_of_refusal(headers);
    let mut response = value(error.code, format, &error.to_status());
    let seconds =
        error.details.as_ref().and_then(|details| details.get("retryAfterSeconds")).and_then(Value::as_u64);
    if let Some(seconds) = seconds.filter(|seconds| *seconds > 0) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Writes a value; as JSON where protobuf was asked for and its kind has none.
pub fn value(code: u16, format: Format, value: &Value) -> Response<Body> {
    match format {
        Format::Protobuf if let Some(message) = message_of(value) => {
            text(status(code), protobuf::MEDIA_TYPE, envelope::object(message, value))
        }
        Format::Protobuf | Format::Json => json(code, format!("{value}\n")),
        Format::Yaml => text(status(code), "application/yaml", crate::machinery::encode::yaml(value)),
    }
}

/// The protobuf of a value's kind. Discovery's own kinds do not all say their version, which is `v1`.
fn message_of(value: &Value) -> Option<&'static Message> {
    let api_version = value["apiVersion"].as_str().unwrap_or("v1");
    let kind = value["kind"].as_str()?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    match (group, kind) {
        ("meta.k8s.io", "PartialObjectMetadata") => Some(Message::of_metadata()),
        _ => table::type_name(group, version, kind)
            .and_then(Message::of)
            .or_else(|| Message::of(&format!("io.k8s.apimachinery.pkg.apis.meta.{version}.{kind}"))),
    }
}

fn json(code: u16, bytes: impl Into<Bytes>) -> Response<Body> {
    text(status(code), "application/json", bytes)
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::{BodyExt, Full};
    use serde_json::{Value, json};

    use crate::{access::User, cluster::Cluster, http::Peer};

    async fn ask(cluster: &Cluster, method: &str, path: &str, accept: &str, body: &Value) -> Vec<u8> {
        let user = User { groups: vec!["system:masters".into()], ..User::default() };
        let request = Request::builder().method(method).uri(path).header("accept", accept);
        let request = request.header("content-type", "application/json");
        let request = request.body(Full::<bytes::Bytes>::from(body.to_string())).unwrap();
        let mut body = cluster.handle(request, Peer::User(user.into())).await.into_body();
        // Of a watch, the first piece.
        body.frame().await.unwrap().unwrap().into_data().unwrap().to_vec()
    }

    #[tokio::test]
    async fn a_watch_of_metadata_tells_of_an_object_what_a_read_of_it_shows() {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let deployment = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
        for (group, plural, annotation, fields) in [
            ("api/v1", "configmaps", "any", json!({"data": {"metadata": "}"}})),
            ("apis/apps/v1", "deployments", "any", json!({"spec": deployment})),
            // What metadata by itself does not show.
            (
                "apis/apps/v1",
                "deployments",
                "deprecated.deployment.rollback.revision",
                json!({"spec": deployment}),
            ),
        ] {
            let cluster = Cluster::new();
            let path = format!("/{group}/namespaces/default/{plural}");
            let mut object = fields;
            object["metadata"] = json!({"name": "a", "annotations": {annotation: "{\"}\\"}});
            ask(&cluster, "POST", &path, "application/json", &object).await;
            for version in ["v1", "v1beta1"] {
                let accept = format!("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v={version}");
                let read = ask(&cluster, "GET", &format!("{path}/a"), &accept, &Value::Null).await;
                let told = ask(&cluster, "GET", &format!("{path}?watch=1"), &accept, &Value::Null).await;
                let (read, told): (Value, Value) =
                    (serde_json::from_slice(&read).unwrap(), serde_json::from_slice(&told).unwrap());
                assert_eq!(told, json!({"type": "ADDED", "object": read}));
                let is_shown = told["object"]["metadata"]["annotations"][annotation].is_string();
                assert_eq!((is_shown, &told["object"]["spec"]), (annotation == "any", &Value::Null));
            }
        }
    }
}
