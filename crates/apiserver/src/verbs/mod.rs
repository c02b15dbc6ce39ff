//! What a request does to objects, verb by verb.
//!
//! A [`Call`] is one request on one resource, past authentication and authorization. Each verb is a file; what
//! writes share is in `pipeline`. Answers are values or stored objects; how they are written out is the matter of
//! [`crate::http`].

pub mod allocation;
mod body;
mod create;
mod definitions;
mod delete;
mod deletion;
mod dispatch;
mod options;
mod patch;
mod pipeline;
mod read;
mod scale;
mod streams;
mod subresources;
mod update;
mod versions;
mod watch;

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde_json::Value;

pub use self::{
    dispatch::call,
    versions::{decode, draft},
};
use crate::{
    access::User,
    cluster::Shared,
    http::{query::Query, target::Target},
    kinds::Resource,
    machinery::conform,
    storage::{EventType, Object},
};

/// One request on one resource.
#[derive(Debug)]
pub struct Call<'a> {
    /// The cluster.
    pub cluster: &'a Arc<Shared>,
    /// Who asks.
    pub user: &'a User,
    /// The resource that the path names.
    pub resource: Arc<Resource>,
    /// What the path says.
    pub target: &'a Target,
    /// The query.
    pub query: &'a Query,
    /// The media type of the body, without parameters.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
    /// The `User-Agent`, up to the first slash: who owns fields when nothing else says.
    pub agent: String,
    /// Whether the answer's reader wants a Table (whole objects need not be kept).
    pub now: Timestamp,
    /// Sentences for `Warning` headers.
    pub warnings: Vec<String>,
}

/// What a verb answers.
pub enum Answer {
    /// An object of the resource, as it is stored.
    Stored {
        /// The HTTP status.
        code: u16,
        /// The object.
        object: Arc<Object>,
    },
    /// An object of the resource, in the version that was asked for.
    Object {
        /// The HTTP status.
        code: u16,
        /// The object.
        object: Value,
    },
    /// Something that is no object of the resource: a Status, a Scale, a review.
    Other {
        /// The HTTP status.
        code: u16,
        /// The body.
        body: Value,
    },
    /// A list.
    List(List),
    /// A watch, item by item; it ends when the stream does.
    Watch(BoxStream<'static, WatchItem>),
    /// A text.
    Text(u16, String),
}

/// A list of stored objects at a revision.
#[derive(Debug)]
pub struct List {
    /// The revision.
    pub revision: u64,
    /// The objects, in order.
    pub objects: Vec<Arc<Object>>,
    /// Where the next page begins, if there is one.
    pub continue_token: Option<String>,
    /// How many objects follow this page, where that is known.
    pub remaining: Option<usize>,
}

/// An item of a watch.
#[derive(Debug, Clone)]
pub enum WatchItem {
    /// An object, with the line that all watches share where it came from the log.
    Object(EventType, Arc<Object>, Option<Bytes>),
    /// Everything up to this revision was sent; `true` ends the initial events.
    Bookmark(u64, bool),
    /// The watch cannot go on.
    Error(Value),
}

impl Call<'_> {
    /// The key of the object that the path names.
    pub fn key(&self) -> Arc<str> {
        self.key_of(&self.target.name)
    }

    /// The key of an object of that name, in the namespace of the path.
    pub fn key_of(&self, name: &str) -> Arc<str> {
        if self.resource.namespaced {
            [&self.target.namespace, "/", name].concat().into()
        } else {
            name.into()
        }
    }

    /// The time as objects carry it.
    pub fn timestamp(&self) -> String {
        conform::seconds(self.now)
    }

    /// Adds a sentence for a `Warning` header, once.
    pub fn warn(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.warnings.contains(&sentence) {
            self.warnings.push(sentence);
        }
    }

    /// A stored object as a value of the version that was asked for.
    pub fn decode(&self, object: &Object) -> Value {
        decode(&self.resource, object)
    }
}
