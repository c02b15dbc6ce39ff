//! Who may do what: who a request comes from ([`authentication`]), what it asks ([`attributes`]), whether the rules
//! allow it ([`rbac`]), and the certificates and files by which clients get in.
//!
//! A request passes in this order: [`authentication::Authentication::authenticate`] tells the user,
//! [`impersonation`] may replace it, [`rbac::Index::allows`] decides, [`attributes::Attributes::forbidden`] refuses.

pub mod attributes;
pub mod rbac;
pub mod user;

pub use attributes::Attributes;
pub use user::User;
