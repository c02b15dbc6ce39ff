//! Who may do what: who a request comes from ([`authentication`]), what it asks ([`attributes`]), whether the rules
//! allow it ([`rbac`]), and the certificates and files by which clients get in.
//!
//! A request passes in this order: [`authentication::Authentication::authenticate`] tells the user,
//! [`impersonation`] may replace it, [`rbac::Index::allows`] decides on what it asks ([`Attributes`]), and
//! [`Attributes::forbidden`] refuses.

pub mod attributes;
pub mod authentication;
pub mod certificates;
pub mod client_certificate;
pub mod impersonation;
pub mod kubeconfig;
pub mod rbac;
pub mod reviews;
pub mod token_file;
pub mod user;

pub use attributes::Attributes;
pub use user::User;
