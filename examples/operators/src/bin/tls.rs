//! `cargo run -p xebec-examples --bin tls`: says on each Ingress which of its TLS Secrets are missing.

use std::process::ExitCode;

use xebec_coordinator::operator;
use xebec_examples::tls::TlsSecrets;

#[tokio::main]
async fn main() -> ExitCode {
    operator::run("tls", |coordinator| coordinator.observe(TlsSecrets)).await
}
