//! The format of a case, and where in its file everything stands.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

/// A rule, and what shows it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// The rule, as a sentence.
    pub(super) rule: String,
    /// What is there when the observers start.
    #[serde(default)]
    pub(super) objects: Vec<Spanned<Value>>,
    /// What they do when they start.
    #[serde(default)]
    does: Vec<String>,
    #[serde(default)]
    then: Vec<Spanned<Value>>,
    #[serde(default)]
    gone: Vec<Spanned<String>>,
    #[serde(default)]
    steps: Vec<Spanned<Turn>>,
}

/// Something happens, and something follows.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Turn {
    /// Whether the observers start anew, in a new process; what else happens, happens while there is none.
    pub(super) restarts: bool,
    /// How much time passes, before anything else happens.
    after: Option<Spanned<String>>,
    /// The next such writes of observers do not succeed.
    refuse: Option<Spanned<BTreeMap<String, Value>>>,
    /// Complete objects, as a user applies them server-side.
    pub(super) apply: Vec<Spanned<Value>>,
    /// Parts of objects, which a user merges into them.
    pub(super) change: Vec<Spanned<Value>>,
    /// Objects that a user deletes.
    pub(super) delete: Vec<Spanned<String>>,
    /// All that the observers do, in order.
    pub(super) does: Vec<String>,
    /// Parts of objects as they are in the end.
    pub(super) then: Vec<Spanned<Value>>,
    /// Objects that are not there in the end.
    pub(super) gone: Vec<Spanned<String>>,
}

/// What becomes of a write that does not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not done; the answer is this HTTP status.
    Status(u16),
    /// It is done, but the answer is lost.
    Lost,
}

/// What is wrong with a case, and where.
#[derive(Debug)]
pub(super) struct Mistake {
    /// The line, if one line is what is wrong.
    pub(super) line: Option<u64>,
    pub(super) message: String,
}

impl Mistake {
    pub(super) fn at(location: Location, message: impl Into<String>) -> Self {
        let line = (location != Location::UNKNOWN).then(|| location.line());
        Self { line, message: message.into() }
    }

    /// Of the case as a whole.
    pub(super) fn of_all(message: impl Into<String>) -> Self {
        Self { line: None, message: message.into() }
    }
}

impl Case {
    pub(super) fn parse(text: &str) -> Result<Self, Mistake> {
        let case: Self = serde_saphyr::from_str(text).map_err(|error| {
            let location = error.location().unwrap_or(Location::UNKNOWN);
            Mistake::at(location, error.render())
        })?;
        if case.rule.trim().is_empty() {
            return Err(Mistake::of_all("say the rule, as a sentence"));
        }
        for (_, turn) in case.turns() {
            turn.after()?;
            turn.refusals()?;
        }
        Ok(case)
    }

    /// The start and the steps, each with the line on which it begins.
    pub(super) fn turns(&self) -> Vec<(u64, Turn)> {
        let start = Turn {
            does: self.does.clone(),
            then: self.then.clone(),
            gone: self.gone.clone(),
            ..Turn::default()
        };
        let steps = self.steps.iter().map(|step| (step.referenced.line(), step.value.clone()));
        [(1, start)].into_iter().chain(steps).collect()
    }
}

impl Turn {
    /// How much time passes.
    pub(super) fn after(&self) -> Result<Duration, Mistake> {
        let Some(after) = &self.after else { return Ok(Duration::ZERO) };
        let time = after.value.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
        time.ok_or_else(|| {
            Mistake::at(
                after.referenced,
                format!("{:?} is no time: say one such as 90s or 1h 30m", after.value),
            )
        })
    }

    /// Which writes do not succeed, as `does` would tell them, and where the case says so.
    pub(super) fn refusals(&self) -> Result<Vec<(Location, String, Refusal)>, Mistake> {
        let Some(refuse) = &self.refuse else { return Ok(Vec::new()) };
        let refusals = refuse.value.iter().map(|(write, how)| {
            let refusal = match how {
                Value::String(word) if word == "lost" => Some(Refusal::Lost),
                Value::Number(code) => {
                    let code = code.as_u64().and_then(|code| u16::try_from(code).ok());
                    code.filter(|code| (400..600).contains(code)).map(Refusal::Status)
                }
                _ => None,
            };
            let refusal = refusal.ok_or_else(|| {
                let message = format!(
                    "{how} is no fault: say a status, such as 409 or 500, or `lost` for a write whose answer is lost"
                );
                Mistake::at(refuse.referenced, message)
            })?;
            Ok((refuse.referenced, write.clone(), refusal))
        });
        refusals.collect()
    }
}
