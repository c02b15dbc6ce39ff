//! The file of `--token-auth-file`: tokens and their users, as kube-apiserver reads it.

use std::{collections::HashMap, sync::Arc};

use sha2::{Digest, Sha256};

use super::{
    authentication::{Authenticated, TokenAuthenticator},
    user::User,
};

/// What a line of the file has to look like.
const FORM: &str = "write each line as token,user,uid or token,user,uid,\"group1,group2\"";

/// The users of the file, by the digests of their tokens: how long a look-up takes tells nothing of a token.
#[derive(Debug, Default)]
pub struct TokenFile {
    users: HashMap<[u8; 32], Arc<User>>,
    audiences: Vec<String>,
}

/// What is wrong with the file, and how to put it right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenFileError {
    /// A line lacks something.
    #[error(
        "line {line}: a token needs at least 3 columns (token, user name, user uid), found {found}; {FORM}"
    )]
    Columns {
        /// The line, from 1.
        line: usize,
        /// How many columns it has.
        found: usize,
    },
    /// A quote where none may be.
    #[error("line {line}: a quote inside of a column; quote the whole column, and double the quotes in it")]
    StrayQuote {
        /// The line, from 1.
        line: usize,
    },
    /// A quote that does not end.
    #[error("line {line}: the quote that starts here does not end; close it with \"")]
    OpenQuote {
        /// The line, from 1.
        line: usize,
    },
}

impl TokenFile {
    /// Reads the file's text. The tokens are good for `audiences`: those of this API server.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(text: &str, audiences: &[String]) -> Result<Self, TokenFileError> {
        let mut users = HashMap::new();
        let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
        while let Some((line, columns)) = reader.record()? {
            let [token, name, uid, groups @ ..] = columns.as_slice() else {
                return Err(TokenFileError::Columns { line, found: columns.len() });
            };
            if token.is_empty() {
                tracing::warn!(line, "the token file has an empty token, which is left out");
                continue;
            }
            let groups = groups.first().map(|groups| groups.split(',').map(str::to_owned).collect());
            let user = User {
                name: name.clone(),
                uid: uid.clone(),
                groups: groups.unwrap_or_default(),
                ..User::default()
            };
            if users.insert(digest(token), Arc::new(user.authenticated())).is_some() {
                tracing::warn!(line, "the token file has this line's token twice; the last user counts");
            }
        }
        Ok(Self { users, audiences: audiences.to_vec() })
    }
}

impl TokenAuthenticator for TokenFile {
    fn authenticate(&self, token: &str, audiences: &[String]) -> Result<Option<Authenticated>, String> {
        let Some(user) = self.users.get(&digest(token)) else { return Ok(None) };
        let common: Vec<String> =
            audiences.iter().filter(|audience| self.audiences.contains(audience)).cloned().collect();
        if common.is_empty() && !audiences.is_empty() {
            return Ok(None);
        }
        Ok(Some(Authenticated::new(Arc::clone(user), common)))
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Reads records of comma-separated columns, which may be quoted and then go over several lines.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    /// The next record that is not empty, and the line on which it starts.
    fn record(&mut self) -> Result<Option<(usize, Vec<String>)>, TokenFileError> {
        while let Some(rest) = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n')) {
            self.rest = rest;
            self.line += 1;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let line = self.line;
        let mut columns = Vec::new();
        loop {
            columns.push(if self.rest.starts_with('"') { self.quoted()? } else { self.plain()? });
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest,
                None => return Ok(Some((line, columns))),
            }
        }
    }

    fn plain(&mut self) -> Result<String, TokenFileError> {
        let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let (column, rest) = self.rest.split_at(end);
        if column.contains('"') {
            return Err(TokenFileError::StrayQuote { line: self.line });
        }
        self.rest = rest;
        let ends_line = !rest.starts_with(',');
        Ok(if ends_line { column.strip_suffix('\r').unwrap_or(column) } else { column }.to_owned())
    }

    fn quoted(&mut self) -> Result<String, TokenFileError> {
        let start = self.line;
        let mut column = String::new();
        self.rest = &self.rest[1..];
        loop {
            let Some((part, rest)) = self.rest.split_once('"') else {
                return Err(TokenFileError::OpenQuote { line: start });
            };
            column.push_str(part);
            self.line += part.matches('\n').count();
            self.rest = rest;
            if let Some(rest) = rest.strip_prefix('"') {
                column.push('"');
                self.rest = rest;
                continue;
            }
            let ends = rest.is_empty() || [",", "\n", "\r\n"].iter().any(|end| rest.starts_with(end));
            return if ends { Ok(column) } else { Err(TokenFileError::StrayQuote { line: self.line }) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, uid and groups.
    type Expected<'a> = Option<(&'a str, &'a str, &'a [&'a str])>;

    #[test]
    fn lines_are_tokens_and_their_users() {
        let text = "admintoken,admin,1,system:masters\r\n\n\"bob\"\"s\",bob,\n,nobody,0\ncaroltoken,carol,3,\"devs,ops\",x\n\
                    admintoken,root,7\nlast,\"l\na\nst\",9";
        let file = TokenFile::parse(text, &[]).unwrap();
        let cases: [(&str, Expected<'_>); 6] = [
            ("admintoken", Some(("root", "7", &["system:authenticated"]))),
            ("bob\"s", Some(("bob", "", &["system:authenticated"]))),
            ("caroltoken", Some(("carol", "3", &["devs", "ops", "system:authenticated"]))),
            ("last", Some(("l\na\nst", "9", &["system:authenticated"]))),
            ("", None),
            ("nope", None),
        ];
        for (token, expected) in cases {
            let found = file.authenticate(token, &[]).unwrap();
            let found = found.as_ref().map(|found| (&*found.user.name, &*found.user.uid, &found.user.groups));
            let expected = expected.map(|(name, uid, groups)| {
                (name, uid, groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>())
            });
            assert_eq!(found, expected.as_ref().map(|(name, uid, groups)| (*name, *uid, groups)), "{token}");
        }
    }

    #[test]
    fn a_line_that_is_wrong_is_named_with_what_to_do() {
        let cases = [
            (
                "a,b,1\n\nc,d\n",
                "line 3: a token needs at least 3 columns (token, user name, user uid), found 2; write",
            ),
            (
                "token\n",
                "line 1: a token needs at least 3 columns (token, user name, user uid), found 1; write",
            ),
            ("a,b,1\nc,\"d\nd\",1\ne,f\"x,1", "line 4: a quote inside of a column; quote the whole column"),
            ("a,\"b\"x,1", "line 1: a quote inside of a column"),
            ("a,b,1\nc,d,1,\"devs\n\n", "line 2: the quote that starts here does not end; close it with \""),
        ];
        for (text, expected) in cases {
            let error = TokenFile::parse(text, &[]).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }
}
