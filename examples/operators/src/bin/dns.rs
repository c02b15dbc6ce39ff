//! `NAME_SERVER=host:port cargo run -p xebec-examples --bin dns`: keeps DnsRecords in a name server.

use std::process::ExitCode;

use kube::CustomResourceExt;
use serde_json::json;
use xebec_coordinator::BoxError;
use xebec_coordinator::operator::Program;
use xebec_examples::dns::{DnsRecord, DnsRecords, NameServer};

#[tokio::main]
async fn main() -> ExitCode {
    let program = Program::new("dns").definitions([json!(DnsRecord::crd())]);
    program
        .run(|coordinator| {
            let server = std::env::var("NAME_SERVER")
                .map_err(|_| "say where the name server is: NAME_SERVER=host:port")?;
            coordinator.reconcile(DnsRecords::new(NameServer::new(server))).map_err(BoxError::from)
        })
        .await
}
