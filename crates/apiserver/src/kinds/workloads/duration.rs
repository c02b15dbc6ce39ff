//! Lengths of time as Go writes them: `1h30m`, `-1.5s`, `100ms`.

use crate::machinery::go_quoted;

/// Why a text is no length of time, in the words of Go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It is no number with a unit, or more than 2⁶³ nanoseconds.
    #[error("time: invalid duration {}", go_quoted(.0))]
    Invalid(String),
    /// A number without a unit.
    #[error("time: missing unit in duration {}", go_quoted(.0))]
    MissingUnit(String),
    /// A unit that there is not; the unit, and the whole text.
    #[error("time: unknown unit {} in duration {}", go_quoted(.0), go_quoted(.1))]
    UnknownUnit(String, String),
}

/// The nanoseconds of a length of time.
///
/// # Errors
/// Anything but a sequence of numbers, each with a unit.
pub fn parse(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut sum: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60 * 1_000_000_000,
            "h" => 3600 * 1_000_000_000,
            "" => return Err(DurationError::MissingUnit(text.to_owned())),
            other => return Err(DurationError::UnknownUnit(other.to_owned(), text.to_owned())),
        };
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        // More than 18 digits after the point are less than a nanosecond of any unit.
        let fraction = &fraction[..fraction.len().min(18)];
        let parts: i128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| invalid())? };
        let scale = fraction.bytes().fold(1, |scale: i128, _| scale * 10);
        let own = whole.checked_mul(unit).ok_or_else(invalid)? + parts * unit / scale;
        sum += own;
        if sum > i128::from(i64::MAX) + i128::from(negative) {
            return Err(invalid());
        }
        rest = after;
    }
    i64::try_from(if negative { -sum } else { sum }).map_err(|_| invalid())
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_in_go() {
        const SECOND: i64 = 1_000_000_000;
        for (text, want) in [
            ("0", Ok(0)),
            ("1h30m", Ok(5400 * SECOND)),
            ("-1.5s", Ok(-SECOND * 3 / 2)),
            ("+.5ms", Ok(500_000)),
            ("2µs3ns", Ok(2003)),
            ("", Err("time: invalid duration \"\"")),
            ("x", Err("time: invalid duration \"x\"")),
            ("3", Err("time: missing unit in duration \"3\"")),
            ("3d", Err("time: unknown unit \"d\" in duration \"3d\"")),
            ("9999999999h", Err("time: invalid duration \"9999999999h\"")),
            (".s", Err("time: invalid duration \".s\"")),
        ] {
            assert_eq!(parse(text).map_err(|error| error.to_string()), want.map_err(str::to_owned), "{text}");
        }
    }
}
