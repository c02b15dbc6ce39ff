//! YAML as Kubernetes reads and writes it: YAML 1.1 as `go.yaml.in/yaml/v2` has it, by way of JSON
//! (`sigs.k8s.io/yaml`). `on` is `true`, `0777` is 511, and whatever would be read as such is quoted when it is a text.

mod float;
mod merge_sort;
mod reader;
mod scalar;
mod timestamp;
mod tree;
mod writer;

pub use reader::{Document, read};
pub use writer::write;

#[cfg(test)]
mod tests;
