//! `cargo run -p xebec-examples --bin website`: serves Websites, with routes in the namespace `$GATEWAY` (`gateway`).

use xebec_examples::run::run;
use xebec_examples::website::{Websites, definition};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let gateway = std::env::var("GATEWAY").unwrap_or_else(|_| "gateway".to_owned());
    run("website", vec![definition()], async |coordinator| Ok(coordinator.observe(Websites::new(gateway))?))
        .await
}
