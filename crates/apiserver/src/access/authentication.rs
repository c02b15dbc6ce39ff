//! Who a request comes from, by the credentials that it brings.
//!
//! As in kube-apiserver a client certificate is asked first, then the bearer token; the first that tells a user
//! counts. A credential that is wrong is refused unless another is right; only a request without any is anonymous.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{
    HeaderMap,
    header::{AUTHORIZATION, CONNECTION, HeaderName, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};
use rustls::pki_types::{CertificateDer, UnixTime};

use super::{certificates::ClientCertificates, client_certificate, user::User};
use crate::status::ApiError;

/// What a token that nobody knows is called.
const INVALID_TOKEN: &str = "invalid bearer token";
/// The subprotocol by which a browser's websocket shows a token.
const TOKEN_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";
const EXTRA_SPACE: &str =
    "the provided Authorization header contains extra space before the bearer token, and is ignored";

/// Tells users by one sort of token: those of a file, those of service accounts.
pub trait TokenAuthenticator: Send + Sync {
    /// Who the token stands for towards one of `audiences`, or nobody if it is not of this sort.
    ///
    /// # Errors
    /// Why a token of this sort is not valid.
    fn authenticate(&self, token: &str, audiences: &[String]) -> Result<Option<Authenticated>, String>;
}

/// A user who is known, and where its credential is meant to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// The user; a member of `system:authenticated` or `system:unauthenticated`.
    pub user: Arc<User>,
    /// Those of the audiences asked for that the credential is for; empty where it says nothing of audiences.
    pub audiences: Vec<String>,
    /// What to warn the client of.
    pub warning: Option<&'static str>,
}

/// What the client of a connection has shown, judged once when it was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientCertificate {
    /// No certificate, or one without a name.
    #[default]
    Absent,
    /// One that the cluster's authority has not issued, that is not valid now, or not for a client.
    Refused,
    /// That of a user.
    Of(Arc<User>),
}

/// Every way in which requests are authenticated.
pub struct Authentication {
    /// The sorts of tokens, in the order in which they are asked.
    pub tokens: Vec<Box<dyn TokenAuthenticator>>,
    /// Whether requests without a credential are those of `system:anonymous`.
    pub allows_anonymous: bool,
    /// The audiences of this API server: the issuer of its service accounts' tokens.
    pub audiences: Vec<String>,
}

impl ClientCertificate {
    /// Judges the certificates that a client has shown, its own first, at `now`.
    pub fn of(
        certificates: &ClientCertificates,
        chain: Option<&[CertificateDer<'_>]>,
        now: UnixTime,
    ) -> Self {
        let Some(own) = chain.and_then(<[_]>::first) else { return Self::Absent };
        if !certificates.accepts(chain.unwrap_or_default(), now) {
            return Self::Refused;
        }
        match client_certificate::user(own) {
            Ok(Some(user)) => Self::Of(Arc::new(user.authenticated())),
            Ok(None) => Self::Absent,
            Err(_) => Self::Refused,
        }
    }
}

impl Authentication {
    /// Tells who a request comes from.
    ///
    /// # Errors
    /// 401 if it brings credentials and none is right, or none where one is needed.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        certificate: &ClientCertificate,
    ) -> Result<Authenticated, ApiError> {
        self.identify(headers, certificate, &self.audiences).map_err(|_| ApiError::unauthorized())
    }

    /// Tells who a request with nothing but this token would come from, asked by a TokenReview.
    ///
    /// # Errors
    /// Why the token is not valid.
    pub fn review_token(&self, token: &str, audiences: &[String]) -> Result<Authenticated, String> {
        let mut headers = HeaderMap::new();
        if let Ok(value) = format!("Bearer {token}").parse() {
            headers.insert(AUTHORIZATION, value);
        } else {
            return Err(INVALID_TOKEN.to_owned());
        }
        self.identify(&headers, &ClientCertificate::Absent, audiences).map_err(|errors| {
            match errors.as_slice() {
                [one] => one.clone(),
                many => format!("[{}]", many.join(", ")),
            }
        })
    }

    fn identify(
        &self,
        headers: &HeaderMap,
        certificate: &ClientCertificate,
        audiences: &[String],
    ) -> Result<Authenticated, Vec<String>> {
        let mut errors = Vec::new();
        match certificate {
            ClientCertificate::Of(user) => return Ok(Authenticated::new(Arc::clone(user), Vec::new())),
            ClientCertificate::Refused => errors.push("the client certificate is not valid".to_owned()),
            ClientCertificate::Absent => {}
        }
        let (bearer, warning) = bearer_token(headers);
        let protocol = websocket_token(headers);
        for token in [Ok(bearer), protocol] {
            match token.and_then(|token| token.map(|token| self.of_token(&token, audiences)).transpose()) {
                Ok(Some(authenticated)) => return Ok(Authenticated { warning, ..authenticated }),
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() && self.allows_anonymous {
            let authenticated = Authenticated::new(Arc::new(User::anonymous()), audiences.to_vec());
            return Ok(Authenticated { warning, ..authenticated });
        }
        Err(errors)
    }

    fn of_token(&self, token: &str, audiences: &[String]) -> Result<Authenticated, String> {
        let mut errors = Vec::new();
        for sort in &self.tokens {
            match sort.authenticate(token, audiences) {
                Ok(Some(authenticated)) => return Ok(authenticated),
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        Err(match errors.len() {
            0 => INVALID_TOKEN.to_owned(),
            1 => errors.remove(0),
            _ => format!("[{}]", errors.join(", ")),
        })
    }
}

impl Authenticated {
    /// A user and the audiences that its credential is for.
    pub fn new(user: Arc<User>, audiences: Vec<String>) -> Self {
        Self { user, audiences, warning: None }
    }
}

/// The token of the `Authorization` header, and what to warn of if there is none.
fn bearer_token(headers: &HeaderMap) -> (Option<String>, Option<&'static str>) {
    let Some(value) = headers.get(AUTHORIZATION) else { return (None, None) };
    let value = String::from_utf8_lossy(value.as_bytes());
    let mut words = value.trim().splitn(3, ' ');
    let is_bearer = words.next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"));
    match (is_bearer, words.next()) {
        (true, Some("")) => (None, words.next().map(|_| EXTRA_SPACE)),
        (true, Some(token)) => (Some(token.to_owned()), None),
        _ => (None, None),
    }
}

/// The token among the subprotocols that a websocket asks for.
fn websocket_token(headers: &HeaderMap) -> Result<Option<String>, String> {
    if !is_websocket(headers) {
        return Ok(None);
    }
    let (mut token, mut others) = (None, 0);
    for protocol in listed(headers, &SEC_WEBSOCKET_PROTOCOL) {
        let Some(encoded) = protocol.strip_prefix(TOKEN_PROTOCOL) else {
            others += 1;
            continue;
        };
        if token.is_some() {
            return Err("multiple base64.bearer.authorization tokens specified".to_owned());
        }
        let decoded = BASE64_URL_SAFE_NO_PAD
            .decode(encoded)
            .map_err(|_| "invalid base64.bearer.authorization token encoding".to_owned())?;
        let decoded =
            String::from_utf8(decoded).map_err(|_| "invalid base64.bearer.authorization token".to_owned())?;
        token = Some(decoded);
    }
    let token = token.filter(|token| !token.is_empty());
    if token.is_some() && others == 0 {
        return Err("missing additional subprotocol".to_owned());
    }
    Ok(token)
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrades =
        headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    upgrades && listed(headers, &CONNECTION).any(|option| option.to_ascii_lowercase().contains("upgrade"))
}

/// The items of a header that is a list, over all of its lines.
fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> + 'a {
    headers.get_all(name).iter().flat_map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        text.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::token_file::TokenFile;

    const AUDIENCE: &str = "https://kubernetes.default.svc";

    struct Expired;

    impl TokenAuthenticator for Expired {
        fn authenticate(&self, token: &str, _: &[String]) -> Result<Option<Authenticated>, String> {
            if token == "old" { Err("token has expired".to_owned()) } else { Ok(None) }
        }
    }

    fn authentication() -> Authentication {
        let file = TokenFile::parse("bobtoken,bob,2,devs\n", &[AUDIENCE.to_owned()]).unwrap();
        Authentication {
            tokens: vec![Box::new(file), Box::new(Expired)],
            allows_anonymous: true,
            audiences: vec![AUDIENCE.to_owned()],
        }
    }

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_first_credential_that_is_right_counts_and_a_wrong_one_is_refused() {
        let certified = ClientCertificate::Of(Arc::new(User::new("zoe", ["qa"]).authenticated()));
        let cases: [(Option<&str>, &ClientCertificate, Option<&str>); 17] = [
            (None, &ClientCertificate::Absent, Some("system:anonymous")),
            (Some("Bearer bobtoken"), &ClientCertificate::Absent, Some("bob")),
            (Some("bearer bobtoken"), &ClientCertificate::Absent, Some("bob")),
            (Some("  BEARER bobtoken  "), &ClientCertificate::Absent, Some("bob")),
            (Some("Bearer bobtoken rest"), &ClientCertificate::Absent, Some("bob")),
            (Some("Bearer nope"), &ClientCertificate::Absent, None),
            (Some("Bearer old"), &ClientCertificate::Absent, None),
            (Some("Bearer"), &ClientCertificate::Absent, Some("system:anonymous")),
            (Some("Bearer   bobtoken"), &ClientCertificate::Absent, Some("system:anonymous")),
            (Some("Basic YTpi"), &ClientCertificate::Absent, Some("system:anonymous")),
            (Some("bobtoken"), &ClientCertificate::Absent, Some("system:anonymous")),
            (None, &certified, Some("zoe")),
            (Some("Bearer bobtoken"), &certified, Some("zoe")),
            (Some("Bearer nope"), &certified, Some("zoe")),
            (None, &ClientCertificate::Refused, None),
            (Some("Bearer nope"), &ClientCertificate::Refused, None),
            (Some("Bearer bobtoken"), &ClientCertificate::Refused, Some("bob")),
        ];
        for (authorization, certificate, expected) in cases {
            let lines: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
            let found = authentication().authenticate(&headers(&lines), certificate);
            let name = found.as_ref().ok().map(|found| found.user.name.as_str());
            assert_eq!(name, expected, "{authorization:?} {certificate:?}");
            if let Err(error) = found {
                assert_eq!((error.code, error.message.as_str()), (401, "Unauthorized"));
            }
        }
    }

    #[test]
    fn a_token_that_is_lost_behind_a_space_is_warned_of() {
        let found = |value| {
            let headers = headers(&[("authorization", value)]);
            authentication().authenticate(&headers, &ClientCertificate::Absent).unwrap().warning
        };
        assert!(found("Bearer   bobtoken").unwrap().contains("extra space"));
        assert_eq!(found("Bearer bobtoken"), None);
        assert_eq!(found("Basic a b"), None);
    }

    #[test]
    fn where_nobody_is_anonymous_a_credential_is_needed() {
        let strict = Authentication { allows_anonymous: false, ..authentication() };
        assert_eq!(strict.authenticate(&HeaderMap::new(), &ClientCertificate::Absent).unwrap_err().code, 401);
    }

    #[test]
    fn a_browsers_websocket_shows_its_token_as_a_subprotocol() {
        let bob = "base64url.bearer.authorization.k8s.io.Ym9idG9rZW4";
        let nobody = "base64url.bearer.authorization.k8s.io.bm9wZQ";
        let both = format!("{bob}, v4.channel.k8s.io");
        let cases: [(&[&str], Option<&str>); 7] = [
            (&[&both], Some("bob")),
            (&["v4.channel.k8s.io", bob], Some("bob")),
            (&["v4.channel.k8s.io"], Some("system:anonymous")),
            (&[bob], None),
            (&["v4.channel.k8s.io", bob, bob], None),
            (&["v4.channel.k8s.io", nobody], None),
            (&["v4.channel.k8s.io", "base64url.bearer.authorization.k8s.io.***"], None),
        ];
        for (protocols, expected) in cases {
            let mut lines = vec![("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];
            lines.extend(protocols.iter().map(|protocol| ("sec-websocket-protocol", *protocol)));
            let found = authentication().authenticate(&headers(&lines), &ClientCertificate::Absent);
            assert_eq!(found.ok().map(|found| found.user.name.clone()).as_deref(), expected, "{protocols:?}");
            let found =
                authentication().authenticate(&headers(&lines[1..]), &ClientCertificate::Absent).unwrap();
            assert_eq!(found.user.name, "system:anonymous", "no websocket is asked for");
        }
    }

    #[test]
    fn a_review_tells_whom_a_token_stands_for_and_to_whom() {
        let authentication = authentication();
        let review = |token, audiences: &[&str]| {
            let audiences: Vec<String> = audiences.iter().map(|audience| (*audience).to_owned()).collect();
            authentication.review_token(token, &audiences)
        };
        let bob = review("bobtoken", &["vault", AUDIENCE]).unwrap();
        assert_eq!((bob.user.name.as_str(), bob.audiences), ("bob", vec![AUDIENCE.to_owned()]));
        assert_eq!(review("bobtoken", &["vault"]).unwrap_err(), "invalid bearer token");
        assert_eq!(review("nope", &[AUDIENCE]).unwrap_err(), "invalid bearer token");
        assert_eq!(review("a\nb", &[AUDIENCE]).unwrap_err(), "invalid bearer token");
        assert_eq!(review("old", &[AUDIENCE]).unwrap_err(), "token has expired");
    }
}
