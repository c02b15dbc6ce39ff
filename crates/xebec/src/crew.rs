//! The coordinator and who runs on it: controllers, scheduler, nodes and observers, and what the terminal is told.

use std::io::{self, Write};

use anyhow::Result;
use xebec_controllers::CONTROLLERS;
use xebec_coordinator::{Coordinator, clock_of};

use crate::chosen::Chosen;

/// A coordinator for an embedded cluster, in its time.
pub fn embedded(cluster: &xebec_apiserver::Cluster) -> Coordinator {
    let (now, sleeper) = (cluster.clock().clone(), cluster.clock().clone());
    let clock = clock_of(
        move || now.now(),
        move |deadline| {
            let clock = sleeper.clone();
            async move { clock.sleep_until(deadline).await }
        },
    );
    Coordinator::builder(cluster.client()).clock(clock).build()
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
