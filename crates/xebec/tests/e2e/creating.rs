//! `kubectl create …`, `run` and `expose`.

use super::cluster::Cluster;

#[test]
fn create_makes_every_sort_of_object() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    for (line, made) in [
        ("namespace shop", "namespace/shop"),
        ("configmap settings --from-literal color=blue --from-file README.md", "configmap/settings"),
        ("secret generic login --from-literal user=me", "secret/login"),
        ("secret docker-registry pull --docker-username me --docker-password it", "secret/pull"),
        ("serviceaccount robot", "serviceaccount/robot"),
        ("deployment web --image web:1 --port 8080", "deployment.apps/web"),
        ("job once --image once:1", "job.batch/once"),
        ("cronjob nightly --image nightly:1 --schedule '0 3 * * *'", "cronjob.batch/nightly"),
        ("service clusterip inner --tcp 80:8080", "service/inner"),
        ("service nodeport outer --tcp 80:8080", "service/outer"),
        ("service externalname away --external-name example.com", "service/away"),
        ("ingress front --rule 'example.com/*=web:80'", "ingress.networking.k8s.io/front"),
        ("role reader --verb get,list --resource pods", "role.rbac.authorization.k8s.io/reader"),
        (
            "rolebinding readers --role reader --serviceaccount default:robot",
            "rolebinding.rbac.authorization.k8s.io/readers",
        ),
        ("clusterrole viewer --verb get --resource nodes", "clusterrole.rbac.authorization.k8s.io/viewer"),
        (
            "clusterrolebinding viewers --clusterrole viewer --user bob",
            "clusterrolebinding.rbac.authorization.k8s.io/viewers",
        ),
        (
            "poddisruptionbudget guard --selector app=web --min-available 1",
            "poddisruptionbudget.policy/guard",
        ),
        ("quota limits --hard pods=10", "resourcequota/limits"),
        (
            "priorityclass high --value 1000 --description 'comes first'",
            "priorityclass.scheduling.k8s.io/high",
        ),
    ] {
        assert_eq!(kubectl.run(&format!("create {line}")), format!("{made} created\n"), "{line}");
        assert!(kubectl.run(&format!("get {made} -o name")).contains(made), "{line}");
    }
    let again = kubectl.said("create configmap settings");
    assert_eq!(again.err, "error: failed to create configmap: configmaps \"settings\" already exists\n");
    let from_cron = kubectl.run("create job by-hand --from cronjob/nightly");
    assert_eq!(from_cron, "job.batch/by-hand created\n");
    assert_eq!(kubectl.run("get secret login -o 'jsonpath={.data.user}'"), "bWU=");
}

#[test]
fn a_manifest_may_be_made_without_the_server() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    let manifest = kubectl.run("create deployment web --image web:1 --dry-run=client -o yaml");
    assert_eq!(kubectl.run_on("apply -f -", &manifest), "deployment.apps/web created\n");
    let by_server = kubectl.run("create deployment other --image web:1 --dry-run=server -o name");
    assert_eq!(by_server, "deployment.apps/other\n");
    assert_eq!(kubectl.run("get deployments -o name"), "deployment.apps/web\n");
}

#[test]
fn expose_gives_pods_an_address() {
    let cluster = Cluster::up();
    let kubectl = &cluster.kubectl;
    kubectl.run("create deployment web --image web:1 --replicas 2 --port 8080");
    assert_eq!(kubectl.run("expose deployment web --port 80 --target-port 8080"), "service/web exposed\n");
    kubectl.run("rollout status deployment/web --timeout 60s");
    let service = kubectl.json("get service web");
    assert!(service["spec"]["clusterIP"].as_str().unwrap().starts_with("10.96."), "{service}");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], 8080);
    let mut slices = kubectl.start("get endpointslices -l kubernetes.io/service-name=web --watch");
    let slice =
        slices.line("a slice of two addresses", |line| line.starts_with("web-") && line.contains(','));
    let addresses = slice.split_whitespace().find(|word| word.contains(',')).unwrap().replace(',', " ");
    let pods = kubectl.run("get pods -l app=web -o 'jsonpath={.items[*].status.podIP}'");
    let sorted = |text: &str| {
        let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        words.sort();
        words
    };
    assert_eq!(sorted(&addresses), sorted(&pods));
}
