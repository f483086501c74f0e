//! Damaged sources: the message names them, once.

use wharf_testkit::{Answer, FaultServer, Script, sha256_hex};

use crate::common::said::{EMPTY, IMAGE, Login, MANIFEST, Place, Verb, scripted, with_image};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[test]
fn what_is_wrong_with_content_is_said_with_where_it_is_from() {
    let damaged = "(the source is damaged; fetch or build it again)";
    let blob = |body: &str| {
        let script = with_image(Answer::status(200).body(body.to_owned()));
        scripted(script, Verb::Pull, Login::None)
    };
    let other = sha256_hex("xx");
    assert_eq!(
        blob("xx"),
        format!("HOST/a/b: content has digest sha256:{other}, expected {EMPTY} {damaged}")
    );
    assert_eq!(
        blob("x"),
        format!("HOST/a/b: {EMPTY}: content has 1 bytes, expected 2 {damaged}")
    );
    assert_eq!(
        blob("xxx"),
        format!("HOST/a/b: {EMPTY}: content has at least 3 bytes, expected 2 {damaged}")
    );
}

#[test]
fn too_many_indexes_are_told_with_where_they_are() {
    let mut script = Script::new().on("GET", "/v2/", [Answer::status(200)]);
    let (mut below, mut kind) = (MANIFEST.to_owned(), IMAGE);
    let mut top = String::new();
    for _ in 0..40 {
        let (digest, size) = (sha256_hex(&below), below.len());
        let answer = Answer::status(200).header("Content-Type", kind);
        let path = format!("*/manifests/sha256:{digest}");
        script = script.on("*", &path, [answer.body(below)]);
        let child = format!(r#"{{"mediaType":"{kind}","digest":"sha256:{digest}","size":{size}}}"#);
        below = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{child}]}}"#);
        kind = INDEX;
        top = digest;
    }
    let server = FaultServer::start(script);
    let (host, place) = (server.address().to_string(), Place::new());
    let from = format!("{host}/a/b@sha256:{top}");
    let out = format!("oci:{}/out:1", place.home.path().display());
    assert_eq!(
        place.said_of(&host, &["copy", &from, &out], Login::None),
        format!("HOST/a/b: sha256:{top}: more than 32 levels of indexes below it")
    );
}
