//! Floating-point numbers as Go writes them (`strconv`, `%g`).

use serde_json::Number;

/// A number in a document: as short as it can be, with an exponent from 1e6 on and below 1e-4. One without a fraction
/// is an integer, if it fits, since it comes from JSON.
pub(super) fn written(number: f64) -> String {
    match integer(number) {
        Some(integer) => integer.to_string(),
        None => shortest(&format!("{number:e}")),
    }
}

/// A number as JSON has it, where one without a fraction is an integer if it fits; none if it is infinite or no number.
pub(super) fn number(number: f64) -> Option<Number> {
    integer(number).or_else(|| Number::from_f64(number))
}

fn integer(number: f64) -> Option<Number> {
    // Both bounds are exact as numbers: below them the number fits.
    match number {
        _ if number.fract() != 0.0 => None,
        -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0 => Some((number as i64).into()),
        9_223_372_036_854_775_808.0..18_446_744_073_709_551_616.0 => Some((number as u64).into()),
        _ => None,
    }
}

/// A number as the key of a map, where Go keeps but half of its digits.
pub(super) fn key(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    let number = number as f32;
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    shortest(&format!("{number:e}"))
}

/// `scientific` is the number with its shortest digits, such as `1.5e-7`.
fn shortest(scientific: &str) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        // So few digits before the point that no digit is lost: the text is that of the mantissa, shifted.
        return shifted(mantissa, exponent);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// `mantissa` (one digit before the point) with its point moved by `exponent`.
fn shifted(mantissa: &str, exponent: i32) -> String {
    let (sign, unsigned) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = unsigned.chars().filter(|c| *c != '.').collect();
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1));
    }
    let before = exponent as usize + 1;
    let padded = format!("{digits:0<before$}");
    let (whole, fraction) = padded.split_at(before);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}
