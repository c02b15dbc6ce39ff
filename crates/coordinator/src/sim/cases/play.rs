//! Playing one case: what came of it, and what is wrong with that.

use std::collections::BTreeSet;

use super::Settings;
use super::failure::diff;
use super::file::{Case, Mistake, Turn};
use super::told::{short, verb};
use super::world::{Came, World};
use crate::{Coordinator, Key, Step, Waiting};

/// How many keys are told why they were or were not served, and how much of an error.
const WHY_MAX: usize = 6;
const ERROR_MAX: usize = 160;

/// What came of a case.
pub(super) struct Played {
    /// What the observers did at the start and in each step, as far as it was played.
    pub(super) does: Vec<Vec<String>>,
    /// What is wrong, with the line of the step.
    pub(super) failure: Option<(u64, String)>,
}

/// Plays a case, until something is wrong. Whatever they do is right if it is `accepted`.
pub(super) fn play(case: &Case, settings: &Settings<'_>, accepted: bool) -> Result<Played, Mistake> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| Mistake::of_all(format!("no runtime: {error}")))?;
    runtime.block_on(run(case, settings, accepted))
}

async fn run(case: &Case, settings: &Settings<'_>, accepted: bool) -> Result<Played, Mistake> {
    let mut world = World::new(settings);
    world.give().await?;
    world.apply(&case.objects).await?;
    world.start().map_err(Mistake::of_all)?;
    let mut played = Played { does: Vec::new(), failure: None };
    for (number, (line, turn)) in case.turns().iter().enumerate() {
        world.happen(turn).await?;
        let came = world.came(turn).await?;
        let is_right = came.reasons.is_empty() && (accepted || came.does == turn.does);
        if !is_right {
            let step = if number == 0 { "the start".to_owned() } else { format!("step {number}") };
            let place = format!("{step} is not as it should be\n  rule: {}", case.rule);
            let reason = format!("{place}\n{}{}", wrong(turn, &came, accepted), why(&world, &came));
            played.failure = Some((*line, reason));
        }
        played.does.push(came.does);
        if played.failure.is_some() {
            break;
        }
    }
    world.stop().await;
    Ok(played)
}

fn wrong(turn: &Turn, came: &Came, accepted: bool) -> String {
    let mut lines = Vec::new();
    if !accepted && came.does != turn.does {
        lines.push("  does (- as the case says, + as it is):\n".to_owned());
        lines.extend(diff(&turn.does, &came.does).iter().map(|line| format!("    {line}\n")));
    }
    lines.extend(came.reasons.iter().map(|reason| format!("  {reason}\n")));
    lines.concat()
}

/// Why the observers did what they did: of the keys that were woken, or else of those that were put there.
fn why(world: &World<'_>, came: &Came) -> String {
    let Some(coordinator) = world.coordinator() else { return String::new() };
    let mut keys = came.touched.clone();
    if keys.is_empty() {
        keys = primary(coordinator, &world.put);
    }
    let mut lines = vec!["  why:\n".to_owned()];
    for (observer, key) in keys.iter().take(WHY_MAX) {
        lines.push(format!("    {observer}, {}: {}\n", short(key), why_key(coordinator, observer, key)));
    }
    match keys.len() {
        0 => lines.push("    nothing has woken any key\n".to_owned()),
        count if count > WHY_MAX => lines.push(format!("    and {} more keys\n", count - WHY_MAX)),
        _ => {}
    }
    lines.concat()
}

/// The keys that are of the observers' primary kinds.
fn primary(coordinator: &Coordinator, keys: &BTreeSet<Key>) -> BTreeSet<(String, Key)> {
    let mut primary = BTreeSet::new();
    for spec in coordinator.specs() {
        let Some(watch) = spec.watches.first() else { continue };
        let own = keys.iter().filter(|key| *key.kind() == watch.kind);
        primary.extend(own.map(|key| (spec.name.to_string(), key.clone())));
    }
    primary
}

fn why_key(coordinator: &Coordinator, observer: &str, key: &Key) -> String {
    let why = match coordinator.why(observer, key) {
        Ok(why) => why,
        Err(error) => return error.to_string(),
    };
    let mut parts = Vec::new();
    parts.push(match &why.woken {
        Some(woken) => format!("woken as {}", woken.cause),
        None => "nothing has woken it".to_owned(),
    });
    if let Some(served) = &why.served {
        parts.push(match &served.error {
            Some(error) => format!("it has failed ({} in a row): {}", why.failures, cut(error)),
            None => format!("it was served with {} writes", served.writes),
        });
    }
    if why.waiting != Waiting::Nothing {
        parts.push(format!("it waits {}", why.waiting));
    }
    parts.push(match &why.plan {
        Ok(plan) if plan.is_empty() => "nothing is left to do".to_owned(),
        Ok(plan) => {
            let steps: Vec<String> = plan.steps().iter().map(planned).collect();
            format!("its plan is to {}", steps.join(", to "))
        }
        Err(error) => error.to_string(),
    });
    parts.join("; ")
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(ERROR_MAX);
    if end < text.len() { format!("{}…", &text[..end]) } else { text.to_owned() }
}

fn planned(step: &Step) -> String {
    match step {
        Step::Write(write) => {
            let subresource = write.subresource.map(|name| format!("/{name}")).unwrap_or_default();
            format!("{} {}{subresource}", verb(write), short(&write.target))
        }
        Step::Emit(emission) => format!("emit {emission:?}"),
        Step::Record(record) => format!("record {record}"),
    }
}
