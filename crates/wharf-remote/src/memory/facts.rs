//! Facts learned of a host: definite answers only, each with its age. Pure.

use std::mem::discriminant;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::moment::Moment;

/// How long a fact is used.
const AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The scheme of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Plain http.
    Http,
    /// TLS.
    Https,
}

/// One fact that a registry showed by its answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fact {
    /// The scheme it answers with; of interest where http is allowed too.
    Scheme(Scheme),
    /// Whether it refuses a blob in one PUT, but takes PATCH and PUT.
    WantsPatch(bool),
    /// Whether it has the referrers API.
    Referrers(bool),
    /// The most bytes of a body that it accepted after it refused a larger one (413).
    BodyLimit(u64),
    /// Its challenge, as in `WWW-Authenticate`, without secrets.
    Challenge(String),
}

/// The facts of a host; `None` for unknown ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// [`Fact::Scheme`]
    pub scheme: Option<Scheme>,
    /// [`Fact::WantsPatch`]
    pub wants_patch: Option<bool>,
    /// [`Fact::Referrers`]
    pub referrers: Option<bool>,
    /// [`Fact::BodyLimit`]
    pub body_limit: Option<u64>,
    /// [`Fact::Challenge`]
    pub challenge: Option<String>,
}

/// The facts of one host, one of each kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Learned {
    facts: Vec<(Fact, Moment)>,
}

impl Learned {
    /// Records a fact, unless a later one of its kind is known.
    pub(super) fn learn(&mut self, fact: Fact, learned: Moment) {
        let same = |known: &&mut (Fact, Moment)| discriminant(&known.0) == discriminant(&fact);
        match self.facts.iter_mut().find(same) {
            Some(known) if known.1 > learned => {}
            Some(known) => *known = (fact, learned),
            None => self.facts.push((fact, learned)),
        }
    }

    /// When exactly this fact was learned last, if it is still used.
    pub(super) fn knows(&self, fact: &Fact, now: Moment) -> Option<Moment> {
        self.iter(now)
            .find(|(known, _)| known == fact)
            .map(|(_, learned)| learned)
    }

    /// Every fact that is still used at `now`, with the time it was learned.
    pub(super) fn iter(&self, now: Moment) -> impl Iterator<Item = (Fact, Moment)> {
        let facts = self.facts.iter().cloned();
        facts.filter(move |(_, learned)| learned.is_within(AGE, now))
    }

    /// The facts that are still used at `now`.
    pub(super) fn facts(&self, now: Moment) -> Facts {
        let mut facts = Facts::default();
        for (fact, _) in self.iter(now) {
            match fact {
                Fact::Scheme(scheme) => facts.scheme = Some(scheme),
                Fact::WantsPatch(answer) => facts.wants_patch = Some(answer),
                Fact::Referrers(answer) => facts.referrers = Some(answer),
                Fact::BodyLimit(bytes) => facts.body_limit = Some(bytes),
                Fact::Challenge(challenge) => facts.challenge = Some(challenge),
            }
        }
        facts
    }
}

impl Fact {
    /// Whether it can be believed when it is read from a file.
    pub(super) fn is_sane(&self) -> bool {
        match self {
            Fact::Challenge(challenge) => is_line(challenge),
            _ => true,
        }
    }
}

/// Whether foreign text can be stored as a line.
pub(crate) fn is_line(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// The most bytes of a challenge; real ones have about a hundred.
const LONGEST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_800_000_000);

    #[test]
    fn every_fact_is_read_back_from_its_text() {
        for (fact, text) in [
            (Fact::Scheme(Scheme::Http), r#"{"scheme":"http"}"#),
            (Fact::Scheme(Scheme::Https), r#"{"scheme":"https"}"#),
            (Fact::WantsPatch(true), r#"{"wants-patch":true}"#),
            (Fact::Referrers(false), r#"{"referrers":false}"#),
            (Fact::BodyLimit(7), r#"{"body-limit":7}"#),
            (Fact::Challenge("Basic".into()), r#"{"challenge":"Basic"}"#),
        ] {
            assert_eq!(serde_json::to_string(&fact).unwrap(), text);
            assert_eq!(serde_json::from_str::<Fact>(text).unwrap(), fact);
        }
        for text in [
            r#""scheme""#,
            r#"{"scheme":"gopher"}"#,
            r#"{"referrers":"maybe"}"#,
            r#"{"body-limit":-1}"#,
            r#"{"x":"y"}"#,
        ] {
            assert!(serde_json::from_str::<Fact>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_latest_of_a_kind_counts_and_old_ones_are_forgotten() {
        let mut learned = Learned::default();
        learned.learn(Fact::Referrers(true), NOW);
        learned.learn(Fact::Referrers(false), Moment(NOW.0 - 1));
        learned.learn(Fact::WantsPatch(true), Moment(NOW.0 - AGE.as_secs() - 1));
        let facts = learned.facts(NOW);
        assert_eq!((facts.referrers, facts.wants_patch), (Some(true), None));
        learned.learn(Fact::Referrers(false), NOW);
        assert_eq!(learned.facts(NOW).referrers, Some(false));
        assert_eq!(
            learned.facts(Moment(NOW.0 + AGE.as_secs() + 1)),
            Facts::default()
        );
        assert_eq!(
            learned.facts(Moment(0)),
            Facts::default(),
            "from the future"
        );
    }
}
