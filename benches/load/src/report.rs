//! What was measured, beside the bars: as a table, and as JSON.

use std::{
    fmt::Write,
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use serde_json::{Value, json};

/// A figure and how it is counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// How long.
    Time(Duration),
    /// A second.
    Rate(f64),
    /// Memory.
    Bytes(u64),
    /// How many.
    Count(u64),
}

/// What a figure must hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// No more than this.
    AtMost(Figure),
    /// No less than this.
    AtLeast(Figure),
}

/// One row: a figure, its bar, and what else is known of it.
#[derive(Clone, Debug)]
pub struct Measure {
    /// What was measured.
    pub name: &'static str,
    /// How much it is.
    pub figure: Figure,
    /// What it must hold, if anything.
    pub bar: Option<Bar>,
    /// What half of the requests did not exceed.
    pub p50: Option<Duration>,
    /// What 99 of 100 did not exceed.
    pub p99: Option<Duration>,
    /// How it was measured.
    pub note: String,
}

impl Figure {
    /// The number in the figure's unit.
    fn number(self) -> f64 {
        match self {
            Self::Time(time) => time.as_secs_f64() * 1e3,
            Self::Rate(rate) => rate,
            Self::Bytes(bytes) => bytes as f64 / 1e6,
            Self::Count(count) => count as f64,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Time(_) => "ms",
            Self::Rate(_) => "/s",
            Self::Bytes(_) => "MB",
            Self::Count(_) => "",
        }
    }

    fn shown(self) -> String {
        let number = self.number();
        let digits =
            if number < 100.0 { usize::from(!matches!(self, Self::Rate(_) | Self::Count(_))) } else { 0 };
        format!("{number:.digits$} {}", self.unit())
    }
}

impl Bar {
    fn holds(self, figure: Figure) -> bool {
        match self {
            Self::AtMost(bar) => figure.number() <= bar.number(),
            Self::AtLeast(bar) => figure.number() >= bar.number(),
        }
    }

    fn shown(self) -> String {
        match self {
            Self::AtMost(bar) => format!("<= {}", bar.shown()),
            Self::AtLeast(bar) => format!(">= {}", bar.shown()),
        }
    }
}

impl Measure {
    /// Whether the bar is held; none is held by any figure.
    pub fn holds(&self) -> bool {
        self.bar.is_none_or(|bar| bar.holds(self.figure))
    }

    fn verdict(&self) -> &'static str {
        match self.bar {
            None => "",
            Some(_) if self.holds() => "ok",
            Some(_) => "MISSED",
        }
    }
}

/// Prints the figures, as a table or as JSON. Where a bar is missed, that is a failure.
///
/// # Errors
/// Where standard output takes nothing.
pub fn print(server: &str, measures: &[Measure], as_json: bool) -> io::Result<ExitCode> {
    let text = if as_json { format!("{:#}\n", json(server, measures)) } else { table(measures) };
    io::stdout().write_all(text.as_bytes())?;
    let held = measures.iter().all(Measure::holds);
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A table for a terminal, with a line a measure on how it was taken.
pub fn table(measures: &[Measure]) -> String {
    let time = |time: Option<Duration>| {
        time.map_or(String::new(), |time| format!("{:.2} ms", time.as_secs_f64() * 1e3))
    };
    let mut out = format!("{:<18}{:>14}{:>16}  {:<8}{:>11}{:>11}\n", "", "measured", "bar", "", "p50", "p99");
    for measure in measures {
        let bar = measure.bar.map(Bar::shown).unwrap_or_default();
        let (figure, verdict) = (measure.figure.shown(), measure.verdict());
        let (p50, p99) = (time(measure.p50), time(measure.p99));
        let line = format!("{:<18}{figure:>14}{bar:>16}  {verdict:<8}{p50:>11}{p99:>11}", measure.name);
        // Writing to a string can't fail.
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
    for measure in measures {
        let _ = writeln!(out, "{:<18}{}", measure.name, measure.note);
    }
    out
}

/// The same for programs.
pub fn json(server: &str, measures: &[Measure]) -> Value {
    let ms = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    let rows: Vec<Value> = measures
        .iter()
        .map(|measure| {
            let bar = measure.bar.map(|bar| match bar {
                Bar::AtMost(figure) => json!({ "atMost": figure.number() }),
                Bar::AtLeast(figure) => json!({ "atLeast": figure.number() }),
            });
            json!({
                "name": measure.name,
                "value": measure.figure.number(),
                "unit": measure.figure.unit(),
                "bar": bar,
                "holds": measure.holds(),
                "p50Ms": ms(measure.p50),
                "p99Ms": ms(measure.p99),
                "note": measure.note,
            })
        })
        .collect();
    json!({ "server": server, "measures": rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(figure: Figure, bar: Option<Bar>) -> Measure {
        Measure {
            name: "it",
            figure,
            bar,
            p50: None,
            p99: Some(Duration::from_micros(1500)),
            note: "so".to_owned(),
        }
    }

    #[test]
    fn a_bar_is_held_or_missed() {
        let ms = |ms| Figure::Time(Duration::from_millis(ms));
        for (figure, bar, verdict) in [
            (ms(50), Some(Bar::AtMost(ms(50))), "ok"),
            (ms(51), Some(Bar::AtMost(ms(50))), "MISSED"),
            (Figure::Rate(15_000.0), Some(Bar::AtLeast(Figure::Rate(15_000.0))), "ok"),
            (Figure::Rate(14_999.0), Some(Bar::AtLeast(Figure::Rate(15_000.0))), "MISSED"),
            (Figure::Bytes(40_000_001), Some(Bar::AtMost(Figure::Bytes(40_000_000))), "MISSED"),
            (Figure::Bytes(1), None, ""),
        ] {
            let measure = measure(figure, bar);
            assert_eq!(measure.verdict(), verdict, "{figure:?} beside {bar:?}");
            assert_eq!(measure.holds(), verdict != "MISSED");
        }
    }

    #[test]
    fn the_table_reads_like_one() {
        let bar = Bar::AtMost(Figure::Time(Duration::from_millis(20)));
        let text = table(&[measure(Figure::Time(Duration::from_micros(21_040)), Some(bar))]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[1],
            "it                       21.0 ms      <= 20.0 ms  MISSED                 1.50 ms"
        );
        assert_eq!(lines[3], "it                so");
    }

    #[test]
    fn json_has_the_units_of_the_table() {
        let value = json("https://there", &[measure(Figure::Bytes(2_500_000), None)]);
        assert_eq!(value["measures"][0]["value"], 2.5);
        assert_eq!(value["measures"][0]["unit"], "MB");
        assert_eq!(value["measures"][0]["p99Ms"], 1.5);
    }
}
