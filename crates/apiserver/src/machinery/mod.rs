//! What every kind shares: schemas, decoding, defaults, patches, apply, selectors, field paths and errors. Nothing
//! here knows a kind by name, a store or a request.

pub mod address;
pub mod apply;
pub mod builtin;
pub mod conform;
pub mod decode;
pub mod defaults;
pub mod encode;
pub mod fields;
pub mod format;
pub mod go_format;
pub mod invalid;
pub mod metadata;
pub mod object;
pub mod patch;
pub mod path;
pub mod protobuf;
pub mod quantity;
pub mod schema;
pub mod selector;
pub mod yaml;

pub use invalid::{FieldErrors, go_quoted};
pub use path::Path;
pub use schema::{Reference, Schema, Shape};
