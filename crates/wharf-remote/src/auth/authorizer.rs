//! The challenge of one host, and the credentials and tokens sent to it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::WWW_AUTHENTICATE;
use wharf_oci::Registry;

use super::asking::{Asker, Authorization};
use super::challenge::{self, Challenge, Demand};
use super::finals::Finals;
use super::lack::Shown;
use super::logins::Logins;
use super::realm;
use super::scope::{Needed, ScopeSet};
use super::token_server::{self, Flows, TokenRequest};
use super::tokens::{Fit, Tokens};
use crate::credentials::{Credential, Credentials, Found, Secret};
use crate::memory::{Fact, RegistryMemory};
use crate::transport::Response;
use wharf_core::sync::Lock;
use wharf_core::{Asked, Error, Result};

/// The challenge, the credentials and the tokens of one host.
pub(crate) struct Authorizer {
    pub(super) registry: Registry,
    pub(super) logins: Logins,
    memory: RegistryMemory,
    challenge: Lock<Wanted>,
    tokens: Tokens,
    flows: Flows,
    /// Whether it refused a token that allows more than a request needs, and accepted the
    /// narrowest one.
    narrow: AtomicBool,
    /// Refusals that a new token did not cure.
    uncured: Finals,
    /// Refusals that the narrowest token did not cure.
    unnarrowed: Finals,
}

/// The challenge that the host probably has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Wanted {
    /// The memory was not read yet.
    #[default]
    Unknown,
    /// None is known until the host answers.
    Nothing,
    /// From an earlier run. It may be wrong, and must cost at most one request.
    Remembered(Challenge),
    /// From an answer of this run.
    Said(Challenge),
}

impl Authorizer {
    pub(crate) fn new(
        registry: Registry,
        credentials: Option<Arc<dyn Credentials>>,
        memory: RegistryMemory,
    ) -> Self {
        Authorizer {
            registry,
            logins: Logins::new(credentials),
            memory,
            challenge: Lock::default(),
            tokens: Tokens::default(),
            flows: Flows::default(),
            narrow: AtomicBool::new(false),
            uncured: Finals::default(),
            unnarrowed: Finals::default(),
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The challenge that the host probably has: from this run, else from an earlier one.
    fn wanted(&self) -> Wanted {
        let mut wanted = self.challenge.lock();
        if *wanted == Wanted::Unknown {
            let text = self.memory.facts(&self.registry).challenge;
            let demand = text.as_deref().and_then(|text| challenge::choose([text]));
            *wanted = match demand {
                Some(demand) => Wanted::Remembered(demand.challenge),
                None => Wanted::Nothing,
            };
        }
        wanted.clone()
    }

    /// Records the host's challenge, also for later runs, which then need no refusal.
    fn learn(&self, challenge: &Challenge) {
        let said = Wanted::Said(challenge.clone());
        let before = std::mem::replace(&mut *self.challenge.lock(), said.clone());
        if before != said && challenge.may_be_kept() {
            let fact = Fact::Challenge(challenge.to_string());
            self.memory.learn(&self.registry, fact);
        }
    }

    /// The challenge of the host, if known.
    pub(super) fn challenge(&self) -> Option<Challenge> {
        match self.wanted() {
            Wanted::Said(challenge) | Wanted::Remembered(challenge) => Some(challenge),
            Wanted::Unknown | Wanted::Nothing => None,
        }
    }

    /// The credentials for a request that needs `needed`; `None` until the host requires some.
    ///
    /// # Errors
    /// If credentials are required but cannot be read, or the token server returns no token.
    pub(crate) async fn known(
        &self,
        asker: Asker<'_>,
        needed: &Needed,
    ) -> Result<Option<Authorization>> {
        let none = ScopeSet::default();
        match self.wanted() {
            Wanted::Said(challenge) => self.fitting(asker, &challenge, needed, &none, None).await,
            Wanted::Remembered(challenge) => {
                let shown = self.fitting(asker, &challenge, needed, &none, None).await;
                // The host may have another challenge by now, or none.
                Ok(shown.unwrap_or_else(|error| {
                    tracing::debug!(%error, "remembered challenge of no use");
                    None
                }))
            }
            Wanted::Unknown | Wanted::Nothing => Ok(None),
        }
    }

    /// The credentials to send instead of `shown`, which was refused; `None` if there are no
    /// others, or others did not help before.
    ///
    /// # Errors
    /// As [`Authorizer::known`].
    pub(crate) async fn answer(
        &self,
        asker: Asker<'_>,
        demand: Demand,
        needed: &Needed,
        shown: Option<&Authorization>,
    ) -> Result<Option<Authorization>> {
        let Demand { challenge, scopes } = demand;
        self.learn(&challenge);
        let Some(shown) = shown.filter(|shown| shown.challenge == challenge) else {
            return self.fitting(asker, &challenge, needed, &scopes, None).await;
        };
        let wanted = self.scopes(needed).merged(&scopes);
        if self.uncured.has(needed.method(), &wanted) {
            return Ok(None);
        }
        let in_vain = || self.uncured.add(needed.method(), &wanted);
        if shown.new && shown.allowed.covers(&wanted) {
            in_vain();
            return Ok(None);
        }
        // Another process may have logged in meanwhile.
        self.logins.forget(asker.name);
        let refused = shown.token.as_ref();
        if let Some(refused) = refused {
            self.tokens.forget(refused);
        }
        let better = self.fitting(asker, &challenge, needed, &scopes, refused);
        let better = better.await?.filter(|better| better.header != shown.header);
        if better.is_none() {
            in_vain();
        }
        Ok(better)
    }

    /// The narrowest credentials for a request, if its token allowed more and the registry refused
    /// it; `None` if they did not help before, or there are none (wire.md M3).
    pub(crate) async fn narrower(
        &self,
        asker: Asker<'_>,
        needed: &Needed,
        shown: Option<&Authorization>,
        response: &Response,
    ) -> Option<Authorization> {
        let shown = shown.filter(|shown| shown.token.is_some())?;
        let demand = challenge::choose(response.all(WWW_AUTHENTICATE.as_str()));
        let scopes = match (response.status().as_u16(), demand) {
            (400 | 403 | 431, None) => ScopeSet::default(),
            (400 | 401 | 403 | 431, Some(demand)) => demand.scopes,
            _ => return None,
        };
        let least = needed.least().merged(&scopes);
        if shown.allowed == least || self.unnarrowed.has(needed.method(), &least) {
            return None;
        }
        tracing::debug!(status = %response.status(), "asking for a token that allows less");
        let narrow = self.authorization(asker, &shown.challenge, &least, None, Fit::Exact);
        let narrow = narrow.await.ok().flatten();
        let other = narrow.filter(|narrow| narrow.header != shown.header);
        if other.is_none() {
            self.unnarrowed.add(needed.method(), &least);
        }
        other
    }

    /// Records whether the registry accepted a request with `shown`, and that no other credentials
    /// will help if it did not.
    pub(crate) fn settle(&self, needed: &Needed, shown: &Authorization, response: &Response) {
        match response.status().as_u16() {
            401 => self.uncured.add(needed.method(), &shown.scopes),
            _ => self.uncured.clear(needed.method(), &shown.allowed),
        }
    }

    /// Records how the registry answered a request with the narrowest token, `shown`.
    pub(crate) fn narrowed(&self, needed: &Needed, shown: &Authorization, response: &Response) {
        match response.status().as_u16() {
            400 | 401 | 403 | 431 => self.unnarrowed.add(needed.method(), &shown.allowed),
            429 | 500.. => {}
            _ => self.narrow.store(true, Ordering::Relaxed),
        }
    }

    /// The scopes to ask for.
    fn scopes<'a>(&self, needed: &'a Needed) -> &'a ScopeSet {
        match self.narrow.load(Ordering::Relaxed) {
            true => needed.least(),
            false => needed.usual(),
        }
    }

    /// The credentials for a request that needs `needed`, and the scopes `more` that the registry
    /// named. If the token server refuses that much, those for the least.
    async fn fitting(
        &self,
        asker: Asker<'_>,
        challenge: &Challenge,
        needed: &Needed,
        more: &ScopeSet,
        refused: Option<&Secret>,
    ) -> Result<Option<Authorization>> {
        let fit = match self.narrow.load(Ordering::Relaxed) {
            true => Fit::Exact,
            false => Fit::Wider,
        };
        let wanted = self.scopes(needed).merged(more);
        let usual = self.authorization(asker, challenge, &wanted, refused, fit);
        let error = match usual.await {
            Err(error) if asks_too_much(&error) => error,
            usual => return usual,
        };
        let least = needed.least().merged(more);
        if least == wanted {
            return Err(error);
        }
        let narrow = self.authorization(asker, challenge, &least, refused, Fit::Exact);
        match narrow.await {
            Ok(Some(narrow)) => {
                tracing::debug!(%error, "asking for tokens that allow less");
                self.narrow.store(true, Ordering::Relaxed);
                Ok(Some(narrow))
            }
            _ => Err(error),
        }
    }

    async fn authorization(
        &self,
        asker: Asker<'_>,
        challenge: &Challenge,
        scopes: &ScopeSet,
        refused: Option<&Secret>,
        fit: Fit,
    ) -> Result<Option<Authorization>> {
        let looked = self.logins.look(&self.registry, asker.name).await;
        let found = looked.found;
        let shows = |header: Secret| Authorization {
            header,
            challenge: challenge.clone(),
            token: None,
            grant: None,
            scopes: scopes.clone(),
            allowed: scopes.clone(),
            new: false,
            shown: Shown::Login,
            source: found.as_ref().map(|found| found.source.clone()),
            entry: found.as_ref().and_then(|found| found.entry.clone()),
        };
        let credential = found.as_ref().map(|found| &found.credential);
        match (challenge, credential) {
            (Challenge::Basic, Some(Credential::Password { username, password })) => {
                Ok(Some(shows(token_server::basic(username, password))))
            }
            (Challenge::Basic, _) => match looked.failure {
                Some(failure) => Err(failure),
                None => Ok(None),
            },
            (Challenge::Bearer { .. }, Some(Credential::RegistryToken(token))) => {
                Ok(Some(shows(bearer(token))))
            }
            (Challenge::Bearer { realm, service }, credential) => {
                let fetch = async {
                    let realm = realm::judge(asker.root, realm, credential)?;
                    let question = TokenRequest {
                        realm: &realm,
                        service: service.as_deref(),
                        scopes,
                        credential,
                    };
                    token_server::fetch(asker.transport, &question, &self.flows).await
                };
                let known = match fit {
                    Fit::Wider => self.tokens.covering(challenge, scopes, refused),
                    Fit::Exact => None,
                };
                let got = match known {
                    Some(got) => Ok(got),
                    None => {
                        let key = (challenge.clone(), scopes.clone());
                        self.tokens.get(&key, refused, fetch).await
                    }
                };
                let got = got.map_err(|error| self.tried(asker, error, found.as_ref(), scopes))?;
                Ok(Some(Authorization {
                    new: got.new,
                    shown: match credential {
                        Some(_) => Shown::Token,
                        None => Shown::Anonymous,
                    },
                    token: Some(got.token.secret.clone()),
                    grant: Some(Arc::clone(&got.token.grant)),
                    allowed: got.allowed,
                    ..shows(bearer(&got.token.secret))
                }))
            }
        }
    }

    /// The error of a token server, with the credentials it refused. Drops them from the cache.
    fn tried(
        &self,
        asker: Asker<'_>,
        error: Error,
        found: Option<&Found>,
        scopes: &ScopeSet,
    ) -> Error {
        if !matches!(error.status(), Some(400..=499)) {
            return error;
        }
        let error = self.refused_token(error, found, scopes);
        self.logins.forget(asker.name);
        error
    }
}

/// Whether a token server refused a question that asks for too much, or is too long.
fn asks_too_much(error: &Error) -> bool {
    let refused = matches!(error.status(), Some(400 | 403 | 414 | 431));
    refused && error.asked() == Some(Asked::Token)
}

fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.expose()))
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer")
            .field("registry", &self.registry)
            .field("logins", &self.logins)
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}
