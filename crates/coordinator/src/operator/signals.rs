//! How a program is ended: the first Ctrl-C (or SIGTERM) asks, the second insists.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that a signal ended, as shells count it.
const INTERRUPTED: i32 = 130;

/// A token that is cancelled by the first SIGINT or SIGTERM; the second ends the process at once.
///
/// # Errors
/// The signals cannot be listened for.
pub fn shutdown_on_signals() -> io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
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
