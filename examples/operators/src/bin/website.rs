//! `cargo run -p xebec-examples --bin website`: serves Websites, with routes in the namespace `$GATEWAY` (`gateway`).

use std::process::ExitCode;

use kube::CustomResourceExt;
use serde_json::json;
use xebec_coordinator::operator::Program;
use xebec_examples::website::{Website, Websites};

#[tokio::main]
async fn main() -> ExitCode {
    let gateway = std::env::var("GATEWAY").unwrap_or_else(|_| "gateway".to_owned());
    let program = Program::new("website").definitions([json!(Website::crd())]);
    program.run(|coordinator| coordinator.observe(Websites::new(gateway))).await
}
