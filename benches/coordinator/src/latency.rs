//! From a write to the call of the observer that it concerns, under a steady load; and what a stuck observer changes.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::stream::{FuturesUnordered, TryStreamExt};
use xebec_bench_load::clock;
use xebec_bench_load::connection::Connection;
use xebec_bench_load::report::{Bar, Figure, Measure};

use crate::child::{Process, wall_ns};
use crate::objects;
use crate::plan::{Bench, median, say};

/// How many objects are written in turn: each is told before it is written again.
const OBJECTS: u64 = 2_000;
const CONNECTIONS: u32 = 16;
const NAMESPACE: &str = "latency";

/// One slice of the load.
#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    rate: f64,
    calls: f64,
    p50: f64,
    p99: f64,
    max: f64,
}

pub async fn measure(bench: &mut Bench) -> Result<()> {
    bench.namespace(NAMESPACE).await?;
    let mut connection = Connection::open(bench.target()).await?;
    for number in 0..OBJECTS {
        let mut request = Vec::new();
        let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps");
        let body = objects::config_map(&format!("config-{number}"), 0);
        bench.target().encode(&mut request, "POST", &path, &body);
        let status = connection.exchange(&request).await?;
        if status != 201 {
            bail!("POST {path}: {status}");
        }
    }
    let mut free = Vec::new();
    let mut stuck = Vec::new();
    let mut ours = Process::start(&bench.kubeconfig, &["latency"])?;
    slice(bench, &mut ours).await?; // to warm up
    // In turn, so that whatever else the machine does meets both alike.
    for round in 0..bench.scale.slices {
        say(&format!("latency: slice {}", round + 1));
        // Which comes first changes, too.
        for is_stuck in [round % 2 == 1, round % 2 == 0] {
            ours.tell(if is_stuck { "stuck" } else { "free" })?;
            let slice = slice(bench, &mut ours).await?;
            if is_stuck { stuck.push(slice) } else { free.push(slice) }
        }
    }
    drop(ours);
    let mut kube = Vec::new();
    let mut theirs = Process::start(&bench.kubeconfig, &["kube-latency"])?;
    slice(bench, &mut theirs).await?;
    for round in 0..bench.scale.slices {
        say(&format!("latency of kube-rs' Controller: slice {}", round + 1));
        kube.push(slice(bench, &mut theirs).await?);
    }
    report(bench, &free, &stuck, &kube);
    Ok(())
}

fn report(bench: &mut Bench, free: &[Slice], stuck: &[Slice], kube: &[Slice]) {
    let of = |slices: &[Slice], figure: fn(&Slice) -> f64| median(slices.iter().map(figure).collect());
    let ms = |ns: f64| Duration::from_nanos(ns as u64);
    let rate = of(free, |slice| slice.rate);
    let wanted = f64::from(bench.scale.writes_per_second);
    bench.push(
        "writes",
        Figure::Rate(rate),
        Some(Bar::AtLeast(Figure::Rate(0.98 * wanted))),
        format!("writes of small ConfigMaps while latency was measured, {wanted:.0}/s wished for"),
    );
    for (name, slices, bar, what) in [
        ("latency", free, Some(Duration::from_millis(5)), "the call of one of two observers"),
        ("latency-stuck", stuck, None, "the observer's call, while the other observer is stuck"),
        ("kube-latency", kube, None, "the call of kube-rs' Controller"),
    ] {
        let note = format!(
            "p99 from sending a write to {what}, {:.0} writes a second; {:.0} calls a slice of {:?}, median of {}; the \
             longest took {:.1} ms",
            of(slices, |slice| slice.rate),
            of(slices, |slice| slice.calls),
            bench.scale.slice,
            slices.len(),
            slices.iter().map(|slice| slice.max).fold(0.0, f64::max) / 1e6,
        );
        bench.measures.push(Measure {
            name,
            figure: Figure::Time(ms(of(slices, |slice| slice.p99))),
            bar: bar.map(|bar| Bar::AtMost(Figure::Time(bar))),
            p50: Some(ms(of(slices, |slice| slice.p50))),
            p99: Some(ms(of(slices, |slice| slice.p99))),
            note,
        });
    }
    // The bar is a tenth more than without; what is less than without is no harm.
    let (without, with) = (of(free, |slice| slice.p99), of(stuck, |slice| slice.p99));
    bench.push(
        "stuck-harm",
        Figure::Time(ms((with - without).max(0.0))),
        Some(Bar::AtMost(Figure::Time(ms(without / 10.0)))),
        format!(
            "what a stuck observer adds to the others' p99: {:+.1} %",
            (with / without.max(1.0) - 1.0) * 100.0
        ),
    );
}

/// Writes for a while, and asks what came of it.
async fn slice(bench: &Bench, process: &mut Process) -> Result<Slice> {
    clock::pause(Duration::from_millis(300)).await;
    process.tell("report")?;
    process.answer().await?;
    let start = clock::now();
    let writers: FuturesUnordered<_> = (0..CONNECTIONS).map(|writer| write(bench, writer)).collect();
    let written: Vec<u64> = writers.try_collect().await?;
    let rate = written.iter().sum::<u64>() as f64 / clock::since(start).as_secs_f64();
    clock::pause(Duration::from_millis(200)).await; // the last are on their way
    process.tell("report")?;
    let answer = process.answer().await?;
    let number = |name: &str| answer[name].as_f64().with_context(|| format!("{name} in {answer}"));
    let slice = Slice {
        rate,
        calls: number("calls")?,
        p50: number("p50")?,
        p99: number("p99")?,
        max: number("max")?,
    };
    if slice.calls < 0.5 * written.iter().sum::<u64>() as f64 {
        bail!("{} calls for {} writes", slice.calls, written.iter().sum::<u64>());
    }
    Ok(slice)
}

/// Writes the objects that are one writer's, evenly spread over time; what is late is not left out.
async fn write(bench: &Bench, writer: u32) -> Result<u64> {
    let mut connection = Connection::open(bench.target()).await?;
    let every = Duration::from_secs(1) * CONNECTIONS / bench.scale.writes_per_second;
    let start = clock::now() + every * writer / CONNECTIONS;
    let mut request = Vec::new();
    let mut written: u32 = 0;
    let count = (bench.scale.slice.as_secs_f64() / every.as_secs_f64()) as u32;
    while written < count {
        if let Some(early) = (start + every * written).checked_duration_since(clock::now()) {
            clock::pause(early).await;
        }
        let number = (u64::from(written) * u64::from(CONNECTIONS) + u64::from(writer)) % OBJECTS;
        let name = format!("config-{number}");
        let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/{name}");
        request.clear();
        bench.target().encode(&mut request, "PUT", &path, &objects::config_map(&name, wall_ns()));
        let status = connection.exchange(&request).await?;
        if status != 200 {
            bail!("PUT {path}: {status} {}", String::from_utf8_lossy(connection.body()));
        }
        written += 1;
    }
    Ok(written.into())
}
