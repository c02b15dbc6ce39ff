//! `NAME_SERVER=host:port cargo run -p xebec-examples --bin dns`: keeps DnsRecords in a name server.

use anyhow::Context;
use xebec_examples::dns::{DnsRecords, NameServer, definition};
use xebec_examples::run::run;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server =
        std::env::var("NAME_SERVER").context("say where the name server is: NAME_SERVER=host:port")?;
    let records = DnsRecords::new(NameServer::new(server));
    run("dns", vec![definition()], async |coordinator| Ok(coordinator.reconcile(records)?)).await
}
