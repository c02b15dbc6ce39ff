//! A cluster: its objects, its clock, who may do what, and the way in for clients in the same process.

mod fresh;

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use arc_swap::ArcSwapOption;
use http::{HeaderMap, Request, Response};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    access::{User, authentication::Authentication, impersonation::Impersonation, rbac, reviews::Reviewer},
    clock::Clock,
    http::{Body, Peer, handle},
    kinds::{self, catalog::Catalog},
    status::ApiResult,
    storage::{Snapshot, Storage, memory::Memory},
    verbs::allocation::Allocations,
};

/// A Kubernetes cluster's API, in this process. Clones are the same cluster; [`Cluster::fork`] makes another.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kube::api::{Api, ListParams, PostParams};
/// use xebec_apiserver::Cluster;
///
/// let cluster = Cluster::new();
/// let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
/// let map = serde_json::from_value(serde_json::json!({"metadata": {"name": "settings"}, "data": {"colour": "blue"}}))?;
/// maps.create(&PostParams::default(), &map).await?;
///
/// let fork = cluster.fork();
/// maps.delete("settings", &Default::default()).await?;
/// let others: Api<ConfigMap> = Api::namespaced(fork.client(), "default");
/// assert_eq!(others.list(&ListParams::default()).await?.items.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Cluster(Arc<Shared>);

/// What all requests on a cluster share.
pub struct Shared {
    storage: Arc<dyn Storage>,
    clock: Clock,
    closed: CancellationToken,
    authentication: Arc<Authentication>,
    impersonation: Impersonation,
    allocations: Allocations,
    rbac: ArcSwapOption<Cached<rbac::Index>>,
    catalog: ArcSwapOption<Cached<Catalog>>,
}

/// Something worked out from objects, true while they stay as they are.
struct Cached<T> {
    /// The newest changes of the resources it was worked out from.
    changed: Vec<u64>,
    value: Arc<T>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}

impl Cluster {
    /// A new cluster in memory, with the objects that a new Kubernetes cluster has, on the system's clock. The first of
    /// a process is made in a fraction of a millisecond, others in microseconds; what a kind's fields are is read when
    /// one of its objects is first written.
    pub fn new() -> Self {
        // The objects of a new cluster are made once a process; every cluster starts from a fork of them.
        static FRESH: LazyLock<Arc<Snapshot>> =
            LazyLock::new(|| Arc::new(fresh::snapshot(Clock::system().now())));
        Self::of(Arc::new(Memory::of(FRESH.clone())), Clock::system(), anonymous_only())
    }

    /// A new cluster in memory whose time is told by `clock`.
    pub fn with_clock(clock: Clock) -> Self {
        let fresh = fresh::snapshot(clock.now());
        Self::of(Arc::new(Memory::of(Arc::new(fresh))), clock, anonymous_only())
    }

    /// The same objects and clock, with other ways to tell users by their credentials.
    #[must_use]
    pub fn with_authentication(self, authentication: Authentication) -> Self {
        Self::of(self.0.storage.clone(), self.0.clock.clone(), Arc::new(authentication))
    }

    fn of(storage: Arc<dyn Storage>, clock: Clock, authentication: Arc<Authentication>) -> Self {
        Self(Arc::new(Shared {
            storage,
            clock,
            closed: CancellationToken::new(),
            authentication,
            impersonation: Impersonation::default(),
            allocations: Allocations::default(),
            rbac: ArcSwapOption::empty(),
            catalog: ArcSwapOption::empty(),
        }))
    }

    /// An independent copy, in constant time: it begins with what is here now, and from then on neither sees what
    /// happens in the other. Both have the same clock.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::of(self.0.storage.fork(), self.0.clock.clone(), self.0.authentication.clone())
    }

    /// The cluster's time.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// A client that may do everything, without a socket between.
    pub fn client(&self) -> kube::Client {
        self.client_of(User::admin())
    }

    /// A client of `user`, whose rights are checked.
    pub fn client_of(&self, user: User) -> kube::Client {
        let (cluster, user) = (self.clone(), Arc::new(user));
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let (cluster, user) = (cluster.clone(), user.clone());
            async move { Ok::<_, std::convert::Infallible>(cluster.handle(request, Peer::User(user)).await) }
        });
        kube::Client::new(service, "default")
    }

    /// Answers one request.
    pub async fn handle<B>(&self, request: Request<B>, peer: Peer) -> Response<Body>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: fmt::Display,
    {
        handle(&self.0, request, peer).await
    }

    /// Ends all watches, and refuses new ones.
    pub fn close(&self) {
        self.0.closed.cancel();
    }
}

/// Every caller is anonymous, but those in this process.
fn anonymous_only() -> Arc<Authentication> {
    Arc::new(Authentication {
        tokens: Vec::new(),
        allows_anonymous: true,
        audiences: vec![ISSUER.to_owned()],
    })
}

/// Who issues the tokens of service accounts: the audience of this API server.
pub const ISSUER: &str = "https://kubernetes.default.svc";

const RBAC: [&str; 4] = ["roles", "clusterroles", "rolebindings", "clusterrolebindings"];

impl Shared {
    /// Where objects are kept.
    pub fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whom a request comes from.
    ///
    /// # Errors
    /// 401 for credentials that are wrong.
    pub fn authenticate(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        warnings: &mut Vec<String>,
    ) -> ApiResult<Arc<User>> {
        let certificate = match peer {
            Peer::User(user) => return Ok(user.clone()),
            Peer::Connection(certificate) => certificate,
        };
        let authenticated = self.authentication.authenticate(headers, certificate)?;
        warnings.extend(authenticated.warning.map(str::to_owned));
        Ok(authenticated.user)
    }

    /// Answers a review of `kind`, that `user` asks in `namespace` (empty where there is none).
    ///
    /// # Errors
    /// A question that makes no sense.
    pub fn review(&self, kind: &str, asked: Value, user: &User, namespace: &str) -> ApiResult<Value> {
        let index = self.rbac();
        let now = self.clock.now();
        let reviewer = Reviewer { user, namespace, index: &index, authentication: &self.authentication, now };
        reviewer.answer(kind, asked)
    }

    /// The addresses and ports that Services have.
    pub fn allocations(&self) -> &Allocations {
        &self.allocations
    }

    /// Who decides whether users may act as others.
    pub fn impersonation(&self) -> &Impersonation {
        &self.impersonation
    }

    /// Returns when the cluster is closed.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// The resources that are served.
    pub fn catalog(&self) -> Arc<Catalog> {
        // What there is without any definition is the same for all clusters.
        static BUILTIN: LazyLock<Arc<Catalog>> = LazyLock::new(|| Arc::new(Catalog::new([])));
        let snapshot = self.storage.snapshot();
        let definitions = crate::kinds::definitions::STORAGE;
        if snapshot.changed_at(definitions) == 0 {
            return BUILTIN.clone();
        }
        cached(&self.catalog, vec![snapshot.changed_at(definitions)], || {
            let objects: Vec<Value> =
                snapshot.range(definitions, "", None).map(|object| object.decode()).collect();
            Catalog::new(objects.iter().flat_map(kinds::definitions::resources))
        })
    }

    /// The rules of roles and bindings.
    pub fn rbac(&self) -> Arc<rbac::Index> {
        let snapshot = self.storage.snapshot();
        let storages = RBAC.map(|plural| format!("{}/{plural}", rbac::GROUP));
        let changed = storages.iter().map(|storage| snapshot.changed_at(storage)).collect();
        cached(&self.rbac, changed, || {
            let objects: Vec<Value> = storages
                .iter()
                .flat_map(|storage| snapshot.range(storage, "", None))
                .map(|object| object.decode())
                .collect();
            rbac::Index::build(&objects)
        })
    }
}

fn cached<T>(slot: &ArcSwapOption<Cached<T>>, changed: Vec<u64>, make: impl FnOnce() -> T) -> Arc<T> {
    if let Some(cached) = &*slot.load()
        && cached.changed == changed
    {
        return cached.value.clone();
    }
    let value = Arc::new(make());
    slot.store(Some(Arc::new(Cached { changed, value: value.clone() })));
    value
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("storage", &self.storage).finish_non_exhaustive()
    }
}
