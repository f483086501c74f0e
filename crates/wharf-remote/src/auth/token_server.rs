//! Fetches tokens from a token server (distribution: "Token Authentication Specification", "OAuth2
//! Token Authentication").

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use super::scope::ScopeSet;
use crate::answer::{self, Answered};
use crate::credentials::{Credential, Secret};
use crate::transport::{Body, Request, Response, Transport, authority};
use wharf_core::{Asked, Error, ErrorKind, Result};

/// Bytes of a token server's answer (wire.md section 11, rule 5).
const ANSWER: usize = 64 * 1024;

/// The lifetime of a token if its server states none.
const LIFE: Duration = Duration::from_secs(60);

/// The client id for OAuth2.
const CLIENT: &str = "wharf";

/// A token, and the end of its use.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) secret: Secret,
    stale: Instant,
}

impl Token {
    /// Whether it lives long enough for a request to arrive: a fifth of its lifetime is a margin.
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.stale
    }
}

/// A request for a token.
pub(super) struct TokenRequest<'a> {
    /// The URL of the token server, already checked.
    pub(super) realm: &'a Url,
    /// The name of the registry there.
    pub(super) service: Option<&'a str>,
    pub(super) scopes: &'a ScopeSet,
    /// The credential; `None`: anonymous.
    pub(super) credential: Option<&'a Credential>,
}

/// Asks for a token.
///
/// # Errors
/// The token server's error; [`ErrorKind::Invalid`] if its answer is malformed.
pub(super) async fn fetch(transport: &Transport, question: &TokenRequest<'_>) -> Result<Token> {
    let asked = Instant::now();
    let named = |error: Error| {
        let server = authority(question.realm);
        let error = error.asked_for(Some(Asked::Token));
        match question.scopes.is_empty() {
            true => error.target(format_args!("token from {server}")),
            false => error.target(format_args!("token for {} from {server}", question.scopes)),
        }
    };
    let request = request(question);
    let response = transport.exchange(request).await.map_err(named)?;
    if response.status().as_u16() != 200 {
        return Err(named(
            answer::error_in_words(response, &[200], complaint).await,
        ));
    }
    let (date, endpoint) = (date(&response), response.endpoint().to_owned());
    let answered = Answered::of(&response);
    let body = Zeroizing::new(response.bytes(ANSWER).await.map_err(named)?.to_vec());
    if let Some(error) = answered.page(&body) {
        return Err(named(error));
    }
    let (secret, life) = read(&body, date).map_err(|error| named(error.target(endpoint)))?;
    Ok(Token {
        secret,
        stale: asked + life.mul_f32(0.8),
    })
}

fn request(question: &TokenRequest<'_>) -> Request {
    match question.credential {
        Some(Credential::IdentityToken(token)) => exchange(question, token),
        Some(Credential::Password { username, password }) => {
            let basic = basic(username, password);
            Request::new(Method::GET, query(question)).secret(AUTHORIZATION, &basic)
        }
        Some(Credential::RegistryToken(_)) | None => Request::new(Method::GET, query(question)),
    }
}

/// The value of `Authorization` for a user name and a password.
pub(super) fn basic(username: &str, password: &Secret) -> Secret {
    let plain = Zeroizing::new(format!("{username}:{}", password.expose()));
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(plain.as_bytes()));
    Secret::new(format!("Basic {}", *encoded))
}

fn query(question: &TokenRequest<'_>) -> Url {
    let mut url = question.realm.clone();
    {
        let mut pairs = url.query_pairs_mut();
        if let Some(service) = question.service {
            pairs.append_pair("service", service);
        }
        for scope in question.scopes.each() {
            pairs.append_pair("scope", &scope);
        }
    }
    url
}

/// A POST that is never redirected to another origin: its body is the credential.
fn exchange(question: &TokenRequest<'_>, token: &Secret) -> Request {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token");
    form.append_pair("refresh_token", token.expose());
    form.append_pair("service", question.service.unwrap_or_default());
    form.append_pair("scope", &question.scopes.to_string());
    form.append_pair("client_id", CLIENT);
    Request::new(Method::POST, question.realm.clone())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::Bytes(form.finish().into()))
        .telling(token)
        .stay()
}

fn date(response: &Response) -> Option<SystemTime> {
    httpdate::parse_http_date(response.header("date")?).ok()
}

/// The token of an answer, and its remaining lifetime; `date` is the server's clock.
fn read(body: &[u8], date: Option<SystemTime>) -> Result<(Secret, Duration)> {
    #[derive(Deserialize)]
    struct TokenAnswer {
        token: Option<Secret>,
        access_token: Option<Secret>,
        expires_in: Option<f64>,
        issued_at: Option<String>,
    }
    let invalid = |why: &str| Error::new(ErrorKind::Invalid, format!("the answer {why}"));
    let answer: TokenAnswer =
        serde_json::from_slice(body).map_err(|_| invalid("holds no token"))?;
    let tokens = [answer.token, answer.access_token].into_iter().flatten();
    // A token that does not fit into a header is invalid.
    let fits = |token: &Secret| {
        !token.is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic())
    };
    let mut tokens = tokens.filter(fits);
    let token = tokens.next().ok_or_else(|| invalid("holds no token"))?;
    let life = answer.expires_in.filter(|seconds| *seconds > 0.0);
    let life = life.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // A lifetime above a year is cut to a year.
    let life = life
        .unwrap_or(LIFE)
        .min(Duration::from_secs(366 * 24 * 3600));
    let age = answer.issued_at.as_deref().zip(date);
    let age = age.and_then(|(issued, now)| age_of(issued, now));
    // A token that has expired on arrival means a wrong clock.
    let left = age.map(|age| life.saturating_sub(age));
    Ok((token, left.filter(|left| !left.is_zero()).unwrap_or(life)))
}

/// The age of a token when it was sent, by the server's own clock, because ours may differ.
fn age_of(issued: &str, now: SystemTime) -> Option<Duration> {
    let issued: jiff::Timestamp = issued.parse().ok()?;
    let issued = Duration::from_secs(u64::try_from(issued.as_second()).ok()?);
    now.duration_since(SystemTime::UNIX_EPOCH + issued).ok()
}

/// The text of a token server's refusal, in one of the usual formats.
fn complaint(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct TokenComplaint {
        error: Option<String>,
        error_description: Option<String>,
        details: Option<String>,
        message: Option<String>,
    }
    let said: TokenComplaint = serde_json::from_slice(body).ok()?;
    let parts = [
        said.error,
        said.error_description,
        said.details,
        said.message,
    ];
    let mut text = String::new();
    for part in parts.into_iter().flatten() {
        let gap = if text.is_empty() { "" } else { ": " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{gap}{part}");
    }
    (!text.is_empty()).then(|| text.chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(body: &str, date: Option<&str>) -> (String, u64) {
        let date = date.map(|date| httpdate::parse_http_date(date).unwrap());
        let (token, life) = read(body.as_bytes(), date).unwrap();
        (token.expose().to_owned(), life.as_secs())
    }

    #[test]
    fn a2_a_token_has_two_names_and_lives_a_minute_unless_it_says_more() {
        for (body, expected) in [
            (r#"{"token":"t"}"#, ("t", 60)),
            (r#"{"access_token":"a","expires_in":300}"#, ("a", 300)),
            (
                r#"{"token":"","access_token":"a","expires_in":2}"#,
                ("a", 2),
            ),
            (
                r#"{"token":"t","access_token":"a","expires_in":0}"#,
                ("t", 60),
            ),
            (r#"{"token":"t","expires_in":-5}"#, ("t", 60)),
            (r#"{"token":"t","expires_in":1e300}"#, ("t", 60)),
            (
                r#"{"token":"t","expires_in":null,"issued_at":"gibberish"}"#,
                ("t", 60),
            ),
        ] {
            assert_eq!(
                life(body, None),
                (expected.0.to_owned(), expected.1),
                "{body}"
            );
        }
    }

    #[test]
    fn a2_a_token_is_as_old_as_its_server_says_by_its_own_clock() {
        let body = r#"{"token":"t","expires_in":300,"issued_at":"1994-11-06T08:49:37Z"}"#;
        for (date, expected) in [
            ("Sun, 06 Nov 1994 08:49:38 GMT", 299),
            ("Sun, 06 Nov 1994 08:52:37 GMT", 120),
            ("Sun, 06 Nov 1994 08:49:00 GMT", 300),
            ("Sun, 06 Nov 1994 10:00:00 GMT", 300),
        ] {
            assert_eq!(life(body, Some(date)).1, expected, "{date}");
        }
    }

    #[test]
    fn an_answer_without_a_token_is_an_error_that_quotes_nothing() {
        for body in ["", "{}", r#"{"token":17,"x":"secret"}"#, r#"{"token":""}"#] {
            let Err(error) = read(body.as_bytes(), None) else {
                panic!("{body}");
            };
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn what_a_token_server_complains_of_is_told() {
        for (body, expected) in [
            (
                r#"{"details":"incorrect username or password"}"#,
                Some("incorrect username or password"),
            ),
            (
                r#"{"error":"invalid_grant","error_description":"expired"}"#,
                Some("invalid_grant: expired"),
            ),
            (r#"{"errors":[]}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(complaint(body.as_bytes()).as_deref(), expected);
        }
    }

    #[test]
    fn a2_the_question_keeps_the_realms_own_query_and_names_each_scope() {
        let realm = Url::parse("https://auth.example/token?tenant=a%2Fb").unwrap();
        let scopes = ScopeSet::parse("repository:a:pull,push repository:b:pull");
        let url = query(&TokenRequest {
            realm: &realm,
            service: Some("r.example"),
            scopes: &scopes,
            credential: None,
        });
        assert_eq!(
            url.query().unwrap(),
            "tenant=a%2Fb&service=r.example&scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%3Apull"
        );
    }
}
