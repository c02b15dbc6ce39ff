//! Resident memory of a process that holds all Pods of a cluster, a process each.

use anyhow::{Result, bail};
use xebec_bench_load::report::{Bar, Figure};
use xebec_bench_load::server::resident_bytes;

use crate::child::Process;
use crate::plan::{Bench, say};

/// Name of the row, variant, and bar in megabytes.
const VARIANTS: &[(&str, &str, Option<u64>)] = &[
    ("whole", "whole", Some(500)),
    ("metadata", "metadata", Some(150)),
    ("raw-json", "raw", None),
    ("kube-metadata", "kube-metadata", None),
    ("kube-stripped", "kube-stripped", None),
    ("kube-typed", "kube-typed", None),
];

pub async fn measure(bench: &mut Bench) -> Result<()> {
    let count = bench.scale.memory_pods;
    say(&format!("creating {count} Pods"));
    let size = bench.create_pods(count).await?;
    for (name, variant, bar) in VARIANTS {
        say(&format!("memory of {variant}"));
        let mut process = Process::start(&bench.kubeconfig, &[variant, "--count", &count.to_string()])?;
        let answer = process.answer().await?;
        if answer["calls"].as_u64() != Some(count) {
            bail!("{variant} holds {} of {count} Pods", answer["calls"]);
        }
        bench.settle().await;
        let bytes = resident_bytes(process.pid())?;
        let bar = bar.map(|megabytes| Bar::AtMost(Figure::Bytes(megabytes * 1_000_000)));
        let note = format!(
            "resident with {count} Pods of {:.1} kB ({}), in a process of its own; {:.0} MB at most on the way, {:.1} s \
             of the processor",
            size as f64 / 1e3,
            what(variant),
            process.peak_bytes()? as f64 / 1e6,
            process.processor_seconds()?,
        );
        bench.push(name, Figure::Bytes(bytes), bar, note);
    }
    Ok(())
}

fn what(variant: &str) -> &'static str {
    match variant {
        "whole" => "an observer of whole Pods",
        "metadata" => "an observer of their metadata",
        "raw" => "their JSON and nothing else",
        "kube-metadata" => "kube-rs' reflector of their metadata, managedFields taken off",
        "kube-stripped" => "kube-rs' reflector, managedFields taken off",
        _ => "kube-rs' reflector",
    }
}
