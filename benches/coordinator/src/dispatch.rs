//! How fast what has happened is told: a process is stopped, every Pod is written once, and the process goes on.
//!
//! So neither the writers nor the server's writing counts, and nothing coalesces, as each event is of another object.

use anyhow::{Context, Result};
use xebec_bench_load::report::{Bar, Figure};

use crate::child::{Process, wall_ns};
use crate::plan::{Bench, median, say};

/// Name of the row and variant. The last is what the others are compared with.
const VARIANTS: &[(&str, &str)] = &[
    ("dispatch", "dispatch"),
    ("dispatch-decoded", "dispatch-decoded"),
    ("kube-controller", "kube-dispatch"),
];

pub async fn measure(bench: &mut Bench) -> Result<()> {
    let count = bench.scale.dispatch_pods;
    say(&format!("creating {count} Pods"));
    let size = bench.create_pods(count).await?;
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); VARIANTS.len()];
    let mut costs = rates.clone();
    let mut value = 0;
    // In turn, so that whatever else the machine does meets all alike.
    for round in 0..bench.scale.rounds {
        for (place, (_, variant)) in VARIANTS.iter().enumerate() {
            say(&format!("dispatching: round {} of {variant}", round + 1));
            let mut process = Process::start(&bench.kubeconfig, &[variant, "--count", &count.to_string()])?;
            process.answer().await?; // it has seen every Pod once
            bench.settle().await;
            value += 1;
            process.signal("STOP")?;
            bench.write_pods(count, value).await?;
            let before = process.processor_seconds()?;
            let start = wall_ns();
            process.signal("CONT")?;
            let answer = process.answer().await?;
            let end: u128 = answer["at"].as_str().context("a time")?.parse()?;
            rates[place].push(count as f64 * 1e9 / end.saturating_sub(start).max(1) as f64);
            costs[place].push((process.processor_seconds()? - before) * 1e6 / count as f64);
        }
    }
    let controller = median(rates[VARIANTS.len() - 1].clone());
    for (place, (name, _)) in VARIANTS.iter().enumerate() {
        let rate = median(std::mem::take(&mut rates[place]));
        let bar = (*name != "kube-controller").then_some(Bar::AtLeast(Figure::Rate(2.0 * controller)));
        let note = format!(
            "{} from a backlog of {count} of them ({:.1} kB each) to the last call: {:.1} times kube-rs' Controller, \
             {:.0} µs of the processor each; median of {}",
            match *name {
                "dispatch" => "changes of Pods, the observer looks at headers,",
                "dispatch-decoded" => "changes of Pods, the observer decodes each,",
                _ => "changes of Pods, kube-rs' Controller,",
            },
            size as f64 / 1e3,
            rate / controller,
            median(std::mem::take(&mut costs[place])),
            bench.scale.rounds,
        );
        bench.push(name, Figure::Rate(rate), bar, note);
    }
    Ok(())
}
