//! The load generator, server and report of `xebec bench`, compiled in: there is one way to measure.
#![allow(dead_code, reason = "`xebec bench` uses all of it")]

#[path = "../../../crates/xebec/src/bench/arguments.rs"]
pub mod arguments;
#[path = "../../../crates/xebec/src/bench/clock.rs"]
pub mod clock;
#[path = "../../../crates/xebec/src/bench/connection.rs"]
pub mod connection;
#[path = "../../../crates/xebec/src/bench/load.rs"]
pub mod load;
#[path = "../../../crates/xebec/src/bench/report.rs"]
pub mod report;
#[path = "../../../crates/xebec/src/bench/server.rs"]
pub mod server;
#[path = "../../../crates/xebec/src/bench/target.rs"]
pub mod target;
