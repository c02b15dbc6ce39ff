//! How lists and watches are written: requests for them, and their answers as objects that keep their bytes.

use std::fmt;

use http::Request;
use kube::api::{ListParams, WatchParams};
use kube::core::Status;
use kube::core::request::{Error as RequestError, Request as RequestBuilder};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::object::DecodeError;
use crate::{Detail, Kind, Object, Watch, selector};

/// What one watch of the server is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Option<String>,
    pub(crate) fields: Option<String>,
    pub(crate) detail: Detail,
}

/// How many objects a page of a list has at most.
const PAGE_LIMIT: u32 = 500;

impl Source {
    /// What an observer's watch is about, one source for each namespace.
    pub(crate) fn of(watch: &Watch) -> Vec<Self> {
        let source = |namespace: Option<&String>| Self {
            kind: watch.kind.clone(),
            namespace: namespace.cloned(),
            labels: watch.scope.labels.clone(),
            fields: watch.scope.fields.clone(),
            detail: watch.detail,
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
    pub(crate) fn list(&self, continue_token: Option<&str>) -> Result<Request<Vec<u8>>, RequestError> {
        let params = ListParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            limit: Some(PAGE_LIMIT),
            continue_token: continue_token.map(str::to_owned),
            ..ListParams::default()
        };
        let request = self.request();
        match self.detail {
            Detail::Whole => request.list(&params),
            Detail::Metadata => request.list_metadata(&params),
        }
    }

    /// The request for one page of the list's metadata, however much the watch itself asks for.
    pub(crate) fn list_metadata(
        &self,
        continue_token: Option<&str>,
    ) -> Result<Request<Vec<u8>>, RequestError> {
        Self { detail: Detail::Metadata, ..self.clone() }.list(continue_token)
    }

    /// The request for the changes after a resource version.
    pub(crate) fn watch(&self, after: &str, timeout_seconds: u32) -> Result<Request<Vec<u8>>, RequestError> {
        let params = WatchParams {
            label_selector: self.labels.clone(),
            field_selector: self.fields.clone(),
            timeout: Some(timeout_seconds),
            bookmarks: true,
            send_initial_events: false,
        };
        let request = self.request();
        match self.detail {
            Detail::Whole => request.watch(&params, after),
            Detail::Metadata => request.watch_metadata(&params, after),
        }
    }

    fn request(&self) -> RequestBuilder {
        RequestBuilder::new(self.kind.url(self.namespace.as_deref()))
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
        match self.detail {
            Detail::Whole => Ok(()),
            Detail::Metadata => f.write_str(" (metadata)"),
        }
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
    pub(crate) fn parse(kind: &Kind, body: &[u8]) -> Result<Self, DecodeError> {
        let list: RawList = serde_json::from_slice(body)
            .map_err(|source| DecodeError { what: format!("list of {kind}"), source })?;
        let items = list.items.unwrap_or_default();
        Ok(Self {
            objects: items.into_iter().map(|item| parse(kind, item)).collect::<Result<_, _>>()?,
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
    Bookmark(String),
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
    metadata: RawListMeta,
}

impl Line {
    pub(crate) fn parse(kind: &Kind, line: &[u8]) -> Result<Self, DecodeError> {
        let wrong = |source| DecodeError { what: format!("watch event of {kind}"), source };
        let RawLine { r#type, object } = serde_json::from_slice(line).map_err(wrong)?;
        Ok(match r#type {
            "ADDED" | "MODIFIED" => Self::Applied(parse(kind, object)?),
            "DELETED" => Self::Deleted(parse(kind, object)?),
            "BOOKMARK" => {
                let bookmark: RawBookmark = serde_json::from_str(object.get()).map_err(wrong)?;
                Self::Bookmark(bookmark.metadata.resource_version)
            }
            "ERROR" => Self::Error(serde_json::from_str(object.get()).map_err(wrong)?),
            _ => Self::Unknown,
        })
    }
}

/// An object with bytes of its own, so that it does not keep the page alive that it came in.
fn parse(kind: &Kind, raw: &RawValue) -> Result<Object, DecodeError> {
    Object::parse(kind, bytes::Bytes::copy_from_slice(raw.get().as_bytes()))
}
