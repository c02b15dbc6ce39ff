//! What has a say in requests: webhooks and policies.

pub mod conditions;
pub mod matching;
pub mod mutating_policy;
pub mod target;
pub mod url;
pub mod validating_policy;
pub mod webhooks;

use super::strategies::Row;

const GROUP: &str = "admissionregistration.k8s.io";

/// The kinds of this subject.
pub static ROWS: &[Row] = &[
    Row::new(GROUP, "v1", "MutatingAdmissionPolicy", &mutating_policy::POLICY),
    Row::new(GROUP, "v1", "MutatingAdmissionPolicyBinding", &mutating_policy::BINDING),
    Row::new(GROUP, "v1", "MutatingWebhookConfiguration", &webhooks::MUTATING),
    Row::new(GROUP, "v1", "ValidatingAdmissionPolicy", &validating_policy::POLICY),
    Row::new(GROUP, "v1", "ValidatingAdmissionPolicyBinding", &validating_policy::BINDING),
    Row::new(GROUP, "v1", "ValidatingWebhookConfiguration", &webhooks::VALIDATING),
];
