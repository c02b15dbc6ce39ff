//! How lists and watches are written: requests for them, and their answers as objects that keep their bytes.

use std::collections::BTreeMap;
use std::fmt;

use http::Request;
use kube::api::{ListParams, WatchParams};
use kube::core::Status;
use kube::core::request::{Error as RequestError, Request as RequestBuilder};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::object::DecodeError;
use crate::parser::Parser;
use crate::{Detail, Kind, Object, Watch, selector};

/// What one watch of the server is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Option<String>,
    pub(crate) fields: Option<String>,
}

/// What an observer asks of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) source: Source,
    pub(crate) detail: Detail,
    /// It waits until the source is there.
    pub(crate) required: bool,
}

/// How many objects a page of a list has at most.
const PAGE_LIMIT: u32 = 500;

impl Source {
    /// What an observer's watch is about, one source for each namespace.
    fn of(watch: &Watch) -> Vec<Self> {
        let source = |namespace: Option<&String>| Self {
            kind: watch.kind.clone(),
            namespace: namespace.cloned(),
            labels: watch.scope.labels.clone(),
            fields: watch.scope.fields.clone(),
        };
        match watch.scope.namespaces.as_slice() {
            [] => vec![source(None)],
            namespaces => namespaces.iter().map(|namespace| source(Some(namespace))).collect(),
        }
    }

    /// Whether objects of this namespace are watched.
    pub(crate) fn covers(&self, namespace: Option<&str>) -> bool {
        self.namespace.as_deref().is_none_or(|covered| namespace == Some(covered))
    }

    /// Whether the selectors select this object.
    pub(crate) fn selects(&self, object: &Object) -> bool {
        self.covers(object.namespace())
            && self.labels.as_deref().is_none_or(|labels| selector::labels_match(labels, object))
            && self.fields.as_deref().is_none_or(|fields| selector::fields_match(fields, object))
    }

    /// The request for one page of the list: the first, or the one that a token continues.
    pub(crate) fn list(
        &self,
        metadata_only: bool,
        continue_token: Option<&str>,
    ) -> Result<Request<Vec<u8>>, RequestError> {
        let params = ListParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            limit: Some(PAGE_LIMIT),
            continue_token: continue_token.map(str::to_owned),
            ..ListParams::default()
        };
        let request = self.request();
        if metadata_only { request.list_metadata(&params) } else { request.list(&params) }
    }

    /// The request for the changes after a resource version; without one, for all objects as they are now (as a list
    /// has them), a bookmark that says that this is all, and then the changes.
    pub(crate) fn watch(
        &self,
        metadata_only: bool,
        after: Option<&str>,
        timeout_seconds: u32,
    ) -> Result<Request<Vec<u8>>, RequestError> {
        let params = WatchParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            timeout: Some(timeout_seconds),
            bookmarks: true,
            send_initial_events: after.is_none(),
        };
        let (request, after) = (self.request(), after.unwrap_or_default());
        if metadata_only { request.watch_metadata(&params, after) } else { request.watch(&params, after) }
    }

    fn request(&self) -> RequestBuilder {
        RequestBuilder::new(self.kind.url(self.namespace.as_deref()))
    }
}

impl Wanted {
    /// What an observer's watches ask for: each source once, with all that any of them wants of it.
    pub(crate) fn all(watches: &[Watch]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for watch in watches {
            for source in Source::of(watch) {
                match all.iter_mut().find(|wanted| wanted.source == source) {
                    Some(wanted) => {
                        wanted.detail = wanted.detail.union(&watch.detail);
                        wanted.required |= watch.required;
                    }
                    None => all.push(Self { source, detail: watch.detail.clone(), required: watch.required }),
                }
            }
        }
        all
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, " in {namespace}")?;
        }
        for selector in [&self.labels, &self.fields].into_iter().flatten() {
            write!(f, " with {selector}")?;
        }
        Ok(())
    }
}

/// One page of a list.
pub(crate) struct Page {
    pub(crate) objects: Vec<Object>,
    pub(crate) resource_version: String,
    pub(crate) continue_token: Option<String>,
}

#[derive(Deserialize)]
struct RawList<'a> {
    #[serde(default)]
    metadata: RawListMeta,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawListMeta {
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    r#continue: Option<String>,
}

impl Page {
    pub(crate) fn parse(parser: &Parser, body: &[u8]) -> Result<Self, DecodeError> {
        let list: RawList = serde_json::from_slice(body)
            .map_err(|source| DecodeError { what: format!("list of {}", parser.kind()), source })?;
        let items = list.items.unwrap_or_default();
        Ok(Self {
            objects: items
                .into_iter()
                .map(|item| parser.parse(item.get().as_bytes()))
                .collect::<Result<_, _>>()?,
            resource_version: list.metadata.resource_version,
            continue_token: list.metadata.r#continue.filter(|token| !token.is_empty()),
        })
    }
}

/// One line of a watch.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    Applied(Object),
    Deleted(Object),
    Bookmark {
        resource_version: String,
        /// All objects that there were at the beginning have been told.
        ends_list: bool,
    },
    Error(Box<Status>),
    /// A type of event that is not known.
    Unknown,
}

#[derive(Deserialize)]
struct RawLine<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct RawBookmark {
    metadata: RawBookmarkMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBookmarkMeta {
    #[serde(default)]
    resource_version: String,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// What the bookmark has that ends the objects a watch begins with.
const LIST_END: &str = "k8s.io/initial-events-end";

impl Line {
    /// Reads a line of a watch; one that `is_news` is dispatched before it is packed.
    pub(crate) fn parse(parser: &Parser, line: &[u8], is_news: bool) -> Result<Self, DecodeError> {
        if let Some(line) = Self::parse_usual(parser, line, is_news) {
            return Ok(line);
        }
        let wrong = |source| DecodeError { what: format!("watch event of {}", parser.kind()), source };
        let RawLine { r#type, object } = serde_json::from_slice(line).map_err(wrong)?;
        let json = object.get();
        if let Some(line) = Self::of_object(parser, r#type, json.as_bytes(), is_news) {
            return line;
        }
        Ok(match r#type {
            "BOOKMARK" => {
                let RawBookmark { metadata } = serde_json::from_str(json).map_err(wrong)?;
                let annotations = metadata.annotations.unwrap_or_default();
                let ends_list = annotations.get(LIST_END).is_some_and(|value| value == "true");
                Self::Bookmark { resource_version: metadata.resource_version, ends_list }
            }
            "ERROR" => Self::Error(serde_json::from_str(json).map_err(wrong)?),
            _ => Self::Unknown,
        })
    }

    /// Reads a line as servers write it in one go: what is around the object is the same each time. What is none such
    /// is for the other way, which says what is wrong.
    fn parse_usual(parser: &Parser, line: &[u8], is_news: bool) -> Option<Self> {
        let line = line.trim_ascii_end().strip_suffix(b"}")?.strip_prefix(b"{\"type\":\"")?;
        ["MODIFIED", "ADDED", "DELETED"].into_iter().find_map(|event| {
            let json = line.strip_prefix(event.as_bytes())?.strip_prefix(b"\",\"object\":")?;
            Self::of_object(parser, event, json, is_news)?.ok()
        })
    }

    /// A line about an object; none if the event is another.
    fn of_object(
        parser: &Parser,
        event: &str,
        json: &[u8],
        is_news: bool,
    ) -> Option<Result<Self, DecodeError>> {
        match event {
            "ADDED" | "MODIFIED" if is_news => Some(parser.parse_hot(json).map(Self::Applied)),
            "ADDED" | "MODIFIED" => Some(parser.parse(json).map(Self::Applied)),
            "DELETED" => Some(parser.parse_hot(json).map(Self::Deleted)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_however_they_are_written() {
        let parser = Parser::new(Kind::named("", "v1", "Pod", "pods"), Detail::whole());
        let read = |line: &str| match Line::parse(&parser, line.as_bytes(), true) {
            Ok(Line::Applied(object)) => format!("applied {object:?}"),
            Ok(Line::Deleted(object)) => format!("deleted {object:?}"),
            Ok(Line::Bookmark { resource_version, ends_list }) => {
                format!("bookmark {resource_version} {ends_list}")
            }
            Ok(Line::Error(status)) => format!("error {}", status.code),
            Ok(Line::Unknown) => "unknown".to_owned(),
            Err(error) => error.what,
        };
        let object = r#"{"metadata":{"name":"a","resourceVersion":"1"}}"#;
        for (line, what) in [
            (format!("{{\"type\":\"ADDED\",\"object\":{object}}}\n"), "applied Pod a@1"),
            (format!("{{\"type\":\"MODIFIED\",\"object\":{object}}}"), "applied Pod a@1"),
            (format!("{{\"type\":\"DELETED\",\"object\":{object}}}\n"), "deleted Pod a@1"),
            (format!("{{\"object\":{object},\"type\":\"DELETED\"}}\n"), "deleted Pod a@1"),
            (format!("{{ \"type\" : \"ADDED\", \"object\" : {object} }}\n"), "applied Pod a@1"),
            (format!("{{\"type\":\"ADDED\",\"object\":{object},\"more\":1}}\n"), "applied Pod a@1"),
            (format!("{{\"type\":\"NEW\",\"object\":{object}}}\n"), "unknown"),
            (r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}"#.to_owned(), "bookmark 7 false"),
            (
                r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}"#
                    .to_owned(),
                "bookmark 7 true",
            ),
            (r#"{"type":"ERROR","object":{"code":410,"reason":"Expired"}}"#.to_owned(), "error 410"),
            (r#"{"type":"ADDED","object":{"metadata":{}}}"#.to_owned(), "metadata of an object of kind Pod"),
            (r#"{"type":"ADDED","object":{"metadata":{"na"#.to_owned(), "watch event of Pod"),
        ] {
            assert_eq!(read(&line), what, "{line}");
        }
    }
}
