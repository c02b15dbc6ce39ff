//! `cargo run -p xebec-examples --bin audit`: prints a line of JSON for every role that is given or taken away.

use std::io::Write;

use tokio::sync::mpsc;
use xebec_examples::{audit, run::run};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
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
    run("audit", Vec::new(), async |coordinator| Ok(audit::add(coordinator, sender)?)).await
}
