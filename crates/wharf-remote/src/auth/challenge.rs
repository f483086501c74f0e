//! Parses `WWW-Authenticate` (RFC 9110, section 11.6.1).
//!
//! Pure. One header or several may hold several challenges, in any letter case. Commas separate
//! challenges and also their parameters.

use std::fmt;

use super::scope::ScopeSet;
use crate::memory::is_line;

/// The most challenges, and parameters of one; more is an attack.
const MANY: usize = 32;

/// The authentication scheme of a host. Holds no secret, so it can be remembered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Challenge {
    /// User name and password with each request (RFC 7617).
    Basic,
    /// A token from a token server (distribution: "Token Authentication Specification").
    Bearer {
        /// The URL of the token server, as the registry states it.
        realm: String,
        /// The name of the registry at the token server.
        service: Option<String>,
    },
}

impl Challenge {
    /// Whether it can be stored for later runs: one line of bounded length, without a password in
    /// the URL.
    pub(super) fn may_be_kept(&self) -> bool {
        let plain = match self {
            Challenge::Basic => true,
            Challenge::Bearer { realm, .. } => !realm.contains('@'),
        };
        plain && is_line(&self.to_string())
    }
}

/// As in the header.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        match self {
            Challenge::Basic => f.write_str("Basic"),
            Challenge::Bearer { realm, service } => {
                write!(f, "Bearer realm=\"{}\"", quoted(realm))?;
                match service {
                    Some(service) => write!(f, ",service=\"{}\"", quoted(service)),
                    None => Ok(()),
                }
            }
        }
    }
}

/// A challenge, and the scopes that the refused request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(super) challenge: Challenge,
    /// The scopes the registry named.
    pub(super) scopes: ScopeSet,
}

impl Demand {
    /// The challenge alone.
    pub(super) fn without_scopes(self) -> Self {
        Demand {
            scopes: ScopeSet::default(),
            ..self
        }
    }
}

/// The best challenge of an answer's headers.
pub(crate) fn choose<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Demand> {
    Offers::read(headers).demand()
}

/// All challenges of an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Offers(Vec<Offer>);

/// Why a token was refused (RFC 6750, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// It is valid, but does not allow enough.
    InsufficientScope,
    /// It has expired, or is for another registry, or from another token server.
    InvalidToken,
}

impl Offers {
    /// Parses the headers `WWW-Authenticate` of an answer.
    pub(super) fn read<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        Offers(headers.into_iter().flat_map(parse).take(MANY).collect())
    }

    /// The best one: a token is better than a password with each request.
    pub(super) fn demand(&self) -> Option<Demand> {
        let bearer = self.0.iter().find_map(bearer);
        bearer.or_else(|| {
            let basic = self.0.iter().any(|offer| offer.scheme == "basic");
            basic.then(|| Demand {
                challenge: Challenge::Basic,
                scopes: ScopeSet::default(),
            })
        })
    }

    /// Whether a token is required but no token server is named.
    pub(super) fn lacks_realm(&self) -> bool {
        let mut all = self.0.iter();
        all.any(|offer| offer.scheme == "bearer" && bearer(offer).is_none())
    }

    /// The registry's complaint about the token.
    pub(super) fn complaint(&self) -> Option<Complaint> {
        let errors = self.0.iter().filter_map(|offer| offer.parameter("error"));
        let known = |error| match error {
            "insufficient_scope" => Some(Complaint::InsufficientScope),
            "invalid_token" => Some(Complaint::InvalidToken),
            _ => None,
        };
        errors.filter_map(known).next()
    }

    /// Their names, each once.
    pub(super) fn schemes(&self) -> Vec<&str> {
        let mut schemes: Vec<&str> = self.0.iter().map(|offer| offer.scheme.as_str()).collect();
        schemes.sort_unstable();
        schemes.dedup();
        schemes
    }
}

/// The text that is stored for the chosen challenge of `headers`, for the fuzz target.
#[cfg(fuzzing)]
pub(crate) fn chosen(headers: &[&str]) -> Option<String> {
    let demand = choose(headers.iter().copied())?;
    let kept = demand.challenge.may_be_kept();
    kept.then(|| demand.challenge.to_string())
}

fn bearer(offer: &Offer) -> Option<Demand> {
    if offer.scheme != "bearer" {
        return None;
    }
    let realm = offer.parameter("realm").filter(|realm| !realm.is_empty())?;
    let scopes = offer.parameter("scope").map(ScopeSet::parse);
    Some(Demand {
        challenge: Challenge::Bearer {
            realm: realm.to_owned(),
            service: offer.parameter("service").map(str::to_owned),
        },
        scopes: scopes.unwrap_or_default(),
    })
}

/// One challenge of a header, of any scheme.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Offer {
    /// In lower case.
    scheme: String,
    /// Names in lower case, values without quotes and escapes.
    parameters: Vec<(String, String)>,
}

impl Offer {
    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// All challenges of one header. Skips malformed ones.
fn parse(header: &str) -> Vec<Offer> {
    let mut text = Text(header);
    let mut offers: Vec<Offer> = Vec::new();
    while offers.len() < MANY {
        let gap = text.take(|letter| letter.is_whitespace() || letter == ',');
        if text.0.is_empty() {
            break;
        }
        let before = text;
        let parameter = text.parameter().or_else(|| {
            text = before;
            let word = text.take(|letter| letter != ',' && !letter.is_whitespace());
            // Text after a scheme and only spaces is its token68.
            if offers.is_empty() || gap.contains(',') {
                offers.push(Offer {
                    scheme: word.to_ascii_lowercase(),
                    parameters: Vec::new(),
                });
            }
            None
        });
        let last = offers.last_mut();
        let room = last.filter(|offer| offer.parameters.len() < MANY);
        if let (Some(parameter), Some(offer)) = (parameter, room) {
            offer.parameters.push(parameter);
        }
    }
    offers
}

/// The rest of a header.
#[derive(Clone, Copy)]
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn take(&mut self, what: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|letter| !what(letter)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// `name = value`, with a plain or quoted value.
    fn parameter(&mut self) -> Option<(String, String)> {
        let name = self.take(is_token);
        let rest = self
            .0
            .trim_start()
            .strip_prefix('=')
            .filter(|_| !name.is_empty())?;
        self.0 = rest.trim_start();
        let value = match self.0.strip_prefix('"') {
            Some(quoted) => {
                self.0 = quoted;
                self.quoted()
            }
            // Some servers forget the quotes around URLs.
            None => self
                .take(|letter| letter != ',' && !letter.is_whitespace())
                .to_owned(),
        };
        // `abc==` is a token68 with padding and no parameter.
        let padding = value.chars().all(|letter| letter == '=') && !rest.starts_with('"');
        (!padding).then(|| (name.to_ascii_lowercase(), value))
    }

    fn quoted(&mut self) -> String {
        let mut value = String::new();
        let mut letters = self.0.char_indices();
        while let Some((_, letter)) = letters.next() {
            match letter {
                '"' => break,
                '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
                letter => value.push(letter),
            }
        }
        self.0 = letters.as_str();
        value
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer_of(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        }
    }

    fn chosen(headers: &[&str]) -> Option<Challenge> {
        choose(headers.iter().copied()).map(|demand| demand.challenge)
    }

    #[test]
    fn a1_a_challenge_is_found_among_others_in_one_header_or_many() {
        let hub = bearer_of("https://auth.docker.io/token", Some("registry.docker.io"));
        for headers in [
            &[r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io""#][..],
            &[r#"bEARER  REALM = "https://auth.docker.io/token" , Service=registry.docker.io"#],
            &[
                r#"Basic realm="x, y""#,
                r#"Bearer service="registry.docker.io", realm=https://auth.docker.io/token"#,
            ],
            &[
                r#"Negotiate, Basic realm="a\"b,Bearer realm=no", Bearer realm="https://auth.docker.io/token", service="registry.docker.io", Digest qop="auth""#,
            ],
            &[
                r#"NTLM TlRMTVNTUAAC==, Bearer realm="https://auth.docker.io/token",service="registry.docker.io""#,
            ],
            &[r#",, ,Bearer realm="https://auth.docker.io/token",,service="registry.docker.io",,"#],
        ] {
            assert_eq!(chosen(headers), Some(hub.clone()), "{headers:?}");
        }
    }

    #[test]
    fn a1_basic_is_taken_where_there_is_no_usable_token_server() {
        for headers in [
            &["Basic"][..],
            &[r#"BASIC realm="Registry""#],
            &["Bearer", "basic realm=x"],
            &[r#"Bearer realm="", Basic realm="x""#],
            &["Negotiate abc=, Basic"],
        ] {
            assert_eq!(chosen(headers), Some(Challenge::Basic), "{headers:?}");
        }
        for headers in [
            &[][..],
            &[""],
            &["Negotiate"],
            &[r#"Digest realm="Basic""#],
            &["=,=\"Basic\""],
        ] {
            assert_eq!(chosen(headers), None, "{headers:?}");
        }
    }

    #[test]
    fn a2_the_scopes_that_were_missing_are_read() {
        let header = r#"Bearer realm="r",scope="repository:a/b:pull,push repository:c:pull",error="insufficient_scope""#;
        let demand = choose([header]).unwrap();
        assert_eq!(
            demand.scopes.to_string(),
            "repository:a/b:pull,push repository:c:pull"
        );
    }

    #[test]
    fn a1_what_is_kept_of_a_challenge_is_read_back() {
        let odd = bearer_of(r#"https://a.example/"t"\x?y=1"#, Some("a, b"));
        for challenge in [
            Challenge::Basic,
            bearer_of("https://a.example/t", None),
            odd,
        ] {
            assert!(challenge.may_be_kept());
            assert_eq!(chosen(&[&challenge.to_string()]), Some(challenge));
        }
        assert!(!bearer_of("https://me:hidden@a.example/t", None).may_be_kept());
    }

    #[test]
    fn an_open_quote_ends_with_the_header() {
        assert_eq!(
            chosen(&[r#"Bearer realm="https://r.example/a\"#]),
            Some(bearer_of("https://r.example/a", None))
        );
    }

    proptest! {
        #[test]
        fn any_header_is_read_to_its_end(header in "[ -~\\t]{0,200}") {
            prop_assert!(parse(&header).len() <= MANY);
        }

        #[test]
        fn what_is_quoted_comes_back(
            values in proptest::collection::vec("[ -~]{1,20}", 1..6),
            gap in "[ ]{0,2},[ ,]{0,3}",
        ) {
            let quoted = values.iter().enumerate().map(|(index, value)| {
                let value = value.replace('\\', r"\\").replace('"', "\\\"");
                format!("p{index}=\"{value}\"")
            });
            let header = format!("Some {}", quoted.collect::<Vec<_>>().join(&gap));
            let offers = parse(&format!("{header}{gap}Other x=y"));
            prop_assert_eq!(offers.len(), 2);
            let read: Vec<&String> = offers[0].parameters.iter().map(|(_, value)| value).collect();
            prop_assert_eq!(read, values.iter().collect::<Vec<_>>());
            prop_assert_eq!(offers[1].parameter("x"), Some("y"));
        }
    }
}
