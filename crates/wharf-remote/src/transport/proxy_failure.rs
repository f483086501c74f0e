//! Errors between us and a proxy, so that they are not attributed to the registry.

use std::error::Error as StdError;

use url::Url;

use super::causes::causes;
use super::follow::authority;
use super::{failure, tls_failure};
use crate::proxies::Proxy;
use wharf_core::{Error, ErrorKind, Unreached};

/// The beginning of tunnel errors. Their type is private, so only the text identifies them.
const TUNNEL: &str = "tunnel error: ";

/// The same for SOCKS.
const SOCKS: &str = "SOCKS error: ";

/// The error of a request to `url` through `proxy`, if the proxy caused it.
pub(super) fn explain(error: &reqwest::Error, proxy: &Proxy, url: &Url) -> Option<Error> {
    let tunnel = tunnel(error);
    let named = |kind, why: String| {
        let unreached = (kind == ErrorKind::Unreachable).then_some(Unreached::Proxy);
        let error = Error::new(kind, why).not_reached(unreached);
        Some(error.target(format_args!("proxy {proxy}")))
    };
    match tunnel.as_deref() {
        Some("proxy authorization required") => return Some(wants_credentials(proxy)),
        Some("unsuccessful") => {
            let why = format!("it does not connect to {}", authority(url));
            return named(ErrorKind::Unreachable, why);
        }
        // On the proxy's own connection, or while it answered.
        Some(_) => {}
        // An error inside a tunnel is the host's.
        None if tls_failure::explain(error, false).is_some() && url.scheme() == "https" => {
            return None;
        }
        None if !error.is_connect() => return None,
        None => {}
    }
    if let Some(told) = tls_failure::explain(error, false) {
        return Some(told.error("").target(format_args!("proxy {proxy}")));
    }
    let why = failure::innermost(error);
    let why = match why.strip_prefix(SOCKS) {
        Some(why) => format!("no connection by SOCKS: {why}"),
        None => format!("cannot connect: {why}"),
    };
    named(failure::kind(error), why)
}

/// The error for a proxy that answered 407.
pub(super) fn wants_credentials(proxy: &Proxy) -> Error {
    let message = "it requires other credentials than those in the proxy's URL (407)";
    let error = Error::new(ErrorKind::Unauthorized, message).answer(407, None);
    error.target(format_args!("proxy {proxy}"))
}

fn tunnel(error: &(dyn StdError + 'static)) -> Option<String> {
    causes(error).find_map(|cause| {
        let text = cause.to_string();
        text.strip_prefix(TUNNEL).map(str::to_owned)
    })
}
