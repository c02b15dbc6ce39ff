//! Sets of a Job's indexes, written as intervals: `0,2-5,9`.

use crate::machinery::go_quoted;

/// Why a text is no set of indexes, in the words of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexesError {
    /// An interval with more than a beginning and an end.
    #[error(
        "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
        go_quoted(.0)
    )]
    TooManyParts(String),
    /// No number.
    #[error("cannot convert string to integer for index: {}", go_quoted(.0))]
    NoNumber(String),
    /// An index that the Job does not have.
    #[error("too large index: {}", go_quoted(.0))]
    TooLarge(String),
    /// Indexes must grow.
    #[error("non-increasing order, previous: {previous}, current: {current}")]
    NotIncreasing {
        /// The index before.
        previous: i64,
        /// The index that should be more.
        current: i64,
    },
}

/// How many indexes a set has, of those below `completions`.
///
/// # Errors
/// Anything but growing intervals.
pub fn count(text: &str, completions: i64) -> Result<i64, IndexesError> {
    let mut total = 0;
    let mut last = None;
    for interval in intervals(text) {
        let (start, end) = parse_interval(interval, completions)?;
        if let Some(previous) = last.filter(|last| *last >= start) {
            return Err(IndexesError::NotIncreasing { previous, current: start });
        }
        total += end - start + 1;
        last = Some(end);
    }
    Ok(total)
}

/// The first index that is in both sets, if any is. Intervals that are none are skipped.
pub fn overlap(a: &str, b: &str, completions: i64) -> Option<i64> {
    let parsed = |text| {
        let intervals = intervals(text);
        intervals.filter_map(move |interval| parse_interval(interval, completions).ok()).peekable()
    };
    let (mut a, mut b) = (parsed(a), parsed(b));
    while let (Some((start, end)), Some((other_start, other_end))) = (a.peek(), b.peek()) {
        if start <= other_end && other_start <= end {
            return Some(*start.max(other_start));
        }
        if start <= other_start {
            a.next()
        } else {
            b.next()
        };
    }
    None
}

fn intervals(text: &str) -> impl Iterator<Item = &str> {
    // A set without intervals is empty, one of an empty interval is wrong.
    text.split(',').filter(move |_| !text.is_empty())
}

fn parse_interval(interval: &str, completions: i64) -> Result<(i64, i64), IndexesError> {
    let index = |text: &str| {
        let number: i64 = text.parse().map_err(|_| IndexesError::NoNumber(text.to_owned()))?;
        if number >= completions { Err(IndexesError::TooLarge(text.to_owned())) } else { Ok(number) }
    };
    let mut parts = interval.split('-');
    let (start, end, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if more.is_some() {
        return Err(IndexesError::TooManyParts(interval.to_owned()));
    }
    let start = index(start)?;
    let Some(end) = end else { return Ok((start, start)) };
    let end = index(end)?;
    if start >= end {
        return Err(IndexesError::NotIncreasing { previous: start, current: end });
    }
    Ok((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_grow() {
        for (text, want) in [
            ("", Ok(0)),
            ("0,2-4,9", Ok(5)),
            ("0,", Err("cannot convert string to integer for index: \"\"")),
            (
                "1-2-3",
                Err(
                    "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'",
                ),
            ),
            ("x", Err("cannot convert string to integer for index: \"x\"")),
            ("10", Err("too large index: \"10\"")),
            ("1-10", Err("too large index: \"10\"")),
            ("3-3", Err("non-increasing order, previous: 3, current: 3")),
            ("2-4,4", Err("non-increasing order, previous: 4, current: 4")),
        ] {
            assert_eq!(
                count(text, 10).map_err(|error| error.to_string()),
                want.map_err(str::to_owned),
                "{text}"
            );
        }
    }

    #[test]
    fn sets_overlap_where_they_share_an_index() {
        for (a, b, want) in [
            ("", "0-3", None),
            ("0,2,4", "1,3,5", None),
            ("0-3,7", "5-8", Some(7)),
            ("1-5", "x,3", Some(3)),
            ("9", "0-8", None),
        ] {
            assert_eq!(overlap(a, b, 10), want, "{a} and {b}");
        }
    }
}
