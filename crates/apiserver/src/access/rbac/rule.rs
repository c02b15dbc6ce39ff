//! One rule of a role, and what it allows (`rbacv1.PolicyRule`).

use serde_json::{Map, Value};

use super::super::attributes::Attributes;
use crate::machinery::go_quoted;

/// Everything is meant.
pub(super) const ALL: &str = "*";

/// What may be done to what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Rule {
    /// What may be done; `*` is everything.
    pub verbs: Vec<String>,
    /// The API groups of the resources; `*` is every group.
    pub api_groups: Vec<String>,
    /// `pods`, `pods/log`, `*/scale`, `*`.
    pub resources: Vec<String>,
    /// The only objects that are meant; none is all objects.
    pub resource_names: Vec<String>,
    /// Paths, which may end in `*`.
    pub non_resource_urls: Vec<String>,
}

impl Rule {
    /// The rules that a Role or ClusterRole states.
    pub fn of(role: &Value) -> Vec<Self> {
        let rules = role.get("rules").and_then(Value::as_array);
        rules.into_iter().flatten().map(Self::read).collect()
    }

    fn read(rule: &Value) -> Self {
        let texts = |field: &str| {
            let items = rule.get(field).and_then(Value::as_array);
            items.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            verbs: texts("verbs"),
            api_groups: texts("apiGroups"),
            resources: texts("resources"),
            resource_names: texts("resourceNames"),
            non_resource_urls: texts("nonResourceURLs"),
        }
    }

    /// Whether the rule allows what is asked.
    pub fn allows(&self, asked: &Attributes<'_>) -> bool {
        if !names(&self.verbs, asked.verb) {
            return false;
        }
        if !asked.is_resource {
            return self.non_resource_urls.iter().any(|url| covers_path(url, asked.path));
        }
        names(&self.api_groups, asked.group)
            && self.resources.iter().any(|own| covers_resource(own, asked.resource, asked.subresource))
            && (self.resource_names.is_empty() || has(&self.resource_names, asked.name))
    }

    /// The rule on resources as SelfSubjectRulesReview shows it, if it has one.
    pub fn to_resource_rule(&self) -> Option<Value> {
        if self.resources.is_empty() {
            return None;
        }
        let mut shown = Map::from_iter([("verbs".to_owned(), self.verbs.clone().into())]);
        for (field, texts) in [
            ("apiGroups", &self.api_groups),
            ("resources", &self.resources),
            ("resourceNames", &self.resource_names),
        ] {
            if !texts.is_empty() {
                shown.insert(field.to_owned(), texts.clone().into());
            }
        }
        Some(Value::Object(shown))
    }

    /// The rule on paths as SelfSubjectRulesReview shows it, if it has one.
    pub fn to_non_resource_rule(&self) -> Option<Value> {
        if self.non_resource_urls.is_empty() {
            return None;
        }
        let shown = [("verbs", &self.verbs), ("nonResourceURLs", &self.non_resource_urls)];
        Some(Value::Object(
            shown.map(|(field, texts)| (field.to_owned(), texts.clone().into())).into_iter().collect(),
        ))
    }

    /// The rule as a refusal to grant it shows it: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
    pub fn describe(&self) -> String {
        let parts = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let written: Vec<_> = parts
            .into_iter()
            .filter(|(_, texts)| !texts.is_empty())
            .map(|(label, texts)| format!("{label}:{}", quoted_list(texts)))
            .collect();
        format!("{{{}}}", written.join(", "))
    }
}

/// A list as Go's `%q` writes it: `["a" "b"]`.
pub(super) fn quoted_list(texts: &[String]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| go_quoted(text)).collect();
    format!("[{}]", quoted.join(" "))
}

pub(super) fn has(texts: &[String], text: &str) -> bool {
    texts.iter().any(|own| own == text)
}

/// Whether a list of verbs or groups names `text`.
pub(super) fn names(texts: &[String], text: &str) -> bool {
    texts.iter().any(|own| own == ALL || own == text)
}

/// Whether a rule's resource means the resource with the subresource (none if empty). A `*` stands for everything, or
/// before `/SUBRESOURCE` for every resource; `pods/*` means nothing but a subresource called `*`.
fn covers_resource(rule: &str, resource: &str, subresource: &str) -> bool {
    if rule == ALL {
        return true;
    }
    if subresource.is_empty() {
        return rule == resource;
    }
    let base = rule.strip_suffix(subresource).and_then(|base| base.strip_suffix('/'));
    base.is_some_and(|base| base == resource || base == ALL)
}

/// Whether a rule's path, which may end in `*`, means `path`.
pub(super) fn covers_path(rule: &str, path: &str) -> bool {
    rule == path || (rule.ends_with('*') && path.starts_with(rule.trim_end_matches('*')))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::User;

    fn rule(value: Value) -> Rule {
        Rule::read(&value)
    }

    #[test]
    fn a_rule_means_resources_as_kubernetes_reads_it() {
        let bob = User::new("bob", [""; 0]);
        let cases = [
            // rule's resource, asked resource, subresource, allowed
            ("pods", "pods", "", true),
            ("pods", "pods", "log", false),
            ("pods/log", "pods", "log", true),
            ("pods/log", "pods", "", false),
            ("pods/log", "pods/log", "", true),
            ("*", "pods", "log", true),
            ("*", "anything", "", true),
            ("*/scale", "deployments", "scale", true),
            ("*/scale", "deployments", "", false),
            ("*/scale", "deployments", "autoscale", false),
            ("pods/*", "pods", "log", false),
            ("pods/*", "pods", "*", true),
            ("pods/*", "pods", "", false),
            ("", "", "", true),
        ];
        for (own, resource, subresource, allowed) in cases {
            let rule = rule(json!({"verbs": ["get"], "apiGroups": [""], "resources": [own]}));
            let asked = Attributes { subresource, ..Attributes::resource(&bob, "get", "", resource) };
            assert_eq!(rule.allows(&asked), allowed, "{own} for {resource} {subresource}");
        }
    }

    #[test]
    fn verbs_groups_and_names_must_all_fit() {
        let bob = User::new("bob", [""; 0]);
        let own = rule(json!({
            "verbs": ["get", "impersonate"], "apiGroups": ["apps"], "resources": ["deployments"],
            "resourceNames": ["web", "db"],
        }));
        let asked = Attributes { name: "db", ..Attributes::resource(&bob, "get", "apps", "deployments") };
        assert!(own.allows(&asked));
        assert!(!own.allows(&Attributes { verb: "list", ..asked }));
        assert!(!own.allows(&Attributes { group: "", ..asked }));
        assert!(!own.allows(&Attributes { name: "other", ..asked }));
        assert!(!own.allows(&Attributes { name: "", ..asked }));
        assert!(!own.allows(&Attributes { path: "/x", is_resource: false, ..asked }));
        assert!(rule(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})).allows(&asked));
    }

    #[test]
    fn a_rule_means_paths_as_kubernetes_reads_it() {
        let bob = User::new("bob", [""; 0]);
        let cases = [
            ("*", "/anything", true),
            ("/healthz", "/healthz", true),
            ("/healthz", "/healthz/etcd", false),
            ("/healthz/*", "/healthz/etcd", true),
            ("/healthz/*", "/healthz", false),
            ("/api*", "/apis/apps", true),
            ("/a**", "/abc", true),
            ("/*/b", "/a/b", false),
        ];
        for (own, path, allowed) in cases {
            let rule = rule(json!({"verbs": ["get"], "nonResourceURLs": [own]}));
            assert_eq!(rule.allows(&Attributes::path(&bob, "get", path)), allowed, "{own} for {path}");
            assert!(!rule.allows(&Attributes::path(&bob, "post", path)));
        }
    }
}
