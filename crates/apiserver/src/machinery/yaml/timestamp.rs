//! Which texts are times to YAML: they are read as texts, but have to be quoted when written.

/// Whether a text is a time in one of the forms that Kubernetes' YAML knows: a date, or a date and a time of the day
/// (with a zone after `T`, without one after a space). Numbers may lack leading zeros, and must be possible.
pub(super) fn is_timestamp(text: &str) -> bool {
    let mut rest = Rest(text.as_bytes());
    rest.timestamp().is_some() && rest.0.is_empty()
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn timestamp(&mut self) -> Option<()> {
        let year = self.digits(4, 4)?;
        self.skip(b"-")?;
        let month = self.digits(1, 2)?;
        self.skip(b"-")?;
        let day = self.digits(1, 2)?;
        if day == 0 || day > days_of_month(year, month)? {
            return None;
        }
        if self.0.is_empty() {
            return Some(());
        }
        let has_zone = match self.0.first()? {
            b'T' | b't' => true,
            b' ' => false,
            _ => return None,
        };
        self.0 = &self.0[1..];
        self.below(24, 1)?;
        self.skip(b":")?;
        self.below(60, 1)?;
        self.skip(b":")?;
        self.below(60, 1)?;
        if let [b'.' | b',', digit, ..] = self.0
            && digit.is_ascii_digit()
        {
            self.0 = &self.0[1..];
            let fraction = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
            self.0 = &self.0[fraction..];
        }
        if has_zone { self.zone() } else { Some(()) }
    }

    fn zone(&mut self) -> Option<()> {
        if self.skip(b"Z").is_some() {
            return Some(());
        }
        self.skip(b"+").or_else(|| self.skip(b"-"))?;
        self.below(25, 2)?;
        self.skip(b":")?;
        self.below(61, 2)
    }

    /// A number below `limit` of `at_least` to two digits.
    fn below(&mut self, limit: u32, at_least: usize) -> Option<()> {
        self.digits(at_least, 2).filter(|number| *number < limit).map(|_| ())
    }

    fn digits(&mut self, at_least: usize, at_most: usize) -> Option<u32> {
        let count = self.0.iter().take(at_most).take_while(|byte| byte.is_ascii_digit()).count();
        if count < at_least {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }

    fn skip(&mut self, expected: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }
}

fn days_of_month(year: u32, month: u32) -> Option<u32> {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => Some(29),
        2 => Some(28),
        _ => None,
    }
}
