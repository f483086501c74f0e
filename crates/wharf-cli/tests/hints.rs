//! Hints stand behind errors that they help with, and behind no others.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a fixture that fails fails the test"
)]

mod common;

use common::said::{Login, Place, Verb, babbles};
use wharf_testkit::{Authority, FaultServer, Pair, Script, TlsFront};

/// What is said of a server with this certificate by somebody who trusts who signed it.
fn shown(authority: &Authority, pair: &Pair) -> String {
    let registry = FaultServer::start(Script::new());
    let front = TlsFront::start(pair, authority, registry.address());
    let place = Place::new();
    let ca = place.home.path().join("ca.pem");
    std::fs::write(&ca, authority.certificate()).unwrap();
    let host = front.address().to_string();
    let tagged = format!("{host}/a/b:1");
    let ca = ca.to_str().unwrap();
    place.said_of(&host, &["delete", &tagged, "--ca-cert", ca], Login::None)
}

#[test]
fn a_hint_about_certificates_fits_what_is_wrong_with_them() {
    let authority = Authority::new();
    let start = "HOST/a/b: cannot connect to HOST:";
    assert_eq!(
        shown(&authority, &authority.expired_server()),
        format!(
            "{start} its certificate expired 2021-02-03 00:00 UTC \
             (is this machine's clock right? --insecure trusts anybody)"
        )
    );
    assert_eq!(
        shown(&authority, &authority.server_named(&["other.example"])),
        format!(
            "{start} its certificate is not for this name but other.example \
             (--insecure trusts anybody)"
        )
    );
    assert_eq!(
        shown(&authority, &authority.server_named(&[])),
        format!("{start} its certificate names nobody it would be for (--insecure trusts anybody)")
    );
    assert_eq!(
        shown(&authority, &Authority::new().server()),
        format!(
            "{start} its certificate is signed by nobody that is trusted here \
             (--ca-cert FILE trusts who signed it, --insecure trusts anybody)"
        )
    );
    // A fatal alert, as servers of older TLS give it.
    let old = babbles(false, b"\x15\x03\x01\x00\x02\x02\x46");
    assert_eq!(
        Place::new().said(&old, Verb::Delete, Login::None),
        format!("{start} it does not agree on TLS with us: protocol version")
    );
}
