//! Acting as somebody else: the `Impersonate-…` headers, and whether the caller may.
//!
//! There are several ways (KEP-5284): constrained ones, which need a right to impersonate and a right to do just this
//! while doing so, and the old one, which needs the right to impersonate alone. The first that is allowed counts.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
};

use http::HeaderMap;
use parking_lot::Mutex;

use super::{
    attributes::Attributes,
    rbac::Index,
    user::{
        ANONYMOUS, AUTHENTICATED, MASTERS, NODES, UNAUTHENTICATED, User, node_of, service_account_groups,
        service_account_of,
    },
};
use crate::{
    machinery::{FieldErrors, Path, format::domain_prefixed_path, go_quoted},
    status::ApiError,
};

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA_PREFIX: &str = "impersonate-extra-";

const AUTHENTICATION: &str = "authentication.k8s.io";
/// From so many groups or extra values on the right to all of them is asked for at once.
const MANY: usize = 4;
/// So many users are remembered with the way that they use.
const REMEMBERED_MAX: usize = 10_000;
/// The extra field of a service account's token that names the node of its pod.
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";

/// A way to impersonate; they are tried in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// A service account as the node on which its pod runs.
    AssociatedNode,
    /// Any node.
    ArbitraryNode,
    /// Any service account.
    ServiceAccount,
    /// Anybody else.
    UserInfo,
    /// As it was before there were others.
    Legacy,
}

const MODES: [Mode; 5] =
    [Mode::AssociatedNode, Mode::ArbitraryNode, Mode::ServiceAccount, Mode::UserInfo, Mode::Legacy];

/// Decides who may act as whom.
#[derive(Debug, Default)]
pub struct Impersonation {
    /// The way by which a user succeeded last. It is tried first, so that its refusal is the one that is told.
    last: Mutex<HashMap<String, Mode>>,
}

/// Whom the headers ask to act as, exactly as they say.
///
/// # Errors
/// 400 if they ask for groups or the like without a user.
pub fn requested(headers: &HeaderMap) -> Result<Option<User>, ApiError> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let first = |name| headers.get(name).map(text).unwrap_or_default();
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(EXTRA_PREFIX) {
            extra.entry(unescaped(key)).or_default().push(text(value));
        }
    }
    let groups = headers.get_all(GROUP).iter().map(text).collect();
    let wanted = User { name: first(USER), uid: first(UID), groups, extra };
    if !wanted.name.is_empty() {
        return Ok(Some(wanted));
    }
    if wanted == User::default() {
        return Ok(None);
    }
    let written = go_syntax(&wanted);
    Err(ApiError::bad_request(format!("requested {written} without impersonating a user name")))
}

impl Impersonation {
    /// The user as whom a request with these attributes is to be served, if its user may act as `wanted`.
    ///
    /// # Errors
    /// 403, with the right that is missing.
    pub fn user(&self, index: &Index, attributes: &Attributes<'_>, wanted: &User) -> Result<User, ApiError> {
        let last = self.last.lock().get(&attributes.user.name).copied();
        let mut refusal = None;
        for mode in last.into_iter().chain(MODES.into_iter().filter(|mode| Some(*mode) != last)) {
            if !mode.applies(wanted, attributes.user) {
                continue;
            }
            match mode.check(index, attributes, wanted) {
                Ok(user) => {
                    if last != Some(mode) {
                        self.remember(&attributes.user.name, mode);
                    }
                    return Ok(user);
                }
                Err(error) => {
                    refusal.get_or_insert(error);
                }
            }
        }
        // The old way applies to everybody, so that there is a refusal.
        Err(refusal.unwrap_or_else(|| ApiError::internal("all impersonation modes failed")))
    }

    fn remember(&self, user: &str, mode: Mode) {
        let mut last = self.last.lock();
        if last.len() >= REMEMBERED_MAX {
            last.clear();
        }
        last.insert(user.to_owned(), mode);
    }
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::AssociatedNode => "associated-node",
            Self::ArbitraryNode => "arbitrary-node",
            Self::ServiceAccount => "serviceaccount",
            Self::UserInfo => "user-info",
            Self::Legacy => "",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::AssociatedNode => "impersonate:associated-node",
            Self::ArbitraryNode => "impersonate:arbitrary-node",
            Self::ServiceAccount => "impersonate:serviceaccount",
            Self::UserInfo => "impersonate:user-info",
            Self::Legacy => "impersonate",
        }
    }

    fn is_constrained(self) -> bool {
        self != Self::Legacy
    }

    fn applies(self, wanted: &User, requestor: &User) -> bool {
        let only_name = wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty();
        let (node, account) = (node_of(&wanted.name), service_account_of(&wanted.name));
        match self {
            Self::AssociatedNode => {
                let own = requestor.extra.get(NODE_NAME).map(Vec::as_slice);
                let is_own = node.is_some_and(|node| own.is_some_and(|own| own == [node]));
                only_name && is_own && service_account_of(&requestor.name).is_some()
            }
            Self::ArbitraryNode => only_name && node.is_some(),
            Self::ServiceAccount => only_name && account.is_some(),
            Self::UserInfo => node.is_none() && account.is_none(),
            Self::Legacy => true,
        }
    }

    fn check(self, index: &Index, attributes: &Attributes<'_>, wanted: &User) -> Result<User, ApiError> {
        let rights = Rights { mode: self, index, requestor: attributes.user };
        if self.is_constrained() {
            let verb = format!("impersonate-on:{}:{}", self.name(), attributes.verb);
            rights.demand(&Attributes { verb: &verb, ..*attributes })?;
        }
        let mut user = wanted.clone();
        user.groups = rights.name(wanted)?;
        rights.uid(&wanted.uid)?;
        rights.groups(&wanted.groups)?;
        rights.extra(&wanted.extra)?;
        let group = if user.name == ANONYMOUS { UNAUTHENTICATED } else { AUTHENTICATED };
        if !user.is_in(group) && !user.is_in(UNAUTHENTICATED) {
            user.groups.push(group.to_owned());
        }
        Ok(user)
    }
}

/// The rights that a way to impersonate needs of the caller.
struct Rights<'a> {
    mode: Mode,
    index: &'a Index,
    requestor: &'a User,
}

impl Rights<'_> {
    fn demand(&self, attributes: &Attributes<'_>) -> Result<(), ApiError> {
        let decision = self.index.allows(attributes);
        if decision.allowed { Ok(()) } else { Err(attributes.forbidden(&decision.reason())) }
    }

    /// Asks to impersonate something of the authentication API.
    fn impersonate<'a>(&'a self, resource: &'a str) -> Attributes<'a> {
        let asked = Attributes::resource(self.requestor, self.mode.verb(), AUTHENTICATION, resource);
        Attributes { version: "v1", ..asked }
    }

    /// Asks to impersonate a user or a group, which the old way takes for resources of the core group.
    fn impersonate_subject<'a>(&'a self, resource: &'a str) -> Attributes<'a> {
        let group = if self.mode.is_constrained() { AUTHENTICATION } else { "" };
        Attributes { group, ..self.impersonate(resource) }
    }

    /// Demands the right to the user's name, and gives the groups that it is in.
    fn name(&self, wanted: &User) -> Result<Vec<String>, ApiError> {
        let asked = self.impersonate_subject("users");
        if let Some(node) = node_of(&wanted.name).filter(|_| self.mode.is_constrained()) {
            let name = if self.mode == Mode::AssociatedNode { "*" } else { node };
            self.demand(&Attributes { resource: "nodes", name, ..asked })?;
            return Ok(vec![NODES.to_owned()]);
        }
        if let Some((namespace, name)) = service_account_of(&wanted.name) {
            self.demand(&Attributes { resource: "serviceaccounts", namespace, name, ..asked })?;
            let given = &wanted.groups;
            return Ok(if given.is_empty() { service_account_groups(namespace) } else { given.clone() });
        }
        self.demand(&Attributes { name: &wanted.name, ..asked })?;
        Ok(wanted.groups.clone())
    }

    fn uid(&self, uid: &str) -> Result<(), ApiError> {
        if uid.is_empty() {
            return Ok(());
        }
        self.demand(&Attributes { name: uid, ..self.impersonate("uids") })
    }

    fn groups(&self, groups: &[String]) -> Result<(), ApiError> {
        let asked = self.impersonate_subject("groups");
        if self.mode.is_constrained() {
            if groups.iter().any(String::is_empty) {
                return Err(asked.forbidden("impersonating the empty string group is not allowed"));
            }
            if groups.iter().any(|group| group == MASTERS) {
                let asked = Attributes { name: MASTERS, ..asked };
                return Err(asked.forbidden("impersonating the system:masters group is not allowed"));
            }
            if groups.len() >= MANY && self.demand(&Attributes { name: "*", ..asked }).is_ok() {
                return Ok(());
            }
        }
        groups.iter().try_for_each(|group| self.demand(&Attributes { name: group, ..asked }))
    }

    fn extra(&self, extra: &BTreeMap<String, Vec<String>>) -> Result<(), ApiError> {
        let asked = self.impersonate("userextras");
        if self.mode.is_constrained() {
            if let Some(problem) = extra.iter().find_map(|(key, values)| invalid_extra(key, values)) {
                return Err(asked.forbidden(&problem));
            }
            let count: usize = extra.values().map(Vec::len).sum();
            let all = Attributes { subresource: "*", name: "*", ..asked };
            if count >= MANY && self.demand(&all).is_ok() {
                return Ok(());
            }
        }
        for (key, values) in extra {
            for value in values {
                self.demand(&Attributes { subresource: key, name: value, ..asked })?;
            }
        }
        Ok(())
    }
}

/// What is wrong with an extra field, where the rules for them are strict.
fn invalid_extra(key: &str, values: &[String]) -> Option<String> {
    if key.is_empty() {
        return Some("impersonating the empty string key in extra is not allowed".to_owned());
    }
    let (parent, mut problems) = (Path::new("extra"), FieldErrors::new());
    domain_prefixed_path(&mut problems, &parent.child("key"), key);
    if !problems.is_empty() {
        let written: Vec<_> =
            problems.iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
        let list = if written.len() == 1 { written.concat() } else { format!("[{}]", written.join(", ")) };
        return Some(format!("impersonating an invalid key in extra is not allowed: {list}"));
    }
    if key.to_lowercase() != key {
        return Some(format!(
            "impersonating a non-lowercase key in extra is not allowed: {}",
            go_quoted(key)
        ));
    }
    if values.iter().any(String::is_empty) {
        return Some("impersonating the empty string value in extra is not allowed".to_owned());
    }
    None
}

/// A key of extra with its `%xx` decoded, or as it is if they are none.
fn unescaped(key: &str) -> String {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let (byte, behind) = if *first == b'%' {
            let digits = behind.split_at_checked(2);
            let decoded = digits.and_then(|(digits, behind)| Some((hexadecimal(digits)?, behind)));
            let Some(decoded) = decoded else { return key.to_owned() };
            decoded
        } else {
            (*first, behind)
        };
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let [high, low] = digits else { return None };
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

/// The user as Go prints it with `%#v`, which is what clients are told.
fn go_syntax(user: &User) -> String {
    let list = |texts: &[String]| {
        let quoted: Vec<_> = texts.iter().map(|text| go_quoted(text)).collect();
        format!("[]string{{{}}}", quoted.join(", "))
    };
    let groups = if user.groups.is_empty() { "[]string(nil)".to_owned() } else { list(&user.groups) };
    let mut extra = "map[string][]string".to_owned();
    if user.extra.is_empty() {
        extra.push_str("(nil)");
    } else {
        let entries: Vec<_> =
            user.extra.iter().map(|(key, values)| format!("{}:{}", go_quoted(key), list(values))).collect();
        let _ = write!(extra, "{{{}}}", entries.join(", "));
    }
    format!("&user.DefaultInfo{{Name:\"\", UID:{}, Groups:{groups}, Extra:{extra}}}", go_quoted(&user.uid))
}

#[cfg(test)]
mod tests;
