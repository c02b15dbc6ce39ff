//! Who may do what: roles and bindings, certificates, and the reviews that ask.

pub mod certificate;
pub mod reviews;
pub mod role;
pub mod role_binding;

use super::strategies::Row;

const RBAC: &str = "rbac.authorization.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// The kinds of this subject.
pub static ROWS: &[Row] = &[
    Row::new(RBAC, "v1", "Role", &role::ROLE),
    Row::new(RBAC, "v1", "ClusterRole", &role::CLUSTER_ROLE),
    Row::new(RBAC, "v1", "RoleBinding", &role_binding::ROLE_BINDING),
    Row::new(RBAC, "v1", "ClusterRoleBinding", &role_binding::CLUSTER_ROLE_BINDING),
    Row::new("certificates.k8s.io", "v1", "CertificateSigningRequest", &certificate::STRATEGY),
    Row::new(AUTHORIZATION, "v1", "SubjectAccessReview", &reviews::SUBJECT),
    Row::new(AUTHORIZATION, "v1", "LocalSubjectAccessReview", &reviews::LOCAL_SUBJECT),
    Row::new(AUTHORIZATION, "v1", "SelfSubjectAccessReview", &reviews::SELF_SUBJECT),
];
