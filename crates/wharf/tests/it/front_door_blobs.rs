//! Blobs are read by digest alone: checked, in part, and on from where a registry breaks off.

use futures::TryStreamExt;
use wharf::front::OpenedBlob;
use wharf::{Digest, ErrorKind, Result, Side, Source};
use wharf_testkit::{Answer, DockerRegistry, FaultServer, Script, seeded_bytes};

use crate::support::{BLOB, descriptor, image, reference, repository_name, wharf};

async fn all(blob: OpenedBlob) -> Result<Vec<u8>> {
    let chunks: Vec<_> = blob.bytes.try_collect().await?;
    Ok(chunks.concat())
}

/// A registry that gives `answers` to requests for blobs.
fn serving(answers: impl IntoIterator<Item = Answer>) -> FaultServer {
    let script = Script::new().on("GET", "/v2/", [Answer::status(200)]);
    FaultServer::start(script.on("GET", BLOB, answers))
}

/// The ranges that the requests for blobs asked for.
fn ranges(server: &FaultServer) -> Vec<String> {
    let requests = server.requests().into_iter();
    let blobs = requests.filter(|request| request.path().contains("/blobs/"));
    let range = |range: Option<&str>| range.unwrap_or("all").to_owned();
    blobs
        .map(|request| range(request.header("range")))
        .collect()
}

#[tokio::test]
async fn a_registry_gives_all_of_a_blob_or_a_range_of_it() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let bytes = seeded_bytes(1, 10_000);
    let (source, root) = image(std::slice::from_ref(&bytes)).await;
    let (wharf, to) = (wharf(), reference(registry.address(), "app:1"));
    let content = descriptor(&root).clone();
    wharf.push(&source, content.clone(), &to).await.unwrap();
    let (at, digest) = (to.repository(), Digest::of(&bytes));

    let whole = wharf.blob(at, &digest, ..).await.unwrap();
    assert_eq!(whole.size, Some(10_000));
    assert!(all(whole).await.unwrap() == bytes);
    for range in [0..10, 100..200, 9_999..10_000, 9_000..20_000] {
        let part = wharf.blob(at, &digest, range.clone()).await.unwrap();
        assert_eq!(part.size, Some(10_000), "{range:?}");
        let end = 10_000.min(range.end as usize);
        let expected = &bytes[range.start as usize..end];
        assert!(all(part).await.unwrap() == expected, "{range:?}");
    }
    let rest = wharf.blob(at, &digest, 9_990..).await.unwrap();
    assert!(all(rest).await.unwrap() == bytes[9_990..]);

    let absent = Digest::of(b"absent");
    let error = wharf.blob(at, &absent, ..).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let (place, what) = (format!("{at}: "), absent.to_string());
    let message = error.to_string();
    assert!(
        message.starts_with(&place) && message.contains(&what),
        "{message}"
    );
    let error = wharf.blob(at, &digest, 5..5).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let config = source.manifest(&content).await.unwrap();
    let config = &config.links()[0].descriptor;
    let config = wharf.blob(at, &config.digest, ..).await.unwrap();
    assert!(all(config).await.is_ok());
}

#[tokio::test]
async fn a_registry_without_ranges_gives_the_same_bytes() {
    let server = serving([Answer::status(200).body("0123456789")]);
    let at = repository_name(server.address(), "app");
    let digest = Digest::of(b"0123456789");
    let part = wharf().blob(&at, &digest, 3..6).await.unwrap();
    assert_eq!(part.size, Some(10));
    assert_eq!(all(part).await.unwrap(), b"345");
    assert_eq!(ranges(&server), ["bytes=3-5"]);
}

#[tokio::test]
async fn a_range_past_the_end_of_a_blob_of_unknown_size_ends_with_it() {
    let server = serving([Answer::status(200).body("0123456789").chunked()]);
    let at = repository_name(server.address(), "app");
    let digest = Digest::of(b"0123456789");
    let part = wharf().blob(&at, &digest, 5..20).await.unwrap();
    assert_eq!(part.size, None);
    assert_eq!(all(part).await.unwrap(), b"56789");
    assert_eq!(ranges(&server), ["bytes=5-19"]);
}

#[tokio::test]
async fn wrong_bytes_never_end_as_if_they_were_whole() {
    for answer in [
        Answer::status(200).body("wrong"),
        Answer::status(200).body("wrong").chunked(),
    ] {
        let server = serving([answer]);
        let at = repository_name(server.address(), "app");
        let blob = wharf().blob(&at, &Digest::of(b"right"), ..).await.unwrap();
        let error = all(blob).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(error.failed_side(), Some(Side::Source));
        assert!(
            error.to_string().starts_with(&format!("{at}: blob ")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn r1_a_read_goes_on_where_the_registry_broke_off() {
    let text = "0123456789";
    let cut = Answer::status(200).body(text).cut_body_after(4);
    let busy = Answer::status(503);
    let rest = Answer::status(206)
        .header("Content-Range", "bytes 4-9/10")
        .body("456789");
    let server = serving([cut, busy, rest]);
    let at = repository_name(server.address(), "app");
    let digest = Digest::of(text.as_bytes());
    let blob = wharf().blob(&at, &digest, ..).await.unwrap();
    assert_eq!(all(blob).await.unwrap(), text.as_bytes());
    assert_eq!(ranges(&server), ["all", "bytes=4-9", "bytes=4-9"]);
}

#[tokio::test]
async fn r1_a_read_that_never_gets_further_ends() {
    let first = Answer::status(200).body("0123456789").cut_body_after(4);
    let stuck = Answer::status(206)
        .header("Content-Range", "bytes 4-9/10")
        .body("456789")
        .cut_body_after(0);
    let server = serving([first, stuck]);
    let at = repository_name(server.address(), "app");
    let blob = wharf().blob(&at, &Digest::of(b"0123456789"), ..).await;
    let error = all(blob.unwrap()).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(ranges(&server).len(), 5);
}

#[tokio::test]
async fn another_range_than_the_one_asked_for_is_refused() {
    let other = Answer::status(206)
        .header("Content-Range", "bytes 0-2/10")
        .body("012");
    let server = serving([other]);
    let at = repository_name(server.address(), "app");
    let blob = wharf().blob(&at, &Digest::of(b"0123456789"), 3..6).await;
    assert_eq!(blob.err().unwrap().kind(), ErrorKind::Rejected);
}
