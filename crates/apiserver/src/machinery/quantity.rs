//! `resource.Quantity`: an exact decimal amount with a unit suffix, and its canonical form.
//!
//! See <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>. The canonical form keeps
//! the family of suffix that was sent (`1024Mi` → `1Gi`, `0.5` → `500m`, `1e3` → `1e3`), has no fraction, and the
//! largest suffix that allows that.

use std::{cmp::Ordering, fmt};

/// An exact amount: `mantissa × 10^exponent`, and the family of suffix it is written with.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    mantissa: i128,
    exponent: i32,
    family: Family,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Binary,
    Decimal,
    Exponent,
}

/// Why a text is no quantity; the words of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not of the form.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// A suffix that does not exist.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// Nothing at all.
    #[error("empty quantity")]
    Empty,
}

const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, u32); 7] =
    [("", 0), ("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
/// No amount is larger than Kubernetes allows: 2⁶³-1 units, or smaller than a billionth.
const LARGEST: i128 = i64::MAX as i128;
const DIGITS_MAX: usize = 36;

impl Quantity {
    /// Nothing.
    pub const ZERO: Quantity = Quantity { mantissa: 0, exponent: 0, family: Family::Decimal };

    /// Reads a quantity.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Empty);
        }
        let (negative, rest) = match text.as_bytes()[0] {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(QuantityError::Format);
        }
        let fraction = fraction.trim_end_matches('0');
        let whole = whole.trim_start_matches('0');
        if whole.len() + fraction.len() > DIGITS_MAX {
            // Beyond what can be held: Kubernetes caps what is too large and rounds what is too fine.
            return Ok(Self {
                mantissa: if negative { -LARGEST } else { LARGEST },
                exponent: 0,
                family: Family::Decimal,
            });
        }
        let digits = format!("0{whole}{fraction}");
        let mut mantissa: i128 = digits.parse().map_err(|_| QuantityError::Format)?;
        if negative {
            mantissa = -mantissa;
        }
        let mut exponent = -(fraction.len() as i32);
        let family = match suffix_of(suffix)? {
            Suffix::Binary(bits) => {
                mantissa =
                    mantissa.checked_mul(1 << bits).unwrap_or(if negative { -LARGEST } else { LARGEST });
                Family::Binary
            }
            Suffix::Decimal(power) => {
                exponent += power;
                Family::Decimal
            }
            Suffix::Exponent(power) => {
                exponent += power;
                Family::Exponent
            }
        };
        let mut quantity = Self { mantissa, exponent, family };
        quantity.normalize();
        Ok(quantity)
    }

    /// The canonical form of `text`.
    pub fn canonical(text: &str) -> Result<String, QuantityError> {
        Ok(Self::parse(text)?.to_string())
    }

    /// -1, 0 or 1.
    pub fn signum(&self) -> i32 {
        self.mantissa.signum() as i32
    }

    /// The amount in whole units, rounded up (away from zero), at most 2⁶³-1.
    pub fn value(&self) -> i64 {
        self.scaled(0)
    }

    /// The amount in thousandths, rounded up, at most 2⁶³-1.
    pub fn milli_value(&self) -> i64 {
        self.scaled(-3)
    }

    /// Whether it is a whole number of units.
    pub fn is_whole(&self) -> bool {
        self.exponent >= 0 || self.mantissa % power_of_ten(-self.exponent) == 0
    }

    /// The sum, in the family of `self`, or of `other` where `self` is zero.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let family = if self.mantissa == 0 { other.family } else { self.family };
        let exponent = self.exponent.min(other.exponent);
        let raise = |q: Self| q.mantissa.saturating_mul(power_of_ten(q.exponent - exponent));
        let mut sum = Self { mantissa: raise(self).saturating_add(raise(other)), exponent, family };
        sum.normalize();
        sum
    }

    /// The difference, in the family of `self`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self { mantissa: -other.mantissa, ..other })
    }

    fn scaled(&self, power: i32) -> i64 {
        let shift = self.exponent - power;
        let amount = if shift >= 0 {
            self.mantissa.saturating_mul(power_of_ten(shift))
        } else {
            divide_up(self.mantissa, power_of_ten(-shift))
        };
        amount.clamp(-LARGEST, LARGEST) as i64
    }

    /// Strips trailing zeros, and rounds up what is finer than a billionth.
    fn normalize(&mut self) {
        if self.exponent < -9 {
            self.mantissa = divide_up(self.mantissa, power_of_ten(-9 - self.exponent));
            self.exponent = -9;
        }
        while self.mantissa != 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.exponent += 1;
        }
        if self.mantissa == 0 {
            self.exponent = 0;
        } else if self.exponent > 0
            && (self.exponent > 18 || self.mantissa.abs() > LARGEST / power_of_ten(self.exponent))
        {
            self.mantissa = LARGEST * self.mantissa.signum();
            self.exponent = 0;
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        let exponent = self.exponent.min(other.exponent);
        let raise = |q: &Self| q.mantissa.saturating_mul(power_of_ten(q.exponent - exponent));
        raise(self).cmp(&raise(other))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a binary suffix cannot say exactly, or is below 1024, is written in decimal.
        if self.family == Family::Binary && self.is_whole() {
            let whole =
                self.mantissa * power_of_ten(self.exponent.max(0)) / power_of_ten((-self.exponent).max(0));
            if whole.abs() >= 1024 {
                let (suffix, bits) = BINARY
                    .iter()
                    .rev()
                    .find(|(_, bits)| whole % (1_i128 << bits) == 0)
                    .copied()
                    .unwrap_or(("", 0));
                return write!(f, "{}{suffix}", whole >> bits);
            }
        }
        let step = self.exponent.div_euclid(3) * 3;
        let number = self.mantissa * power_of_ten(self.exponent - step);
        if self.family == Family::Exponent {
            return if step == 0 { write!(f, "{number}") } else { write!(f, "{number}e{step}") };
        }
        let suffix = DECIMAL.iter().find(|(_, power)| *power == step).map_or("", |(suffix, _)| suffix);
        write!(f, "{number}{suffix}")
    }
}

enum Suffix {
    Binary(u32),
    Decimal(i32),
    Exponent(i32),
}

fn suffix_of(suffix: &str) -> Result<Suffix, QuantityError> {
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Ok(Suffix::Decimal(*power));
    }
    if let Some((_, bits)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Ok(Suffix::Binary(*bits));
    }
    if let Some(power) = suffix.strip_prefix(['e', 'E']) {
        let power: i32 = power.parse().map_err(|_| QuantityError::Suffix)?;
        return if power.abs() > 100 { Err(QuantityError::Suffix) } else { Ok(Suffix::Exponent(power)) };
    }
    let known = |c: char| "eEinumkKMGTP+-0123456789".contains(c);
    Err(if suffix.chars().all(known) { QuantityError::Suffix } else { QuantityError::Format })
}

fn power_of_ten(power: i32) -> i128 {
    10_i128.checked_pow(power.max(0) as u32).unwrap_or(i128::MAX)
}

fn divide_up(number: i128, by: i128) -> i128 {
    let quotient = number / by;
    if number % by == 0 { quotient } else { quotient + number.signum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_forms() {
        for (sent, canonical) in [
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1000m", "1"),
            ("1e3", "1e3"),
            ("100M", "100M"),
            ("1000M", "1G"),
            ("0", "0"),
            ("0.0", "0"),
            ("-1", "-1"),
            ("1.5Gi", "1536Mi"),
            ("512Ki", "512Ki"),
            ("123456", "123456"),
            ("0.1", "100m"),
            ("1Ki", "1Ki"),
            ("1000Ki", "1000Ki"),
            ("2048", "2048"),
            ("1.0", "1"),
            ("0.5Ki", "512"),
            ("+3", "3"),
            ("12e6", "12e6"),
            ("1E", "1E"),
            ("0.0000000001", "1n"),
            ("1500k", "1500k"),
            ("010", "10"),
        ] {
            assert_eq!(Quantity::canonical(sent).as_deref(), Ok(canonical), "{sent}");
        }
    }

    #[test]
    fn what_is_no_quantity() {
        for sent in ["", "one", "1GiB", "1.2.3", "-", ".", "1 Gi", "0x1", "Gi", "1ki", "1e", "1e999999999"] {
            assert!(Quantity::parse(sent).is_err(), "{sent}");
        }
        for long in ["9".repeat(400), format!("1{}Ei", "0".repeat(35)), format!("0.{}", "1".repeat(500))] {
            assert!(Quantity::parse(&long).is_ok(), "{long}");
        }
    }

    #[test]
    fn amounts_compare_and_add() {
        let of = |text| Quantity::parse(text).unwrap();
        assert!(of("1Gi") > of("1G"));
        assert_eq!(of("1000m"), of("1"));
        assert_eq!(of("100m").plus(of("900m")).to_string(), "1");
        assert_eq!(of("1Gi").minus(of("512Mi")).to_string(), "512Mi");
        assert_eq!(of("1500m").value(), 2);
        assert_eq!(of("1500m").milli_value(), 1500);
        assert!(!of("1500m").is_whole() && of("2").is_whole());
    }
}
