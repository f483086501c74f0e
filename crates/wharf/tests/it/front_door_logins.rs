//! Logging in: credentials are checked, and kept where they are good.

use std::fs;

use wharf::credentials::{AuthFile, Credential, Helpers};
use wharf::oci::Registry;
use wharf::remote::{Access, Checked};
use wharf::{ErrorKind, Source};
use wharf_testkit::{Answer, FaultServer, Script};

use crate::support::{BASIC, repository_name, wharf};

/// A registry that wants the password of `me`.
fn guarded(first: impl IntoIterator<Item = Answer>) -> FaultServer {
    let wanted = Answer::status(401).header("WWW-Authenticate", "Basic realm=\"r\"");
    let first: Vec<Answer> = first.into_iter().chain([Answer::status(200)]).collect();
    let known =
        |request: &wharf_testkit::RecordedRequest| request.header("authorization") == Some(BASIC);
    let script = Script::new()
        .on("*", "*", [wanted])
        .on_when("GET", "/v2/", known, first)
        .on_when("HEAD", "/v2/*", known, [Answer::status(404)]);
    FaultServer::start(script)
}

fn registry(server: &FaultServer) -> Registry {
    server.address().to_string().parse().unwrap()
}

fn password(username: &str, password: &str) -> Credential {
    Credential::password(username, password.into())
}

#[tokio::test]
async fn a1_good_credentials_are_kept_and_others_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.json");
    let file = AuthFile::new(&path, &Helpers::default());
    let server = guarded([]);
    let (wharf, registry) = (wharf(), registry(&server));
    let wrong = password("me", "wrong");
    let error = wharf.login(&registry, &wrong, &file).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.to_string().contains("this login"), "{error}");
    assert!(!path.exists());
    let login = wharf
        .login(&registry, &password("me", "hidden"), &file)
        .await;
    let login = login.unwrap();
    assert_eq!(login.checked, Checked::Good);
    assert_eq!(login.kept_in, path.display().to_string());
    assert!(fs::read_to_string(&path).unwrap().contains("bWU6aGlkZGVu"));
    // The client itself shows what it was made with, which is nothing.
    let store = wharf
        .client()
        .repository(&repository_name(server.address(), "app"));
    let error = store.resolve(&"1".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn r1_a_login_is_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = AuthFile::new(directory.path().join("auth.json"), &Helpers::default());
    let server = guarded([Answer::status(503)]);
    let credential = password("me", "hidden");
    let login = wharf().login(&registry(&server), &credential, &file).await;
    assert_eq!(login.unwrap().checked, Checked::Good);
}

#[tokio::test]
async fn what_no_registry_can_take_is_not_shown_to_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = AuthFile::new(directory.path().join("auth.json"), &Helpers::default());
    let server = guarded([]);
    for credential in [password("a:b", "c"), password("", "c"), password("a", "")] {
        let login = wharf().login(&registry(&server), &credential, &file).await;
        assert_eq!(login.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn without_credentials_there_is_no_authorization_for_another_program() {
    let server = guarded([]);
    let at = repository_name(server.address(), "app");
    let shown = wharf().authorization(&at, Access::Read, &[]).await;
    assert_eq!(shown.err().unwrap().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn p4_a_login_costs_two_requests() {
    let directory = tempfile::tempdir().unwrap();
    let file = AuthFile::new(directory.path().join("auth.json"), &Helpers::default());
    let server = guarded([]);
    let (registry, credential) = (registry(&server), password("me", "hidden"));
    wharf().login(&registry, &credential, &file).await.unwrap();
    assert_eq!(server.lines(), ["GET /v2/"; 2]);
}
