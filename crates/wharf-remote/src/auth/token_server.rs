//! Fetches tokens from a token server (distribution: "Token Authentication Specification", "OAuth2
//! Token Authentication").

use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use super::scope::ScopeSet;
use super::token_answer::{self, Grant};
use crate::answer::{self, Answered};
use crate::credentials::{Credential, Secret, TOKEN_USER};
use crate::transport::{Body, Request, Response, Transport, authority};
use wharf_core::sync::Lock;
use wharf_core::{Asked, Error, Result};

/// Bytes of a token server's answer (wire.md section 11, rule 5).
const ANSWER: usize = 64 * 1024;

/// The client id for OAuth2.
const CLIENT: &str = "wharf";

/// A token, and the end of its use.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) secret: Secret,
    /// All that the server granted with it.
    pub(super) grant: Arc<Grant>,
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

/// A way to ask for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// GET, with user name and password in the header ("Token Authentication Specification").
    Get,
    /// POST of a form ("OAuth2 Token Authentication").
    Post,
}

impl Flow {
    fn other(self) -> Self {
        match self {
            Flow::Get => Flow::Post,
            Flow::Post => Flow::Get,
        }
    }

    /// Whether `error` says that the server does not know this way. To POST some servers answer 401
    /// then.
    fn is_unknown(self, error: &Error) -> bool {
        match (self, error.status()) {
            (_, Some(404 | 405 | 501)) | (Flow::Post, Some(401 | 406 | 411 | 415)) => true,
            (Flow::Post, Some(400)) => error.to_string().contains("unsupported_grant_type"),
            _ => false,
        }
    }
}

/// The token server, and the way to ask it, where the usual one failed in this process.
#[derive(Debug, Default)]
pub(super) struct Flows(Lock<Option<(Url, Flow)>>);

impl Flows {
    fn learned(&self, realm: &Url) -> Option<Flow> {
        let learned = self.0.lock();
        let fitting = learned.as_ref().filter(|(known, _)| known == realm);
        fitting.map(|(_, flow)| *flow)
    }

    fn learn(&self, realm: &Url, flow: Flow) {
        *self.0.lock() = Some((realm.clone(), flow));
    }
}

/// Asks for a token: in the usual way for the credential, and if the server does not know that, in
/// the other way.
///
/// # Errors
/// The token server's error; [`ErrorKind::Invalid`](wharf_core::ErrorKind::Invalid) if its answer
/// is malformed.
pub(super) async fn fetch(
    transport: &Transport,
    question: &TokenRequest<'_>,
    flows: &Flows,
) -> Result<Token> {
    let usual = match question.credential {
        Some(Credential::IdentityToken(_)) => Flow::Post,
        Some(Credential::Password { .. }) => Flow::Get,
        Some(Credential::RegistryToken(_)) | None => {
            return fetch_by(Flow::Get, transport, question).await;
        }
    };
    if let Some(flow) = flows.learned(question.realm) {
        return fetch_by(flow, transport, question).await;
    }
    let error = match fetch_by(usual, transport, question).await {
        Err(error) if usual.is_unknown(&error) => error,
        answer => return answer,
    };
    tracing::debug!(%error, "asking the token server in the other way");
    match fetch_by(usual.other(), transport, question).await {
        Ok(token) => {
            flows.learn(question.realm, usual.other());
            Ok(token)
        }
        // The usual way is the one that users know.
        Err(_) => Err(error),
    }
}

async fn fetch_by(flow: Flow, transport: &Transport, question: &TokenRequest<'_>) -> Result<Token> {
    let asked = Instant::now();
    let named = |error: Error| {
        let server = authority(question.realm);
        let error = error.asked_for(Some(Asked::Token));
        match question.scopes.is_empty() {
            true => error.target(format_args!("token from {server}")),
            false => error.target(format_args!("token for {} from {server}", question.scopes)),
        }
    };
    let request = match flow {
        Flow::Get => get(question),
        Flow::Post => post(question),
    };
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
    let read = token_answer::read(&body, date);
    let (grant, life) = read.map_err(|error| named(error.target(endpoint)))?;
    let server = authority(question.realm);
    tracing::info!(server, scopes = %question.scopes, ?life, "token received");
    Ok(Token {
        secret: grant.token.clone(),
        grant: Arc::new(grant),
        stale: asked + life.mul_f32(0.8),
    })
}

fn get(question: &TokenRequest<'_>) -> Request {
    let request = Request::new(Method::GET, query(question));
    match question.credential {
        Some(Credential::Password { username, password }) => {
            request.secret(AUTHORIZATION, &basic(username, password))
        }
        // The name that stands for a token, as in the output of credential helpers.
        Some(Credential::IdentityToken(token)) => request
            .secret(AUTHORIZATION, &basic(TOKEN_USER, token))
            .telling(token),
        Some(Credential::RegistryToken(_)) | None => request,
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
fn post(question: &TokenRequest<'_>) -> Request {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let mut secret = None;
    match question.credential {
        Some(Credential::IdentityToken(token)) => {
            form.append_pair("grant_type", "refresh_token");
            form.append_pair("refresh_token", token.expose());
            secret = Some(token);
        }
        Some(Credential::Password { username, password }) => {
            form.append_pair("grant_type", "password");
            form.append_pair("username", username);
            form.append_pair("password", password.expose());
            secret = Some(password);
        }
        Some(Credential::RegistryToken(_)) | None => {}
    }
    form.append_pair("service", question.service.unwrap_or_default());
    form.append_pair("scope", &question.scopes.to_string());
    form.append_pair("client_id", CLIENT);
    let request = Request::new(Method::POST, question.realm.clone())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::Bytes(form.finish().into()))
        .stay();
    match secret {
        Some(secret) => request.telling(secret),
        None => request,
    }
}

fn date(response: &Response) -> Option<SystemTime> {
    httpdate::parse_http_date(response.header("date")?).ok()
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
