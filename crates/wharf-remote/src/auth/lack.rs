//! Interprets a refusal (distribution: "Token Authentication Specification"; RFC 6750, section
//! 3.1).
//!
//! Pure.

use super::challenge::{Complaint, Offers};
use wharf_core::Lack;

/// What a request showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing.
    Nothing,
    /// A token for anonymous access.
    Anonymous,
    /// A password, or the registry's own token, as stored.
    Login,
    /// A token that was fetched with credentials.
    Token,
}

/// The reason for a refusal; `None` if the request was not refused. `asked` says whether the
/// registry ever required credentials, in this answer or before.
pub(super) fn judge(status: u16, shown: Shown, offers: &Offers, asked: bool) -> Option<Lack> {
    let nobody = matches!(shown, Shown::Nothing | Shown::Anonymous);
    let lack = match status {
        401 if shown == Shown::Nothing && offers.demand().is_none() => Lack::Scheme,
        // Without a challenge there is no way to authenticate.
        403 if shown == Shown::Nothing && !asked => Lack::Scheme,
        429 if shown == Shown::Nothing && !asked => return None,
        401 if nobody => Lack::Credentials,
        401 if shown == Shown::Login => Lack::RightCredentials,
        401 if offers.complaint() == Some(Complaint::InsufficientScope) => Lack::Rights,
        401 => Lack::Token,
        // Authenticated clients often have more rights.
        403 | 429 if nobody => Lack::Credentials,
        403 => Lack::Rights,
        _ => return None,
    };
    Some(lack)
}

/// The same for a token server, with or without credentials.
pub(super) fn judge_token(status: u16, has_credentials: bool) -> Option<Lack> {
    match status {
        401 | 403 | 429 if !has_credentials => Some(Lack::Credentials),
        // OAuth2 answers 400 to an expired refresh token.
        400 | 401 if has_credentials => Some(Lack::RightCredentials),
        403 => Some(Lack::Rights),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, shown: Shown, header: &str) -> Option<Lack> {
        judge(status, shown, &Offers::read([header]), true)
    }

    #[test]
    fn a_refusal_says_what_is_missing() {
        let bearer = r#"Bearer realm="https://a.example/t""#;
        let scope = r#"Bearer realm="https://a.example/t",error="insufficient_scope""#;
        let token = r#"Bearer realm="https://a.example/t",error="invalid_token""#;
        for (status, shown, header, lack) in [
            (401, Shown::Nothing, "Basic", Lack::Credentials),
            (401, Shown::Nothing, "Negotiate", Lack::Scheme),
            (401, Shown::Nothing, "", Lack::Scheme),
            (401, Shown::Login, "", Lack::RightCredentials),
            (401, Shown::Login, "Basic", Lack::RightCredentials),
            (401, Shown::Anonymous, scope, Lack::Credentials),
            (401, Shown::Token, scope, Lack::Rights),
            (401, Shown::Token, token, Lack::Token),
            (401, Shown::Token, bearer, Lack::Token),
            (403, Shown::Nothing, "", Lack::Credentials),
            (403, Shown::Login, "", Lack::Rights),
            (403, Shown::Token, bearer, Lack::Rights),
            (429, Shown::Anonymous, "", Lack::Credentials),
        ] {
            let judged = judged(status, shown, header);
            assert_eq!(judged, Some(lack), "{status} {shown:?} {header}");
        }
        assert_eq!(judged(429, Shown::Token, ""), None);
        let unasked = |status| judge(status, Shown::Nothing, &Offers::read([""]), false);
        assert_eq!([403, 429].map(unasked), [Some(Lack::Scheme), None]);
        assert_eq!(judged(404, Shown::Nothing, "Basic"), None);
    }

    #[test]
    fn a_token_server_that_is_not_well_refuses_nobody() {
        assert_eq!(judge_token(401, true), Some(Lack::RightCredentials));
        assert_eq!(judge_token(403, true), Some(Lack::Rights));
        assert_eq!(judge_token(403, false), Some(Lack::Credentials));
        for status in [404, 429, 500, 503] {
            assert_eq!(judge_token(status, true), None, "{status}");
        }
    }
}
