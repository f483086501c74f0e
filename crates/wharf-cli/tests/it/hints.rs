//! Hints follow the errors that they help with, and no others.

use wharf_testkit::{Answer, Authority, FaultServer, Pair, Script, TlsFront, push_registry};

use crate::common::said::{
    BLOB, EMPTY, Login, Place, Verb, babbles, scripted, told, wants, with_image,
};

/// The line for a server with this certificate, if its authority is trusted.
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
             (is this machine's clock right? --insecure accepts any certificate)"
        )
    );
    assert_eq!(
        shown(&authority, &authority.server_named(&["other.example"])),
        format!(
            "{start} its certificate is not for this name but other.example \
             (--insecure accepts any certificate)"
        )
    );
    assert_eq!(
        shown(&authority, &authority.server_named(&[])),
        format!("{start} its certificate has no name in it (--insecure accepts any certificate)")
    );
    assert_eq!(
        shown(&authority, &Authority::new().server()),
        format!(
            "{start} its certificate is signed by an issuer that is not trusted \
             (--ca-cert FILE trusts its issuer, --insecure accepts any certificate)"
        )
    );
    // A fatal alert, as servers with older TLS send it.
    let old = babbles(false, b"\x15\x03\x01\x00\x02\x02\x46");
    assert_eq!(
        Place::new().said(&old, Verb::Delete, Login::None),
        format!("{start} it does not agree on TLS with us: protocol version")
    );
}

/// The line of a push or pull with a token server that answers so; the server is called TOKENS.
fn by_token_server(answer: Answer, verb: Verb, flags: &[&str]) -> String {
    let tokens = FaultServer::start(Script::new().on("*", "/token", [answer]));
    let challenge = format!(r#"Bearer realm="{}/token""#, tokens.base());
    let script = Script::new().on("*", "*", [wants(&challenge)]);
    let server = FaultServer::start(script);
    let (place, host) = (Place::new(), server.address().to_string());
    let (repository, tagged) = (format!("{host}/a/b"), format!("{host}/a/b:1"));
    let mut arguments = match verb {
        Verb::PushBlob => vec!["blob", "push", &repository, &place.blob],
        _ => vec!["delete", &tagged],
    };
    arguments.extend(flags);
    let line = place.said_of(&host, &arguments, Login::Given);
    line.replace(&tokens.address().to_string(), "TOKENS")
}

#[test]
fn repositories_are_created_where_they_are_missing_and_not_elsewhere() {
    let absent = by_token_server(Answer::status(404), Verb::PushBlob, &[]);
    assert!(absent.ends_with("GET /token: 404 Not Found"), "{absent}");

    let source = FaultServer::start(with_image(Answer::status(404)));
    let from = format!("{}/c/d:1", source.address());
    let to = FaultServer::start(push_registry());
    let (host, place) = (to.address().to_string(), Place::new());
    let to = format!("{host}/a/b:1");
    let line = place.said_of(&host, &["copy", &from, &to], Login::None);
    assert_eq!(
        line.replace(&source.address().to_string(), "SOURCE"),
        format!("SOURCE/c/d: blob {EMPTY}: GET /v2/c/d/blobs/{EMPTY}: 404 Not Found")
    );

    for status in [204, 206] {
        let script = push_registry().on("PUT", "*/manifests/*", [Answer::status(status)]);
        let line = scripted(script, Verb::Put, Login::None);
        let start = format!("HOST/a/b: PUT /v2/a/b/manifests/1: answered {status} ");
        assert!(line.starts_with(&start), "{line}");
        assert!(line.ends_with(", but the manifest is not there"), "{line}");
    }

    let line = scripted(
        push_registry().on("POST", "*", [Answer::status(404)]),
        Verb::PushBlob,
        Login::None,
    );
    let hint = "404 Not Found (create the repository first: some registries require it)";
    assert!(line.ends_with(hint), "{line}");
}

#[test]
fn fault_c15_a_registry_that_does_not_run_here_may_have_to_be_started() {
    let gone = FaultServer::start(Script::new()).address();
    for host in [gone.to_string(), format!("localhost:{}", gone.port())] {
        let line = Place::new().said(&host, Verb::Delete, Login::None);
        let hint = "(is a registry running there? wharf registry serve starts one)";
        assert!(line.ends_with(hint), "{line}");
        assert!(!line.contains("plain http"), "{line}");
    }
}

#[test]
fn manifests_are_not_sent_in_chunks() {
    let script = push_registry().on("PUT", "*/manifests/*", [Answer::status(413)]);
    assert_eq!(
        scripted(script, Verb::Put, Login::None),
        "HOST/a/b: PUT /v2/a/b/manifests/1: 413 Payload Too Large \
         (a proxy in front of the registry limits the size of requests)"
    );
}

#[test]
fn what_never_began_is_not_gone_on_with() {
    let again = "running it again";
    let patience = ["--timeout-answer", "200ms"];
    let line = by_token_server(Answer::hang(), Verb::PushBlob, &patience);
    let silent = "GET /token: no answer for 0.2 s (after 2 tries)";
    assert!(line.ends_with(silent), "{line}");

    let silent = FaultServer::start(Script::new().on("*", "*", [Answer::hang()]));
    let (host, place) = (silent.address().to_string(), Place::new());
    let repository = format!("{host}/a/b");
    let mut arguments = vec!["blob", "push", &repository, &place.blob];
    arguments.extend(patience);
    let line = place.said_of(&host, &arguments, Login::None);
    assert!(
        line.contains("no answer for") && !line.contains(again),
        "{line}"
    );

    let script = push_registry().on("PUT", "*/uploads/*", [Answer::drop_connection()]);
    let line = scripted(script, Verb::PushBlob, Login::None);
    let hint = "(running it again sends only what is missing)";
    assert!(line.ends_with(hint), "{line}");
    let cut = Answer::status(200).body("{}").cut_body_after(1);
    let line = scripted(with_image(cut), Verb::Pull, Login::None);
    let start = format!("HOST/a/b: blob {EMPTY}: GET /v2/a/b/blobs/{EMPTY}: connection to HOST ");
    assert!(line.starts_with(&start) && line.ends_with(hint), "{line}");
}

#[test]
fn a_success_that_was_not_asked_for_is_told_as_such() {
    assert_eq!(
        scripted(
            push_registry().on("POST", "*", [Answer::status(201)]),
            Verb::PushBlob,
            Login::None
        ),
        format!(
            "HOST/a/b: {BLOB}: POST /v2/a/b/blobs/uploads/: answered 201 Created \
             instead of 202"
        )
    );
    let line = scripted(with_image(Answer::status(204)), Verb::Pull, Login::None);
    let wanted = ": answered 204 No Content instead of 200 or 206";
    assert!(line.ends_with(wanted), "{line}");
    let line = by_token_server(Answer::status(201), Verb::Delete, &[]);
    let wanted = "GET /token: answered 201 Created instead of 200";
    assert!(line.ends_with(wanted), "{line}");
    let line = told(Answer::status(204), Verb::LogIn, Login::None);
    let wanted = "GET /v2/: answered 204 No Content instead of 200";
    assert!(line.ends_with(wanted), "{line}");
}
