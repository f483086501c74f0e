//! `wharf catalog`: the repositories of a registry.

use wharf_testkit::{Answer, DockerRegistry, FaultServer, Script};

use crate::common::shelf::Shelf;
use crate::common::{Served, complaint, done, wharf};

#[test]
fn repositories_are_printed_a_line_each() {
    let shelf = Shelf::new();
    for proxy in &shelf.proxies {
        let host = proxy.address().to_string();
        let other = format!("{host}/team/other:1");
        done(
            shelf.home.path(),
            &["copy", "-q", &shelf.local("2"), &other],
        );
        assert_eq!(shelf.printed(&["catalog", &host]), "app\nteam/other\n");
        let host = format!("localhost:{}", proxy.address().port());
        let full = shelf.printed(&["catalog", "--full-ref", &host]);
        assert_eq!(full, format!("{host}/app\n{host}/team/other\n"));
        proxy.forget();
        shelf.printed(&["catalog", &proxy.address().to_string()]);
        let asked = proxy.requests().into_iter();
        let asked = asked.filter(|request| request.target.contains("_catalog"));
        assert_eq!(asked.count(), 1);
    }
}

#[test]
fn an_empty_registry_is_nothing() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&home.path().join("registry"));
    let docker = DockerRegistry::start();
    let docker = docker.as_ref().map(DockerRegistry::address);
    for address in std::iter::once(served.address).chain(docker) {
        let run = done(home.path(), &["catalog", &address.to_string()]);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    }
}

#[test]
fn pages_are_followed_and_what_is_no_name_is_left_out() {
    let list = "/v2/_catalog";
    let next = format!("{list}?last=b");
    let page = |names: &str| Answer::status(200).body(format!(r#"{{"repositories":{names}}}"#));
    let first = page(r#"["a","b"]"#).header("Link", &format!("<{next}>; rel=\"next\""));
    let script = Script::new().on("GET", "/v2/", [Answer::status(200)]);
    let script = script.on("GET", list, [first]);
    let script = script.on("GET", &next, [page(r#"["Not A Name","c/d"]"#)]);
    let server = FaultServer::start(script);
    let home = tempfile::tempdir().unwrap();
    let run = wharf(home.path(), &["catalog", &server.address().to_string()]);
    assert_eq!((run.code, run.stdout.as_str()), (0, "a\nb\nc/d\n"));
    assert_eq!(
        run.stderr,
        "left out, not the name of a repository: Not A Name\n"
    );
}

#[test]
fn a_registry_without_a_list_says_so() {
    let script = Script::new().on("GET", "/v2/", [Answer::status(200)]);
    let server = FaultServer::start(script.on("GET", "/v2/_catalog", [Answer::status(404)]));
    let home = tempfile::tempdir().unwrap();
    let said = complaint(home.path(), &["catalog", &server.address().to_string()]);
    assert!(said.contains("does not list its repositories"), "{said}");
    for arguments in [
        &["catalog"][..],
        &["catalog", "a.example/b"],
        &["catalog", "a", "b"],
    ] {
        let run = wharf(home.path(), arguments);
        assert_eq!((run.code != 0, run.stdout.as_str()), (true, ""), "{run:?}");
    }
}
