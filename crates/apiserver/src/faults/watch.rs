//! Where the events of watches meet faults.

use std::{sync::Arc, time::Duration};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{
    Fault,
    injector::{Injector, Point},
};
use crate::{cluster::Shared, status::ApiError, verbs::WatchItem};

struct Watch {
    items: BoxStream<'static, WatchItem>,
    injector: Arc<Injector>,
    point: Point,
    cluster: Arc<Shared>,
    ended: bool,
}

/// The same watch, with what goes wrong on purpose while these faults are in force. Whatever is late holds up all that
/// follows: a watch is in order.
pub(super) fn with_faults(
    items: BoxStream<'static, WatchItem>,
    injector: Arc<Injector>,
    point: Point,
    cluster: Arc<Shared>,
) -> BoxStream<'static, WatchItem> {
    stream::unfold(Watch { items, injector, point, cluster, ended: false }, Watch::next).boxed()
}

impl Watch {
    async fn next(mut self) -> Option<(WatchItem, Self)> {
        if self.ended {
            return None;
        }
        let item = self.items.next().await?;
        let in_force =
            self.cluster.faults().injector().is_some_and(|injector| Arc::ptr_eq(&injector, &self.injector));
        if !in_force {
            return Some((item, self));
        }
        match self.injector.decide(&self.point).1 {
            Some(Fault::Cut) => None,
            Some(Fault::Expire) => {
                self.ended = true;
                let status = ApiError::expired("too old resource version: a fault on purpose").to_status();
                Some((WatchItem::Error(status), self))
            }
            Some(Fault::Lag { milliseconds }) => {
                self.cluster.clock().sleep(Duration::from_millis(milliseconds)).await;
                Some((item, self))
            }
            _ => Some((item, self)),
        }
    }
}
