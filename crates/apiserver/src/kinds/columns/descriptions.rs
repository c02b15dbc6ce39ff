//! What the columns of built-in kinds mean, by heading: Kubernetes says it in every Table.

use std::{collections::HashMap, sync::LazyLock};

static FACTS: &str = include_str!("../../../data/columns.json");

/// By `GROUP/KIND`, then by heading. The entry of no kind holds what most kinds share.
static DESCRIPTIONS: LazyLock<HashMap<&'static str, HashMap<&'static str, String>>> = LazyLock::new(|| {
    // The table is part of the program: a test says that it parses.
    serde_json::from_str(FACTS).unwrap_or_default()
});

/// What the column of that heading means; empty where Kubernetes says nothing.
pub fn of(group: &str, kind: &str, heading: &str) -> &'static str {
    let of_kind = |key: &str| DESCRIPTIONS.get(key).and_then(|headings| headings.get(heading));
    of_kind(&format!("{group}/{kind}")).or_else(|| of_kind("")).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::table::RESOURCES;

    #[test]
    fn columns_have_a_description() {
        for resource in RESOURCES.iter() {
            for column in &*resource.columns {
                let silent = &*resource.kind == "RuntimeClass" && &*column.name == "Handler";
                let description = of(&resource.group, &resource.kind, &column.name);
                assert_eq!(description.is_empty(), silent, "{} {}", resource.kind, column.name);
            }
        }
    }
}
