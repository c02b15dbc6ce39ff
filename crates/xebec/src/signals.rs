//! How the program is ended: the first Ctrl-C (or SIGTERM) asks, the second insists.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that a signal ended, as shells count it.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled by the first signal; the second ends the process at once.
pub fn shutdown() -> Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        token.cancel();
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        insist();
    });
    Ok(shutdown)
}

#[allow(clippy::disallowed_methods, reason = "whoever asks twice wants no destructors")]
fn insist() -> ! {
    std::process::exit(INTERRUPTED)
}
