//! `cargo run -p xebec-examples --bin audit`: prints a line of JSON for every role that is given or taken away.

use std::io::Write;
use std::process::ExitCode;

use tokio::sync::mpsc;
use xebec_coordinator::operator;
use xebec_examples::audit;

#[tokio::main]
async fn main() -> ExitCode {
    let (sender, mut lines) = mpsc::channel(1);
    // A thread of its own: whoever reads the output may be slow.
    std::thread::spawn(move || {
        while let Some(change) = lines.blocking_recv() {
            let mut output = std::io::stdout().lock();
            if serde_json::to_writer(&mut output, &change).is_err() || writeln!(output).is_err() {
                return; // the reader is gone; the sender fails, and says so
            }
        }
    });
    operator::run("audit", |coordinator| audit::add(coordinator, sender)).await
}
