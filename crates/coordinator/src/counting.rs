//! What an observer counts and measures of its own, as data: declared in its spec, stated by its plans, and told on
//! `/metrics` beside what the coordinator knows of it.
//!
//! Who may set a label to anything makes as many series as there are values. So a metric names all values that its labels
//! can have, and a plan that states another is refused.

use std::collections::BTreeMap;
use std::fmt;

use crate::memory::Memory;
use crate::{AddError, BoxError, ObserverSpec, Plan};

/// How many series one metric may be.
const SERIES_MAX: usize = 1000;

/// A number that an observer counts or measures. On `/metrics` it is called `OBSERVER_NAME`.
///
/// ```
/// use xebec_coordinator::{Metric, Plan};
///
/// const SENT: Metric = Metric::counter("mails_total", "Mails by what became of them.").label("outcome", &["sent", "refused"]);
/// const WAITING: Metric = Metric::gauge("waiting", "Orders that wait for an answer.");
///
/// let mut plan = Plan::new();
/// plan.count(&SENT, &["sent"]).measure(&WAITING, &[], 1.0);
/// assert_eq!(plan.counted().collect::<Vec<_>>(), [r#"mails_total{outcome="sent"}"#]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name after that of the observer: lower case, digits and underscores; that of a counter ends in `_total`.
    pub name: &'static str,
    /// What it counts or measures, in a sentence.
    pub description: &'static str,
    /// Whether it counts or measures.
    pub form: MetricForm,
    /// Its labels.
    pub labels: Labels,
}

/// Whether a metric counts or measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricForm {
    /// It counts what happened since the process began.
    Counter,
    /// It is the sum of what the last plan for each key measured; what is gone counts no more.
    Gauge,
}

/// The labels of a metric, up to two, each with all values that it can have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labels([Option<(&'static str, &'static [&'static str])>; 2]);

/// One series of a metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    metric: &'static str,
    labels: Vec<(&'static str, &'static str)>,
}

/// What a plan leaves behind of its key until the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) memory: Option<Memory>,
    measures: Vec<(Series, f64)>,
}

/// How often each series was counted.
pub(crate) type Counts = BTreeMap<Series, u64>;

impl Metric {
    /// Counts what happens.
    pub const fn counter(name: &'static str, description: &'static str) -> Self {
        Self { name, description, form: MetricForm::Counter, labels: Labels([None, None]) }
    }

    /// Measures how things are.
    pub const fn gauge(name: &'static str, description: &'static str) -> Self {
        Self { name, description, form: MetricForm::Gauge, labels: Labels([None, None]) }
    }

    /// Tells apart by a label, which has one of these values.
    ///
    /// # Panics
    /// It has two labels already; in a constant, when it is compiled.
    #[must_use]
    pub const fn label(mut self, name: &'static str, values: &'static [&'static str]) -> Self {
        let place = match self.labels.0 {
            [None, _] => 0,
            [_, None] => 1,
            _ => panic!("a metric has two labels at most"),
        };
        self.labels.0[place] = Some((name, values));
        self
    }

    /// The series of these values, in the order of the labels.
    fn series(&self, values: &[&str]) -> Result<Series, BoxError> {
        let wrong = || {
            let labels: Vec<String> = self.labels.iter().map(|(name, of)| format!("{name}={of:?}")).collect();
            format!("metric {} has no series {values:?}: its labels are {}", self.name, labels.join(", "))
        };
        if self.labels.iter().count() != values.len() {
            return Err(wrong().into());
        }
        let labels = self.labels.iter().zip(values).map(|((name, known), value)| {
            known.iter().find(|known| *known == value).map(|known| (name, *known))
        });
        let labels: Option<Vec<_>> = labels.collect();
        Ok(Series { metric: self.name, labels: labels.ok_or_else(wrong)? })
    }

    /// All series that there can be.
    pub(crate) fn all(&self) -> Vec<Series> {
        let mut all = vec![Series { metric: self.name, labels: Vec::new() }];
        for (name, values) in self.labels.iter() {
            let with = |series: &Series, value| {
                let labels = series.labels.iter().copied().chain([(name, value)]).collect();
                Series { metric: series.metric, labels }
            };
            all =
                all.iter().flat_map(|series| values.iter().map(move |value| with(series, *value))).collect();
        }
        all
    }
}

impl Labels {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
        self.0.into_iter().flatten()
    }
}

impl MetricForm {
    /// As Prometheus calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

impl Series {
    pub(crate) fn labels(&self) -> &[(&'static str, &'static str)] {
        &self.labels
    }
}

impl Kept {
    /// What was measured, by series.
    pub(crate) fn measures(&self) -> impl Iterator<Item = (&Series, f64)> {
        self.measures.iter().map(|(series, value)| (series, *value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.memory.is_none() && self.measures.is_empty()
    }
}

impl Plan {
    /// Counts one more of a series of a metric that the observer's spec declares, by the values of its labels; once all
    /// steps have succeeded. A plan that counts what is not declared is refused.
    pub fn count(&mut self, metric: &Metric, labels: &[&str]) -> &mut Self {
        match metric.series(labels) {
            Ok(series) => self.counts.push(series),
            Err(error) => self.fail(error),
        }
        self
    }

    /// Measures something of this key, of a gauge that the observer's spec declares. It counts until the next plan of the
    /// key, and while its object is there; what is shown is the sum of all keys.
    pub fn measure(&mut self, metric: &Metric, labels: &[&str], value: f64) -> &mut Self {
        match metric.series(labels) {
            Ok(series) => self.kept.measures.push((series, value)),
            Err(error) => self.fail(error),
        }
        self
    }

    /// The series that it counts, as Prometheus writes them.
    pub fn counted(&self) -> impl Iterator<Item = String> {
        self.counts.iter().map(ToString::to_string)
    }

    /// What it measures: series as Prometheus writes them, and values.
    pub fn measured(&self) -> impl Iterator<Item = (String, f64)> {
        self.kept.measures().map(|(series, value)| (series.to_string(), value))
    }
}

impl ObserverSpec {
    /// Counts or measures something of its own.
    #[must_use]
    pub fn metric(mut self, metric: &Metric) -> Self {
        self.metrics.push(*metric);
        self
    }

    /// How a metric of its own is called on `/metrics`.
    pub fn metric_name(&self, metric: &Metric) -> String {
        format!("{}_{}", self.name.replace(['-', '.'], "_"), metric.name)
    }

    /// Whether Prometheus takes its metrics.
    pub(crate) fn check_metrics(&self) -> Result<(), AddError> {
        for (place, metric) in self.metrics.iter().enumerate() {
            let is_name = |name: &str| {
                name.starts_with(|c: char| c.is_ascii_lowercase())
                    && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            };
            let series: usize = metric.labels.iter().map(|(_, values)| values.len()).product();
            let is_counter = metric.form == MetricForm::Counter;
            let why = if !is_name(metric.name) || !metric.labels.iter().all(|(name, _)| is_name(name)) {
                "names of metrics and labels are lower case, digits and underscores"
            } else if is_counter != metric.name.ends_with("_total") {
                "the names of counters, and of no others, end in _total"
            } else if series > SERIES_MAX {
                "its labels have more than 1000 combinations of values"
            } else if self.metrics[..place].iter().any(|other| other.name == metric.name) {
                "there is another of this name"
            } else {
                continue;
            };
            let observer = self.name.clone().into_owned();
            return Err(AddError::Metric { observer, metric: metric.name, why });
        }
        Ok(())
    }

    /// Whether a plan counts and measures only what this declares.
    pub(crate) fn check_counted(&self, plan: &Plan) -> Result<(), BoxError> {
        let declares =
            |name, form| self.metrics.iter().any(|metric| metric.name == name && metric.form == form);
        let counted = plan.counts.iter().map(|series| (series, MetricForm::Counter));
        let measured = plan.kept.measures().map(|(series, _)| (series, MetricForm::Gauge));
        match counted.chain(measured).find(|(series, form)| !declares(series.metric, *form)) {
            Some((series, form)) => {
                Err(format!("the observer's spec declares no {} {}", form.as_str(), series.metric).into())
            }
            None => Ok(()),
        }
    }
}

/// As Prometheus writes it.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric)?;
        for (place, (name, value)) in self.labels.iter().enumerate() {
            write!(f, "{}{name}={value:?}", if place == 0 { '{' } else { ',' })?;
        }
        if self.labels.is_empty() { Ok(()) } else { f.write_str("}") }
    }
}
