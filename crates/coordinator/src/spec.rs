//! What an observer is, as data: from it come its watches, RBAC rules, options and reference page.

use std::borrow::Cow;

use kube::Resource;

use crate::{Backoff, Detail, Index, Kind};

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
    /// What it watches. The kind of the first is its primary kind: the default `wake` yields keys of that kind.
    pub watches: Vec<Watch>,
    /// Indexes over the kinds it watches.
    pub indexes: Vec<Index>,
    /// The RBAC rights its writes need; those of its watches follow from [`watches`](Self::watches).
    pub rights: Vec<Right>,
    /// The options a user may set.
    pub options: Vec<OptionSpec>,
    /// How many keys it serves at once, at least 1.
    pub concurrency: usize,
    /// Whether it wants the latest state of objects or every change.
    pub delivery: Delivery,
    /// How far its own writes must be visible before it plans again.
    pub freshness: Freshness,
    /// How failed keys are retried.
    pub backoff: Backoff,
    /// The name under which it reports Kubernetes events and owns fields, where that is not its name.
    pub reports_as: Option<Cow<'static, str>>,
}

impl ObserverSpec {
    /// An observer that watches nothing yet, serves one key at a time, and wants levels.
    pub fn new(name: impl Into<Cow<'static, str>>, description: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            description: description.into(),
            watches: Vec::new(),
            indexes: Vec::new(),
            rights: Vec::new(),
            options: Vec::new(),
            concurrency: 1,
            delivery: Delivery::Levels,
            freshness: Freshness::Key,
            backoff: Backoff::default(),
            reports_as: None,
        }
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

    /// Has an option.
    #[must_use]
    pub fn option(mut self, option: OptionSpec) -> Self {
        self.options.push(option);
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

    /// Sets the name under which it reports Kubernetes events and owns fields.
    #[must_use]
    pub fn reports_as(mut self, component: impl Into<Cow<'static, str>>) -> Self {
        self.reports_as = Some(component.into());
        self
    }

    /// The kind of the first watch.
    pub fn primary(&self) -> Option<&Kind> {
        self.watches.first().map(|watch| &watch.kind)
    }

    /// The name under which it reports Kubernetes events and owns fields.
    pub fn component(&self) -> &str {
        self.reports_as.as_deref().unwrap_or(&self.name)
    }

    /// All RBAC rights it needs: those of its watches, then those it states.
    pub fn rights(&self) -> Vec<Right> {
        let watches = self.watches.iter().map(|watch| Right {
            group: watch.kind.group().to_owned().into(),
            resource: watch.kind.plural().to_owned().into(),
            verbs: ["get", "list", "watch"].map(Cow::Borrowed).to_vec(),
        });
        watches.chain(self.rights.iter().cloned()).collect()
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

/// An option of an observer that a user may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its name, as in `--name` and in a configuration file.
    pub name: Cow<'static, str>,
    /// What it does, in a sentence.
    pub description: Cow<'static, str>,
    /// Its value where the user sets none.
    pub default: Option<Cow<'static, str>>,
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
