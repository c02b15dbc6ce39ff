//! How two values differ, line by line, for errors about a change that is not allowed.

use std::fmt::Write;

use serde_json::Value;

/// How many lines that are alike are shown around the difference.
const CONTEXT: usize = 3;
/// How many lines of each value are shown.
const LINES_MAX: usize = 100;

/// The lines from the first to the last that differ: those of `old` with a `-`, those of `new` with a `+`.
pub fn of(old: &Value, new: &Value) -> String {
    let (old, new) = (format!("{old:#}"), format!("{new:#}"));
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let start = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let rest = old[start..].iter().rev().zip(new[start..].iter().rev());
    let same = rest.take_while(|(old, new)| old == new).count();
    let mut out = String::new();
    let mut write = |sign: char, lines: &[&str]| {
        for line in lines.iter().take(LINES_MAX) {
            let _ = writeln!(out, "{sign} {line}");
        }
        if lines.len() > LINES_MAX {
            let _ = writeln!(out, "{sign} ... {} more lines", lines.len() - LINES_MAX);
        }
    };
    let (old_end, new_end) = (old.len() - same, new.len() - same);
    write(' ', &old[start.saturating_sub(CONTEXT)..start]);
    write('-', &old[start..old_end]);
    write('+', &new[start..new_end]);
    write(' ', &old[old_end..old.len().min(old_end + CONTEXT)]);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        let old = json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": {"f": 5}, "g": 6, "h": 7, "i": 8});
        let mut new = old.clone();
        new["e"] = json!({"f": 6, "x": true});
        assert_eq!(
            of(&old, &new),
            "    \"c\": 3,\n    \"d\": 4,\n    \"e\": {\n-     \"f\": 5\n+     \"f\": 6,\n+     \"x\": true\n    },\n    \"g\": 6,\n    \"h\": 7,\n"
        );
        let long = of(&json!([]), &json!(vec![0; 1000]));
        assert!(long.lines().count() < 2 * LINES_MAX && long.contains("more lines"), "{long}");
    }
}
