//! Bad input, over TLS, to the real binary: for each attack a clear answer or a closed connection, bounded memory, and a
//! server that lives on.
//!
//! Every test starts a server of its own ([`server::Server`]), attacks it with bytes of its own making, and then asserts
//! that it is unharmed. Nothing sleeps: the server's limits of time are set short by hidden flags, and what is waited
//! for has a deadline.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::format_collect, clippy::format_push_string, reason = "attacks are made once")]

mod bodies;
mod connections;
mod limits;
mod patches;
mod paths;
#[path = "../process/mod.rs"]
mod process;
mod requests;
mod server;
mod streams;
mod watches;
