//! `cargo xtask texts FACTS.json`: what Kubernetes says that its types, fields and query parameters mean, from the
//! facts that `xtask/facts` reads off the official client, into `descriptions.json` and `parameters.json` of
//! `crates/apiserver/data`.

mod descriptions;
mod parameters;

use std::path::Path;

use anyhow::Result;

use crate::tables::{lines, read};

/// Writes the texts of all types of `schema.json` in `data`, and of all options.
pub fn generate(facts: &Path, data: &Path) -> Result<()> {
    let facts = read(facts)?;
    let schema = read(&data.join("schema.json"))?;
    lines(&data.join("descriptions.json"), &descriptions::of(&schema, &facts)?)?;
    lines(&data.join("parameters.json"), &parameters::of(&facts)?)
}
