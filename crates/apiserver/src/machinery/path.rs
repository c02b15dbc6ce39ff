//! Where in an object a value stands, written as Kubernetes writes it: `spec.containers[0].env[name]`.

use std::fmt::{self, Display};

/// A path from the root of an object, kept on the stack as a chain and written out only when an error needs it.
///
/// ```
/// # use xebec_apiserver::machinery::path::Path;
/// let containers = Path::new("spec").child("containers");
/// # let spec = Path::new("spec"); let containers = spec.child("containers");
/// assert_eq!(containers.index(0).child("name").to_string(), "spec.containers[0].name");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Segment<'a> {
    Root,
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// The object itself; written as `<nil>` by itself, as Kubernetes does.
    pub const ROOT: Path<'static> = Path { parent: None, segment: Segment::Root };

    /// A top-level field.
    pub const fn new(field: &'a str) -> Self {
        Self { parent: None, segment: Segment::Field(field) }
    }

    /// A field of this value.
    #[must_use]
    pub const fn child(&'a self, field: &'a str) -> Path<'a> {
        Path { parent: Some(self), segment: Segment::Field(field) }
    }

    /// An item of this list.
    #[must_use]
    pub const fn index(&'a self, index: usize) -> Path<'a> {
        Path { parent: Some(self), segment: Segment::Index(index) }
    }

    /// A value of this map.
    #[must_use]
    pub const fn key(&'a self, key: &'a str) -> Path<'a> {
        Path { parent: Some(self), segment: Segment::Key(key) }
    }

    fn is_root(&self) -> bool {
        matches!(self.segment, Segment::Root)
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent.filter(|parent| !parent.is_root()) {
            parent.fmt(f)?;
            if let Segment::Field(_) = self.segment {
                f.write_str(".")?;
            }
        }
        match self.segment {
            Segment::Root => f.write_str("<nil>"),
            Segment::Field(field) => f.write_str(field),
            Segment::Index(index) => write!(f, "[{index}]"),
            Segment::Key(key) => write!(f, "[{key}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_kubernetes_writes_it() {
        let spec = Path::new("spec");
        let limits = spec.child("containers");
        let first = limits.index(0);
        let resources = first.child("resources");
        let limits = resources.child("limits");
        assert_eq!(limits.key("cpu").to_string(), "spec.containers[0].resources.limits[cpu]");
        assert_eq!(Path::ROOT.to_string(), "<nil>");
        let root = Path::ROOT;
        assert_eq!(root.child("data").to_string(), "data");
    }
}
