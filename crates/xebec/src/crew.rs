//! The coordinator and who runs on it: controllers, scheduler, nodes and observers, and what the terminal is told.

use std::{
    fmt,
    io::{self, Write},
    time::Duration,
};

use anyhow::Result;
use futures::future::BoxFuture;
use jiff::Timestamp;
use xebec_apiserver::Clock as ClusterClock;
use xebec_controllers::CONTROLLERS;
use xebec_coordinator::{Clock, Coordinator};

use crate::chosen::Chosen;

/// The cluster's clock, as the coordinator wants one.
struct Time(ClusterClock);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Clock for Time {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.0.clone();
        Box::pin(async move { clock.sleep_until(deadline).await })
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let clock = self.0.clone();
        Box::pin(async move { clock.sleep(duration).await })
    }
}

/// A coordinator for an embedded cluster, in its time.
pub fn embedded(cluster: &xebec_apiserver::Cluster) -> Coordinator {
    Coordinator::builder(cluster.client()).clock(Time(cluster.clock().clone())).build()
}

/// Adds the control plane and `nodes` simulated nodes.
///
/// # Errors
/// Two of them have one name.
pub fn add_control_plane(coordinator: &Coordinator, nodes: u16, authority: &str) -> Result<()> {
    let options = xebec_controllers::Options { root_certificates: authority.to_owned() };
    for controller in CONTROLLERS {
        controller.observe(coordinator, &options)?;
    }
    let options = xebec_node::simulated::Options { nodes: nodes.into(), ..Default::default() };
    xebec_node::simulated::observe(coordinator, &options)?;
    Ok(())
}

/// Adds the observers that are asked for. Returns which run.
///
/// # Errors
/// Two of them have one name.
pub fn add_observers(coordinator: &Coordinator, chosen: &[Chosen]) -> Result<Vec<String>> {
    let mut running = Vec::new();
    for observer in chosen {
        observer.observe(coordinator)?;
        running.push(observer.name().to_owned());
    }
    coordinator.on_emitted::<xebec_observers::reload::Reloaded, _, _>(|reloaded, _| async move {
        say(&format!("reload: {reloaded}"));
        Ok::<(), xebec_coordinator::BoxError>(())
    });
    Ok(running)
}

/// Tells the terminal.
pub fn say(line: &str) {
    // Where standard output is closed there is nobody left to tell.
    let _ = writeln!(io::stdout().lock(), "{line}");
}
