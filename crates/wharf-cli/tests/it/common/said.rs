//! The one line of a failed run, with placeholders for what differs from run to run.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use super::{command, is_failure};
use wharf_testkit::{Answer, FaultServer, RecordedRequest, Script, push_registry};

pub(crate) const HTML: &str = "text/html; charset=utf-8";
pub(crate) const PAGE_HINT: &str = "(not from a registry: perhaps from a proxy or a login page)";
pub(crate) const BLOB: &str =
    "blob sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A directory without credentials, and a blob to push.
pub(crate) struct Place {
    pub(crate) home: tempfile::TempDir,
    pub(crate) blob: String,
}

/// The command to run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    PushBlob,
    Pull,
    Put,
    Delete,
    LogIn,
}

/// Whether credentials are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    None,
    Given,
}

impl Place {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let blob = home.path().join("blob");
        std::fs::write(&blob, "abc").unwrap();
        let blob = blob.to_str().unwrap().to_owned();
        Place { home, blob }
    }

    /// The line for `verb`.
    pub(crate) fn said(&self, host: &str, verb: Verb, login: Login) -> String {
        let (repository, out) = (format!("{host}/a/b"), self.home.path().join("out"));
        let (tagged, out) = (format!("{repository}:1"), format!("oci:{}", out.display()));
        let manifest = self.home.path().join("manifest");
        std::fs::write(&manifest, MANIFEST).unwrap();
        let arguments = match verb {
            Verb::PushBlob => vec!["blob", "push", &repository, &self.blob],
            Verb::Pull => vec!["copy", &tagged, &out],
            Verb::Put => vec!["manifest", "put", &tagged, manifest.to_str().unwrap()],
            Verb::Delete => vec!["delete", &tagged],
            Verb::LogIn => vec!["auth", "login", "-u", "me", "-p", "hidden", host],
        };
        self.said_of(host, &arguments, login)
    }

    /// The line of a run with these arguments.
    pub(crate) fn said_of(&self, host: &str, arguments: &[&str], login: Login) -> String {
        let mut command = command(self.home.path());
        if login == Login::Given {
            command.env("WHARF_AUTH", format!("{host}=me:hidden"));
        }
        command.args(arguments);
        // Retries are reported in lines of their own.
        command.args(["--progress", "none"]);
        command.args(["--no-cache", "--retries", "1", "--retry-wait", "1ms"]);
        let output = command.output().unwrap();
        assert!(is_failure(output.status.code().unwrap()), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        let home = self.home.path().to_str().unwrap();
        let line = stderr.replace(host, "HOST").replace(home, "HOME");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.contains("hidden"), "{line}");
        line.trim_end().strip_prefix("wharf: ").unwrap().to_owned()
    }
}

pub(crate) const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

/// The digest of the config of [`MANIFEST`].
pub(crate) const EMPTY: &str =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A registry with one image, with this answer for its only blob.
pub(crate) fn with_image(blob: Answer) -> Script {
    let manifest = Answer::status(200).header("Content-Type", IMAGE);
    Script::new()
        .on("GET", "/v2/", [Answer::status(200)])
        .on("*", "*/manifests/*", [manifest.body(MANIFEST)])
        .on("*", "*/blobs/*", [blob])
}

pub(crate) fn told(answer: Answer, verb: Verb, login: Login) -> String {
    scripted(Script::new().on("*", "*", [answer]), verb, login)
}

pub(crate) fn scripted(script: Script, verb: Verb, login: Login) -> String {
    let server = FaultServer::start(script);
    Place::new().said(&server.address().to_string(), verb, login)
}

pub(crate) fn page(status: u16, title: &str) -> Answer {
    Answer::status(status)
        .header("Content-Type", HTML)
        .body(format!("<!DOCTYPE html>\n<title>{title}</title>"))
}

pub(crate) fn wants(challenge: &str) -> Answer {
    Answer::error(401, "UNAUTHORIZED", "authentication required")
        .header("WWW-Authenticate", challenge)
}

/// A registry that accepts the user, with this answer to a POST.
pub(crate) fn knows(answer: Answer) -> Script {
    let bare = |request: &RecordedRequest| request.header("authorization").is_none();
    push_registry()
        .on("POST", "*", [answer])
        .on_when("*", "*", bare, [wants("Basic")])
}

/// A server that sends this to every client, before or after the request.
pub(crate) fn babbles(before: bool, words: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let talk = move |mut stream: TcpStream| {
        if before {
            let _ = stream.write_all(words);
        }
        // A TLS hello gets no answer.
        let mut first = [0; 2000];
        let _ = std::io::Read::read(&mut stream, &mut first);
        if !before {
            let _ = stream.write_all(words);
        }
    };
    std::thread::spawn(move || listener.incoming().flatten().for_each(talk));
    host
}
