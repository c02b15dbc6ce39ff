//! `cargo run -p xebec-examples --bin tls`: says on each Ingress which of its TLS Secrets are missing.

use xebec_examples::run::run;
use xebec_examples::tls::TlsSecrets;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run("tls", Vec::new(), async |coordinator| Ok(coordinator.observe(TlsSecrets)?)).await
}
