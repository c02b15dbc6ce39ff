//! Amounts of resources, from quantities.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// An amount in thousandths, rounded up; of something that is no quantity, none. Larger amounts than can be told are
/// the largest that can.
pub(super) fn milli(quantity: &Quantity) -> i128 {
    parse(&quantity.0).unwrap_or_default()
}

fn parse(text: &str) -> Option<i128> {
    let split =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || digits().any(|digit| !digit.is_ascii_digit()) {
        return None;
    }
    let mantissa =
        digits().fold(0_i128, |sum, digit| sum.saturating_mul(10).saturating_add(i128::from(digit - b'0')));
    let (base, exponent) = scale(suffix)?;
    // value = mantissa · base^exponent · 10^(3 - digits after the point), in thousandths
    let decimal = 3 - i64::try_from(fraction.len()).ok()?;
    let (decimal, binary) = if base == 10 { (decimal + exponent, 0) } else { (decimal, exponent) };
    let mut value = mantissa.saturating_mul(1 << binary);
    for _ in 0..decimal.clamp(0, 40) {
        value = value.saturating_mul(10);
    }
    let divisor = 10_i128.saturating_pow(u32::try_from((-decimal).clamp(0, 38)).ok()?);
    let value = value / divisor + i128::from(value % divisor != 0);
    Some(if negative { -value } else { value })
}

/// What a suffix stands for: base 10 or 2, and the exponent.
fn scale(suffix: &str) -> Option<(u32, i64)> {
    Some(match suffix {
        "n" => (10, -9),
        "u" => (10, -6),
        "m" => (10, -3),
        "" => (10, 0),
        "k" => (10, 3),
        "M" => (10, 6),
        "G" => (10, 9),
        "T" => (10, 12),
        "P" => (10, 15),
        "E" => (10, 18),
        "Ki" => (2, 10),
        "Mi" => (2, 20),
        "Gi" => (2, 30),
        "Ti" => (2, 40),
        "Pi" => (2, 50),
        "Ei" => (2, 60),
        _ => {
            let exponent: i8 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (10, exponent.into())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_in_thousandths() {
        for (text, amount) in [
            ("1", 1000),
            ("100m", 100),
            ("0.5", 500),
            ("1.5Gi", 1_610_612_736_000),
            ("1k", 1_000_000),
            ("1e3", 1_000_000),
            ("2E-3", 2),
            ("1n", 1),
            ("1500u", 2),
            ("-1", -1000),
            (".5", 500),
            ("5.", 5000),
            ("", 0),
            ("one", 0),
            ("1Xi", 0),
        ] {
            assert_eq!(milli(&Quantity(text.to_owned())), amount, "{text}");
        }
        assert_eq!(milli(&Quantity(format!("1{}", "0".repeat(60)))), i128::MAX);
        assert_eq!(milli(&Quantity("1e127".to_owned())), i128::MAX);
        assert_eq!(milli(&Quantity("1e-127".to_owned())), 1);
    }
}
