//! Five small operators, each a module and a program of the same name, whose `main` is
//! [`operator::run`](xebec_coordinator::operator::run).
//!
//! | operator | what it shows |
//! |---|---|
//! | [`website`] | a custom resource: dependents, conditions, `observedGeneration`, a finalizer |
//! | [`janitor`] | kinds known at run time, metadata only, time |
//! | [`tls`] | triggers across kinds, by an index |
//! | [`audit`] | every change, in order, with back-pressure |
//! | [`dns`] | a reconciler that speaks with something outside |

pub mod audit;
mod conditions;
pub mod dns;
pub mod janitor;
pub mod tls;
pub mod website;
