//! How cells say things: ages, labels, selectors, long lists.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::read::{at, items, map, text, texts};

/// The age that a time says: `5m`, `3d2h`; `<unknown>` where there is no time.
pub fn age(time: &Value, now: Timestamp) -> String {
    match time_of(time) {
        Some(time) => human_duration(nanoseconds(time, now)),
        None => "<unknown>".to_owned(),
    }
}

/// How long it is since the object was created.
pub fn created(object: &Value, now: Timestamp) -> Value {
    age(at(object, "metadata.creationTimestamp"), now).into()
}

/// A time that is there and is not Go's zero time.
pub fn time_of(time: &Value) -> Option<Timestamp> {
    time.as_str()?.parse().ok().filter(|time: &Timestamp| time.as_second() != ZERO_TIME_SECOND)
}

/// 0001-01-01T00:00:00Z, which Go takes for no time at all.
const ZERO_TIME_SECOND: i64 = -62_135_596_800;

/// Nanoseconds from one time to another, as far as Go's `time.Duration` reaches.
pub fn nanoseconds(from: Timestamp, to: Timestamp) -> i64 {
    let nanoseconds = to.as_nanosecond() - from.as_nanosecond();
    nanoseconds.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// A duration in two or three figures (`duration.HumanDuration`).
pub fn human_duration(nanoseconds: i64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |large: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{small_unit}"),
    };
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if hours < 24 * 365 * 2 => format!("{days}d"),
        () if hours < 24 * 365 * 8 => two(years, "y", days % 365, "d"),
        () => format!("{years}y"),
    }
}

/// `a=1,b=2` in order of the names; `<none>` for no labels.
pub fn labels(labels: Option<&Map<String, Value>>) -> String {
    let mut pairs: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.sort_unstable();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// A label selector as one writes it for `-l`; `None` where it is not valid.
pub fn selector(selector: &Value) -> Option<String> {
    let mut requirements: Vec<(&str, String)> = map(selector, "matchLabels")
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), format!("{key}={}", value.as_str().unwrap_or_default())))
        .collect();
    for expression in items(selector, "matchExpressions") {
        let (key, mut values) = (text(expression, "key"), texts(expression, "values"));
        values.sort_unstable();
        let requirement = match (text(expression, "operator"), values.is_empty()) {
            ("In", false) => format!("{key} in ({})", values.join(",")),
            ("NotIn", false) => format!("{key} notin ({})", values.join(",")),
            ("Exists", true) => key.to_owned(),
            ("DoesNotExist", true) => format!("!{key}"),
            _ => return None,
        };
        requirements.push((key, requirement));
    }
    requirements.sort_by_key(|(key, _)| *key);
    let texts: Vec<String> = requirements.into_iter().map(|(_, text)| text).collect();
    Some(texts.join(","))
}

/// A label selector in a cell: `<none>` where it selects all or nothing, `<error>` where it is not valid.
pub fn selector_cell(value: &Value) -> String {
    match selector(value) {
        None => "<error>".to_owned(),
        Some(text) if text.is_empty() => "<none>".to_owned(),
        Some(text) => text,
    }
}

/// A label selector as Go prints the struct (`LabelSelector.String`).
pub fn selector_struct(selector: &Value) -> String {
    let mut out = "&LabelSelector{MatchLabels:map[string]string{".to_owned();
    let mut labels: Vec<_> = map(selector, "matchLabels").into_iter().flatten().collect();
    labels.sort_by_key(|(key, _)| key.as_str());
    for (key, value) in labels {
        let _ = write!(out, "{key}: {},", value.as_str().unwrap_or_default());
    }
    out.push_str("},MatchExpressions:[]LabelSelectorRequirement{");
    for expression in items(selector, "matchExpressions") {
        let _ = write!(
            out,
            "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},",
            text(expression, "key"),
            text(expression, "operator"),
            texts(expression, "values").join(" ")
        );
    }
    out.push_str("},}");
    out
}

/// The first three of a list with commas between, and how many more there are; `<unset>` for none.
pub fn first_three<T: AsRef<str>>(list: &[T]) -> String {
    let shown: Vec<&str> = list.iter().take(3).map(AsRef::as_ref).collect();
    let shown = shown.join(",");
    match list.len().saturating_sub(3) {
        0 if shown.is_empty() => "<unset>".to_owned(),
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

/// An amount, `0` where there is none; objects hold amounts in their canonical form.
pub fn quantity<'a>(value: &'a Value, path: &str) -> &'a str {
    super::read::text_or(value, path, "0")
}

/// Names and images of a pod template's containers.
pub fn containers(spec: &Value) -> (String, String) {
    let join = |field: &str| {
        let texts: Vec<&str> = items(spec, "containers").iter().map(|item| text(item, field)).collect();
        texts.join(",")
    };
    (join("name"), join("image"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_duration_has_two_or_three_figures() {
        let (minute, hour, day) = (60, 3600, 86400);
        for (seconds, said) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (150, "2m30s"),
            (10 * minute - 1, "9m59s"),
            (10 * minute + 30, "10m"),
            (3 * hour - 1, "179m"),
            (3 * hour, "3h"),
            (3 * hour + minute, "3h1m"),
            (8 * hour + minute, "8h"),
            (47 * hour, "47h"),
            (2 * day, "2d"),
            (2 * day + hour, "2d1h"),
            (8 * day + hour, "8d"),
            (729 * day, "729d"),
            (730 * day, "2y"),
            (731 * day, "2y1d"),
            (9 * 365 * day + 10 * day, "9y"),
        ] {
            assert_eq!(human_duration(seconds * 1_000_000_000), said, "{seconds}");
        }
        assert_eq!(human_duration(i64::MIN), "<invalid>");
        assert_eq!(human_duration(i64::MAX), "292y");
    }

    #[test]
    fn an_age_needs_a_time() {
        let now: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        assert_eq!(age(&json!("2026-01-01T00:59:30Z"), now), "30s");
        assert_eq!(age(&json!("2026-01-01T00:00:00.500000Z"), now), "59m");
        assert_eq!(age(&json!("2027-01-01T00:00:00Z"), now), "<invalid>");
        assert_eq!(age(&json!(null), now), "<unknown>");
        assert_eq!(age(&json!("0001-01-01T00:00:00Z"), now), "<unknown>");
    }

    #[test]
    fn selectors_read_as_one_writes_them() {
        let all = json!({"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["y", "x"]},
            {"key": "d", "operator": "NotIn", "values": ["z"]},
            {"key": "aa", "operator": "Exists"},
            {"key": "e", "operator": "DoesNotExist"},
        ]});
        assert_eq!(selector_cell(&all), "a=1,aa,b=2,c in (x,y),d notin (z),!e");
        assert_eq!(selector_cell(&json!({})), "<none>");
        assert_eq!(selector_cell(&json!(null)), "<none>");
        let wrong = json!({"matchExpressions": [{"key": "c", "operator": "In"}]});
        assert_eq!(selector_cell(&wrong), "<error>");
        assert_eq!(
            selector_struct(&all),
            "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{\
             LabelSelectorRequirement{Key:c,Operator:In,Values:[y x],},\
             LabelSelectorRequirement{Key:d,Operator:NotIn,Values:[z],},\
             LabelSelectorRequirement{Key:aa,Operator:Exists,Values:[],},\
             LabelSelectorRequirement{Key:e,Operator:DoesNotExist,Values:[],},},}"
        );
    }

    #[test]
    fn a_long_list_says_how_many_more() {
        assert_eq!(first_three::<&str>(&[]), "<unset>");
        assert_eq!(first_three(&["a", "b", "c"]), "a,b,c");
        assert_eq!(first_three(&["a", "b", "c", "d", "e"]), "a,b,c + 2 more...");
    }
}
