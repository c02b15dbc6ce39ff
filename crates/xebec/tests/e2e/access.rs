//! Who may do what: `kubectl auth can-i` and `whoami`, as the admin and as a user of a token.

use super::cluster::Cluster;

#[test]
fn the_admin_may_do_everything() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    assert_eq!(kubectl.run("auth can-i '*' '*' --all-namespaces"), "yes\n");
    assert_eq!(kubectl.run("auth can-i create deployments.apps"), "yes\n");
    assert!(kubectl.run("auth can-i --list").starts_with("Resources"));
    let groups = kubectl.run("auth whoami -o 'jsonpath={.status.userInfo.groups}'");
    assert!(groups.contains("system:authenticated"), "{groups}");
}

#[test]
fn a_user_may_do_what_roles_say() {
    let scratch = tempfile::tempdir().unwrap();
    let tokens = scratch.path().join("tokens.csv");
    std::fs::write(&tokens, "letmein,bob,2,\"devs,ops\"\n").unwrap();
    let cluster = Cluster::up_with(&["--token-auth-file", tokens.to_str().unwrap()]);
    let admin = &cluster.kubectl;
    let name = admin.run("config view --minify -o 'jsonpath={.contexts[0].context.cluster}'");
    admin.run("config set-credentials bob --token letmein");
    admin.run(&format!("config set-context bob --user bob --cluster {name}"));
    let bob = admin.context("bob");
    assert_eq!(bob.run("auth whoami -o 'jsonpath={.status.userInfo.username}'"), "bob");

    let denied = bob.said("auth can-i list pods");
    assert_eq!((denied.code, denied.out.as_str()), (1, "no\n"));
    let forbidden = bob.said("get pods");
    assert_eq!(
        forbidden.err,
        "Error from server (Forbidden): pods is forbidden: User \"bob\" cannot list resource \"pods\" in API group \"\" \
         in the namespace \"default\"\n"
    );

    admin.run("create rolebinding devs-view --clusterrole view --group devs");
    assert_eq!(bob.run("auth can-i list pods"), "yes\n");
    assert_eq!(bob.said("get pods").err, "No resources found in default namespace.\n");
    assert_eq!(bob.said("auth can-i list pods --namespace kube-system").out, "no\n");
    assert_eq!(bob.said("auth can-i get secrets").out, "no\n");
    admin.run("delete rolebinding devs-view");
    assert_eq!(bob.said("auth can-i list pods").out, "no\n");

    // What the admin asks for another is answered for the other.
    assert_eq!(admin.said("auth can-i list pods --as bob").out, "no\n");

    let stranger = admin.context("bob");
    admin.run("config set-credentials bob --token wrong");
    let unknown = stranger.said("get pods");
    assert!(unknown.err.contains("You must be logged in to the server"), "{}", unknown.err);
}
