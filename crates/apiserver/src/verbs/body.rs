//! From the body of a write to an object: decoded, of the right kind, with unknown and duplicate fields told, in the
//! normal form of its schema, with its defaults.

use std::fmt::Write;

use serde_json::{Value, json};

use super::Call;
use crate::{
    http::query::FieldValidation,
    kinds::Resource,
    machinery::{
        FieldErrors, Path, Schema, conform, decode, defaults, go_quoted, object,
        protobuf::{self, Message, envelope},
    },
    status::{ApiError, ApiResult, Qualified},
};

/// The kind of the object that a body must hold.
pub struct Wanted<'a> {
    /// Its apiVersion.
    pub api_version: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its fields.
    pub schema: &'a Schema,
}

impl<'a> Wanted<'a> {
    /// An object of the resource itself.
    pub fn resource(resource: &'a Resource) -> Self {
        Self { api_version: &resource.api_version, kind: &resource.kind, schema: &resource.schema }
    }

    /// Whether it is a kind of Kubernetes' own.
    fn is_builtin(&self) -> bool {
        self.schema.object().is_some_and(|object| object.name.is_some())
    }

    /// Its layout in protobuf; custom resources have none.
    fn message(&self) -> Option<&'static Message> {
        Message::of(self.schema.object()?.name?)
    }
}

const MEDIA_TYPES: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// The body as an object of the wanted kind, with plain and computed defaults.
///
/// # Errors
/// 400 for what cannot be read, or (when strict) has unknown or duplicate fields; 415 for other media types.
pub fn object(call: &mut Call<'_>, wanted: &Wanted<'_>, validation: FieldValidation) -> ApiResult<Value> {
    let sent = match call.content_type.as_str() {
        protobuf::MEDIA_TYPE if wanted.message().is_some() => {
            let value = from_protobuf(call, wanted)?;
            return conformed(call, wanted, value, StrictErrors::default(), validation);
        }
        "" | "application/json" if wanted.is_builtin() => {
            decode::json_of(wanted.schema, &call.body).map_err(|why| unrecognized(call, wanted, &why))?
        }
        "" | "application/json" => {
            decode::json(&call.body).map_err(|why| unrecognized(call, wanted, &why))?
        }
        "application/yaml" => decode::yaml(&call.body).map_err(|why| unrecognized(call, wanted, &why))?,
        _ => {
            return Err(ApiError::unsupported_media_type(format!(
                "the body of the request was in an unknown format - accepted media types include: {MEDIA_TYPES}"
            )));
        }
    };
    let is_json = call.content_type != "application/yaml";
    let errors = StrictErrors {
        yaml: sent.yaml_duplicates,
        fields: sent.strict_errors,
        is_complete: is_json && wanted.is_builtin(),
    };
    let mut value = sent.value;
    if value.is_null() {
        value = Value::Object(serde_json::Map::new());
    }
    if !value.is_object() {
        let why = "json: cannot unmarshal array into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";
        return Err(unrecognized(call, wanted, why));
    }
    check_kind(call, wanted, &mut value)?;
    conformed(call, wanted, value, errors, validation)
}

/// What the decoder of a body has to say that a lenient one does not.
#[derive(Debug, Default)]
struct StrictErrors {
    /// A sentence of several lines.
    yaml: Option<String>,
    /// A sentence a field.
    fields: Vec<String>,
    /// Whether unknown fields are among them.
    is_complete: bool,
}

impl StrictErrors {
    /// One by one: YAML's sentence a line.
    fn warnings(&self) -> impl Iterator<Item = &str> {
        let yaml = self.yaml.as_deref().unwrap_or_default();
        let lines = yaml.strip_prefix("yaml: unmarshal errors:\n").unwrap_or(yaml).lines().map(str::trim);
        lines.chain(self.fields.iter().map(String::as_str))
    }

    fn is_empty(&self) -> bool {
        self.yaml.is_none() && self.fields.is_empty()
    }

    /// All in one sentence.
    fn sentence(&self) -> String {
        let all: Vec<&str> = self.yaml.iter().chain(&self.fields).map(String::as_str).collect();
        format!("strict decoding error: {}", all.join(", "))
    }
}

/// `value` in the normal form of the wanted kind; `errors` and unknown fields are told as `validation` says.
fn conformed(
    call: &mut Call<'_>,
    wanted: &Wanted<'_>,
    value: Value,
    mut errors: StrictErrors,
    validation: FieldValidation,
) -> ApiResult<Value> {
    let mut unknown = Vec::new();
    let value = tell(wanted, value, &mut unknown).map_err(|why| handled(wanted, &why))?;
    if !errors.is_complete {
        errors.fields.append(&mut unknown);
    }
    match validation {
        FieldValidation::Strict if !errors.is_empty() => Err(handled(wanted, &errors.sentence())),
        FieldValidation::Warn => {
            errors.warnings().take(WARNINGS_MAX).for_each(|warning| call.warn(warning));
            Ok(value)
        }
        _ => Ok(value),
    }
}

/// `value` in the normal form of the wanted kind, with its plain defaults. Sentences about unknown fields go to `wrong`.
///
/// # Errors
/// A value of the wrong type, in Go's words.
pub fn tell(wanted: &Wanted<'_>, mut value: Value, wrong: &mut Vec<String>) -> Result<Value, String> {
    let api_version = object::map_mut(&mut value).remove("apiVersion");
    let kind = object::map_mut(&mut value).remove("kind");
    // An empty list asks to forget who owns what; the normal form would drop it.
    let entries = object::meta(&value, "managedFields").and_then(Value::as_array);
    let forget = entries.is_some_and(Vec::is_empty);
    let unknown = conform::conform(wanted.schema, &mut value).map_err(|error| error.message)?;
    let map = object::map_mut(&mut value);
    map.insert("apiVersion".into(), api_version.unwrap_or_else(|| wanted.api_version.into()));
    map.insert("kind".into(), kind.unwrap_or_else(|| wanted.kind.into()));
    if forget {
        object::metadata_mut(&mut value).insert("managedFields".into(), Value::Array(Vec::new()));
    }
    defaults::fill(wanted.schema, &mut value);
    // Of a custom resource the path is told as it is.
    let quoted = |field: &String| if wanted.is_builtin() { go_quoted(field) } else { format!("\"{field}\"") };
    wrong.extend(unknown.fields.iter().map(|field| format!("unknown field {}", quoted(field))));
    Ok(value)
}

/// More sentences on fields than this would not fit in the headers of an answer.
pub const WARNINGS_MAX: usize = 100;

fn handled(wanted: &Wanted<'_>, why: &str) -> ApiError {
    let version = wanted.api_version.rsplit('/').next().unwrap_or_default();
    let kind = wanted.kind;
    ApiError::bad_request(format!(
        "{kind} in version {} cannot be handled as a {kind}: {why}",
        go_quoted(version)
    ))
}

/// The body as the object of its envelope, which must be of the wanted kind.
fn from_protobuf(call: &Call<'_>, wanted: &Wanted<'_>) -> ApiResult<Value> {
    let envelope = envelope::open(&call.body).map_err(|why| not_the_type(call, wanted, &why.to_string()))?;
    let mut type_meta = json!({"apiVersion": envelope.api_version, "kind": envelope.kind});
    check_kind(call, wanted, &mut type_meta)?;
    let message = wanted.message().ok_or_else(|| ApiError::internal("no layout of the kind"))?;
    let mut value = message.decode(envelope.raw).map_err(|why| handled(wanted, &why.to_string()))?;
    object::map_mut(&mut value).append(object::map_mut(&mut type_meta));
    Ok(value)
}

fn unrecognized(call: &Call<'_>, wanted: &Wanted<'_>, why: &str) -> ApiError {
    let why = if why.contains("EOF while parsing") {
        "couldn't get version/kind; json parse error: unexpected end of JSON input".to_owned()
    } else if why.starts_with("unexpected GroupVersion") {
        why.to_owned()
    } else {
        format!("couldn't get version/kind; json parse error: {why}")
    };
    not_the_type(call, wanted, &why)
}

/// A body that does not even say what it is, with its beginning: as it is if that looks like JSON.
fn not_the_type(call: &Call<'_>, wanted: &Wanted<'_>, why: &str) -> ApiError {
    let beginning = &call.body[..call.body.len().min(SHOWN_BYTES_MAX)];
    let mut shown = match beginning.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => String::from_utf8_lossy(beginning).into_owned(),
        Some(_) => beginning.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
    };
    if beginning.len() < call.body.len() {
        shown.push_str(" ...");
    }
    ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {why} ({shown})",
        wanted.kind
    ))
}

/// How much of a body an error shows.
const SHOWN_BYTES_MAX: usize = 30;

/// Fills in a missing apiVersion and kind, and refuses others.
fn check_kind(call: &Call<'_>, wanted: &Wanted<'_>, value: &mut Value) -> ApiResult<()> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if api_version.matches('/').count() > 1 {
        return Err(unrecognized(call, wanted, &format!("unexpected GroupVersion string: {api_version}")));
    }
    let api_version = if api_version.is_empty() { wanted.api_version.to_owned() } else { api_version };
    let kind = if kind.is_empty() { wanted.kind.to_owned() } else { kind };
    if !wanted.is_builtin() {
        if api_version != wanted.api_version {
            return Err(ApiError::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({})",
                wanted.api_version
            )));
        }
        check_custom_kind(wanted, &api_version, &kind, value)?;
    } else if let Some(why) = wrong_kind(call, wanted, &api_version, &kind) {
        let version = go_quoted(api_version.rsplit('/').next().unwrap_or_default());
        let why = format!("{kind} in version {version} cannot be handled as a {}: {why}", wanted.kind);
        return Err(ApiError::bad_request(why));
    }
    let map = object::map_mut(value);
    map.insert("apiVersion".into(), api_version.into());
    map.insert("kind".into(), kind.into());
    Ok(())
}

/// Why an object that says it is of this kind is none of the wanted kind, if it says another.
pub fn wrong_kind(call: &Call<'_>, wanted: &Wanted<'_>, api_version: &str, kind: &str) -> Option<String> {
    if api_version == wanted.api_version && kind == wanted.kind {
        return None;
    }
    if call.cluster.catalog().kind(api_version, kind).is_none() {
        return Some(format!(
            "no kind {} is registered for version {} in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
            go_quoted(kind),
            go_quoted(api_version)
        ));
    }
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let group = wanted.api_version.split_once('/').map_or("core", |(group, _)| group);
    let package = group.split('.').next().unwrap_or_default();
    Some(format!("converting ({version}.{kind}) to ({package}.{}): unknown conversion", wanted.kind))
}

/// Refuses an object that says it is none of the custom resource's kind: any object can be read as one, so that this
/// is a matter of validation.
pub fn check_custom_kind(wanted: &Wanted<'_>, api_version: &str, kind: &str, value: &Value) -> ApiResult<()> {
    let mut errors = FieldErrors::new();
    for (field, own, must) in [("kind", kind, wanted.kind), ("apiVersion", api_version, wanted.api_version)] {
        if own != must {
            errors.invalid(&Path::new(field), own, &format!("must be {must}"));
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let group = wanted.api_version.split_once('/').map_or("", |(group, _)| group);
    Err(ApiError::invalid(Qualified { group, name: wanted.kind }, object::name(value), &errors))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::{BodyExt, Full};
    use serde_json::Value;

    use crate::{access::User, cluster::Cluster, http::Peer};

    /// The code, the message and the warnings that a config map is answered with.
    async fn post(validation: &str, media_type: &str, body: &str) -> (u16, String, Vec<String>) {
        let user = User { groups: vec!["system:masters".into()], ..User::default() };
        let request = Request::post(format!(
            "/api/v1/namespaces/default/configmaps?dryRun=All&fieldValidation={validation}"
        ))
        .header("content-type", media_type)
        .body(Full::<bytes::Bytes>::from(body.to_owned()))
        .unwrap();
        let answer = Cluster::new().handle(request, Peer::User(user.into())).await;
        let (parts, body) = answer.into_parts();
        let warnings = parts.headers.get_all("warning").iter();
        let warnings = warnings.map(|warning| warning.to_str().unwrap().to_owned()).collect();
        let body: Value = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        (parts.status.as_u16(), body["message"].as_str().unwrap_or_default().to_owned(), warnings)
    }

    const JSON: &str = r#"{"zzz": 1, "metadata": {"name": "a"}, "data": {"b": "1", "b": "2"}, "aaa": 1}"#;
    const YAML: &str = "zzz: 1\nmetadata: {name: a}\ndata:\n  b: '1'\n  b: '2'\nzzz: 2\naaa: 1\n";

    #[tokio::test]
    async fn strict_errors_are_told_in_one_sentence() {
        let of = "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: ";
        let (code, message, _) = post("Strict", "application/json", JSON).await;
        let told = r#"unknown field "zzz", duplicate field "data.b", unknown field "aaa""#;
        assert_eq!((code, message), (400, format!("{of}{told}")));
        let (code, message, _) = post("Strict", "application/yaml", YAML).await;
        let told = "yaml: unmarshal errors:\n  line 5: key \"b\" already set in map\n  \
                    line 6: key \"zzz\" already set in map, unknown field \"aaa\", unknown field \"zzz\"";
        assert_eq!((code, message), (400, format!("{of}{told}")));
    }

    #[tokio::test]
    async fn strict_errors_are_warnings_one_by_one() {
        let (code, _, warnings) = post("Warn", "application/json", JSON).await;
        assert_eq!(code, 201);
        let told = [
            r#"299 - "unknown field \"zzz\"""#,
            r#"299 - "duplicate field \"data.b\"""#,
            r#"299 - "unknown field \"aaa\"""#,
        ];
        assert_eq!(warnings, told);
        let (code, _, warnings) = post("Warn", "application/yaml", YAML).await;
        assert_eq!(code, 201);
        let told = [
            r#"299 - "line 5: key \"b\" already set in map""#,
            r#"299 - "line 6: key \"zzz\" already set in map""#,
            r#"299 - "unknown field \"aaa\"""#,
            r#"299 - "unknown field \"zzz\"""#,
        ];
        assert_eq!(warnings, told);
        assert_eq!(post("Ignore", "application/json", JSON).await.2, [""; 0]);
    }
}
