//! The answer of a token server: a token, and how long it lives.
//!
//! Servers write the fields in several ways. A field of an unknown kind counts as absent.

use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::credentials::Secret;
use crate::credentials::fields::{self, Fields};
use wharf_core::{Error, ErrorKind, Result};

/// The lifetime of a token if its server states none.
const LIFE: Duration = Duration::from_secs(60);

/// A longer lifetime is cut to this.
const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// What a token server granted, for another program.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// The token, under whichever name it was granted.
    pub token: Secret,
    /// The same or another token, if the answer has the field `access_token`.
    pub access_token: Option<Secret>,
    /// The token to ask for others with, if the answer has one.
    pub refresh_token: Option<Secret>,
    /// The stated lifetime in seconds, if there is one.
    pub expires_in: Option<u64>,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// What an answer grants, and the remaining lifetime of its token; `date` is the server's clock.
///
/// # Errors
/// [`ErrorKind::Invalid`] if it has no token; quotes nothing.
pub(super) fn read(body: &[u8], date: Option<SystemTime>) -> Result<(Grant, Duration)> {
    let invalid = || Error::new(ErrorKind::Invalid, "the answer holds no token");
    let answer: TokenAnswer = serde_json::from_slice(body).map_err(|_| invalid())?;
    let token = answer.token.text().filter(fits);
    let access_token = answer.access_token.text().filter(fits);
    let token = token.or_else(|| access_token.clone()).ok_or_else(invalid)?;
    let life = answer.expires_in.number().filter(|seconds| *seconds > 0.0);
    let life = life.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let life = life.filter(|life| !life.is_zero());
    let grant = Grant {
        token,
        access_token,
        refresh_token: answer.refresh_token.text().filter(fits),
        expires_in: life.map(|life| life.as_secs()),
    };
    let life = life.unwrap_or(LIFE).min(YEAR);
    let age = answer.issued_at.moment().zip(date);
    let age = age.and_then(|(issued, now)| now.duration_since(issued).ok());
    // A token that has expired on arrival means a wrong clock.
    let left = age.map(|age| life.saturating_sub(age));
    Ok((grant, left.filter(|left| !left.is_zero()).unwrap_or(life)))
}

/// A token that does not fit into a header is invalid.
fn fits(token: &Secret) -> bool {
    !token.is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic())
}

#[derive(Default)]
struct TokenAnswer {
    token: Value,
    access_token: Value,
    refresh_token: Value,
    expires_in: Value,
    issued_at: Value,
}

impl Fields for TokenAnswer {
    fn field<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        let field = match name {
            "token" => &mut self.token,
            "access_token" => &mut self.access_token,
            "refresh_token" => &mut self.refresh_token,
            "expires_in" => &mut self.expires_in,
            "issued_at" => &mut self.issued_at,
            _ => return map.next_value::<IgnoredAny>().map(drop),
        };
        *field = map.next_value()?;
        Ok(())
    }
}

impl<'de> Deserialize<'de> for TokenAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fields::read(deserializer)
    }
}

/// The value of a field.
#[derive(Default)]
enum Value {
    Text(Secret),
    Number(f64),
    /// `null`, or of another kind.
    #[default]
    None,
}

impl Value {
    fn text(self) -> Option<Secret> {
        match self {
            Value::Text(text) => Some(text),
            Value::Number(_) | Value::None => None,
        }
    }

    /// A number, also in quotes.
    fn number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Text(text) => text.expose().trim().parse().ok(),
            Value::None => None,
        }
    }

    /// A moment as in RFC 3339, with or without a time zone; as in HTTP; or seconds since 1970.
    fn moment(&self) -> Option<SystemTime> {
        let since = |seconds: f64| {
            let passed = Duration::try_from_secs_f64(seconds).ok()?;
            SystemTime::UNIX_EPOCH.checked_add(passed)
        };
        let Value::Text(text) = self else {
            return self.number().and_then(since);
        };
        let text = text.expose().trim();
        let zoned = text.parse().or_else(|_| format!("{text}Z").parse());
        let zoned = zoned.ok().and_then(|moment: Timestamp| {
            let seconds = u64::try_from(moment.as_second()).ok()?;
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
        });
        zoned
            .or_else(|| httpdate::parse_http_date(text).ok())
            .or_else(|| self.number().and_then(since))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyKind)
    }
}

struct AnyKind;

impl<'de> Visitor<'de> for AnyKind {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(Secret::new(text)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        // Seconds need no more precision.
        Ok(Value::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::None)
    }
}

/// Reads an answer, and returns the token and the seconds of its lifetime, for the fuzz target.
#[cfg(fuzzing)]
pub(crate) fn judged(body: &[u8]) -> Option<(String, u64)> {
    let (grant, life) = read(body, Some(SystemTime::now())).ok()?;
    Some((grant.token.expose().to_owned(), life.as_secs()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn life(body: &str, date: Option<&str>) -> (String, u64) {
        let date = date.map(|date| httpdate::parse_http_date(date).unwrap());
        let (grant, life) = read(body.as_bytes(), date).unwrap();
        (grant.token.expose().to_owned(), life.as_secs())
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
    fn fault_b12_a_number_in_quotes_is_a_number() {
        for (value, expected) in [
            (r#""3600""#, 3600),
            (r#"" 300 ""#, 300),
            (r#""299.9""#, 299),
            ("300.5", 300),
            ("3e2", 300),
            (r#""1e300""#, 60),
            (r#""-5""#, 60),
            ("1e-12", 60),
            (r#""NaN""#, 60),
            (r#""inf""#, 60),
            (r#""soon""#, 60),
            (r#""""#, 60),
            ("true", 60),
            ("[300]", 60),
            (r#"{"s":300}"#, 60),
        ] {
            let body = format!(r#"{{"token":"t","expires_in":{value}}}"#);
            assert_eq!(life(&body, None), ("t".to_owned(), expected), "{value}");
        }
    }

    #[test]
    fn fault_b12_the_moment_is_read_however_it_is_written() {
        let date = Some("Sun, 06 Nov 1994 08:50:37 GMT");
        for issued in [
            r#""1994-11-06T08:49:37Z""#,
            r#""1994-11-06T09:49:37.000000001+01:00""#,
            r#""1994-11-06T08:49:37""#,
            r#""1994-11-06 08:49:37""#,
            r#""Sun, 06 Nov 1994 08:49:37 GMT""#,
            "784111777",
            r#""784111777""#,
        ] {
            let body = format!(r#"{{"token":"t","expires_in":"300","issued_at":{issued}}}"#);
            let left = life(&body, date).1;
            assert!((239..=240).contains(&left), "{issued}: {left}");
        }
        for issued in ["null", "-1", "1e300", "{}", r#""yesterday""#] {
            let body = format!(r#"{{"token":"t","expires_in":300,"issued_at":{issued}}}"#);
            assert_eq!(life(&body, date).1, 300, "{issued}");
        }
    }

    #[test]
    fn fault_b12_one_good_token_is_enough() {
        for body in [
            r#"{"token":null,"access_token":"a"}"#,
            r#"{"token":17,"access_token":"a"}"#,
            r#"{"token":{"x":["y"]},"access_token":"a"}"#,
            r#"{"token":"b","token":"a","access_token":false}"#,
            r#"{"access_token":"a","refresh_token":null,"scope":["x"]}"#,
        ] {
            assert_eq!(life(body, None).0, "a", "{body}");
        }
        assert!(read(br#"{"token":null,"access_token":null}"#, None).is_err());
    }

    proptest! {
        #[test]
        fn fault_b12_any_answer_gives_a_token_that_fits_or_none(
            token in any::<String>(),
            life in "[-+0-9.eE\" a-z\\[\\]{}:,]{0,12}",
            issued in any::<String>(),
        ) {
            let (token, issued) = (serde_json::json!(token), serde_json::json!(issued));
            let body = format!(
                r#"{{"access_token":{token},"expires_in":{life},"issued_at":{issued}}}"#
            );
            if let Ok((grant, left)) = read(body.as_bytes(), Some(SystemTime::now())) {
                prop_assert!(fits(&grant.token) && !left.is_zero() && left <= YEAR);
            }
        }
    }
}
