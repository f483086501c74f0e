//! The messages when a registry, or a server in its place, misbehaves: one line that says what was
//! requested, what was answered, and what to do.

use wharf_testkit::{Answer, FaultServer, Script, push_registry};

use crate::common::said::{
    BLOB, Login, PAGE_HINT, Place, Verb, babbles, knows, page, scripted, told, wants,
};
use crate::common::{Run, wharf};

#[test]
fn who_is_not_let_in_is_told_what_it_takes() {
    let nothing = "no credentials in HOME/.docker/config.json, HOME/session/containers/auth.json, \
        HOME/.config/containers/auth.json";
    let head = "HOST/a/b: HEAD /v2/a/b/manifests/1: 401 Unauthorized: UNAUTHORIZED: authentication required";
    assert_eq!(
        told(wants("Basic"), Verb::Pull, Login::None),
        format!("{head}; {nothing} (wharf auth login HOST)")
    );
    assert_eq!(
        told(wants("Basic"), Verb::Pull, Login::Given),
        format!("{head}; tried the credentials from WHARF_AUTH (correct WHARF_AUTH)")
    );
    assert_eq!(
        told(wants("Negotiate, NTLM"), Verb::Pull, Login::Given),
        format!("{head}; it wants negotiate, ntlm, which is not supported")
    );
    for challenge in ["Bearer", "Bearer realm=\"\",service=\"s\""] {
        assert_eq!(
            told(wants(challenge), Verb::Pull, Login::Given),
            format!("{head}; it wants a token, but names no token server")
        );
    }
    assert_eq!(
        told(Answer::status(401), Verb::Pull, Login::None),
        "HOST/a/b: GET /v2/a/b/manifests/1: 401 Unauthorized; \
         it does not say which credentials it wants"
    );
    let denied = || Answer::error(403, "DENIED", "not yours");
    let post = format!("HOST/a/b: {BLOB}: POST /v2/a/b/blobs/uploads/: 403 Forbidden");
    assert_eq!(
        scripted(knows(denied()), Verb::PushBlob, Login::Given),
        format!(
            "{post}: DENIED: not yours; tried the credentials from WHARF_AUTH \
             (this user lacks repository:a/b:pull,push; wharf auth login HOST with a user that has it)"
        )
    );
    assert_eq!(
        scripted(
            push_registry().on("POST", "*", [denied()]),
            Verb::PushBlob,
            Login::None
        ),
        format!("{post}: DENIED: not yours; it requests no credentials")
    );
    let denied = denied().header("WWW-Authenticate", "Basic realm=\"x\"");
    assert_eq!(
        scripted(
            push_registry().on("POST", "*", [denied]),
            Verb::PushBlob,
            Login::None
        ),
        format!("{post}: DENIED: not yours; {nothing} (wharf auth login HOST)")
    );
}

#[test]
fn a_token_server_is_quoted_and_its_troubles_are_told_from_refusals() {
    let scope = "repository:a/b:pull";
    let ask = |answer: Answer, login| {
        let tokens = FaultServer::start(Script::new().on("*", "/token", [answer]));
        let challenge = format!(r#"Bearer realm="{}/token",service="s""#, tokens.base());
        let line = told(wants(&challenge), Verb::Pull, login);
        line.replace(&tokens.address().to_string(), "TOKENS")
    };
    let start = format!("HOST/a/b: token for {scope} from TOKENS: GET /token:");
    let details = Answer::status(401).body(r#"{"details":"incorrect username or password"}"#);
    assert_eq!(
        ask(details, Login::Given),
        format!(
            "{start} 401 Unauthorized: incorrect username or password; \
             tried the credentials from WHARF_AUTH (correct WHARF_AUTH)"
        )
    );
    assert_eq!(
        ask(Answer::error(403, "DENIED", "no"), Login::Given),
        format!(
            "{start} 403 Forbidden: DENIED: no; tried the credentials from WHARF_AUTH \
             (this user lacks {scope}; wharf auth login HOST with a user that has it)"
        )
    );
    let oops = Answer::status(500)
        .header("Content-Type", "text/plain")
        .body("oops\n");
    assert_eq!(
        ask(oops, Login::Given),
        format!(
            "{start} 500 Internal Server Error: oops (after 2 tries) \
             (the token server failed; see its log)"
        )
    );
    assert_eq!(
        ask(Answer::status(200).body("{\"x\":1}"), Login::Given),
        format!("{start} the answer holds no token")
    );
    assert_eq!(
        ask(page(200, "Sign in"), Login::Given),
        format!("{start} 200 OK, with a web page: \"Sign in\" {PAGE_HINT}")
    );
    let token = Answer::status(200).body(r#"{"token":"abc","expires_in":300}"#);
    assert_eq!(
        ask(token, Login::Given),
        format!(
            "HOST/a/b: HEAD /v2/a/b/manifests/1: 401 Unauthorized: UNAUTHORIZED: authentication required; \
             tried the credentials from WHARF_AUTH, for {scope}; the token issued for them \
             was refused (do the clocks of HOST and its token server agree?)"
        )
    );
}

#[test]
fn limits_of_registries_and_of_what_stands_before_them_have_their_hints() {
    let limit = || Answer::error(429, "TOOMANYREQUESTS", "pull rate limit");
    let head = "HOST/a/b: HEAD /v2/a/b/manifests/1: 429 Too Many Requests: TOOMANYREQUESTS: \
                pull rate limit";
    let nothing = "no credentials in HOME/.docker/config.json, HOME/session/containers/auth.json, \
        HOME/.config/containers/auth.json";
    let asks = limit().header("WWW-Authenticate", "Basic realm=\"x\"");
    assert_eq!(
        told(asks, Verb::Pull, Login::None),
        format!("{head}; {nothing} (after 2 tries) (wharf auth login HOST may raise the limit)")
    );
    assert_eq!(
        told(limit(), Verb::Pull, Login::None),
        format!("{head} (after 2 tries) (the limit is reached; try again later)")
    );
    assert_eq!(
        scripted(
            knows(limit()).on("*", "*/manifests/*", [wants("Basic"), limit()]),
            Verb::Pull,
            Login::Given
        ),
        format!("{head} (after 2 tries) (the limit is reached; try again later)")
    );
    let put = format!("HOST/a/b: {BLOB}: PUT /v2/a/b/blobs/uploads/session-1:");
    // A machine under load asks for the root of the API too, so sessions have no numbers.
    let script = |answer| {
        let session = Answer::status(202).header("Location", "{path}session-1");
        let registry = push_registry().on("POST", "/v2/*/blobs/uploads/", [session]);
        registry.on("PUT", "/v2/*/blobs/*", [answer])
    };
    assert_eq!(
        scripted(
            script(page(413, "413 Too Large")),
            Verb::PushBlob,
            Login::None
        ),
        format!(
            "{put} 413 Payload Too Large, with a web page: \"413 Too Large\" \
             (a proxy in front of the registry limits the size of requests; try a smaller --chunk-size)"
        )
    );
    assert_eq!(
        scripted(script(Answer::status(507)), Verb::PushBlob, Login::None),
        format!("{put} 507 Insufficient Storage (free some space on the registry's disk)")
    );
    let unknown = Answer::error(404, "NAME_UNKNOWN", "no such repository");
    assert_eq!(
        scripted(
            push_registry().on("POST", "*", [unknown]),
            Verb::PushBlob,
            Login::None
        ),
        format!(
            "HOST/a/b: {BLOB}: POST /v2/a/b/blobs/uploads/: 404 Not Found: NAME_UNKNOWN: \
             no such repository (create the repository first: this registry requires it)"
        )
    );
    let s3 = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>\
              <Message>Request has expired</Message><StringToSign>x</StringToSign></Error>";
    let s3 = Answer::status(403)
        .header("Content-Type", "application/xml")
        .body(s3);
    assert!(
        scripted(script(s3), Verb::PushBlob, Login::None).starts_with(&format!(
            "{put} 403 Forbidden: AccessDenied: Request has expired; "
        ))
    );
}

#[test]
fn what_is_not_there_is_told_in_the_registrys_words() {
    assert_eq!(
        told(
            Answer::error(404, "NAME_UNKNOWN", "no a/b"),
            Verb::Pull,
            Login::None
        ),
        "HOST/a/b: HEAD /v2/a/b/manifests/1: no tag 1: NAME_UNKNOWN: no a/b"
    );
    assert_eq!(
        told(
            Answer::error(400, "NAME_INVALID", "bad name"),
            Verb::Pull,
            Login::None
        ),
        "HOST/a/b: GET /v2/a/b/manifests/1: 400 Bad Request: NAME_INVALID: bad name"
    );
}

#[test]
fn a_web_page_is_no_answer_of_a_registry() {
    let sign_in = || page(200, "Sign in");
    let ok = "200 OK, with a web page: \"Sign in\"";
    for (verb, asked) in [
        (Verb::Pull, "HOST/a/b: GET /v2/a/b/manifests/1".to_owned()),
        (
            Verb::PushBlob,
            format!("HOST/a/b: {BLOB}: POST /v2/a/b/blobs/uploads/"),
        ),
        (Verb::Put, "HOST/a/b: GET /v2/a/b/manifests/1".to_owned()),
        (
            Verb::Delete,
            "HOST/a/b: DELETE /v2/a/b/manifests/1".to_owned(),
        ),
        (Verb::LogIn, "HOST: GET /v2/".to_owned()),
    ] {
        // A HEAD would report the blob as present.
        let script =
            Script::new()
                .on("*", "*", [sign_in()])
                .on("HEAD", "*/blobs/*", [Answer::status(404)]);
        let line = scripted(script, verb, Login::None);
        assert_eq!(line, format!("{asked}: {ok} {PAGE_HINT}"), "{verb:?}");
    }
    // It also answers in place of content that the registry reported as present.
    let digest = format!("sha256:{}", "0".repeat(64));
    let there = Answer::status(200)
        .header("Docker-Content-Digest", &digest)
        .header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        .header("Content-Length", "500");
    let script = Script::new()
        .on("*", "*", [sign_in()])
        .on("HEAD", "*/manifests/*", [there]);
    assert_eq!(
        scripted(script, Verb::Pull, Login::None),
        format!("HOST/a/b: GET /v2/a/b/manifests/{digest}: {ok} {PAGE_HINT}")
    );
    let script = Script::new()
        .on(
            "*",
            "*",
            [Answer::status(302).header("Location", "/login?next=secret")],
        )
        .on("*", "/login", [sign_in()]);
    assert_eq!(
        scripted(script, Verb::Pull, Login::None),
        format!(
            "HOST/a/b: GET /v2/a/b/manifests/1: 200 OK from http://HOST/login?next=***, with a web \
             page: \"Sign in\" {PAGE_HINT}"
        )
    );
    assert_eq!(
        told(page(404, "nginx"), Verb::Pull, Login::None),
        format!(
            "HOST/a/b: HEAD /v2/a/b/manifests/1: no tag 1, with a web page: \"nginx\" {PAGE_HINT}"
        )
    );
    assert_eq!(
        told(page(503, "Down"), Verb::Pull, Login::None),
        "HOST/a/b: HEAD /v2/a/b/manifests/1: 503 Service Unavailable, with a web page: \"Down\" \
         (after 2 tries) (try again later, or with a lower --jobs)"
    );
    let plain = Answer::status(404)
        .header("Content-Type", "text/plain")
        .body("404 page not found\n");
    assert_eq!(
        told(plain, Verb::LogIn, Login::None),
        "HOST: GET /v2/: 404 Not Found: 404 page not found"
    );
}

#[test]
fn a_login_that_is_refused_is_not_told_to_log_in() {
    assert_eq!(
        told(wants("Basic"), Verb::LogIn, Login::None),
        "HOST: GET /v2/: 401 Unauthorized: UNAUTHORIZED: authentication required; tried the credentials from \
         this login (are user name and password right?)"
    );
    assert_eq!(
        told(wants("Negotiate"), Verb::LogIn, Login::None),
        "HOST: GET /v2/: 401 Unauthorized: UNAUTHORIZED: authentication required; it wants negotiate, which \
         is not supported"
    );
}

#[test]
fn who_speaks_another_protocol_is_told_from_who_says_nothing() {
    for (before, words) in [
        (true, &b"SSH-2.0-OpenSSH_9.2p1\r\n"[..]),
        (false, b"-ERR unknown command\r\n"),
    ] {
        let line = Place::new().said(&babbles(before, words), Verb::Pull, Login::None);
        // A greeting may arrive before the request is written; then the request was not sent, and
        // is retried.
        let line = line.strip_suffix(" (after 2 tries)").unwrap_or(&line);
        assert_eq!(
            line,
            "HOST/a/b: HEAD /v2/a/b/manifests/1: HOST answers, but not in HTTP"
        );
    }
    // An answer that begins like HTTP counts as malformed HTTP.
    for (words, why) in [
        (
            &b"HTTP/1.1 200 OK\r\nX: a\x01b\r\n\r\n"[..],
            "malformed: invalid HTTP header",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "malformed: invalid content-length",
        ),
        (
            b"HTTP/1.1 2x0 OK\r\n\r\n",
            "malformed: invalid HTTP status-code",
        ),
        (
            long(),
            "with a head above the limit: 100 headers, some 400 KiB",
        ),
    ] {
        let line = Place::new().said(&babbles(false, words), Verb::Pull, Login::None);
        let (asked, said) = line.split_once(": HOST answers, but ").unwrap();
        // The length of an answer to HEAD is ignored.
        assert!(asked.ends_with("/v2/a/b/manifests/1"), "{line}");
        assert_eq!(said, why);
    }
    assert_eq!(
        Place::new().said(&babbles(true, b""), Verb::Pull, Login::None),
        "HOST/a/b: HEAD /v2/a/b/manifests/1: connection to HOST broke: connection closed before \
         message completed (after 2 tries)"
    );
    // A login moves nothing, so there is nothing to resume.
    let line = Place::new().said(&babbles(true, b""), Verb::LogIn, Login::None);
    assert!(
        line.starts_with("HOST: GET /v2/: connection to HOST broke"),
        "{line}"
    );
    assert!(!line.contains("running it again"), "{line}");
}

/// More headers than the limit.
fn long() -> &'static [u8] {
    let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(200));
    head.into_bytes().leak()
}

/// Runs a push against a registry with text that would control a terminal.
fn steered(flags: &[&str]) -> Run {
    let words = "down \u{1b}[2J\u{202e}for\nnow\r";
    let script = push_registry()
        .on("POST", "*", [Answer::error(503, "UNAVAILABLE", words)])
        .on("HEAD", "*", [Answer::error(404, words, words)]);
    let (server, place) = (FaultServer::start(script), Place::new());
    let repository = format!("{}/a/b", server.address());
    let mut arguments = vec!["blob", "push", &repository, &place.blob, "--retries", "1"];
    arguments.extend(["--retry-wait", "1ms"]);
    arguments.extend(flags);
    wharf(place.home.path(), &arguments)
}

#[test]
fn foreign_words_steer_no_terminal_wherever_they_are_said() {
    for flags in [
        &[][..],
        &["--progress", "json"],
        &["--progress", "plain"],
        &["-vvv"],
    ] {
        let run = steered(flags);
        assert_eq!(run.code, 6, "{run:?}");
        // In JSON a backslash is two.
        let said = run.stderr.replace(r"\\", r"\");
        assert!(
            said.contains(r"down \u{1b}[2J\u{202e}for\nnow\r"),
            "{}",
            run.stderr
        );
        assert!(
            !run.stderr.contains(['\u{1b}', '\u{202e}', '\r']),
            "{}",
            run.stderr
        );
    }
    let retried = steered(&["--progress", "json"]).stderr;
    let mut lines = retried
        .lines()
        .filter(|line| line.contains("\"event\":\"retried\""));
    assert!(lines.all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
}

#[test]
fn an_unknown_helper_and_a_bad_file_are_told_with_who_wanted_them() {
    let place = Place::new();
    let server = FaultServer::start(Script::new().on("*", "*", [wants("Basic")]));
    let host = server.address().to_string();
    let docker = place.home.path().join(".docker");
    std::fs::create_dir(&docker).unwrap();
    let said = |text: &str| {
        std::fs::write(docker.join("config.json"), text).unwrap();
        place.said(&host, Verb::Pull, Login::None)
    };
    let start = "HOST/a/b: credentials: ";
    assert_eq!(
        said(r#"{"credHelpers":{"HOST":"gone"}}"#.replace("HOST", &host).as_str()),
        format!(
            "{start}docker-credential-gone, named in \
             HOME/.docker/config.json, is not installed"
        )
    );
    for (text, expected) in [
        ("{\n  \"auths\": {,}\n}", "line 2, column 13: not JSON"),
        (
            "{\"auths\": {\"HOST\": {\"auth\": 5}}}",
            "a value of the wrong kind",
        ),
        ("{\"auths\":", "line 1, column 9: ends too early"),
        (
            "{\"auths\": {\"HOST\": {\"auth\": \"hidden!\"}}}",
            "auths.\"HOST\": auth is not base64 of USER:PASSWORD; log in again",
        ),
    ] {
        let line = said(&text.replace("HOST", &host));
        assert!(
            line.starts_with(&format!("{start}HOME/.docker/config.json: ")),
            "{line}"
        );
        assert!(line.ends_with(expected), "{line}");
    }
}
