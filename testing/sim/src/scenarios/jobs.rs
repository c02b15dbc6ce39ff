//! Jobs that run to their end on simulated nodes.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use kube::api::PropagationPolicy;
use serde_json::{Value, json};
use xebec_coordinator::sim::{Scenario, Server, Step};
use xebec_coordinator::{AddError, Coordinator, Key, Random, Write};

use super::{controllers, nodes, one_of, pause, put, wherever};
use crate::Simulated;

/// Jobs, the scheduler, the garbage collector and two nodes.
pub struct Jobs;

impl Scenario for Jobs {
    fn name(&self) -> &'static str {
        "jobs"
    }

    fn server(&self, seed: u64) -> Arc<dyn Server> {
        Arc::new(Simulated::new(seed))
    }

    fn observe(&self, coordinator: &Coordinator) -> Result<(), AddError> {
        controllers(coordinator, &["job", "garbage-collection", "scheduler"])?;
        nodes(coordinator)
    }

    fn steps(&self, random: &Random) -> Vec<Step> {
        let mut steps = Vec::new();
        for name in ["one", "two"].into_iter().take(1 + random.number() as usize % 2) {
            let fields = job(1 + random.number() % 3, 1 + random.number() % 2);
            let key = Key::new::<Job>("default", name);
            steps.push(Step::new(pause(random, 3000), put(key, fields)));
        }
        if random.number().is_multiple_of(3) {
            let policies = [PropagationPolicy::Background, PropagationPolicy::Foreground];
            let write = Write::delete(Key::new::<Job>("default", "one"));
            steps.push(Step::new(pause(random, 10_000), write.propagation(one_of(random, &policies))));
        }
        steps
    }

    fn normalize(&self, object: &mut Value) -> bool {
        // A Pod whose creation was answered by nothing is one too many. It may run to its end before it is deleted, and
        // then stays, as it does in Kubernetes; that the Job does not count it, its status says.
        let finished = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        !(object["kind"] == "Pod" && finished) && wherever(object)
    }
}

fn job(completions: u64, parallelism: u64) -> Value {
    let pod =
        json!({"containers": [{"name": "main", "image": "example.org/main"}], "restartPolicy": "Never"});
    json!({"spec": {"completions": completions, "parallelism": parallelism, "template": {"spec": pod}}})
}
