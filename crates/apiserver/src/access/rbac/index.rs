//! All roles and bindings of a cluster, arranged by whom they are for.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
};

use serde_json::{Map, Value};

use super::{
    super::{
        attributes::Attributes,
        user::{MASTERS, User, service_account_user_name},
    },
    GROUP, aggregation,
    rule::Rule,
};
use crate::machinery::{go_quoted, object};

/// The rules of a cluster as they stand at one moment; never changed, built anew instead.
#[derive(Debug, Default)]
pub struct Index {
    roles: Vec<Vec<Rule>>,
    role_positions: HashMap<RoleKey, usize>,
    bindings: Vec<Binding>,
    cluster: Grants,
    namespaces: HashMap<String, Grants>,
}

/// The answer to one question.
#[derive(Debug)]
pub struct Decision<'a> {
    /// Whether the rules allow it.
    pub allowed: bool,
    /// What allowed it.
    granted_by: Option<(&'a Binding, &'a User)>,
    /// Bindings whose role does not exist.
    dangling: Vec<&'a Binding>,
}

/// A role's kind, namespace (empty for a ClusterRole) and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RoleKey {
    is_cluster: bool,
    namespace: String,
    name: String,
}

/// Positions of bindings, in their order, by those to whom they apply.
#[derive(Debug, Default)]
struct Grants {
    by_user: HashMap<String, Vec<usize>>,
    by_group: HashMap<String, Vec<usize>>,
}

/// A RoleBinding, or (without a namespace) a ClusterRoleBinding.
#[derive(Debug)]
pub(super) struct Binding {
    namespace: String,
    name: String,
    role: RoleKey,
    role_kind: String,
    subjects: Vec<Subject>,
    /// The position of its role, if that exists.
    rules: Option<usize>,
}

#[derive(Debug)]
struct Subject {
    kind: String,
    name: String,
    /// Of a service account: its own, or that of the binding.
    namespace: String,
}

impl Index {
    /// Arranges Roles, ClusterRoles, RoleBindings and ClusterRoleBindings; whatever else is among `objects` is left out.
    pub fn build<'a>(objects: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut index = Self::default();
        let mut cluster_roles = BTreeMap::new();
        let mut bindings = Vec::new();
        for item in objects {
            match item.get("kind").and_then(Value::as_str) {
                Some("Role") => {
                    index.add_role(false, object::namespace(item), object::name(item), Rule::of(item));
                }
                Some("ClusterRole") => {
                    cluster_roles.insert(object::name(item), item);
                }
                Some("RoleBinding" | "ClusterRoleBinding") => bindings.push(item),
                _ => {}
            }
        }
        for (name, rules) in aggregation::effective_rules(&cluster_roles) {
            index.add_role(true, "", &name, rules);
        }
        // The bindings of the cluster come first, since they have no namespace.
        bindings.sort_by_key(|binding| (object::namespace(binding), object::name(binding)));
        for binding in bindings {
            index.add_binding(binding);
        }
        index
    }

    /// Whether the rules allow what is asked.
    pub fn allows<'a>(&'a self, asked: &Attributes<'a>) -> Decision<'a> {
        if asked.user.is_in(MASTERS) {
            return Decision { allowed: true, granted_by: None, dangling: Vec::new() };
        }
        let mut dangling = BTreeSet::new();
        for position in self.positions(asked.user, asked.namespace) {
            let binding = &self.bindings[position];
            let Some(role) = binding.rules else {
                dangling.insert(position);
                continue;
            };
            if self.roles[role].iter().any(|rule| rule.allows(asked)) {
                let granted_by = Some((binding, asked.user));
                return Decision { allowed: true, granted_by, dangling: Vec::new() };
            }
        }
        let dangling = dangling.into_iter().map(|position| &self.bindings[position]).collect();
        Decision { allowed: false, granted_by: None, dangling }
    }

    /// The answer to SelfSubjectRulesReview (its `status`): every rule that is bound to `user` in `namespace`.
    pub fn rules_for(&self, user: &User, namespace: &str) -> Value {
        let (rules, dangling) = self.bound_rules(user, namespace);
        let mut status = Map::from_iter([
            ("resourceRules".to_owned(), rules.iter().filter_map(|rule| rule.to_resource_rule()).collect()),
            (
                "nonResourceRules".to_owned(),
                rules.iter().filter_map(|rule| rule.to_non_resource_rule()).collect(),
            ),
            ("incomplete".to_owned(), Value::Bool(false)),
        ]);
        if !dangling.is_empty() {
            status.insert(
                "evaluationError".to_owned(),
                aggregate(dangling.iter().map(|b| b.missing_role())).into(),
            );
        }
        Value::Object(status)
    }

    /// The rules that are bound to `user` in `namespace` (empty: at the cluster scope), in the order of the bindings,
    /// and the bindings whose role does not exist.
    pub(super) fn bound_rules(&self, user: &User, namespace: &str) -> (Vec<&Rule>, Vec<&Binding>) {
        let positions: BTreeSet<usize> = self.positions(user, namespace).collect();
        let (mut rules, mut dangling) = (Vec::new(), Vec::new());
        for binding in positions.into_iter().map(|position| &self.bindings[position]) {
            match binding.rules {
                Some(role) => rules.extend(&self.roles[role]),
                None => dangling.push(binding),
            }
        }
        (rules, dangling)
    }

    /// The rules of a role, if it exists.
    pub(super) fn role(&self, is_cluster: bool, namespace: &str, name: &str) -> Option<&[Rule]> {
        let namespace = if is_cluster { "" } else { namespace };
        let key = RoleKey { is_cluster, namespace: namespace.to_owned(), name: name.to_owned() };
        self.role_positions.get(&key).map(|position| self.roles[*position].as_slice())
    }

    /// The bindings that apply; one may come several times, when it applies for several reasons.
    fn positions<'a>(&'a self, user: &'a User, namespace: &str) -> impl Iterator<Item = usize> + 'a {
        let local = if namespace.is_empty() { None } else { self.namespaces.get(namespace) };
        [Some(&self.cluster), local].into_iter().flatten().flat_map(move |grants| {
            let by_group = user.groups.iter().filter_map(|group| grants.by_group.get(group));
            grants.by_user.get(&user.name).into_iter().chain(by_group).flatten().copied()
        })
    }

    fn add_role(&mut self, is_cluster: bool, namespace: &str, name: &str, rules: Vec<Rule>) {
        let key = RoleKey { is_cluster, namespace: namespace.to_owned(), name: name.to_owned() };
        self.role_positions.insert(key, self.roles.len());
        self.roles.push(rules);
    }

    fn add_binding(&mut self, item: &Value) {
        let mut binding = Binding::read(item);
        binding.rules = self.role_positions.get(&binding.role).copied();
        let grants = if binding.namespace.is_empty() {
            &mut self.cluster
        } else {
            self.namespaces.entry(binding.namespace.clone()).or_default()
        };
        let position = self.bindings.len();
        for subject in &binding.subjects {
            let list = match subject.kind.as_str() {
                "User" => grants.by_user.entry(subject.name.clone()).or_default(),
                "Group" => grants.by_group.entry(subject.name.clone()).or_default(),
                "ServiceAccount" if !subject.namespace.is_empty() => {
                    grants.by_user.entry(subject.user_name()).or_default()
                }
                _ => continue,
            };
            if list.last() != Some(&position) {
                list.push(position);
            }
        }
        self.bindings.push(binding);
    }
}

impl Decision<'_> {
    /// Why, in Kubernetes' words: which binding allows it, or which roles could not be asked. Empty if there is nothing
    /// to say.
    pub fn reason(&self) -> String {
        match self.granted_by {
            Some((binding, user)) => format!("RBAC: allowed by {}", Grant { binding, user }),
            None if self.dangling.is_empty() => String::new(),
            None => {
                format!("RBAC: {}", aggregate(self.dangling.iter().map(|binding| binding.missing_role())))
            }
        }
    }
}

/// Several errors as one: each once, and in brackets if there are more than one.
fn aggregate(errors: impl Iterator<Item = String>) -> String {
    let mut unique: Vec<String> = Vec::new();
    for error in errors {
        if !unique.contains(&error) {
            unique.push(error);
        }
    }
    if unique.len() == 1 { unique.remove(0) } else { format!("[{}]", unique.join(", ")) }
}

impl Binding {
    fn read(item: &Value) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let reference = item.get("roleRef");
        let of_role = |field: &str| text(reference.and_then(|reference| reference.get(field)));
        let namespace = if item.get("kind").is_some_and(|kind| kind == "ClusterRoleBinding") {
            ""
        } else {
            object::namespace(item)
        };
        let role_kind = of_role("kind");
        let is_cluster = role_kind == "ClusterRole";
        let role_namespace = if is_cluster { "" } else { namespace };
        let subjects = item.get("subjects").and_then(Value::as_array);
        Self {
            namespace: namespace.to_owned(),
            name: object::name(item).to_owned(),
            role: RoleKey { is_cluster, namespace: role_namespace.to_owned(), name: of_role("name") },
            role_kind,
            subjects: subjects
                .into_iter()
                .flatten()
                .map(|subject| {
                    let own = text(subject.get("namespace"));
                    Subject {
                        kind: text(subject.get("kind")),
                        name: text(subject.get("name")),
                        namespace: if own.is_empty() { namespace.to_owned() } else { own },
                    }
                })
                .collect(),
            rules: None,
        }
    }

    /// That its role does not exist.
    pub(super) fn missing_role(&self) -> String {
        let singular = if self.role.is_cluster { "clusterrole" } else { "role" };
        self.missing_role_as(singular)
    }

    /// That its role does not exist, as a server says that looks it up as `resource`.
    pub(super) fn missing_role_as(&self, resource: &str) -> String {
        if !matches!(self.role_kind.as_str(), "Role" | "ClusterRole") {
            return format!("unsupported role reference kind: {}", go_quoted(&self.role_kind));
        }
        format!("{resource}.{GROUP} {} not found", go_quoted(&self.role.name))
    }
}

impl Subject {
    fn user_name(&self) -> String {
        service_account_user_name(&self.namespace, &self.name)
    }

    fn is(&self, user: &User) -> bool {
        match self.kind.as_str() {
            "User" => user.name == self.name,
            "Group" => user.is_in(&self.name),
            "ServiceAccount" => !self.namespace.is_empty() && user.name == self.user_name(),
            _ => false,
        }
    }
}

/// That a binding grants something to a user: `RoleBinding "b/ns" of Role "r" to User "bob"`.
struct Grant<'a> {
    binding: &'a Binding,
    user: &'a User,
}

impl fmt::Display for Grant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding { namespace, name, role, role_kind, subjects, .. } = self.binding;
        if namespace.is_empty() {
            write!(f, "ClusterRoleBinding {}", go_quoted(name))?;
        } else {
            write!(f, "RoleBinding {}", go_quoted(&format!("{name}/{namespace}")))?;
        }
        write!(f, " of {role_kind} {}", go_quoted(&role.name))?;
        let Some(subject) = subjects.iter().find(|subject| subject.is(self.user)) else { return Ok(()) };
        let Subject { kind, name, namespace } = subject;
        if kind == "ServiceAccount" {
            write!(f, " to {kind} {}", go_quoted(&format!("{name}/{namespace}")))
        } else {
            write!(f, " to {kind} {}", go_quoted(name))
        }
    }
}
