//! `wharf ls`: the tags of a repository.

use std::collections::BTreeSet;

use serde_json::Value;
use wharf_testkit::{Answer, FaultServer, Script};

use crate::common::shelf::Shelf;
use crate::common::wire::fetch;
use crate::common::{Run, complaint, done, wharf};

const LIST: &str = "/v2/app/tags/list";

/// A registry with these pages of tags, each of which names the next one.
fn listing(pages: &[&str]) -> FaultServer {
    let path = |page: usize| match page {
        0 => LIST.to_owned(),
        page => format!("{LIST}?page={page}"),
    };
    let mut script = Script::new().on("GET", "/v2/", [Answer::status(200)]);
    for (at, page) in pages.iter().enumerate() {
        let mut answer = Answer::status(200).body(format!(r#"{{"name":"app","tags":{page}}}"#));
        if at + 1 < pages.len() {
            answer = answer.header("Link", &format!("<{}>; rel=\"next\"", path(at + 1)));
        }
        script = script.on("GET", &path(at), [answer]);
    }
    FaultServer::start(script)
}

fn listed(server: &FaultServer, flags: &[&str]) -> Run {
    let home = tempfile::tempdir().unwrap();
    let app = format!("{}/app", server.address());
    wharf(home.path(), &[&["ls", &app], flags].concat())
}

#[test]
fn tags_are_printed_a_line_each() {
    let shelf = Shelf::new();
    for proxy in &shelf.proxies {
        let app = format!("{}/app", proxy.address());
        // The attestation has a subject, which is listed under a tag where there is no other list.
        let all = shelf.printed(&["ls", &app]);
        let in_its_order = fetch(proxy.address(), LIST).body;
        let in_its_order: Value = serde_json::from_slice(&in_its_order).unwrap();
        let listed: Vec<Value> = all.lines().map(Value::from).collect();
        assert_eq!(Value::from(listed), in_its_order["tags"]);
        let (digest_tags, tags): (Vec<&str>, Vec<&str>) =
            all.lines().partition(|tag| tag.starts_with("sha256-"));
        assert_eq!(
            BTreeSet::from_iter(&tags),
            BTreeSet::from_iter(&["1", "2", "3"])
        );
        let expected = tags.join("\n") + "\n";
        for flag in ["-O", "--omit-digest-tags"] {
            assert_eq!(shelf.printed(&["ls", flag, &app]), expected);
        }
        let full = shelf.printed(&["ls", "--full-ref", "-O", &app]);
        let expected: String = tags.iter().map(|tag| format!("{app}:{tag}\n")).collect();
        assert_eq!(full, expected);
        let full = shelf.printed(&["ls", "--full-ref", &app]);
        assert_eq!(full.lines().count(), 3 + digest_tags.len());
        let said = complaint(shelf.home.path(), &["ls", &format!("{app}:1")]);
        assert!(said.contains("a repository has no tag"), "{said}");
        let absent = format!("{}/absent", proxy.address());
        let said = complaint(shelf.home.path(), &["ls", &absent]);
        assert!(said.contains("absent"), "{said}");
    }
    for methods in shelf.requests(|app| vec!["ls".to_owned(), app.to_owned()]) {
        assert_eq!(methods, ["GET"]);
    }
    let docker_lists_none = shelf.proxies.len() < 2;
    let app = shelf
        .proxies
        .last()
        .map(|proxy| format!("{}/app", proxy.address()));
    let all = done(shelf.home.path(), &["ls", &app.unwrap()]).stdout;
    assert!(docker_lists_none || all.contains("sha256-"), "{all}");
}

#[test]
fn pages_are_followed_in_the_order_of_the_registry() {
    let server = listing(&[r#"["b","a"]"#, "null", r#"["c"]"#]);
    let run = listed(&server, &[]);
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (0, "b\na\nc\n", "")
    );
    assert_eq!(
        server
            .lines()
            .iter()
            .filter(|line| line.contains(LIST))
            .count(),
        3
    );
}

#[test]
fn no_tags_are_nothing() {
    for page in ["null", "[]"] {
        let run = listed(&listing(&[page]), &[]);
        assert_eq!(
            (run.code, run.stdout.as_str(), run.stderr.as_str()),
            (0, "", "")
        );
    }
}

#[test]
fn what_is_no_tag_is_left_out_with_a_word() {
    let server = listing(&[r#"["1","no tag","\u001b[2J","2"]"#]);
    let run = listed(&server, &["--full-ref"]);
    let app = format!("{}/app", server.address());
    assert_eq!((run.code, run.stdout), (0, format!("{app}:1\n{app}:2\n")));
    let words: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(
        words,
        [
            "left out, not the name of a tag: no tag",
            "left out, not the name of a tag: \\u{1b}[2J"
        ]
    );
    let run = listed(&server, &["-q"]);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("1\n2\n", ""));
}
