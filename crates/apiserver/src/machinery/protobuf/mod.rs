//! Objects in Kubernetes' protobuf: what Go clients send of built-in kinds, and take where they may choose.
//!
//! There is no code per type. A [`Message`] is the layout of a type, made from its [`Schema`](super::Schema) when it
//! is first asked for; it reads a value from protobuf and writes one. What is written is what Go's generated code
//! writes, byte for byte: fields in the order of their numbers, scalars that are no pointers even when they are zero,
//! lists not packed, maps by key.
//!
//! An object travels in an envelope that says its kind ([`envelope`]), since its message does not.

pub mod envelope;
mod message;
mod read;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
mod time;
mod wire;
mod write;

pub use self::{message::Message, wire::Malformed};

/// The media type of an object in an envelope.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The media type of a watch: events one after the other, each after its length.
pub const WATCH_MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf;stream=watch";
