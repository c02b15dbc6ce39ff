//! In which form an answer goes out: JSON, YAML or protobuf, whole objects, metadata alone or a table, by the Accept
//! header.

use http::HeaderMap;

use crate::{
    machinery::protobuf,
    status::{ApiError, ApiResult},
};

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
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

/// What can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// A built-in kind: everything, tables in JSON and YAML only.
    BuiltIn,
    /// A custom resource: in protobuf its metadata only.
    Custom,
    /// What is about no resource: it has one shape.
    Document,
    /// The groups, which are served by another part of kube-apiserver that refuses in other words.
    Groups,
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
            Self::Protobuf => protobuf::MEDIA_TYPE,
        }
    }

    /// The media type of a watch.
    pub fn watch_media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml;stream=watch",
            Self::Protobuf => protobuf::WATCH_MEDIA_TYPE,
        }
    }

    fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "application/json" | "*/*" => Some(Self::Json),
            "application/yaml" => Some(Self::Yaml),
            protobuf::MEDIA_TYPE => Some(Self::Protobuf),
            _ => None,
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
pub fn negotiate(headers: &HeaderMap, offer: Offer) -> ApiResult<Representation> {
    let accept = accept(headers);
    if accept.is_empty() {
        return Ok(Representation::default());
    }
    let mut known = matches!(offer, Offer::Custom | Offer::Groups);
    for range in ranges(accept) {
        let Some(format) = Format::of(range.media_type) else { continue };
        known = true;
        let Some(shape) = shape(&range) else { continue };
        let to_be_had = match (offer, shape) {
            (Offer::Custom, Shape::Whole) | (_, Shape::Table(_)) if format == Format::Protobuf => false,
            (Offer::Document | Offer::Groups, shape) => shape == Shape::Whole,
            _ => true,
        };
        if to_be_had {
            return Ok(Representation { format, shape });
        }
    }
    Err(if known {
        ApiError::new(
            406,
            "NotAcceptable",
            format!("only the following media types are accepted: {ACCEPTED}"),
        )
    } else {
        // These were refused before anyone asked which resource it is about.
        let message = format!("406: Not Acceptable\n\nAvailable representations: {ACCEPTED}");
        ApiError::new(406, "NotAcceptable", message).with_details(serde_json::json!({}))
    })
}

/// The shape that a range asks for, if there is such a one.
fn shape(range: &Range<'_>) -> Option<Shape> {
    let version = match range.parameter("v") {
        Some("v1") => Some("v1"),
        Some("v1beta1") => Some("v1beta1"),
        _ => None,
    };
    match (range.parameter("as"), range.parameter("g"), version) {
        (None, _, _) => Some(Shape::Whole),
        (Some("Table"), Some("meta.k8s.io"), Some(version)) => Some(Shape::Table(version)),
        (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("meta.k8s.io"), Some(version)) => {
            Some(Shape::Metadata(version))
        }
        _ => None,
    }
}

/// The encoding of a refusal, which has no shape but its own and is never refused itself.
pub fn format_of_refusal(headers: &HeaderMap) -> Format {
    let ranges = ranges(accept(headers));
    let mut plain = ranges.iter().filter(|range| shape(range) == Some(Shape::Whole));
    plain.find_map(|range| Format::of(range.media_type)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

    fn headers(accept: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ACCEPT, accept.parse().unwrap());
        headers
    }

    fn chosen(accept: &str, offer: Offer) -> Option<(Format, Shape)> {
        negotiate(&headers(accept), offer).ok().map(|chosen| (chosen.format, chosen.shape))
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
        ] {
            assert_eq!(chosen(accept, Offer::BuiltIn), want, "{accept}");
            assert_eq!(chosen(accept, Offer::Custom), want, "{accept}");
        }
    }

    #[test]
    fn protobuf_is_had_of_built_in_kinds_and_of_metadata() {
        let as_kind = |kind: &str| format!("{PROTOBUF};as={kind};g=meta.k8s.io;v=v1,application/json");
        for (accept, built_in, custom) in [
            (
                format!("{PROTOBUF}, application/json"),
                (Format::Protobuf, Shape::Whole),
                (Format::Json, Shape::Whole),
            ),
            (as_kind("Table"), (Format::Json, Shape::Whole), (Format::Json, Shape::Whole)),
            (
                as_kind("PartialObjectMetadata"),
                (Format::Protobuf, Shape::Metadata("v1")),
                (Format::Protobuf, Shape::Metadata("v1")),
            ),
        ] {
            assert_eq!(chosen(&accept, Offer::BuiltIn), Some(built_in), "{accept}");
            assert_eq!(chosen(&accept, Offer::Custom), Some(custom), "{accept}");
        }
        assert_eq!(chosen(PROTOBUF, Offer::Custom), None);
        assert_eq!(chosen("application/json;as=Table;g=meta.k8s.io;v=v1", Offer::Document), None);
        let refused = negotiate(&headers("text/html"), Offer::Custom).unwrap_err();
        assert!(refused.message.starts_with("only the following"), "{}", refused.message);
    }

    #[test]
    fn refusals_are_written_in_what_is_accepted_without_a_shape() {
        for (accept, want) in [
            (PROTOBUF.to_owned(), Format::Protobuf),
            (
                format!("{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/yaml"),
                Format::Yaml,
            ),
            ("text/html".to_owned(), Format::Json),
        ] {
            assert_eq!(format_of_refusal(&headers(&accept)), want, "{accept}");
        }
    }
}
