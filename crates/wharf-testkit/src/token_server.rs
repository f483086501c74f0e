//! A token server with tokens that a real registry accepts (distribution: "Token Authentication").
//!
//! It knows the user `me` with the password `hidden`, and the identity token `identity`, and grants
//! both every scope they ask for. Anonymous clients get `pull` only.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::json;

use crate::fault_server::{Answer, FaultServer, RecordedRequest, Script};
use crate::peers::RegistryAuth;

const SERVICE: &str = "test-registry";
const ISSUER: &str = "test-issuer";

/// base64 of `me:hidden`.
const LOGIN: &str = "Basic bWU6aGlkZGVu";

/// How long the registry accepts a token after it expired.
const LEEWAY: i64 = 60;

/// The running token server; it stops when it is dropped.
#[derive(Debug)]
pub struct TokenServer {
    server: FaultServer,
    certificate: String,
}

impl TokenServer {
    /// Starts one on a free port of 127.0.0.1 with tokens valid for `life`, in whole seconds.
    ///
    /// A registry accepts them exactly that long: its allowance for clock differences is
    /// subtracted.
    pub fn start(life: Duration) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), life)
    }

    /// The same on a free port of `ip`, a loopback address or one of [`crate::network`].
    ///
    /// # Panics
    /// When `ip` is neither, or has no free port.
    pub fn start_on(ip: IpAddr, life: Duration) -> Self {
        Self::of(Signer::new(), ip, life)
    }

    /// Like [`TokenServer::start`], but its tokens allow nothing in `repository`, whatever is asked
    /// for. As the specification says, that is no error.
    pub fn start_denying(repository: &str, life: Duration) -> Self {
        let signer = Signer {
            denied: Some(repository.to_owned()),
            ..Signer::new()
        };
        Self::of(signer, Ipv4Addr::LOCALHOST.into(), life)
    }

    fn of(signer: Signer, ip: IpAddr, life: Duration) -> Self {
        let certificate = signer.certificate.pem();
        let answer = Answer::from_fn(move |request| signer.answer(request, life));
        Self {
            server: FaultServer::start_on(ip, Script::new().on("*", "/token", [answer])),
            certificate,
        }
    }

    /// The settings that make a registry accept the tokens.
    pub fn auth(&self) -> RegistryAuth {
        RegistryAuth::Token {
            realm: format!("{}/token", self.server.base()),
            service: SERVICE.to_owned(),
            issuer: ISSUER.to_owned(),
            certificate: self.certificate.clone(),
        }
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.server.requests()
    }
}

struct Signer {
    key: EcdsaKeyPair,
    certificate: rcgen::Certificate,
    /// The repository in which nothing is allowed.
    denied: Option<String>,
}

impl Signer {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().expect("make a key");
        let parameters = rcgen::CertificateParams::new(vec!["tokens.example".to_owned()]);
        let certificate = parameters
            .and_then(|parameters| parameters.self_signed(&key))
            .expect("make a certificate");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der())
            .expect("the key just made");
        Self {
            key,
            certificate,
            denied: None,
        }
    }

    fn answer(&self, request: &RecordedRequest, life: Duration) -> Answer {
        let form = format!("/?{}", String::from_utf8_lossy(&request.body));
        let (asked, everything) = match request.method.as_str() {
            "POST" => (
                form,
                request
                    .body
                    .windows(22)
                    .any(|part| part == b"refresh_token=identity"),
            ),
            _ => (
                request.target.clone(),
                request.header("authorization") == Some(LOGIN),
            ),
        };
        if request.header("authorization").is_some() && !everything {
            return Answer::status(401).body(r#"{"details":"incorrect username or password"}"#);
        }
        let life = life.as_secs();
        let mut scopes = scopes(&asked);
        let denied = |scope: &String| scope.split(':').nth(1) == self.denied.as_deref();
        scopes.retain(|scope| self.denied.is_none() || !denied(scope));
        let token = self.token(&access(&scopes, everything), life);
        let body = json!({ "token": token, "expires_in": life });
        Answer::status(200).body(body.to_string())
    }

    fn token(&self, access: &serde_json::Value, life: u64) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock")
            .as_secs();
        let end = now.cast_signed() + life.cast_signed() - LEEWAY;
        let chain = [BASE64_STANDARD.encode(self.certificate.der())];
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5c": chain });
        let claims = json!({
            "iss": ISSUER, "sub": "me", "aud": SERVICE, "jti": "1", "access": access,
            "iat": now.cast_signed() - 2 * LEEWAY, "nbf": now.cast_signed() - 2 * LEEWAY, "exp": end,
        });
        let encode = |part: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.expect("sign with a good key");
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The scopes of a query or form.
fn scopes(target: &str) -> Vec<String> {
    let (_, query) = target.split_once('?').unwrap_or_default();
    let pairs = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("scope="));
    let decoded = pairs.map(|text| {
        // A query of one pair, so that its value is decoded.
        let text = text.replace('+', " ");
        crate::fault_server::percent_decoded(&text)
    });
    decoded
        .flat_map(|text| text.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// The access that a token for these scopes grants.
fn access(scopes: &[String], everything: bool) -> serde_json::Value {
    let mut granted: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for scope in scopes {
        let parts: Vec<&str> = scope.splitn(3, ':').collect();
        let [kind, name, actions] = parts[..] else {
            continue;
        };
        let allowed = actions
            .split(',')
            .filter(|action| everything || *action == "pull");
        granted.entry((kind, name)).or_default().extend(allowed);
    }
    let entries = granted.into_iter();
    entries
        .map(|((kind, name), actions)| json!({ "type": kind, "name": name, "actions": actions }))
        .collect()
}
