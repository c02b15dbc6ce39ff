//! What an observer is, as data: from it come its watches, RBAC rules, options and reference page.

use std::borrow::Cow;
use std::time::Duration;

use k8s_openapi::api::events::v1::Event as KubernetesEvent;
use kube::Resource;

use crate::finalizer::Needs;
use crate::{
    AddError, Backoff, Column, Detail, EmissionSpec, Index, Kind, Metric, Object, OptionSpec, RecordSpec,
    Trigger,
};

/// What an observer is and wants, as data.
///
/// ```
/// use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
/// use xebec_coordinator::{ObserverSpec, Right, Watch};
///
/// let spec = ObserverSpec::new("greeter", "keeps a greeting in every labelled namespace")
///     .watch(Watch::of::<Namespace>().labelled("greeting=yes"))
///     .watch(Watch::of::<ConfigMap>())
///     .right(Right::to::<ConfigMap>(&["create", "patch"]))
///     .concurrency(4);
/// assert_eq!(spec.rights()[0].verbs, ["get", "list", "watch"]);
/// ```
#[derive(Clone, Debug)]
pub struct ObserverSpec {
    /// Its name, unique in a coordinator: lower case, digits and dashes. It is also the default field manager of its
    /// writes and the reporting controller of its Kubernetes events.
    pub name: Cow<'static, str>,
    /// What it does, in a sentence.
    pub description: Cow<'static, str>,
    /// What else its users have to know, in paragraphs of Markdown.
    pub details: Cow<'static, str>,
    /// What it watches. The kind of the first is its primary kind: the default `wake` yields keys of that kind.
    pub watches: Vec<Watch>,
    /// Indexes over the kinds it watches.
    pub indexes: Vec<Index>,
    /// The RBAC rights its writes need; those of its watches follow from [`watches`](Self::watches), and every observer has
    /// that to write Kubernetes Events.
    pub rights: Vec<Right>,
    /// The options a user may set.
    pub options: Vec<OptionSpec>,
    /// What is shown of the objects it serves.
    pub columns: Vec<Column>,
    /// What it counts and measures of its own.
    pub metrics: Vec<Metric>,
    /// The Kubernetes Events it records.
    pub records: Vec<RecordSpec>,
    /// The events it emits for other observers.
    pub emits: Vec<EmissionSpec>,
    /// How many keys it serves at once, at least 1.
    pub concurrency: usize,
    /// Whether it wants the latest state of objects or every change.
    pub delivery: Delivery,
    /// How far its own writes must be visible before it plans again.
    pub freshness: Freshness,
    /// How failed keys are retried.
    pub backoff: Backoff,
    /// How long serving one key may take: what takes longer hangs, and is ended and restarted. 10 minutes by default;
    /// `Duration::MAX` is for ever. It goes by the coordinator's clock: who advances a clock by hand while other threads
    /// are at work makes them hang.
    pub hangs_after: Duration,
    /// Kinds whose objects wake those of the primary kind that use them.
    pub triggers: Vec<Trigger>,
    /// The name under which it reports Kubernetes events and owns fields, where that is not its name.
    pub reports_as: Option<Cow<'static, str>>,
    /// Whether it runs on every replica where there are several, and not on the one that leads, or has the key.
    pub every_replica: bool,
    /// Its plans are complete: what it wrote itself is no reason to plan again.
    pub settles: bool,
    /// The finalizer that keeps objects of the primary kind until it has cleaned up after them.
    pub finalizer: Option<Cow<'static, str>>,
    /// Which objects need the finalizer; all if none.
    pub finalizes: Option<Needs>,
}

impl ObserverSpec {
    /// An observer that watches nothing yet, serves one key at a time, and wants levels.
    pub fn new(name: impl Into<Cow<'static, str>>, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            details: Cow::Borrowed(""),
            watches: Vec::new(),
            indexes: Vec::new(),
            rights: Vec::new(),
            options: Vec::new(),
            columns: Vec::new(),
            metrics: Vec::new(),
            records: Vec::new(),
            emits: Vec::new(),
            concurrency: 1,
            delivery: Delivery::Levels,
            freshness: Freshness::Key,
            backoff: Backoff::default(),
            hangs_after: Duration::from_mins(10),
            triggers: Vec::new(),
            reports_as: None,
            every_replica: false,
            settles: false,
            finalizer: None,
            finalizes: None,
        }
    }

    /// Says what else its users have to know, in paragraphs of Markdown.
    #[must_use]
    pub fn details(mut self, details: impl Into<Cow<'static, str>>) -> Self {
        self.details = details.into();
        self
    }

    /// Watches one kind more. The first is the primary one.
    #[must_use]
    pub fn watch(mut self, watch: Watch) -> Self {
        self.watches.push(watch);
        self
    }

    /// Keeps an index over a kind it watches.
    #[must_use]
    pub fn index(mut self, index: Index) -> Self {
        self.indexes.push(index);
        self
    }

    /// Needs a right beyond those of its watches.
    #[must_use]
    pub fn right(mut self, right: Right) -> Self {
        self.rights.push(right);
        self
    }

    /// Serves up to `limit` keys at once.
    #[must_use]
    pub fn concurrency(mut self, limit: usize) -> Self {
        self.concurrency = limit.max(1);
        self
    }

    /// Wants every change, in order per object, see [`Delivery::Edges`].
    #[must_use]
    pub fn edges(mut self, capacity: usize) -> Self {
        self.delivery = Delivery::Edges { capacity: capacity.max(1) };
        self
    }

    /// Sets how far its own writes must be visible before it plans again.
    #[must_use]
    pub fn freshness(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
    }

    /// Sets how failed keys are retried.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how long serving one key may take, see [`hangs_after`](Self::hangs_after).
    #[must_use]
    pub fn hangs_after(mut self, limit: Duration) -> Self {
        self.hangs_after = limit;
        self
    }

    /// Wakes the primary objects that use an object of kind `K` whenever that changes: "watch Secrets, wake the
    /// Deployments that use them". `index` is one of its indexes over the primary kind, and says what each object uses,
    /// see [`Trigger`]. Watches all of `K` if it does not watch `K` yet.
    ///
    /// ```
    /// use k8s_openapi::api::core::v1::{Pod, Secret};
    /// use xebec_coordinator::{Index, ObserverSpec, Watch};
    ///
    /// let secrets = |pod: &Pod| -> Vec<String> {
    ///     let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    ///     volumes.filter_map(|volume| volume.secret.as_ref()?.secret_name.clone()).collect()
    /// };
    /// let spec = ObserverSpec::new("rotator", "restarts Pods whose Secrets change")
    ///     .watch(Watch::of::<Pod>())
    ///     .index(Index::new("secrets", secrets))
    ///     .wakes_users_of::<Secret>("secrets");
    /// assert_eq!(spec.watches.len(), 2);
    /// ```
    #[must_use]
    pub fn wakes_users_of<K: Resource<DynamicType = ()>>(self, index: &'static str) -> Self {
        self.wakes_users_of_kind(Kind::of::<K>(), index)
    }

    /// The same as [`wakes_users_of`](Self::wakes_users_of) for a kind known at run time.
    #[must_use]
    pub fn wakes_users_of_kind(mut self, kind: Kind, index: &'static str) -> Self {
        if !self.watches.iter().any(|watch| watch.kind == kind) {
            self.watches.push(Watch::kind(kind.clone()));
        }
        self.triggers.push(Trigger { kind, index });
        self
    }

    /// Sets the name under which it reports Kubernetes events and owns fields.
    #[must_use]
    pub fn reports_as(mut self, component: impl Into<Cow<'static, str>>) -> Self {
        self.reports_as = Some(component.into());
        self
    }

    /// Runs on every replica, whether or not it leads: for caches, metrics, and whatever writes nothing that another
    /// replica's would collide with. Its writes are not fenced.
    #[must_use]
    pub fn on_every_replica(mut self) -> Self {
        self.every_replica = true;
        self
    }

    /// Says that its plans are complete: each does all there is to do about a key as the view shows it, so that the plan
    /// made anew on a view that differs by its own writes only is empty. Then these do not wake the key that made them.
    ///
    /// By default they do, as plans may go in steps (a status that counts the Pods which the plan before has created).
    /// A write is recognised where its event can be nothing else: a creation, and an update, patch or apply that names the
    /// `resourceVersion` it is made on ([`Write::if_unchanged`](crate::Write::if_unchanged)). Other events wake as ever, others' changes of the same objects among them. Not for
    /// callbacks, which are told everything.
    #[must_use]
    pub fn settles(mut self) -> Self {
        self.settles = true;
        self
    }

    /// Cleans up when an object of the primary kind is deleted: it is kept by this finalizer (`domain/name`) until
    /// [`Observer::finalize`](crate::Observer::finalize) has nothing left to do.
    ///
    /// The coordinator adds and removes it: the observer cannot forget to. Adding the observer fails where that could
    /// not be kept, see [`AddError::Finalizer`].
    #[must_use]
    pub fn finalizer(mut self, finalizer: impl Into<Cow<'static, str>>) -> Self {
        self.finalizer = Some(finalizer.into());
        self
    }

    /// Names the objects that need the [finalizer](Self::finalizer); the others never get it. One that had it and needs
    /// it no more is [finalized](crate::Observer::finalize), loses the finalizer, and is served on.
    ///
    /// ```
    /// # use k8s_openapi::api::apps::v1::Deployment;
    /// # use xebec_coordinator::{ObserverSpec, Watch};
    /// ObserverSpec::new("exposer", "exposes each Deployment labelled expose")
    ///     .watch(Watch::of::<Deployment>())
    ///     .finalizer("exposer.example.com/entry")
    ///     .finalizes_only(|deployment| deployment.label("expose").is_some());
    /// ```
    #[must_use]
    pub fn finalizes_only(mut self, needs: impl Fn(&Object) -> bool + Send + Sync + 'static) -> Self {
        self.finalizes = Some(Needs::new(needs));
        self
    }

    /// Whether it can be an observer of anything.
    pub(crate) fn check(&self) -> Result<(), AddError> {
        let observer = self.name.clone().into_owned();
        let Some(primary) = self.primary() else { return Err(AddError::WatchesNothing(observer)) };
        let watched = |kind: &Kind| self.watches.iter().any(|watch| watch.kind == *kind);
        if let Some(index) = self.indexes.iter().find(|index| !watched(index.kind())) {
            return Err(AddError::IndexOfUnwatchedKind { observer, index: index.name() });
        }
        self.check_options()?;
        self.check_metrics()?;
        let indexed = |trigger: &Trigger| {
            self.indexes.iter().any(|index| index.name() == trigger.index && index.kind() == primary)
        };
        match self.triggers.iter().find(|trigger| !indexed(trigger)) {
            Some(trigger) => Err(AddError::TriggerWithoutIndex { observer, index: trigger.index }),
            None => Ok(()),
        }
    }

    /// The kind of the first watch.
    pub fn primary(&self) -> Option<&Kind> {
        self.watches.first().map(|watch| &watch.kind)
    }

    /// The name under which it reports Kubernetes events and owns fields.
    pub fn component(&self) -> &str {
        self.reports_as.as_deref().unwrap_or(&self.name)
    }

    /// All RBAC rights it needs: those of its watches, that of its finalizer, those it states, and that to write Kubernetes
    /// Events, in which the coordinator reports any observer's restarts, too.
    pub fn rights(&self) -> Vec<Right> {
        let watches = self.watches.iter().map(|watch| Right {
            group: watch.kind.group().to_owned().into(),
            resource: watch.kind.plural().to_owned().into(),
            verbs: ["get", "list", "watch"].map(Cow::Borrowed).to_vec(),
        });
        let finalized = self.finalizer.as_ref().and_then(|_| self.primary()).map(|primary| Right {
            group: primary.group().to_owned().into(),
            resource: primary.plural().to_owned().into(),
            verbs: vec![Cow::Borrowed("patch")],
        });
        let events = Right::to::<KubernetesEvent>(&["create", "patch"]);
        watches.chain(finalized).chain(self.rights.iter().cloned()).chain([events]).collect()
    }
}

/// One kind an observer watches, and how much of it.
///
/// Observers that want the same kind and scope share one watch of the server, which keeps what they want together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The kind.
    pub kind: Kind,
    /// Where to watch and what to select.
    pub scope: Scope,
    /// How much of each object to keep.
    pub detail: Detail,
    /// Whether the observer waits for it: until all its required watches have synced, nothing of it is served.
    /// One that is not required counts as empty while its kind does not exist or is forbidden.
    pub required: bool,
}

/// Namespaces and selectors of a watch. The default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The namespaces, none for all (and for cluster-scoped kinds).
    pub namespaces: Vec<String>,
    /// A label selector, such as `app=web,tier!=cache`.
    pub labels: Option<String>,
    /// A field selector, such as `spec.nodeName=n1`.
    pub fields: Option<String>,
}

impl Watch {
    /// All objects of a kind known at compile time.
    pub fn of<K: Resource<DynamicType = ()>>() -> Self {
        Self::kind(Kind::of::<K>())
    }

    /// All objects of any kind.
    pub fn kind(kind: Kind) -> Self {
        Self { kind, scope: Scope::default(), detail: Detail::whole(), required: true }
    }

    /// Only objects of this namespace; may be repeated.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.scope.namespaces.push(namespace.into());
        self
    }

    /// Only objects that a label selector selects.
    #[must_use]
    pub fn labelled(mut self, selector: impl Into<String>) -> Self {
        self.scope.labels = Some(selector.into());
        self
    }

    /// Only objects that a field selector selects.
    #[must_use]
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.scope.fields = Some(selector.into());
        self
    }

    /// Only the metadata of objects, see [`Detail`]. What changes elsewhere in an object is not told.
    #[must_use]
    pub fn metadata_only(mut self) -> Self {
        self.detail = Detail::metadata();
        self
    }

    /// Does without it while the kind does not exist or is forbidden.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }
}

/// A right to act on a resource: one RBAC rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// The API group, empty for the core group.
    pub group: Cow<'static, str>,
    /// The resource, or `resource/subresource`.
    pub resource: Cow<'static, str>,
    /// The verbs, such as `create`.
    pub verbs: Vec<Cow<'static, str>>,
}

impl Right {
    /// Verbs on a kind known at compile time.
    pub fn to<K: Resource<DynamicType = ()>>(verbs: &[&'static str]) -> Self {
        Self::of(K::group(&()).into_owned(), K::plural(&()).into_owned(), verbs)
    }

    /// Verbs on a subresource of a kind known at compile time.
    pub fn to_subresource<K: Resource<DynamicType = ()>>(subresource: &str, verbs: &[&'static str]) -> Self {
        Self::of(K::group(&()).into_owned(), format!("{}/{subresource}", K::plural(&())), verbs)
    }

    /// Verbs on any resource.
    pub fn of(
        group: impl Into<Cow<'static, str>>,
        resource: impl Into<Cow<'static, str>>,
        verbs: &[&'static str],
    ) -> Self {
        let verbs = verbs.iter().map(|verb| Cow::Borrowed(*verb)).collect();
        Self { group: group.into(), resource: resource.into(), verbs }
    }
}

/// Whether an observer wants the latest state of objects or every change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// The latest state: while an object waits, newer states of it replace the older. Memory is bounded by the number
    /// of objects.
    #[default]
    Levels,
    /// Every change, nothing coalesced. At most `capacity` events wait in memory; an observer that falls further
    /// behind leaves the shared watch and reads on, at its own pace, over a watch of its own that starts where it
    /// stands, until it has caught up and joins the shared one again. So the back-pressure reaches the server and no
    /// other observer. Where the server has forgotten that far back (410), the difference to the present state is
    /// told instead, and counted as a gap in [`ObserverStatus`](crate::ObserverStatus).
    Edges {
        /// How many events may wait in memory for each watch, and again in the mailbox.
        capacity: usize,
    },
}

/// How far an observer's own writes must be visible in its store before it plans again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// The next plan of the same key sees what the last plan of that key wrote.
    #[default]
    Key,
    /// The next plan of any key sees what all plans before it wrote: for decisions over shared capacity, such as
    /// scheduling. Use with a concurrency of 1.
    Observer,
}
