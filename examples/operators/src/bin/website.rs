//! `cargo run -p xebec-examples --bin website`: serves Websites, with routes in the namespace `$GATEWAY` (`gateway`).

use std::process::ExitCode;

use xebec_coordinator::operator::Program;
use xebec_examples::website::{Websites, definition};

#[tokio::main]
async fn main() -> ExitCode {
    let gateway = std::env::var("GATEWAY").unwrap_or_else(|_| "gateway".to_owned());
    let program = Program::new("website").definitions([definition()]);
    program.run(|coordinator| coordinator.observe(Websites::new(gateway))).await
}
