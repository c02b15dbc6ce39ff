//! Sets of completion indexes, as a Job's status writes them: `0,2-5`.

use std::fmt;

/// A set of indexes, as intervals in order that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Intervals(Vec<(i32, i32)>);

impl Intervals {
    /// Reads what a status says, as far as it makes sense, of the indexes below `completions`.
    pub(crate) fn parse(text: &str, completions: i32) -> Self {
        let intervals = text.split(',').filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse().ok()?, last.parse::<i32>().ok()?.min(completions - 1));
            (0 <= first && first <= last).then_some((first, last))
        });
        Self::of(intervals.collect())
    }

    /// The set of some indexes.
    pub(crate) fn of_indexes(indexes: impl IntoIterator<Item = i32>) -> Self {
        Self::of(indexes.into_iter().map(|index| (index, index)).collect())
    }

    /// What is in either set.
    #[must_use]
    pub(crate) fn with(&self, other: &Self) -> Self {
        Self::of(self.0.iter().chain(&other.0).copied().collect())
    }

    fn of(mut intervals: Vec<(i32, i32)>) -> Self {
        intervals.sort_unstable();
        let mut merged: Vec<(i32, i32)> = Vec::with_capacity(intervals.len());
        for (first, last) in intervals {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// Whether an index is in the set.
    pub(crate) fn contains(&self, index: i32) -> bool {
        let place = self.0.partition_point(|interval| interval.1 < index);
        self.0.get(place).is_some_and(|interval| interval.0 <= index)
    }

    /// How many indexes there are.
    pub(crate) fn len(&self) -> i32 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many indexes are in both sets.
    pub(crate) fn overlap(&self, other: &Self) -> i32 {
        let (mut own, mut others) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut count = 0;
        while let (Some(one), Some(two)) = (own.peek(), others.peek()) {
            count += (one.1.min(two.1) - one.0.max(two.0) + 1).max(0);
            if one.1 <= two.1 {
                own.next();
            } else {
                others.next();
            }
        }
        count
    }

    /// The first `count` indexes below `completions` that are not in the set.
    pub(crate) fn missing(&self, count: usize, completions: i32) -> Vec<i32> {
        let mut missing = Vec::new();
        let mut candidate = 0;
        for (first, last) in self.0.iter().copied().chain([(completions, completions)]) {
            let room = count - missing.len();
            missing.extend((candidate..first.min(completions)).take(room));
            candidate = last.saturating_add(1);
        }
        missing
    }
}

impl fmt::Display for Intervals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (first, last)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_read_and_written() {
        for (text, completions, written) in [
            ("", 10, ""),
            ("0", 10, "0"),
            ("1,0,3-5", 10, "0,1,3-5"),
            ("0-2,3", 10, "0-3"),
            ("2-8,5-6", 10, "2-8"),
            ("1-20", 10, "1-9"),
            ("10,x,-,3-1", 10, ""),
        ] {
            assert_eq!(Intervals::parse(text, completions).to_string(), written, "{text}");
        }
    }

    #[test]
    fn sets_are_compared() {
        let set = |text| Intervals::parse(text, 100);
        assert_eq!(set("0,2-4").len(), 4);
        assert!(set("0,2-4").contains(3) && !set("0,2-4").contains(1) && !set("0,2-4").contains(5));
        for (one, two, overlap) in
            [("0-4", "2-8", 3), ("0,2,4", "0-9", 3), ("0-1", "2-3", 0), ("1-9", "0,3,5-20", 6)]
        {
            assert_eq!(set(one).overlap(&set(two)), overlap, "{one} {two}");
            assert_eq!(set(two).overlap(&set(one)), overlap, "{two} {one}");
        }
        assert_eq!(set("0,1").with(&set("2,7")).to_string(), "0-2,7");
    }

    #[test]
    fn missing_indexes_come_in_order() {
        for (text, count, missing) in [
            ("", 2, vec![0, 1]),
            ("0,2", 3, vec![1, 3, 4]),
            ("0-4", 3, vec![]),
            ("1-3", 9, vec![0, 4]),
            ("0", 0, vec![]),
        ] {
            assert_eq!(Intervals::parse(text, 5).missing(count, 5), missing, "{text}");
        }
    }
}
