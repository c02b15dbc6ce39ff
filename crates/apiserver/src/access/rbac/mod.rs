//! The rules that say who may do what: roles, what binds them to users, and whether they cover a request
//! (`plugin/pkg/auth/authorizer/rbac` in Kubernetes).
//!
//! [`Index::build`] reads all Roles, ClusterRoles and bindings once; it is built again when one of them changed. A
//! check looks up the bindings of a user and of its groups, and allocates nothing when it allows.

mod aggregation;
mod escalation;
mod index;
mod rule;
#[cfg(test)]
mod tests;

pub use escalation::{EscalationError, RoleRef, RoleWrite};
pub use index::{Decision, Index};
pub use rule::Rule;

/// The API group of roles and bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";
