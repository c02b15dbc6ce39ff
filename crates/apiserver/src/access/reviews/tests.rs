//! Answers to reviews, as a real server recorded them.

use super::*;
use crate::access::token_file::TokenFile;

const AUDIENCE: &str = "https://kubernetes.default.svc";

fn answer(user: &User, kind: &str, mut review: Value) -> ApiResult<Value> {
    let objects: Vec<Value> = serde_json::from_str(include_str!("../../../data/fresh-cluster.json")).unwrap();
    let audiences = vec![AUDIENCE.to_owned()];
    let file = TokenFile::parse("bobtoken,bob,2,devs", &audiences).unwrap();
    let authentication = Authentication { tokens: vec![Box::new(file)], allows_anonymous: true, audiences };
    let reviewer = Reviewer {
        user,
        namespace: "shop",
        index: &Index::build(&objects),
        authentication: &authentication,
        now: "2026-01-02T03:04:05.678Z".parse().unwrap(),
    };
    review["kind"] = kind.into();
    reviewer.answer(kind, review)
}

fn bob() -> User {
    User::new("bob", ["devs"]).authenticated()
}

fn status(user: &User, kind: &str, review: Value) -> Value {
    answer(user, kind, review).unwrap()["status"].take()
}

fn message(kind: &str, review: Value) -> String {
    answer(&bob(), kind, review).unwrap_err().message
}

#[test]
fn a_user_may_ask_for_itself() {
    let pods = json!({"metadata": {"managedFields": []}, "spec": {"resourceAttributes": {
        "verb": "get", "resource": "pods", "namespace": "shop",
    }}});
    let of = |user: &User, review: &Value| status(user, "SelfSubjectAccessReview", review.clone());
    assert_eq!(of(&User::admin(), &pods), json!({"allowed": true}));
    assert_eq!(of(&bob(), &pods), json!({"allowed": false}));
    assert_eq!(
        of(&bob(), &json!({"spec": {"nonResourceAttributes": {"path": "/apis", "verb": "get"}}})),
        json!({"allowed": true, "reason": "RBAC: allowed by ClusterRoleBinding \"system:discovery\" of ClusterRole \
               \"system:discovery\" to Group \"system:authenticated\""})
    );
    let whole = answer(&bob(), "SelfSubjectAccessReview", pods.clone()).unwrap();
    assert_eq!((&whole["spec"], &whole["metadata"]), (&pods["spec"], &pods["metadata"]));
}

#[test]
fn a_review_of_others_names_them() {
    let controller = json!({
        "metadata": {"namespace": "shop"},
        "spec": {
            "user": "system:serviceaccount:kube-system:deployment-controller", "groups": ["system:serviceaccounts"],
            "resourceAttributes":
                {"verb": "update", "resource": "deployments", "group": "apps", "namespace": "shop"},
        },
    });
    let reason = "RBAC: allowed by ClusterRoleBinding \"system:controller:deployment-controller\" of ClusterRole \
                  \"system:controller:deployment-controller\" to ServiceAccount \"deployment-controller/kube-system\"";
    assert_eq!(
        status(&User::admin(), "LocalSubjectAccessReview", controller),
        json!({"allowed": true, "reason": reason})
    );
    let masters = json!({"spec": {"groups": ["system:masters"], "nonResourceAttributes": {"path": "/x"}}});
    assert_eq!(status(&bob(), "SubjectAccessReview", masters), json!({"allowed": true}));
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let pods = json!({"verb": "get", "resource": "pods"});
    let path = json!({"path": "/x", "verb": "get"});
    let prefix = ".authorization.k8s.io \"\" is invalid: ";
    let cases = [
        (
            "SelfSubjectAccessReview",
            json!({"spec": {}}),
            "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or \
             resourceAttributes must be specified",
        ),
        (
            "SelfSubjectAccessReview",
            json!({"spec": {"resourceAttributes": pods, "nonResourceAttributes": path}}),
            "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"get\"}: cannot be specified in \
             combination with resourceAttributes",
        ),
        (
            "SelfSubjectAccessReview",
            json!({"metadata": {"name": "x"}, "spec": {"resourceAttributes": pods}}),
            "metadata: Invalid value: {\"name\":\"x\"}: must be empty",
        ),
        (
            "SubjectAccessReview",
            json!({"spec": {"resourceAttributes": pods}}),
            "spec.user: Invalid value: \"\": at least one of user or group must be specified",
        ),
        (
            "LocalSubjectAccessReview",
            json!({
                "metadata": {"namespace": "shop", "labels": {}},
                "spec": {"user": "dora", "resourceAttributes": {"namespace": "default"}},
            }),
            "[metadata: Invalid value: {\"labels\":{},\"namespace\":\"shop\"}: must be empty except for namespace, \
             spec.resourceAttributes.namespace: Invalid value: \"default\": must match metadata.namespace]",
        ),
        (
            "LocalSubjectAccessReview",
            json!({"metadata": {"namespace": "shop"}, "spec": {"user": "dora", "nonResourceAttributes": path}}),
            "spec.nonResourceAttributes: Invalid value: {\"Path\":\"/x\",\"Verb\":\"get\"}: disallowed on this kind of \
             request",
        ),
        (
            "SelfSubjectAccessReview",
            json!({"spec": {"resourceAttributes": {
                "fieldSelector": {"rawSelector": "a=b", "requirements": [{"operator": "In"}]}, "labelSelector": {},
            }}}),
            "[spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: \"a=b\": may not specified at the same \
             time as requirements, spec.resourceAttributes.fieldSelector.requirements[0].key: Required value: must be \
             specified, spec.resourceAttributes.fieldSelector.requirements[0].values: Required value: must be \
             specified when `operator` is 'In' or 'NotIn', spec.resourceAttributes.labelSelector.requirements: \
             Required value: when spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is \
             required]",
        ),
    ];
    for (kind, review, expected) in cases {
        assert_eq!(message(kind, review), format!("{prefix}{expected}"));
    }
    assert_eq!(
        message(
            "LocalSubjectAccessReview",
            json!({"metadata": {"namespace": "other"}, "spec": {
                "user": "dora", "resourceAttributes": {"namespace": "other"},
            }})
        ),
        "spec.resourceAttributes.namespace must match namespace: shop"
    );
    assert_eq!(message("SelfSubjectRulesReview", json!({"spec": {}})), "no namespace on request");
    assert_eq!(
        message("TokenReview", json!({"spec": {"token": ""}})),
        "token is required for TokenReview in authentication"
    );
    assert_eq!(answer(&bob(), "PodReview", json!({})).unwrap_err().code, 404);
}

#[test]
fn selectors_that_cannot_be_understood_are_told() {
    let ask = |field: &str, selector: Value| {
        let review = json!({"spec": {"resourceAttributes": {"verb": "list", field: selector}}});
        status(&User::admin(), "SelfSubjectAccessReview", review)
    };
    assert_eq!(ask("labelSelector", json!({"rawSelector": "a=b"})), json!({"allowed": true}));
    assert_eq!(
        ask("labelSelector", json!({"rawSelector": "a in"})),
        json!({
            "allowed": true,
            "evaluationError": "spec.resourceAttributes.labelSelector ignored due to parse error",
        })
    );
    let requirements = json!([
        {"key": "a", "operator": "In", "values": ["x"]}, {"key": "b", "operator": "Newer"},
    ]);
    for field in ["fieldSelector", "labelSelector"] {
        assert_eq!(
            ask(field, json!({"requirements": requirements}))["evaluationError"],
            format!("spec.resourceAttributes.{field} partially ignored due to parse error")
        );
    }
}

#[test]
fn a_user_may_ask_who_it_is_and_what_it_may() {
    let user =
        answer(&bob(), "SelfSubjectReview", json!({"apiVersion": "authentication.k8s.io/v1"})).unwrap();
    assert_eq!(
        user,
        json!({
            "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"creationTimestamp": "2026-01-02T03:04:05Z"},
            "status": {"userInfo": {"username": "bob", "groups": ["devs", "system:authenticated"]}},
        })
    );
    let rules = answer(&bob(), "SelfSubjectRulesReview", json!({"spec": {"namespace": "shop"}})).unwrap();
    assert_eq!((&rules["metadata"], &rules["spec"]), (&json!({}), &json!({})));
    assert_eq!(rules["status"]["incomplete"], false);
    assert_eq!(
        rules["status"]["resourceRules"][0],
        json!({
            "verbs": ["create"], "apiGroups": ["authorization.k8s.io"],
            "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        })
    );
    assert!(rules["status"]["nonResourceRules"].as_array().is_some_and(|rules| !rules.is_empty()));
}

#[test]
fn a_review_of_a_token_tells_its_user() {
    let of = |spec: Value| status(&User::admin(), "TokenReview", json!({ "spec": spec }));
    let known = json!({
        "authenticated": true, "audiences": [AUDIENCE],
        "user": {"username": "bob", "uid": "2", "groups": ["devs", "system:authenticated"]},
    });
    assert_eq!(of(json!({"token": "bobtoken"})), known);
    assert_eq!(of(json!({"token": "bobtoken", "audiences": ["vault", AUDIENCE]})), known);
    let unknown = json!({"user": {}, "error": "invalid bearer token"});
    assert_eq!(of(json!({"token": "nope"})), unknown);
    assert_eq!(of(json!({"token": "bobtoken", "audiences": ["vault"]})), unknown);
}
