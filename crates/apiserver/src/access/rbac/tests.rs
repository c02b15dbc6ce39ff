//! What the rules decide, as a real server recorded it and as Kubernetes' own tests of the authorizer have it.

use serde_json::{Value, json};

use super::{super::attributes::Attributes, super::user::User, GROUP, Index, RoleRef, RoleWrite, Rule};

const NAMESPACE: &str = "shop";

fn fresh_cluster() -> Vec<Value> {
    serde_json::from_str(include_str!("../../../data/fresh-cluster.json")).unwrap()
}

fn index(added: &[Value]) -> Index {
    Index::build(fresh_cluster().iter().chain(added))
}

fn bob() -> User {
    User::new("bob", ["devs"]).authenticated()
}

fn role(name: &str, rules: Value) -> Value {
    json!({"kind": "Role", "metadata": {"name": name, "namespace": NAMESPACE}, "rules": rules})
}

fn cluster_role(name: &str, rules: Value) -> Value {
    json!({"kind": "ClusterRole", "metadata": {"name": name}, "rules": rules})
}

fn user(name: &str) -> Value {
    json!({"kind": "User", "apiGroup": GROUP, "name": name})
}

fn binding(name: &str, role_kind: &str, role: &str, subjects: &[Value]) -> Value {
    json!({
        "kind": "RoleBinding", "metadata": {"name": name, "namespace": NAMESPACE},
        "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role}, "subjects": subjects,
    })
}

fn cluster_binding(name: &str, role: &str, subjects: &[Value]) -> Value {
    json!({
        "kind": "ClusterRoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role}, "subjects": subjects,
    })
}

/// Asks for `verb group/resource[/subresource] [name]` in a namespace, or for `verb /path`.
fn allowed(index: &Index, user: &User, namespace: &str, question: &str) -> bool {
    let mut words = question.split(' ');
    let (verb, what, name) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or(""));
    if what.starts_with('/') && !what.starts_with("//") {
        return index.allows(&Attributes::path(user, verb, what)).allowed;
    }
    let mut parts = what.trim_start_matches('/').split('/');
    let group = if what.starts_with("//") { "" } else { parts.next().unwrap() };
    let resource = parts.next().unwrap();
    let subresource = parts.next().unwrap_or("");
    let asked =
        Attributes { namespace, subresource, name, ..Attributes::resource(user, verb, group, resource) };
    index.allows(&asked).allowed
}

#[track_caller]
fn check(index: &Index, user: &User, namespace: &str, questions: &[(&str, bool)]) {
    for (question, expected) in questions {
        assert_eq!(
            allowed(index, user, namespace, question),
            *expected,
            "{} {question} in {namespace}",
            user.name
        );
    }
}

#[test]
fn nobody_may_anything_but_what_a_fresh_cluster_lets_everyone() {
    let index = index(&[]);
    check(
        &index,
        &bob(),
        NAMESPACE,
        &[
            ("get //configmaps a", false),
            ("deletecollection //configmaps", false),
            ("get nope.example.com/widgets w", false),
            ("get /nope", false),
            ("get /healthz", true),
            ("get /apis/apps/v1", true),
            ("get /openapi/v3", true),
            ("post /apis/apps/v1", false),
        ],
    );
    check(
        &index,
        &bob(),
        "",
        &[
            ("create authorization.k8s.io/selfsubjectaccessreviews", true),
            ("create authentication.k8s.io/selfsubjectreviews", true),
            ("create authentication.k8s.io/tokenreviews", false),
        ],
    );
    check(
        &index,
        &User::anonymous(),
        "",
        &[
            ("get /healthz", true),
            ("get /version", true),
            ("get /api", false),
            ("create authorization.k8s.io/selfsubjectaccessreviews", false),
        ],
    );
    let admin = User::new("anyone", ["system:masters"]);
    check(&index, &admin, NAMESPACE, &[("anything nope/things/x y", true), ("any /thing", true)]);
    assert!(Index::default().allows(&Attributes::path(&admin, "get", "/x")).allowed, "no rule is needed");
}

#[test]
fn a_role_grants_its_verbs_in_its_namespace() {
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create"]}]);
    let index = index(&[role("r", rules), binding("r", "Role", "r", &[user("bob")])]);
    check(
        &index,
        &bob(),
        NAMESPACE,
        &[("get //configmaps a", true), ("create //configmaps", true), ("patch //configmaps a", false)],
    );
    check(&index, &bob(), "default", &[("get //configmaps a", false)]);
    check(&index, &bob(), "", &[("list //configmaps", false)]);
    check(&index, &User::new("carol", ["devs"]), NAMESPACE, &[("get //configmaps a", false)]);
}

#[test]
fn a_cluster_role_binding_grants_everywhere() {
    let rules = json!([{"apiGroups": [""], "resources": ["namespaces", "pods"], "verbs": ["get", "list"]}]);
    let index = index(&[cluster_role("c", rules), cluster_binding("c", "c", &[user("bob")])]);
    check(&index, &bob(), NAMESPACE, &[("list //pods", true), ("get //namespaces default", true)]);
    check(&index, &bob(), "", &[("list //pods", true), ("delete //namespaces default", false)]);
}

#[test]
fn a_cluster_role_bound_in_a_namespace_grants_there() {
    let index = index(&[binding("b", "ClusterRole", "cluster-admin", &[user("bob")])]);
    check(
        &index,
        &bob(),
        NAMESPACE,
        &[("delete //pods x", true), ("get //pods/log p", true), ("get anything.example.com/things", true)],
    );
    check(&index, &bob(), "", &[("list //nodes", false), ("get /metrics", false)]);
}

#[test]
fn resource_names_limit_a_rule_to_named_objects() {
    let rules = json!([{
        "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "update", "create"],
        "resourceNames": ["one"],
    }]);
    let index = index(&[role("r", rules), binding("r", "Role", "r", &[user("bob")])]);
    check(
        &index,
        &bob(),
        NAMESPACE,
        &[
            ("create //configmaps", false),
            ("get //configmaps one", true),
            ("get //configmaps two", false),
            ("list //configmaps", false),
            ("list //configmaps one", true),
        ],
    );
}

#[test]
fn subjects_are_users_groups_and_service_accounts() {
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]);
    let robot = User::service_account(NAMESPACE, "robot", "").authenticated();
    let other = User::service_account("default", "robot", "").authenticated();
    let ask = [("list //secrets", true)];
    let refuse = [("list //secrets", false)];
    let bind = |subject: Value| index(&[role("r", rules.clone()), binding("b", "Role", "r", &[subject])]);

    let local = bind(json!({"kind": "ServiceAccount", "name": "robot"}));
    check(&local, &robot, NAMESPACE, &ask);
    check(&local, &other, NAMESPACE, &refuse);
    let foreign = bind(json!({"kind": "ServiceAccount", "name": "robot", "namespace": "default"}));
    check(&foreign, &other, NAMESPACE, &ask);
    check(&foreign, &robot, NAMESPACE, &refuse);
    let group = bind(json!({"kind": "Group", "name": "system:serviceaccounts:shop"}));
    check(&group, &robot, NAMESPACE, &ask);
    check(&group, &other, NAMESPACE, &refuse);
    check(&bind(json!({"kind": "Group", "name": "devs"})), &bob(), NAMESPACE, &ask);
    check(&bind(json!({"kind": "User", "name": "devs"})), &bob(), NAMESPACE, &refuse);
    check(&bind(json!({"kind": "Team", "name": "bob"})), &bob(), NAMESPACE, &refuse);

    let everywhere = [
        cluster_role("c", rules),
        cluster_binding("c", "c", &[json!({"kind": "ServiceAccount", "name": "robot"})]),
    ];
    check(&index(&everywhere), &robot, NAMESPACE, &refuse);
}

#[test]
fn the_reason_names_the_binding_or_what_is_missing() {
    let rules = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]);
    let subjects = [json!({"kind": "Group", "name": "devs"}), user("bob")];
    let index = index(&[
        role("r", rules),
        binding("b", "Role", "r", &subjects),
        binding("gone", "ClusterRole", "nope", &[user("bob")]),
        binding("gone-too", "Role", "nope", &[user("bob"), subjects[0].clone()]),
        cluster_binding("gone", "nope", &[user("bob")]),
    ]);
    let bob = bob();
    let list = Attributes { namespace: NAMESPACE, ..Attributes::resource(&bob, "list", "", "secrets") };
    let reason = |asked: &Attributes<'_>| index.allows(asked).reason();
    assert_eq!(reason(&list), r#"RBAC: allowed by RoleBinding "b/shop" of Role "r" to Group "devs""#);
    assert_eq!(
        reason(&Attributes { verb: "get", ..list }),
        r#"RBAC: [clusterrole.rbac.authorization.k8s.io "nope" not found, role.rbac.authorization.k8s.io "nope" not found]"#
    );
    assert_eq!(
        reason(&Attributes { namespace: "", ..list }),
        r#"RBAC: clusterrole.rbac.authorization.k8s.io "nope" not found"#
    );
    let controller = User::service_account("kube-system", "deployment-controller", "");
    assert_eq!(
        reason(&Attributes::resource(&controller, "update", "apps", "deployments")),
        "RBAC: allowed by ClusterRoleBinding \"system:controller:deployment-controller\" of ClusterRole \
         \"system:controller:deployment-controller\" to ServiceAccount \"deployment-controller/kube-system\""
    );
    assert_eq!(
        reason(&Attributes::path(&bob, "get", "/apis")),
        "RBAC: allowed by ClusterRoleBinding \"system:discovery\" of ClusterRole \"system:discovery\" to Group \
         \"system:authenticated\""
    );
    assert_eq!(reason(&Attributes { user: &User::admin(), ..list }), "");
    assert_eq!(reason(&Attributes { user: &User::new("zoe", [""; 0]), ..list }), "");
}

#[test]
fn aggregated_roles_hold_what_they_select_also_through_others() {
    let bind = |name: &str| binding(name, "ClusterRole", name, &[user(name)]);
    let widgets = json!([{"apiGroups": ["w"], "resources": ["widgets"], "verbs": ["get"]}]);
    let mut labelled = cluster_role("w", widgets);
    labelled["metadata"]["labels"] = json!({"rbac.authorization.k8s.io/aggregate-to-view": "true"});
    let index = index(&[bind("view"), bind("edit"), bind("admin"), labelled]);
    for (name, questions) in [
        (
            "view",
            [
                ("get //pods p", true),
                ("create //pods", false),
                ("create rbac.authorization.k8s.io/roles", false),
            ],
        ),
        (
            "edit",
            [
                ("get //pods p", true),
                ("create //pods", true),
                ("create rbac.authorization.k8s.io/roles", false),
            ],
        ),
        (
            "admin",
            [
                ("get //pods p", true),
                ("create //pods", true),
                ("create rbac.authorization.k8s.io/roles", true),
            ],
        ),
    ] {
        let user = User::new(name, [""; 0]);
        check(&index, &user, NAMESPACE, &questions);
        check(&index, &user, NAMESPACE, &[("get w/widgets x", true)]);
        check(&index, &user, NAMESPACE, &[("get //secrets x", name != "view")]);
    }
}

#[test]
fn roles_that_select_each_other_or_themselves_end() {
    let aggregate = |name: &str, selects: &str| {
        json!({
            "kind": "ClusterRole", "metadata": {"name": name, "labels": {"own": name, "all": "yes"}},
            "rules": [{"apiGroups": [""], "resources": ["stale"], "verbs": ["get"]}],
            "aggregationRule": {"clusterRoleSelectors": [
                {"matchExpressions": [{"key": selects, "operator": "Exists"}]},
                {"matchLabels": {"own": "leaf"}},
            ]},
        })
    };
    let mut leaf =
        cluster_role("leaf", json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]));
    leaf["metadata"]["labels"] = json!({"own": "leaf"});
    let mut objects = vec![leaf, binding("b", "ClusterRole", "a", &[user("bob")])];
    objects.extend([aggregate("a", "all"), aggregate("b", "all"), aggregate("c", "none")]);
    let index = Index::build(&objects);
    check(&index, &bob(), NAMESPACE, &[("get //pods p", true), ("get //stale x", false)]);
}

#[test]
fn rules_of_a_user_are_listed_for_a_review() {
    let rules = json!([
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"], "resourceNames": ["s"]},
        {"verbs": ["get"], "nonResourceURLs": ["/logs"]},
    ]);
    let index = Index::build(&[
        cluster_role("c", rules),
        cluster_binding("c", "c", &[user("bob"), json!({"kind": "Group", "name": "devs"})]),
        binding("gone", "Role", "nope", &[user("bob")]),
    ]);
    assert_eq!(
        index.rules_for(&bob(), NAMESPACE),
        json!({
            "resourceRules":
                [{"verbs": ["list"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"]}],
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/logs"]}],
            "incomplete": false,
            "evaluationError": r#"role.rbac.authorization.k8s.io "nope" not found"#,
        })
    );
    assert_eq!(
        Index::default().rules_for(&bob(), NAMESPACE),
        json!({"resourceRules": [], "nonResourceRules": [], "incomplete": false})
    );
}

fn write<'a>(name: &'a str, rules: &'a [Rule]) -> RoleWrite<'a> {
    RoleWrite { namespace: NAMESPACE, path_name: "", name, rules, is_aggregate: false }
}

#[test]
fn a_user_may_not_grant_what_it_does_not_hold() {
    let rules = json!([
        {"apiGroups": [GROUP], "resources": ["roles", "rolebindings"], "verbs": ["create", "update", "get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["*/status"], "verbs": ["*"], "resourceNames": ["one"]},
    ]);
    let less = role("less", json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]));
    let index = index(&[role("r", rules), less.clone(), binding("r", "Role", "r", &[user("bob")])]);
    let (bob, prefix) = (
        bob(),
        "user \"bob\" (groups=[\"devs\" \"system:authenticated\"]) is attempting to grant RBAC permissions not \
         currently held:\n",
    );
    assert_eq!(index.may_write_role(&bob, write("less", &Rule::of(&less))), Ok(()));
    let one = role(
        "",
        json!([{"apiGroups": [""], "resources": ["pods/status"], "verbs": ["get"], "resourceNames": ["one"]}]),
    );
    assert_eq!(index.may_write_role(&bob, write("one", &Rule::of(&one))), Ok(()));
    let cases = [
        (
            json!([
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "delete"]},
                {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]},
            ]),
            r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}
{APIGroups:[""], Resources:["secrets"], Verbs:["list"]}"#,
        ),
        (
            json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]),
            r#"{APIGroups:["*"], Resources:["*"], Verbs:["*"]}"#,
        ),
        (
            json!([{"apiGroups": ["", "b"], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]),
            r#"{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}
{APIGroups:["b"], Resources:["pods"], Verbs:["get" "list" "watch"]}"#,
        ),
        (
            json!([{"apiGroups": [""], "resources": ["pods/status"], "verbs": ["get"]}]),
            r#"{APIGroups:[""], Resources:["pods/status"], Verbs:["get"]}"#,
        ),
        (
            json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": ["a", "b"]}]),
            r#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["a"], Verbs:["get"]}
{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}"#,
        ),
    ];
    for (rules, expected) in cases {
        let error = index.may_write_role(&bob, write("more", &Rule::of(&role("more", rules)))).unwrap_err();
        let message = format!("roles.rbac.authorization.k8s.io \"more\" is forbidden: {prefix}{expected}");
        assert_eq!(error.message, message);
        assert_eq!(error.code, 403);
    }

    let bind = |kind, name| index.may_bind(&bob, NAMESPACE, "b", RoleRef { kind, name });
    assert_eq!(bind("Role", "less"), Ok(()));
    assert_eq!(
        bind("ClusterRole", "cluster-admin").unwrap_err().message,
        format!(
            "rolebindings.rbac.authorization.k8s.io \"b\" is forbidden: {prefix}{}",
            "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}"
        )
    );
    let missing = bind("Role", "none").unwrap_err();
    assert_eq!(missing.message, "rolebindings.rbac.authorization.k8s.io \"none\" not found");
    assert_eq!(missing.code, 404);
    assert_eq!(
        index.may_bind(&User::admin(), "", "b", RoleRef { kind: "ClusterRole", name: "none" }),
        Ok(())
    );
}

#[test]
fn whoever_may_escalate_or_bind_need_not_hold_it() {
    let rules = json!([
        {"apiGroups": [GROUP], "resources": ["roles"], "verbs": ["escalate"], "resourceNames": ["known"]},
        {"apiGroups": [GROUP], "resources": ["clusterroles"], "verbs": ["bind"], "resourceNames": ["edit"]},
    ]);
    let index = index(&[role("r", rules), binding("r", "Role", "r", &[user("bob")])]);
    let all = super::escalation::everything();
    let update = RoleWrite { path_name: "known", ..write("known", &all) };
    assert_eq!(index.may_write_role(&bob(), update), Ok(()));
    assert!(index.may_write_role(&bob(), write("known", &all)).is_err(), "a create names no object");
    let bind = |name| index.may_bind(&bob(), NAMESPACE, "b", RoleRef { kind: "ClusterRole", name });
    assert_eq!(bind("edit"), Ok(()));
    assert!(bind("view").is_err());
    let aggregate = RoleWrite { is_aggregate: true, ..write("sum", &[]) };
    assert_eq!(
        index.may_write_role(&bob(), aggregate).unwrap_err().message,
        "roles.rbac.authorization.k8s.io \"sum\" is forbidden: must have cluster-admin privileges to use the \
         aggregationRule"
    );
}

#[test]
fn rules_without_bound_are_refused_at_once() {
    let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let rule = Rule { verbs: many.clone(), api_groups: many.clone(), resources: many, ..Rule::default() };
    let error = index(&[]).may_write_role(&bob(), write("more", &[rule])).unwrap_err();
    assert!(error.message.contains("100000 combinations"), "{}", error.message);
}
