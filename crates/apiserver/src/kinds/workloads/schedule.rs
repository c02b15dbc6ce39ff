//! When a CronJob runs: five fields (`*/5 * * * 1-5`) or a descriptor (`@daily`, `@every 1h30m`).
//!
//! The language and its complaints are those of the Go library that Kubernetes reads schedules with.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::duration;
use crate::machinery::go_quoted;

/// When something is to run again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// In the minutes that all fields allow.
    Times(Times),
    /// So long after the last time; whole seconds, at least one.
    Every(Duration),
}

/// The minutes in which something runs: in each field, the bit of every value that is allowed. Where neither days of
/// the month nor days of the week are restricted both allow all; where both are, either is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// Minutes of the hour, 0 to 59.
    pub minutes: u64,
    /// Hours of the day, 0 to 23.
    pub hours: u64,
    /// Days of the month, 1 to 31.
    pub days: u64,
    /// Months, 1 to 12.
    pub months: u64,
    /// Days of the week, 0 (Sunday) to 6.
    pub weekdays: u64,
    /// Whether days of the month were left open by `*` or `?`.
    pub any_day: bool,
    /// Whether days of the week were left open by `*` or `?`.
    pub any_weekday: bool,
}

/// Why a text is no schedule, in the words of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScheduleError(String);

/// The values that a field may have, and their names.
struct Bounds {
    low: u64,
    high: u64,
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { low: 0, high: 59, names: &[] };
const HOURS: Bounds = Bounds { low: 0, high: 23, names: &[] };
const DAYS: Bounds = Bounds { low: 1, high: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    low: 1,
    high: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds =
    Bounds { low: 0, high: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

impl Schedule {
    /// Reads a schedule. A time zone before it (`TZ=Europe/Rome`) is looked up, and left out.
    ///
    /// # Errors
    /// What cannot be understood.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        if text.is_empty() {
            return Err(ScheduleError("empty spec string".to_owned()));
        }
        let zoned = text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ="));
        let text = match zoned {
            Some(zoned) => {
                let (zone, rest) = zoned.split_once(' ').unwrap_or((zoned, ""));
                if !is_time_zone(zone) {
                    let message = format!("provided bad location {zone}: unknown time zone {zone}");
                    return Err(ScheduleError(message));
                }
                rest.trim()
            }
            None => text,
        };
        if text.starts_with('@') {
            return descriptor(text);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            let (count, all) = (fields.len(), fields.join(" "));
            return Err(ScheduleError(format!("expected exactly 5 fields, found {count}: [{all}]")));
        };
        let (minutes, hours) = (field(minutes, &MINUTES)?, field(hours, &HOURS)?);
        let (days, months, weekdays) =
            (field(days, &DAYS)?, field(months, &MONTHS)?, field(weekdays, &WEEKDAYS)?);
        Ok(Self::Times(Times {
            minutes: minutes.0,
            hours: hours.0,
            days: days.0,
            months: months.0,
            weekdays: weekdays.0,
            any_day: days.1,
            any_weekday: weekdays.1,
        }))
    }
}

/// Whether there is a time zone of that name, which is written in only one way.
pub fn is_time_zone(name: &str) -> bool {
    matches!(name, "" | "UTC" | "Local")
        || TimeZone::get(name).is_ok_and(|zone| zone.iana_name() == Some(name))
}

fn descriptor(text: &str) -> Result<Schedule, ScheduleError> {
    const EVERY: &str = "@every ";
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(every) = text.strip_prefix(EVERY) else {
                return Err(ScheduleError(format!("unrecognized descriptor: {text}")));
            };
            let nanoseconds = duration::parse(every)
                .map_err(|error| ScheduleError(format!("failed to parse duration {text}: {error}")))?;
            let seconds = u64::try_from(nanoseconds / 1_000_000_000).unwrap_or_default();
            return Ok(Schedule::Every(Duration::from_secs(seconds.max(1))));
        }
    };
    Schedule::parse(fields)
}

/// The bits of a list of ranges, and whether one of them was left open.
fn field(text: &str, bounds: &Bounds) -> Result<(u64, bool), ScheduleError> {
    let (mut bits, mut open) = (0, false);
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let part = range(part, bounds)?;
        bits |= part.0;
        open |= part.1;
    }
    Ok((bits, open))
}

/// The bits of `N`, `N-M`, `*`, `?`, each with `/STEP` or without.
fn range(text: &str, bounds: &Bounds) -> Result<(u64, bool), ScheduleError> {
    let mut parts = text.split('/');
    let limits: Vec<&str> = parts.next().unwrap_or_default().split('-').collect();
    let mut open = matches!(limits[0], "*" | "?");
    let (start, mut end) = match limits[..] {
        _ if open => (bounds.low, bounds.high),
        [start] => {
            let start = named_number(start, bounds)?;
            (start, start)
        }
        [start, end] => (named_number(start, bounds)?, named_number(end, bounds)?),
        _ => {
            named_number(limits[0], bounds)?;
            return Err(ScheduleError(format!("too many hyphens: {text}")));
        }
    };
    let step = match (parts.next(), parts.next()) {
        (None, _) => 1,
        (Some(step), None) => {
            let step = number(step)?;
            if limits.len() == 1 {
                end = bounds.high;
            }
            open &= step <= 1;
            step
        }
        _ => return Err(ScheduleError(format!("too many slashes: {text}"))),
    };
    let (low, high) = (bounds.low, bounds.high);
    let problem = if start < low {
        format!("beginning of range ({start}) below minimum ({low}): {text}")
    } else if end > high {
        format!("end of range ({end}) above maximum ({high}): {text}")
    } else if start > end {
        format!("beginning of range ({start}) beyond end of range ({end}): {text}")
    } else if step == 0 {
        format!("step of range should be a positive number: {text}")
    } else {
        // All values are below 64, and so are the steps that matter.
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        let bits = (start..=end).step_by(step).fold(0, |bits, value| bits | 1 << value);
        return Ok((bits, open));
    };
    Err(ScheduleError(problem))
}

fn named_number(text: &str, bounds: &Bounds) -> Result<u64, ScheduleError> {
    let mut names = bounds.names.iter().zip(bounds.low..);
    match names.find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        Some((_, number)) => Ok(number),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u64, ScheduleError> {
    let problem = |why: &str| {
        let quoted = go_quoted(text);
        ScheduleError(format!("failed to parse int from {text}: strconv.Atoi: parsing {quoted}: {why}"))
    };
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(problem("invalid syntax"));
    }
    let number: i64 = text.parse().map_err(|_| problem("value out of range"))?;
    u64::try_from(number)
        .map_err(|_| ScheduleError(format!("negative number ({number}) not allowed: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_schedule_is_refused() {
        for (text, want) in [
            ("", "empty spec string"),
            ("every day", "expected exactly 5 fields, found 2: [every day]"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("*/-5 * * * *", "negative number (-5) not allowed: -5"),
            (
                "99999999999999999999 * * * *",
                "failed to parse int from 99999999999999999999: strconv.Atoi: parsing \"99999999999999999999\": value out of range",
            ),
            ("@often", "unrecognized descriptor: @often"),
            ("@every day", "failed to parse duration @every day: time: invalid duration \"day\""),
            ("TZ=Mars/Base * * * * *", "provided bad location Mars/Base: unknown time zone Mars/Base"),
            ("TZ=UTC", "expected exactly 5 fields, found 0: []"),
        ] {
            assert_eq!(Schedule::parse(text).unwrap_err().to_string(), want, "{text}");
        }
    }

    #[test]
    fn fields_are_sets_of_values() {
        let times = |text: &str| match Schedule::parse(text).unwrap() {
            Schedule::Times(times) => times,
            other @ Schedule::Every(_) => panic!("{other:?}"),
        };
        let all = |low: u64, high: u64| (low..=high).fold(0, |bits, value| bits | 1 << value);
        assert_eq!(
            times("*/20 8-10 ? Jan,MAR mon-5/2"),
            Times {
                minutes: 1 | 1 << 20 | 1 << 40,
                hours: 1 << 8 | 1 << 9 | 1 << 10,
                days: all(1, 31),
                months: 1 << 1 | 1 << 3,
                weekdays: 1 << 1 | 1 << 3 | 1 << 5,
                any_day: true,
                any_weekday: false,
            }
        );
        assert_eq!(times("50/4 * */2 * *").minutes, 1 << 50 | 1 << 54 | 1 << 58);
        assert!(!times("50/4 * */2 * *").any_day);
        assert_eq!(times("@weekly"), times("0 0 * * 0"));
        assert_eq!(times("CRON_TZ=Europe/Berlin 1 2 3 4 5"), times("1 2 3 4 5"));
        assert_eq!(Schedule::parse("@every 1h30m").unwrap(), Schedule::Every(Duration::from_mins(90)));
        assert_eq!(Schedule::parse("@every 5ms").unwrap(), Schedule::Every(Duration::from_secs(1)));
    }

    #[test]
    fn time_zones_have_one_name() {
        for (name, want) in [
            ("Europe/Berlin", true),
            ("UTC", true),
            ("europe/berlin", false),
            ("Mars/Base", false),
            ("EST", true),
        ] {
            assert_eq!(is_time_zone(name), want, "{name}");
        }
    }
}
