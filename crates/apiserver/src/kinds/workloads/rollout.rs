//! How many Pods a rollout may replace at once: numbers and percentages.

use serde_json::Value;

use crate::machinery::{FieldErrors, Path, format, metadata};

/// What is wrong with an amount that is a number or a percentage.
pub fn validate_amount(errors: &mut FieldErrors, path: &Path<'_>, amount: &Value) {
    match amount {
        Value::String(text) => format::report(errors, path, text, format::is_percent(text)),
        _ => metadata::non_negative(errors, path, amount.as_i64().unwrap_or_default()),
    }
}

/// What is wrong with a percentage of more than all.
pub fn validate_at_most_all(errors: &mut FieldErrors, path: &Path<'_>, amount: &Value) {
    if percentage(amount).is_some_and(|percent| percent > 100) {
        errors.invalid(path, amount.clone(), "must not be greater than 100%");
    }
}

/// The number, or the number of the percentage; 0 for what is neither.
pub fn number_of(amount: &Value) -> i64 {
    let from_text = || amount.as_str().and_then(|text| text.parse().ok());
    percentage(amount).or_else(|| amount.as_i64()).or_else(from_text).unwrap_or_default()
}

fn percentage(amount: &Value) -> Option<i64> {
    let digits = amount.as_str()?.strip_suffix('%')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than a number can have are more than all.
    Some(digits.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_numbers_or_percentages() {
        let path = Path::new("a");
        for (amount, number, want) in [
            (json!(3), 3, ""),
            (json!("25%"), 25, ""),
            (json!("0%"), 0, ""),
            (json!(-1), -1, "a: Invalid value: -1: must be greater than or equal to 0"),
            (json!("101%"), 101, "a: Invalid value: \"101%\": must not be greater than 100%"),
            (
                json!("ten%"),
                0,
                "a: Invalid value: \"ten%\": a valid percent string must be a numeric string followed by an ending \
                 '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
            ),
        ] {
            let mut errors = FieldErrors::new();
            validate_amount(&mut errors, &path, &amount);
            validate_at_most_all(&mut errors, &path, &amount);
            let got: Vec<_> =
                errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect();
            assert_eq!(got.join("\n"), want);
            assert_eq!(number_of(&amount), number);
        }
    }
}
