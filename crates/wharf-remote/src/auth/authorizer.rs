//! The challenge of one host, and the credentials and tokens sent to it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use url::Url;
use wharf_oci::{Registry, RepositoryName};

use super::challenge::{self, Challenge, Demand, Offers};
use super::lack::{self, Shown};
use super::realm;
use super::scope::ScopeSet;
use super::token_server::{self, TokenRequest};
use super::tokens::{Got, Tokens};
use crate::credentials::{Credential, Credentials, Found, Secret};
use crate::memory::{Fact, RegistryMemory};
use crate::transport::{Response, Transport};
use wharf_core::sync::Lock;
use wharf_core::{Error, Result};
use wharf_core::{Lack, Refusal};

/// Repositories with cached credentials.
const MANY: usize = 512;

/// The challenge, the credentials and the tokens of one host.
pub(crate) struct Authorizer {
    registry: Registry,
    credentials: Option<Arc<dyn Credentials>>,
    memory: RegistryMemory,
    challenge: Lock<Wanted>,
    found: Lock<HashMap<Option<RepositoryName>, Option<Found>>>,
    tokens: Tokens,
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

/// The context of a request for a token.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) transport: &'a Transport,
    /// The root of the registry's API.
    pub(crate) root: &'a Url,
    /// `None`: the registry as a whole.
    pub(crate) name: Option<&'a RepositoryName>,
}

/// The credentials of a request.
pub(crate) struct Authorization {
    /// The value of the header.
    pub(crate) header: Secret,
    challenge: Challenge,
    /// The token in it, if it can be renewed.
    token: Option<Secret>,
    /// What the token allows.
    scopes: ScopeSet,
    /// Whether its token was fetched for this request.
    new: bool,
    shown: Shown,
    /// The source of the credentials, for messages, and the entry if it is for a part of the
    /// registry.
    source: Option<String>,
    entry: Option<String>,
}

impl Authorizer {
    pub(crate) fn new(
        registry: Registry,
        credentials: Option<Arc<dyn Credentials>>,
        memory: RegistryMemory,
    ) -> Self {
        Authorizer {
            registry,
            credentials,
            memory,
            challenge: Lock::default(),
            found: Lock::default(),
            tokens: Tokens::default(),
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

    /// The credentials for a request that needs `scopes`; `None` until the host requires some.
    ///
    /// # Errors
    /// If credentials cannot be read, or the token server returns no token.
    pub(crate) async fn known(
        &self,
        asker: Asker<'_>,
        scopes: &ScopeSet,
    ) -> Result<Option<Authorization>> {
        match self.wanted() {
            Wanted::Said(challenge) => self.authorization(asker, &challenge, scopes, None).await,
            Wanted::Remembered(challenge) => {
                let shown = self.authorization(asker, &challenge, scopes, None).await;
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
    /// others.
    ///
    /// # Errors
    /// As [`Authorizer::known`].
    pub(crate) async fn answer(
        &self,
        asker: Asker<'_>,
        demand: Demand,
        needed: &ScopeSet,
        shown: Option<&Authorization>,
    ) -> Result<Option<Authorization>> {
        let Demand { challenge, scopes } = demand;
        self.learn(&challenge);
        let wanted = needed.merged(&scopes);
        let Some(shown) = shown.filter(|shown| shown.challenge == challenge) else {
            return self.authorization(asker, &challenge, &wanted, None).await;
        };
        if shown.new && shown.scopes.covers(&wanted) {
            return Ok(None);
        }
        // Another process may have logged in meanwhile.
        self.found.lock().remove(&asker.name.cloned());
        let refused = shown.token.as_ref();
        if let Some(refused) = refused {
            self.tokens.forget(refused);
        }
        let better = self.authorization(asker, &challenge, &wanted, refused);
        Ok(better.await?.filter(|better| better.header != shown.header))
    }

    /// The refusal of a request that needed `needed`; `None` if it was not refused.
    pub(crate) fn refusal(
        &self,
        response: &Response,
        shown: Option<&Authorization>,
        needed: &ScopeSet,
    ) -> Option<Refusal> {
        let offers = Offers::read(response.all(WWW_AUTHENTICATE.as_str()));
        let what = shown.map_or(Shown::Nothing, |shown| shown.shown);
        let status = response.status().as_u16();
        let asked = offers.demand().is_some() || self.challenge().is_some();
        let lack = lack::judge(status, what, &offers, asked)?;
        let source = shown.and_then(|shown| shown.source.as_deref());
        let scopes = shown.map_or(needed, |shown| &shown.scopes);
        let mut words = match (lack, offers.schemes().as_slice()) {
            (Lack::Scheme, []) if status != 401 => "it requests no credentials".to_owned(),
            (Lack::Scheme, []) => "it does not say which credentials it wants".to_owned(),
            (Lack::Scheme, _) if offers.lacks_realm() => {
                "it wants a token, but names no token server".to_owned()
            }
            (Lack::Scheme, schemes) => {
                format!("it wants {}, which is not supported", schemes.join(", "))
            }
            _ => self.whose(source),
        };
        if matches!(what, Shown::Anonymous | Shown::Token) && !scopes.is_empty() {
            words += &format!(", for {scopes}");
        }
        if lack == Lack::Token {
            words += "; the token issued for them was refused";
        }
        Some(Refusal {
            registry: self.registry.clone(),
            lack,
            source: source.map(str::to_owned),
            entry: shown.and_then(|shown| shown.entry.clone()),
            scope: needed.to_string(),
            words,
        })
    }

    /// Which credentials are sent, for a message.
    fn whose(&self, source: Option<&str>) -> String {
        match source {
            Some(source) => format!("tried the credentials from {source}"),
            None => self.unfit().unwrap_or_else(|| self.without_words()),
        }
    }

    /// The challenge of the host, if known.
    fn challenge(&self) -> Option<Challenge> {
        match self.wanted() {
            Wanted::Said(challenge) | Wanted::Remembered(challenge) => Some(challenge),
            Wanted::Unknown | Wanted::Nothing => None,
        }
    }

    /// Says, for a message, that there is a credential, but of a kind that cannot be sent.
    fn unfit(&self) -> Option<String> {
        self.challenge()
            .filter(|wanted| *wanted == Challenge::Basic)?;
        let found = self.found.lock();
        let mut tokens = found.values().flatten().filter(|found| {
            let is_password = matches!(found.credential, Credential::Password { .. });
            !is_password
        });
        let source = &tokens.next()?.source;
        Some(format!("it requires a password, but {source} has a token"))
    }

    /// Says, for a message, that no credentials are sent, and where they were looked up.
    pub(super) fn without_words(&self) -> String {
        let places = self.credentials.as_ref().map(|known| known.places());
        match places.filter(|places| !places.is_empty()) {
            Some(places) => format!("no credentials in {}", places.join(", ")),
            None => "tried without credentials".to_owned(),
        }
    }

    async fn authorization(
        &self,
        asker: Asker<'_>,
        challenge: &Challenge,
        scopes: &ScopeSet,
        refused: Option<&Secret>,
    ) -> Result<Option<Authorization>> {
        let found = self.find(asker.name).await?;
        let shows = |header: Secret| Authorization {
            header,
            challenge: challenge.clone(),
            token: None,
            scopes: scopes.clone(),
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
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { .. }, Some(Credential::RegistryToken(token))) => {
                Ok(Some(shows(bearer(token))))
            }
            (Challenge::Bearer { realm, service }, credential) => {
                let fetch = async {
                    let realm = realm::judge(asker.root, realm)?;
                    let question = TokenRequest {
                        realm: &realm,
                        service: service.as_deref(),
                        scopes,
                        credential,
                    };
                    token_server::fetch(asker.transport, &question).await
                };
                let got = match self.tokens.covering(challenge, scopes, refused) {
                    Some(token) => Ok(Got { token, new: false }),
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
                    ..shows(bearer(&got.token.secret))
                }))
            }
        }
    }

    async fn find(&self, name: Option<&RepositoryName>) -> Result<Option<Found>> {
        let Some(credentials) = &self.credentials else {
            return Ok(None);
        };
        let key = name.cloned();
        if let Some(found) = self.found.lock().get(&key) {
            return Ok(found.clone());
        }
        let found = credentials.find(&self.registry, name).await;
        let found = found.map_err(|error| error.target("credentials"))?;
        let mut known = self.found.lock();
        if known.len() >= MANY {
            known.clear();
        }
        known.insert(key, found.clone());
        Ok(found)
    }

    /// The error of a token server, with the credentials it refused. Drops them from the cache.
    fn tried(
        &self,
        asker: Asker<'_>,
        error: Error,
        found: Option<&Found>,
        scopes: &ScopeSet,
    ) -> Error {
        let Some(status @ 400..=499) = error.status() else {
            return error;
        };
        self.found.lock().remove(&asker.name.cloned());
        let Some(lack) = lack::judge_token(status, found.is_some()) else {
            return error;
        };
        let source = found.map(|found| found.source.clone());
        error.refused(Refusal {
            registry: self.registry.clone(),
            lack,
            words: self.whose(source.as_deref()),
            source,
            entry: found.and_then(|found| found.entry.clone()),
            scope: scopes.to_string(),
        })
    }
}

fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.expose()))
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer")
            .field("registry", &self.registry)
            .field("credentials", &self.credentials)
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}
