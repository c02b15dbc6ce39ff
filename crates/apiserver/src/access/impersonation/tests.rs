//! Who may act as whom, by which way, and what refusals say.

use http::HeaderName;
use serde_json::{Value, json};

use super::*;

/// Names and values of headers.
type Lines<'a> = &'a [(&'a str, &'a str)];

fn headers(lines: Lines<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    headers
}

fn wanted(lines: &[(&str, &str)]) -> User {
    requested(&headers(lines)).unwrap().unwrap()
}

/// An index in which bob has these rules.
fn rules(rules: Value) -> Index {
    Index::build(&[
        json!({"kind": "ClusterRole", "metadata": {"name": "r"}, "rules": rules}),
        json!({
            "kind": "ClusterRoleBinding", "metadata": {"name": "r"},
            "roleRef": {"kind": "ClusterRole", "name": "r"}, "subjects": [{"kind": "User", "name": "bob"}],
        }),
    ])
}

fn rule(verb: &str, group: &str, resources: &[&str]) -> Value {
    json!({"verbs": [verb], "apiGroups": [group], "resources": resources})
}

/// Lists pods as `wanted`.
fn list(index: &Index, requestor: &User, wanted: &User) -> Result<User, ApiError> {
    let asked = Attributes { namespace: "shop", ..Attributes::resource(requestor, "list", "", "pods") };
    Impersonation::default().user(index, &asked, wanted)
}

#[test]
fn headers_ask_for_a_user() {
    assert_eq!(requested(&headers(&[("impersonate-nothing", "x")])), Ok(None));
    let user = wanted(&[
        ("Impersonate-User", "zoe"),
        ("Impersonate-Group", "qa"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Uid", "u-1"),
        ("Impersonate-Extra-Acme.io%2fScopes", "view"),
        ("Impersonate-Extra-acme.io%2Fscopes", "edit"),
        ("Impersonate-Extra-Bad%2", "x"),
    ]);
    assert_eq!(user.groups, ["qa", "ops"]);
    assert_eq!(user.uid, "u-1");
    assert_eq!(user.extra["acme.io/scopes"], ["view", "edit"]);
    assert_eq!(user.extra["bad%2"], ["x"]);
}

#[test]
fn nobody_can_be_impersonated_without_a_name() {
    let cases: [(Lines<'_>, &str); 3] = [
        (&[("Impersonate-Group", "qa")], r#"UID:"", Groups:[]string{"qa"}, Extra:map[string][]string(nil)}"#),
        (
            &[("Impersonate-Uid", "u"), ("Impersonate-User", "")],
            r#"UID:"u", Groups:[]string(nil), Extra:map[string][]string(nil)}"#,
        ),
        (
            &[("Impersonate-Extra-B", "1"), ("Impersonate-Extra-A", "2"), ("Impersonate-Extra-A", "3")],
            r#"UID:"", Groups:[]string(nil), Extra:map[string][]string{"a":[]string{"2", "3"}, "b":[]string{"1"}}}"#,
        ),
    ];
    for (lines, expected) in cases {
        let error = requested(&headers(lines)).unwrap_err();
        assert_eq!(
            error.message,
            format!("requested &user.DefaultInfo{{Name:\"\", {expected} without impersonating a user name")
        );
        assert_eq!(error.code, 400);
    }
}

#[test]
fn an_administrator_may_be_anybody() {
    let cases: [(Lines<'_>, &[&str]); 8] = [
        (&[("Impersonate-User", "zoe")], &["system:authenticated"]),
        (&[("Impersonate-User", "zoe"), ("Impersonate-Group", "qa")], &["qa", "system:authenticated"]),
        (
            &[("Impersonate-User", "zoe"), ("Impersonate-Group", "system:masters")],
            &["system:masters", "system:authenticated"],
        ),
        (
            &[("Impersonate-User", "zoe"), ("Impersonate-Group", "system:unauthenticated")],
            &["system:unauthenticated"],
        ),
        (&[("Impersonate-User", "system:anonymous")], &["system:unauthenticated"]),
        (
            &[("Impersonate-User", "system:serviceaccount:shop:robot")],
            &["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
        ),
        (
            &[("Impersonate-User", "system:serviceaccount:shop:robot"), ("Impersonate-Group", "qa")],
            &["qa", "system:authenticated"],
        ),
        (&[("Impersonate-User", "system:node:n1")], &["system:nodes", "system:authenticated"]),
    ];
    for (lines, groups) in cases {
        let user = list(&Index::default(), &User::admin(), &wanted(lines)).unwrap();
        assert_eq!(user.groups, groups, "{lines:?}");
    }
    let extra = wanted(&[("Impersonate-User", "zoe"), ("Impersonate-Extra-Scopes", "view")]);
    assert_eq!(list(&Index::default(), &User::admin(), &extra).unwrap().extra, extra.extra);
}

#[test]
fn the_old_way_needs_a_right_to_each_part() {
    let bob = User::new("bob", [""; 0]);
    let whole = wanted(&[
        ("Impersonate-User", "zoe"),
        ("Impersonate-Group", "qa"),
        ("Impersonate-Uid", "u-1"),
        ("Impersonate-Extra-Scopes", "view"),
    ]);
    let parts = [
        rule("impersonate", "", &["users"]),
        rule("impersonate", AUTHENTICATION, &["uids"]),
        rule("impersonate", "", &["groups"]),
        rule("impersonate", AUTHENTICATION, &["userextras/scopes"]),
    ];
    assert!(list(&rules(parts.to_vec().into()), &bob, &whole).is_ok());
    for missing in 0..parts.len() {
        let mut fewer = parts.to_vec();
        fewer.remove(missing);
        assert!(list(&rules(fewer.into()), &bob, &whole).is_err(), "{}", parts[missing]);
    }
    // To the old way a node is a user like any other.
    let node = wanted(&[("Impersonate-User", "system:node:n1")]);
    let user = list(&rules(json!([rule("impersonate", "", &["users"])])), &bob, &node).unwrap();
    assert_eq!(user.groups, ["system:authenticated"]);
    let account = wanted(&[("Impersonate-User", "system:serviceaccount:shop:robot")]);
    assert!(list(&rules(json!([rule("impersonate", "", &["users"])])), &bob, &account).is_err());
    assert!(list(&rules(json!([rule("impersonate", "", &["serviceaccounts"])])), &bob, &account).is_ok());
}

#[test]
fn a_constrained_way_needs_a_right_to_the_request_too() {
    let bob = User::new("bob", [""; 0]);
    let cases = [
        ("zoe", "user-info", "users"),
        ("system:serviceaccount:shop:robot", "serviceaccount", "serviceaccounts"),
        ("system:node:n1", "arbitrary-node", "nodes"),
    ];
    for (name, mode, resource) in cases {
        let user = wanted(&[("Impersonate-User", name)]);
        let on = rule(&format!("impersonate-on:{mode}:list"), "", &["pods"]);
        let who = rule(&format!("impersonate:{mode}"), AUTHENTICATION, &[resource]);
        assert!(list(&rules(json!([on, who])), &bob, &user).is_ok(), "{name}");
        let refusal = list(&rules(json!([who])), &bob, &user).unwrap_err().message;
        assert_eq!(
            refusal,
            format!(
                "pods is forbidden: User \"bob\" cannot impersonate-on:{mode}:list resource \"pods\" in API group \
                 \"\" in the namespace \"shop\""
            )
        );
        let refusal = list(&rules(json!([on])), &bob, &user).unwrap_err().message;
        assert!(refusal.contains(&format!("cannot impersonate:{mode} resource \"{resource}\"")), "{refusal}");
    }
}

#[test]
fn a_service_account_may_be_the_node_of_its_pod() {
    let mut robot = User::service_account("shop", "robot", "");
    let index = Index::build(&[
        json!({"kind": "ClusterRole", "metadata": {"name": "r"}, "rules": [
            rule("impersonate-on:associated-node:list", "", &["pods"]),
            rule("impersonate:associated-node", AUTHENTICATION, &["nodes"]),
        ]}),
        json!({
            "kind": "ClusterRoleBinding", "metadata": {"name": "r"},
            "roleRef": {"kind": "ClusterRole", "name": "r"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "shop"}],
        }),
    ]);
    let node = wanted(&[("Impersonate-User", "system:node:n1")]);
    assert!(list(&index, &robot, &node).is_err());
    robot.extra.insert(NODE_NAME.into(), vec!["n1".into()]);
    assert_eq!(list(&index, &robot, &node).unwrap().groups, ["system:nodes", "system:authenticated"]);
    robot.extra.insert(NODE_NAME.into(), vec!["n2".into()]);
    assert!(list(&index, &robot, &node).is_err());
}

#[test]
fn constrained_ways_are_strict() {
    let bob = User::new("bob", [""; 0]);
    let index = rules(json!([
        rule("impersonate-on:user-info:list", "", &["pods"]),
        rule("impersonate:user-info", AUTHENTICATION, &["users", "groups", "userextras", "*/scopes"]),
    ]));
    let refusal = |lines: &[(&str, &str)]| {
        let lines = [&[("Impersonate-User", "zoe")], lines].concat();
        list(&index, &bob, &wanted(&lines)).map(|_| ()).unwrap_err().message
    };
    for (line, expected) in [
        (("Impersonate-Group", "system:masters"), "impersonating the system:masters group is not allowed"),
        (("Impersonate-Group", ""), "impersonating the empty string group is not allowed"),
        (
            ("Impersonate-Extra-Scopes", "view"),
            "impersonating an invalid key in extra is not allowed: extra.key: Invalid value: \"scopes\": must be a \
             domain-prefixed path (such as \"acme.io/foo\")",
        ),
        (("Impersonate-Extra-a.io%2Fb", ""), "impersonating the empty string value in extra is not allowed"),
        (("Impersonate-Extra-", "x"), "impersonating the empty string key in extra is not allowed"),
        (
            ("Impersonate-Extra-a.io%2F%3C", "x"),
            "impersonating an invalid key in extra is not allowed: extra.key: Invalid value: \"<\": Invalid path \
             (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')",
        ),
    ] {
        let message = refusal(&[line]);
        assert!(message.ends_with(expected), "{message}");
    }
}

#[test]
fn the_way_that_worked_last_is_the_one_whose_refusal_is_told() {
    let bob = User::new("bob", [""; 0]);
    let index = rules(json!([{
        "verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["zoe"],
    }]));
    let impersonation = Impersonation::default();
    let asked = Attributes::resource(&bob, "list", "", "pods");
    let act_as = |name| impersonation.user(&index, &asked, &User::new(name, [""; 0]));
    assert!(act_as("root").unwrap_err().message.contains("cannot impersonate-on:user-info:list"));
    assert!(act_as("zoe").is_ok());
    assert_eq!(
        act_as("root").unwrap_err().message,
        "users \"root\" is forbidden: User \"bob\" cannot impersonate resource \"users\" in API group \"\" at the \
         cluster scope"
    );
}
