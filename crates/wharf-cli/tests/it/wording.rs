//! The words of messages and help, one for one: what a user reads first.

use wharf_testkit::{
    ArchiveStyle, DockerArchive, DockerImage, FaultServer, LayerSpec, LayoutFixture, push_registry,
};

use crate::common::{Served, complaint, done, text};

#[test]
fn fault_c18_errors_are_plain_english() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let served = Served::start(&home.path().join("registry"));
    let host = served.address.to_string();
    let archive = path("two.tar");
    DockerArchive::new(ArchiveStyle::Classic)
        .image(DockerImage::new(&["app:1"]).layer(&[("file", b"1")]))
        .image(DockerImage::new(&["app:2"]).layer(&[("file", b"2")]))
        .write(archive.as_ref());
    let mut layout = LayoutFixture::new(path("layout"));
    layout.index(Some("all"), &[]);
    let to = format!("{host}/hello:1");
    let bare = format!("oci:{}:all", path("layout"));
    done(home.path(), &["push", &bare, &to]);
    for (arguments, start, rest) in [
        (
            &["push", &archive, &to][..],
            format!("{archive}: the archive holds several images, choose one: "),
            "app:1",
        ),
        (
            &["push", "--platform", "linux/s390x", &bare, &to],
            String::new(),
            "no image for linux/s390x: no manifest in the index states a platform",
        ),
        (
            &["tag", &format!("{host}/hello:nope"), "2"],
            format!("{host}/hello: no tag nope"),
            "",
        ),
        (
            &["push", "--timeout-idle", "0", &archive, &to],
            "invalid value '0' for '--timeout-idle <TIME>': must be more than 0".to_owned(),
            "",
        ),
        (
            &["push", "--jobs", "0", &archive, &to],
            "invalid value '0' for '--jobs <N>': at least 1 is needed".to_owned(),
            "",
        ),
        (
            &["push", "--retries", "many", &archive, &to],
            "invalid value 'many' for '--retries <N>': not a whole number".to_owned(),
            "",
        ),
    ] {
        let line = complaint(home.path(), arguments);
        assert!(line.starts_with(&start), "{line}");
        assert!(line.contains(rest), "{line}");
        assert!(!rest.is_empty() || line == start, "{line}");
    }
}

#[test]
fn fault_c18_what_was_done_is_said_in_plain_english() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    layout.image(Some("1"), &[LayerSpec::random(1, 100)]);
    let server = FaultServer::start(push_registry());
    let app = format!("{}/app", server.address());
    let served = Served::start(&home.path().join("registry"));
    let ours = format!("{}/app", served.address);
    let push = |to: &str| {
        let run = done(home.path(), &["push", text(layout.directory()), to]);
        let last = run.stderr.lines().last().unwrap().to_owned();
        let (line, _time) = last.rsplit_once("; ").unwrap();
        line.split_once("  ").unwrap().1.to_owned()
    };
    assert_eq!(push(&format!("{ours}:2")).rsplit(' ').next(), Some("sent"));
    assert_eq!(push(&format!("{ours}:2")), "already up to date");
    assert_eq!(
        push(&format!("{ours}:3")),
        "tagged 3; the image was already there"
    );
    let login = ["auth", "login", "-u", "me", "-p", "hidden", &app];
    let login = login.map(|word| word.trim_end_matches("/app"));
    let said = done(home.path(), &login).stderr;
    let expected = "did not ask for credentials, so they could not be checked";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn fault_c18_help_is_plain_english() {
    let home = tempfile::tempdir().unwrap();
    let help = |arguments: &[&str]| {
        let page = done(home.path(), arguments).stdout;
        page.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let options = help(&["help", "options"]);
    let push = help(&["help", "push"]);
    for (page, words) in [
        (&push, "--checks <N> Existence checks at once"),
        (&push, "--jobs <N> Blobs to transfer at once"),
        (
            &options,
            "--no-cache Ignore the cache of earlier runs, and do not write it",
        ),
        (
            &options,
            "--allow-near <HOST[:PORT]> Let public registries redirect to this private or \
             loopback host, address or network",
        ),
        (
            &options,
            "--ca-cert <FILE> Also trust the CA certificates in this PEM file",
        ),
        (&options, "--timeout-connect <TIME> To connect"),
        (
            &options,
            "--timeout-answer <TIME> For the response, after the request was sent",
        ),
        (
            &options,
            "--timeout-commit <TIME> For the response to the last request of an upload",
        ),
        (
            &options,
            "--timeout-idle <TIME> Without a byte moved either way",
        ),
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
}
