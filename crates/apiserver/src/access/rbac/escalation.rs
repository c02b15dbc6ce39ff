//! Nobody may grant more than they have: what a role to be written, or a role to be bound, would add to the rights of
//! the user who does it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::{
    super::{
        attributes::Attributes,
        user::{MASTERS, User},
    },
    GROUP, Index,
    rule::{ALL, Rule, covers_path, has, names, quoted_list},
};
use crate::{
    machinery::go_quoted,
    status::{ApiError, Qualified},
};

/// A role that states more combinations of group, resource, verb and name than this is not compared with the user's
/// own: no real role comes near, and the work would be without bound.
const COMBINATIONS_MAX: usize = 100_000;

/// The role that a binding refers to.
#[derive(Debug, Clone, Copy)]
pub struct RoleRef<'a> {
    /// `Role` or `ClusterRole`.
    pub kind: &'a str,
    /// Its name; a Role is one of the binding's namespace.
    pub name: &'a str,
}

/// The write of a role: a Role, or (without a namespace) a ClusterRole.
#[derive(Debug, Clone, Copy)]
pub struct RoleWrite<'a> {
    /// The namespace of the request.
    pub namespace: &'a str,
    /// The name in the request's path; empty when the role is created.
    pub path_name: &'a str,
    /// The role's name.
    pub name: &'a str,
    /// What it will allow.
    pub rules: &'a [Rule],
    /// Whether it has an `aggregationRule`, which may gather anything.
    pub is_aggregate: bool,
}

/// Why a user may not grant rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EscalationError {
    /// The user lacks some of them; the text lists which.
    #[error("{0}")]
    NotHeld(String),
    /// They are too many to tell.
    #[error(
        "rules with more than {COMBINATIONS_MAX} combinations of group, resource, verb and name can be granted only by \
         those who may escalate"
    )]
    TooMany,
}

impl Index {
    /// Whether `user` may write this role: those who hold all of its rules may, and those whom a rule allows to
    /// `escalate`.
    ///
    /// # Errors
    /// 403, with what the user does not hold.
    pub fn may_write_role(&self, user: &User, write: RoleWrite<'_>) -> Result<(), ApiError> {
        let RoleWrite { namespace, path_name, name, rules, is_aggregate } = write;
        let resource = if namespace.is_empty() { "clusterroles" } else { "roles" };
        let escalate = Attributes {
            namespace,
            name: path_name,
            version: "*",
            ..Attributes::resource(user, "escalate", GROUP, resource)
        };
        if user.is_in(MASTERS) || self.allows(&escalate).allowed {
            return Ok(());
        }
        let refuse = |why: &str| ApiError::forbidden(Qualified { group: GROUP, name: resource }, name, why);
        self.may_grant(user, namespace, resource, rules).map_err(|error| refuse(&error.to_string()))?;
        if is_aggregate && self.may_grant(user, namespace, resource, &everything()).is_err() {
            return Err(refuse("must have cluster-admin privileges to use the aggregationRule"));
        }
        Ok(())
    }

    /// Whether `user` may write a RoleBinding (or, with an empty namespace, a ClusterRoleBinding) called `name` to this
    /// role: those who hold all of the role's rules may, and those whom a rule allows to `bind` it.
    ///
    /// # Errors
    /// 403, with what the user does not hold; 404 if there is no such role.
    pub fn may_bind(
        &self,
        user: &User,
        namespace: &str,
        name: &str,
        role: RoleRef<'_>,
    ) -> Result<(), ApiError> {
        let is_cluster = role.kind == "ClusterRole";
        let resource = if namespace.is_empty() { "clusterrolebindings" } else { "rolebindings" };
        let bind = Attributes {
            namespace,
            name: role.name,
            version: "*",
            ..Attributes::resource(user, "bind", GROUP, if is_cluster { "clusterroles" } else { "roles" })
        };
        if user.is_in(MASTERS) || self.allows(&bind).allowed {
            return Ok(());
        }
        let binding = Qualified { group: GROUP, name: resource };
        // The role is looked up by a request for a binding, which the message shows.
        let rules = self
            .role(is_cluster, namespace, role.name)
            .ok_or_else(|| ApiError::not_found(binding, role.name))?;
        self.may_grant(user, namespace, resource, rules)
            .map_err(|error| ApiError::forbidden(binding, name, &error.to_string()))
    }

    /// Whether `user` holds all of `rules` in `namespace`; `resource` is that of the request that asks.
    fn may_grant(
        &self,
        user: &User,
        namespace: &str,
        resource: &str,
        rules: &[Rule],
    ) -> Result<(), EscalationError> {
        let (held, dangling) = self.bound_rules(user, namespace);
        let missing = missing(&held, rules)?;
        if missing.is_empty() {
            return Ok(());
        }
        let lines: BTreeSet<String> = compact(missing).iter().map(Rule::describe).collect();
        let mut text = format!(
            "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            go_quoted(&user.name),
            quoted_list(&user.groups),
            lines.into_iter().collect::<Vec<_>>().join("\n"),
        );
        if !dangling.is_empty() {
            let errors: Vec<_> = dangling.iter().map(|binding| binding.missing_role_as(resource)).collect();
            let _ = write!(text, "; resolution errors: [{}]", errors.join(" "));
        }
        Err(EscalationError::NotHeld(text))
    }
}

/// The rules of cluster-admin.
pub(super) fn everything() -> [Rule; 2] {
    let all = || vec![ALL.to_owned()];
    [
        Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() },
        Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() },
    ]
}

/// What of `wanted` is not among `held`, down to single verbs on single resources.
fn missing(held: &[&Rule], wanted: &[Rule]) -> Result<Vec<Rule>, EscalationError> {
    let mut missing = Vec::new();
    let mut combinations = 0;
    for rule in wanted {
        let each_name = rule.resource_names.len().max(1);
        let of_resources = [rule.api_groups.len(), rule.resources.len(), rule.verbs.len(), each_name];
        let product = of_resources.into_iter().fold(1, usize::saturating_mul);
        combinations += product.saturating_add(rule.non_resource_urls.len().saturating_mul(rule.verbs.len()));
        if combinations > COMBINATIONS_MAX {
            return Err(EscalationError::TooMany);
        }
        let single = single_rules(rule);
        missing.extend(single.into_iter().filter(|single| !held.iter().any(|own| covers(own, single))));
    }
    Ok(missing)
}

/// The rule as rules that have one verb, one group and resource or path, and at most one name.
fn single_rules(rule: &Rule) -> Vec<Rule> {
    let mut single = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let base = Rule {
                    verbs: vec![verb.clone()],
                    api_groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    ..Rule::default()
                };
                if rule.resource_names.is_empty() {
                    single.push(base);
                    continue;
                }
                for name in &rule.resource_names {
                    single.push(Rule { resource_names: vec![name.clone()], ..base.clone() });
                }
            }
        }
    }
    for url in &rule.non_resource_urls {
        for verb in &rule.verbs {
            single.push(Rule {
                verbs: vec![verb.clone()],
                non_resource_urls: vec![url.clone()],
                ..Rule::default()
            });
        }
    }
    single
}

/// Whether `own` allows all that the single rule does.
fn covers(own: &Rule, single: &Rule) -> bool {
    single.verbs.iter().all(|verb| names(&own.verbs, verb))
        && single.api_groups.iter().all(|group| names(&own.api_groups, group))
        && single.resources.iter().all(|resource| covers_single_resource(&own.resources, resource))
        && single.non_resource_urls.iter().all(|url| own.non_resource_urls.iter().any(|own| covers_path(own, url)))
        // A rule for all objects is not covered by one for some.
        && (own.resource_names.is_empty()
            || (!single.resource_names.is_empty()
                && single.resource_names.iter().all(|name| has(&own.resource_names, name))))
}

fn covers_single_resource(own: &[String], resource: &str) -> bool {
    let subresource = resource.split_once('/').map(|(_, subresource)| subresource);
    own.iter().any(|own| {
        own == ALL
            || own == resource
            || subresource.is_some_and(|subresource| own.strip_prefix("*/") == Some(subresource))
    })
}

/// Joins the verbs of rules that differ in nothing else.
fn compact(rules: Vec<Rule>) -> Vec<Rule> {
    let mut joined: BTreeMap<(String, String), Rule> = BTreeMap::new();
    let mut compacted = Vec::new();
    for rule in rules {
        match (rule.api_groups.as_slice(), rule.resources.as_slice()) {
            ([group], [resource]) if rule.resource_names.is_empty() => {
                let key = (group.clone(), resource.clone());
                match joined.get_mut(&key) {
                    Some(known) => known.verbs.extend(rule.verbs),
                    None => {
                        joined.insert(key, rule);
                    }
                }
            }
            _ => compacted.push(rule),
        }
    }
    compacted.extend(joined.into_values());
    compacted
}
