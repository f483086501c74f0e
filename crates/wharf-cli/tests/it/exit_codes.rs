//! The exit code says what kind of error ended a command (`wharf help exit-codes`).

use wharf_testkit::{Answer, FaultServer, LayerSpec, LayoutFixture, Script, push_registry};

use crate::common::{Served, done, text, wharf};

#[test]
fn the_page_of_exit_codes_lists_them_all() {
    let home = tempfile::tempdir().unwrap();
    let page = done(home.path(), &["help", "exit-codes"]).stdout;
    for code in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "128+N"] {
        assert!(page.contains(&format!("\n  {code:<6} ")), "{code}: {page}");
    }
    let list = done(home.path(), &["-h"]).stdout;
    assert!(list.contains("exit-codes"), "{list}");
}

/// The exit code of `wharf copy` from a registry that gives this answer to everything.
fn answered(answer: Answer) -> i32 {
    let home = tempfile::tempdir().unwrap();
    let server = FaultServer::start(Script::new().on("*", "*", [answer]));
    let image = format!("{}/app:1", server.address());
    let to = format!("oci:{}", home.path().join("out").display());
    let run = wharf(home.path(), &["copy", &image, &to, "--retries", "0"]);
    assert_eq!(run.stdout, "");
    run.code
}

#[test]
fn an_answer_of_a_registry_has_a_code_of_its_kind() {
    let wants = Answer::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
    for (answer, code) in [
        (Answer::error(404, "MANIFEST_UNKNOWN", "no"), 3),
        (wants, 4),
        (Answer::error(403, "DENIED", "no"), 4),
        (Answer::error(429, "TOOMANYREQUESTS", "no"), 6),
        (Answer::status(500), 6),
        (Answer::status(418), 6),
    ] {
        let said = format!("{answer:?}");
        assert_eq!(answered(answer), code, "{said}");
    }
}

#[test]
fn what_is_wrong_on_this_side_has_a_code_too() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&home.path().join("registry"));
    let (address, there) = (served.address, home.path());
    let mut layout = LayoutFixture::new(there.join("layout"));
    layout.image(Some("1"), &[LayerSpec::random(1, 100)]);
    layout.image(Some("2"), &[LayerSpec::random(2, 100)]);
    let layout = text(layout.directory()).to_owned();
    std::fs::write(there.join("bad.json"), "{").unwrap();
    let bad = there.join("bad.json");
    let to = format!("{address}/app:1");
    for (line, code) in [
        (&["push", &layout, &to][..], 2),
        (&["push", "/nowhere", &to], 3),
        (&["push", &format!("{layout}:1"), "127.0.0.1:1/app"], 3),
        (&["push", &format!("oci:{layout}:1"), "127.0.0.1:1/app"], 5),
        (&["manifest", "put", &to, text(&bad)], 7),
        (&["tag", "a@b", "1"], 2),
        (&["copy", "--jobs", "x", &to, &to], 2),
        (&["shove"], 2),
        (&["auth", "get", "nowhere.example"], 3),
    ] {
        let run = wharf(there, line);
        assert_eq!(run.code, code, "{line:?}: {run:?}");
        let errors = run
            .stderr
            .lines()
            .filter(|line| line.starts_with("wharf: "));
        assert_eq!(errors.count(), 1, "{line:?}: {run:?}");
    }
}

#[test]
fn a_redirect_that_is_refused_is_no_fault_of_the_registry() {
    let away = Answer::status(202).header("Location", "http://169.254.169.254/latest");
    let server = FaultServer::start(push_registry().on("POST", "*", [away]));
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("blob");
    std::fs::write(&file, "abc").unwrap();
    let repository = format!("{}/app", server.address());
    let run = wharf(home.path(), &["blob", "push", &repository, text(&file)]);
    assert_eq!(run.code, 8, "{run:?}");
}
