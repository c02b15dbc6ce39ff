//! SPDX licence expressions: whether one is satisfied by a list of allowed licences.

/// Whether someone who accepts only the licences of `allowed` may use what is under `expression`.
///
/// `AND` binds closer than `OR`, as SPDX has it; the old `/` of cargo is an `OR`. What can't be read is not satisfied.
pub fn satisfied(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut reader = Reader { tokens: spaced.split_whitespace().collect(), next: 0, allowed };
    reader.alternatives() && reader.next == reader.tokens.len()
}

struct Reader<'a> {
    tokens: Vec<&'a str>,
    next: usize,
    allowed: &'a [&'a str],
}

impl Reader<'_> {
    fn take(&mut self, word: &str) -> bool {
        let there = self.tokens.get(self.next) == Some(&word);
        self.next += usize::from(there);
        there
    }

    fn alternatives(&mut self) -> bool {
        let mut any = self.all();
        while self.take("OR") {
            any |= self.all();
        }
        any
    }

    fn all(&mut self) -> bool {
        let mut all = self.one();
        while self.take("AND") {
            all &= self.one();
        }
        all
    }

    fn one(&mut self) -> bool {
        if self.take("(") {
            let inner = self.alternatives();
            return self.take(")") && inner;
        }
        let Some(name) = self.tokens.get(self.next) else { return false };
        self.next += 1;
        // `X+` is "X or a later version": whoever accepts X may use it.
        let name = name.trim_end_matches('+');
        if self.take("WITH") {
            let exception = self.tokens.get(self.next).copied().unwrap_or_default();
            self.next += 1;
            return self.allowed.contains(&format!("{name} WITH {exception}").as_str());
        }
        self.allowed.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::satisfied;

    #[test]
    fn expressions() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception", "MPL-2.0"];
        for (expression, holds) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("GPL-3.0 OR MIT AND ISC", true),
            ("MIT AND (GPL-3.0 OR ISC)", true),
            ("(MIT OR ISC) AND GPL-3.0", false),
            ("MPL-2.0+", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("MIT WITH Classpath-exception", false),
            ("(MIT", false),
            ("MIT)", false),
            ("MIT ISC", false),
            ("", false),
        ] {
            assert_eq!(satisfied(expression, &allowed), holds, "{expression}");
        }
    }
}
