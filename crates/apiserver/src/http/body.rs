//! Bodies of answers: whole, written piece by piece from stored objects, or a stream of events. Nothing is written
//! before the connection asks for it, so that a slow reader costs no memory but its own socket's.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use http_body::{Frame, SizeHint};
use tokio_util::sync::DropGuard;

use super::in_flight::{ANSWER_TIME_MAX, Slot};
use crate::storage::Object;

/// How much of a list is written at once.
const PIECE_BYTES: usize = 128 << 10;

/// The body of an answer.
pub struct Body {
    kind: Kind,
    /// Holds the request's slot while there is something to be made.
    slot: Option<DropGuard>,
}

enum Kind {
    Whole(Option<Bytes>),
    List(ListBody),
    Stream(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

/// A list of stored objects, and how its items are written.
pub struct ListBody {
    head: Option<Bytes>,
    objects: std::vec::IntoIter<Arc<Object>>,
    first: bool,
    /// Whether items carry kind and apiVersion (custom resources).
    whole_items: bool,
    ended: bool,
}

impl Body {
    /// A body that is all there.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::of(Kind::Whole(Some(bytes.into())))
    }

    /// A list: `head` up to and with `"items":[`, then the objects.
    pub fn list(head: Vec<u8>, objects: Vec<Arc<Object>>, whole_items: bool) -> Self {
        let objects = objects.into_iter();
        Self::of(Kind::List(ListBody {
            head: Some(head.into()),
            objects,
            first: true,
            whole_items,
            ended: false,
        }))
    }

    /// A stream of pieces.
    pub fn stream(stream: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self::of(Kind::Stream(Box::pin(stream)))
    }

    fn of(kind: Kind) -> Self {
        Self { kind, slot: None }
    }

    /// The same body, which holds `slot` if it is made while it is sent: what is all there costs no more work.
    pub(super) fn holding(mut self, slot: Option<Slot>) -> Self {
        if matches!(self.kind, Kind::List(_)) {
            self.slot = slot.map(|slot| slot.until_answered(ANSWER_TIME_MAX));
        }
        self
    }
}

impl ListBody {
    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut piece = BytesMut::with_capacity(PIECE_BYTES + (8 << 10));
        if let Some(head) = self.head.take() {
            piece.extend_from_slice(&head);
        }
        while piece.len() < PIECE_BYTES {
            let Some(object) = self.objects.next() else {
                piece.extend_from_slice(b"]}\n");
                self.ended = true;
                break;
            };
            if !std::mem::take(&mut self.first) {
                piece.extend_from_slice(b",");
            }
            if self.whole_items {
                piece.extend_from_slice(object.bytes());
            } else {
                piece.extend_from_slice(b"{");
                piece.extend_from_slice(object.body());
            }
        }
        Some(piece.freeze())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.kind {
            Kind::Whole(bytes) => bytes.take().filter(|bytes| !bytes.is_empty()),
            Kind::List(list) => list.next(),
            Kind::Stream(stream) => std::task::ready!(stream.as_mut().poll_next(context)),
        };
        if piece.is_none() {
            self.slot = None;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.kind, Kind::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            _ => SizeHint::default(),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body")
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;
    use crate::storage::{Draft, Terms};

    #[tokio::test]
    async fn a_list_is_written_from_encoded_objects() {
        let object =
            json!({"kind": "T", "apiVersion": "v1", "metadata": {"name": "n"}, "pad": "x".repeat(100_000)});
        let objects: Vec<_> = (0..5)
            .map(|n| Arc::new(Draft::new(&object, Terms::default()).at(format!("{n}").into(), n)))
            .collect();
        for (whole, objects) in [(false, objects.clone()), (true, objects), (false, Vec::new())] {
            let count = objects.len();
            let body = Body::list(b"{\"items\":[".to_vec(), objects, whole);
            let bytes = body.collect().await.unwrap().to_bytes();
            let list: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(list["items"].as_array().unwrap().len(), count);
            assert!(list["items"].as_array().unwrap().iter().all(|item| item["kind"].is_string() == whole));
        }
    }
}
