//! Which request gets which answer.

use std::fmt;
use std::sync::Mutex;

use super::answer::{Answer, Then};
use super::record::RecordedRequest;

type Condition = Box<dyn Fn(&RecordedRequest) -> bool + Send + Sync>;

/// Rules. The last rule that matches a request decides.
#[derive(Debug, Default)]
pub struct Script {
    rules: Vec<Rule>,
}

impl Script {
    /// No rules: every request is answered 404.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers requests of `method` for `path` with each of `answers` in turn; the last one repeats.
    ///
    /// `*` stands for any method, and within `path` for any characters, slashes too. A `path` with a
    /// `?` is compared with path and query, one without with the path alone.
    ///
    /// # Panics
    /// When there are no answers.
    pub fn on(self, method: &str, path: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.on_when(method, path, |_| true, answers)
    }

    /// Like [`Script::on`], only for requests that `condition` accepts. It sees no body yet.
    ///
    /// # Panics
    /// When there are no answers.
    pub fn on_when(
        mut self,
        method: &str,
        path: &str,
        condition: impl Fn(&RecordedRequest) -> bool + Send + Sync + 'static,
        answers: impl IntoIterator<Item = Answer>,
    ) -> Self {
        let answers: Vec<Answer> = answers.into_iter().collect();
        assert!(!answers.is_empty(), "{method} {path} has no answer");
        self.rules.push(Rule {
            method: method.to_owned(),
            path: path.to_owned(),
            condition: Box::new(condition),
            answers,
            used: Mutex::new(0),
        });
        self
    }

    /// Takes the answer of the last matching rule that does not fall through.
    pub(super) fn answer(&self, request: &RecordedRequest) -> Option<Answer> {
        self.rules
            .iter()
            .rev()
            .filter(|rule| rule.matches(request))
            .map(Rule::next)
            .find(|answer| !matches!(answer.then, Then::FallThrough))
    }
}

struct Rule {
    method: String,
    path: String,
    condition: Condition,
    answers: Vec<Answer>,
    used: Mutex<usize>,
}

impl Rule {
    fn matches(&self, request: &RecordedRequest) -> bool {
        let subject = if self.path.contains('?') {
            request.target.as_str()
        } else {
            request.path()
        };
        matches_pattern(&self.method, &request.method)
            && matches_pattern(&self.path, subject)
            && (self.condition)(request)
    }

    fn next(&self) -> Answer {
        let mut used = self.used.lock().expect("no thread panics with the lock");
        let answer = &self.answers[(*used).min(self.answers.len() - 1)];
        *used += 1;
        answer.clone()
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}

fn matches_pattern(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len())
        .filter(|at| rest.is_char_boundary(*at))
        .any(|at| matches_pattern(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        assert!(matches_pattern("*", ""));
        assert!(matches_pattern("/v2/*/blobs/*", "/v2/a/b/blobs/sha256:1"));
        assert!(!matches_pattern("/v2/*/blobs/*", "/v2/a/manifests/1"));
        assert!(!matches_pattern("/v2/", "/v2/a"));
        assert!(matches_pattern("/v2/*/uploads/", "/v2/a/uploads/uploads/"));
    }
}
