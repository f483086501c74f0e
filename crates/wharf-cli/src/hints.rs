//! Hints for people: what to do next about an error of a kind.

use std::borrow::Cow;

use wharf::front::THIS_LOGIN;
use wharf::{Asked, Distrust, Error, ErrorKind, Guard, Lack, Refusal, Side, Unreached};

use wharf_oci::Registry;

use crate::env::LOGINS;
use crate::flags::FLAG;

/// The error in one line, with a hint if there is one.
pub(crate) fn line(error: &Error) -> String {
    match hint(error) {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}

/// What to do about it. The codes of the registry count before its status.
fn hint(error: &Error) -> Option<Cow<'static, str>> {
    if error.web_page().is_some() && !matches!(error.status(), Some(401 | 413 | 429 | 500..)) {
        let hint = "not from a registry: perhaps from a proxy or a login page";
        return Some(hint.into());
    }
    let refused = error.refusal().and_then(|refusal| match error.status() {
        Some(429) if refusal.entry.is_none() && refusal.lack != Lack::Source => {
            Some(format!("wharf auth login {} may raise the limit", refusal.registry).into())
        }
        _ => refused(refusal),
    });
    if error.lost_content().is_some() {
        let hint = "the registry may have lost content; run it again with --force, which asks for \
                    everything and mounts nothing";
        return Some(hint.into());
    }
    let guarded = || error.guard().and_then(passes);
    let said = || by_code(error).or_else(|| by_kind(error)).map(Cow::from);
    refused.or_else(guarded).or_else(said)
}

/// What makes a guard of ours accept it.
fn passes(guard: &Guard) -> Option<Cow<'static, str>> {
    Some(match guard {
        Guard::Near { host } => format!("--allow-near {host} allows it").into(),
        Guard::Cleartext => {
            "a proxy in front of it may have to set X-Forwarded-Proto; --insecure allows it".into()
        }
        _ => return None,
    })
}

/// What the registry needs to accept the request.
fn refused(refusal: &Refusal) -> Option<Cow<'static, str>> {
    let Refusal {
        registry,
        source,
        entry,
        scope,
        ..
    } = refusal;
    if let Some(entry) = entry {
        return narrower(refusal.lack, entry, registry);
    }
    let from = |place| source.as_deref() == Some(place);
    Some(match refusal.lack {
        Lack::Rights if scope.is_empty() => {
            format!("this user may not; wharf auth login {registry} with another user").into()
        }
        Lack::Rights => {
            format!("this user lacks {scope}; wharf auth login {registry} with a user that has it")
                .into()
        }
        Lack::Token => format!("do the clocks of {registry} and its token server agree?").into(),
        // A login would not help: credentials for one run take precedence.
        Lack::RightCredentials if from(THIS_LOGIN) || from(FLAG) => {
            "are user name and password right?".into()
        }
        Lack::RightCredentials if from(LOGINS) => format!("correct {LOGINS}").into(),
        Lack::Credentials | Lack::RightCredentials => format!("wharf auth login {registry}").into(),
        _ => return None,
    })
}

/// What to do where an entry for a part of a registry decides. A login would not change it.
fn narrower(lack: Lack, entry: &str, registry: &Registry) -> Option<Cow<'static, str>> {
    let fault = match lack {
        Lack::Rights | Lack::RightCredentials => {
            format!("correct or remove that entry: {entry} is used before {registry}")
        }
        Lack::Token => format!("do the clocks of {registry} and its token server agree?"),
        _ => return None,
    };
    Some(fault.into())
}

/// The hint for an error code of the registry, for any status.
fn by_code(error: &Error) -> Option<&'static str> {
    let mut codes = error.diagnostic()?.codes();
    let to_it = error.failed_side() == Some(Side::Destination);
    codes.find_map(|code| match code {
        "MANIFEST_BLOB_UNKNOWN" => {
            Some("everything that a manifest links to must be in the repository first")
        }
        "NAME_UNKNOWN" if to_it => Some("create the repository first: this registry requires it"),
        "TOOMANYREQUESTS" => Some("the limit is reached; try again later"),
        _ => None,
    })
}

/// What to do about a kind of error. Most hints are about registries: errors of files need none.
fn by_kind(error: &Error) -> Option<&'static str> {
    let (side, status, asked) = (error.failed_side(), error.status(), error.asked());
    match (error.kind(), status) {
        (ErrorKind::Unreachable, _) => Some(match error.unreached() {
            Some(Unreached::NoListenerHere) => {
                "is a registry running there? wharf registry serve starts one"
            }
            Some(Unreached::UnknownName) => "is the name right?",
            Some(Unreached::Proxy) => "HTTPS_PROXY, HTTP_PROXY and NO_PROXY choose the proxy",
            _ => "is a registry running there? plain http to other machines needs --insecure",
        }),
        (ErrorKind::Untrusted, _) => trusts(error.distrust()?),
        // With a status it is about credentials.
        (ErrorKind::Unauthorized, None) => Some("--client-cert FILE --client-key FILE"),
        (ErrorKind::NotFound, Some(_))
            if side == Some(Side::Destination)
                && error.diagnostic().is_none()
                && asked != Some(Asked::Token) =>
        {
            Some("create the repository first: some registries require it")
        }
        (ErrorKind::Interrupted | ErrorKind::Timeout, _)
            if side.is_some() && error.was_moving() =>
        {
            Some("running it again sends only what is missing")
        }
        (ErrorKind::Rejected, Some(413)) if asked == Some(Asked::Manifest) => {
            Some("a proxy in front of the registry limits the size of requests")
        }
        (ErrorKind::Rejected, Some(413)) => Some(
            "a proxy in front of the registry limits the size of requests; try a smaller --chunk-size",
        ),
        (ErrorKind::Busy, None) => Some("try again later"),
        (ErrorKind::Busy, Some(_)) => Some("try again later, or with a lower --jobs"),
        (ErrorKind::Server, _) if asked == Some(Asked::Token) => {
            Some("the token server failed; see its log")
        }
        (ErrorKind::Server, Some(507)) => Some("free some space on the registry's disk"),
        (ErrorKind::Server, _) => Some("the registry failed; see its log"),
        (ErrorKind::NoSpace, _) if side == Some(Side::Destination) => {
            Some("free some space; running it again sends only what is missing")
        }
        (ErrorKind::NoSpace, _) => Some("free some space"),
        (ErrorKind::Ambiguous, _) => Some(
            "write oci:DIR:TAG, oci-archive:FILE:TAG, docker-archive:FILE:NAME or PATH@DIGEST; \
             push --index takes a whole layout",
        ),
        (ErrorKind::Corrupt, _) if side == Some(Side::Source) => {
            Some("the source is damaged; fetch or build it again")
        }
        _ => None,
    }
}

/// What makes us accept the certificate.
fn trusts(distrust: Distrust) -> Option<&'static str> {
    match distrust {
        Distrust::Issuer => {
            Some("--ca-cert FILE trusts its issuer, --insecure accepts any certificate")
        }
        Distrust::Dates => {
            Some("is this machine's clock right? --insecure accepts any certificate")
        }
        Distrust::Name | Distrust::Certificate => Some("--insecure accepts any certificate"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_stands_in_brackets_on_the_same_line() {
        let error = Error::new(ErrorKind::Unreachable, "connection refused");
        assert_eq!(
            line(&error),
            "connection refused (is a registry running there? plain http to other machines needs --insecure)"
        );
        assert_eq!(line(&Error::new(ErrorKind::Invalid, "no")), "no");
    }

    #[test]
    fn fault_c15_a_name_that_does_not_resolve_may_be_wrong() {
        let error = Error::new(ErrorKind::Unreachable, "no");
        let error = error.not_reached(Some(Unreached::UnknownName));
        assert_eq!(line(&error), "no (is the name right?)");
    }

    #[test]
    fn fault_xproxy_a_proxy_that_does_not_connect_is_no_registry() {
        let error = Error::new(ErrorKind::Unreachable, "no");
        let error = error.not_reached(Some(Unreached::Proxy));
        assert_eq!(
            line(&error),
            "no (HTTPS_PROXY, HTTP_PROXY and NO_PROXY choose the proxy)"
        );
    }

    #[test]
    fn what_a_guard_refused_can_be_allowed() {
        let host = "10.0.0.7".to_owned();
        assert_eq!(
            passes(&Guard::Near { host }).as_deref(),
            Some("--allow-near 10.0.0.7 allows it")
        );
    }

    #[test]
    fn what_the_registry_says_comes_before_what_its_status_suggests() {
        let hint_for = |body: &str| {
            let diagnostic = wharf_oci::Diagnostic::parse(body.as_bytes());
            let error = Error::new(ErrorKind::NotFound, "404").answer(404, diagnostic);
            hint(&error.side(Side::Destination))
        };
        let said = |code| hint_for(&format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#));
        let wanted = "create the repository first: this registry requires it";
        assert_eq!(said("NAME_UNKNOWN").as_deref(), Some(wanted));
        assert_eq!(said("BLOB_UPLOAD_UNKNOWN"), None);
        let guess = "create the repository first: some registries require it";
        assert_eq!(hint_for("").as_deref(), Some(guess));
    }
}
