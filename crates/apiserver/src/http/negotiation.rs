//! In which form an answer goes out: JSON or YAML, whole objects, metadata alone or a table, by the Accept header.

use http::HeaderMap;

use crate::status::{ApiError, ApiResult};

/// How an answer is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Representation {
    /// The encoding.
    pub format: Format,
    /// The shape.
    pub shape: Shape,
}

/// An encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `application/json`.
    #[default]
    Json,
    /// `application/yaml`.
    Yaml,
}

/// What is shown of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// All of them.
    #[default]
    Whole,
    /// Rows of a `Table` of this version of meta.k8s.io.
    Table(&'static str),
    /// `PartialObjectMetadata` of this version of meta.k8s.io.
    Metadata(&'static str),
}

impl Format {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

const ACCEPTED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// A media range of an Accept header.
#[derive(Debug, Clone)]
pub struct Range<'a> {
    /// `type/subtype`.
    pub media_type: &'a str,
    /// Its parameters, `q` aside.
    pub parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl Range<'_> {
    /// A parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| *own == name).map(|(_, value)| *value)
    }
}

/// The ranges of an Accept header, best first.
pub fn ranges(accept: &str) -> Vec<Range<'_>> {
    let mut ranges: Vec<Range<'_>> = accept
        .split(',')
        .take(RANGES_MAX)
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().filter(|media_type| !media_type.is_empty())?;
            let mut quality = 1.0;
            let mut parameters = Vec::new();
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                if name == "q" {
                    quality = value.parse().unwrap_or(1.0);
                } else {
                    parameters.push((name.trim(), value.trim().trim_matches('"')));
                }
            }
            Some(Range { media_type, parameters, quality })
        })
        .collect();
    ranges.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    ranges
}

const RANGES_MAX: usize = 64;

/// The `Accept` header; empty where there is none.
pub fn accept(headers: &HeaderMap) -> &str {
    headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Chooses a representation of objects.
///
/// # Errors
/// 406, where nothing that is accepted can be had.
pub fn negotiate(headers: &HeaderMap) -> ApiResult<Representation> {
    let accept = accept(headers);
    if accept.is_empty() {
        return Ok(Representation::default());
    }
    let mut asked_for_shape = false;
    for range in ranges(accept) {
        let format = match range.media_type {
            "application/json" | "*/*" => Format::Json,
            "application/yaml" => Format::Yaml,
            _ => continue,
        };
        let version = match range.parameter("v") {
            Some("v1") => Some("v1"),
            Some("v1beta1") => Some("v1beta1"),
            _ => None,
        };
        let shape = match (range.parameter("as"), range.parameter("g"), version) {
            (None, _, _) => Some(Shape::Whole),
            (Some("Table"), Some("meta.k8s.io"), Some(version)) => Some(Shape::Table(version)),
            (
                Some("PartialObjectMetadata" | "PartialObjectMetadataList"),
                Some("meta.k8s.io"),
                Some(version),
            ) => Some(Shape::Metadata(version)),
            _ => None,
        };
        match shape {
            Some(shape) => return Ok(Representation { format, shape }),
            None => asked_for_shape = true,
        }
    }
    let message = if asked_for_shape {
        format!("only the following media types are accepted: {ACCEPTED}")
    } else {
        format!("406: Not Acceptable\n\nAvailable representations: {ACCEPTED}")
    };
    let error = ApiError::new(406, "NotAcceptable", message);
    Err(if asked_for_shape { error } else { error.with_details(serde_json::json!({})) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Option<(Format, Shape)> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ACCEPT, accept.parse().unwrap());
        negotiate(&headers).ok().map(|chosen| (chosen.format, chosen.shape))
    }

    #[test]
    fn the_best_that_can_be_had_is_chosen() {
        for (accept, want) in [
            ("application/json", Some((Format::Json, Shape::Whole))),
            ("*/*", Some((Format::Json, Shape::Whole))),
            ("application/*", None),
            ("text/html", None),
            ("text/html, application/json;q=0.5", Some((Format::Json, Shape::Whole))),
            ("application/json;q=0.1, application/yaml", Some((Format::Yaml, Shape::Whole))),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                Some((Format::Json, Shape::Table("v1"))),
            ),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                Some((Format::Json, Shape::Metadata("v1"))),
            ),
            ("application/json;as=Nonsense;g=meta.k8s.io;v=v1", None),
            ("application/vnd.kubernetes.protobuf, application/json", Some((Format::Json, Shape::Whole))),
        ] {
            assert_eq!(chosen(accept), want, "{accept}");
        }
    }
}
