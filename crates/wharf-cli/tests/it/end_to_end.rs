//! The commands against real registries, read back by a real peer.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use wharf_testkit::{
    ArchiveStyle, DockerArchive, DockerImage, DockerRegistry, LayerSpec, LayoutFixture,
    RecordingProxy, RootfsImage, Skopeo, files_below,
};

use crate::common::{Run, Served, done, layout, text, wharf};

fn inspected(address: SocketAddr, name: &str) -> Option<String> {
    Some(Skopeo::find()?.inspect_digest(&format!("docker://{address}/{name}")))
}

#[test]
fn fault_c10_a_layout_is_pushed_as_latest_and_skopeo_agrees_on_the_digest() {
    let home = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(home.path().join("layout"));
    let image = fixture.image(Some("1.0"), &[LayerSpec::random(1, 70_000)]);
    let served = Served::start(&home.path().join("registry"));
    let refs = home.path().join("refs");
    let reference = format!("{}/a/b", served.address);
    let arguments = [
        "push",
        text(fixture.directory()),
        &reference,
        "--image-refs",
        text(&refs),
    ];
    let run = done(home.path(), &arguments);
    assert_eq!(
        run.stdout,
        format!("{reference}@{}\n", image.manifest_digest)
    );
    assert_eq!(fs::read_to_string(&refs).unwrap(), run.stdout.trim_end());
    let offer = format!(
        "{reference}: no tag given, so latest is set; for the image's own tag, write {reference}:1.0"
    );
    assert_eq!(run.stderr.lines().next(), Some(offer.as_str()), "{run:?}");
    let last = format!("{reference}:latest {}  2 blobs, ", image.manifest_digest);
    assert!(
        run.stderr.lines().last().unwrap().starts_with(&last),
        "{run:?}"
    );
    if let Some(digest) = inspected(served.address, "a/b:latest") {
        assert_eq!(digest, image.manifest_digest);
    }
    let quiet = done(
        home.path(),
        &["push", "-q", text(fixture.directory()), &reference],
    );
    assert_eq!(quiet.stderr, "");
    assert_eq!(served.terminate(), Some(0));
}

/// The last line on standard error, without the time at its end.
fn last(run: &Run) -> &str {
    let last = run.stderr.lines().last().unwrap_or_default();
    let (line, time) = last.rsplit_once("; ").unwrap_or_else(|| panic!("{run:?}"));
    assert!(time.ends_with(" s"), "{run:?}");
    line
}

#[test]
fn fault_c10_the_last_line_names_what_is_where_and_what_moved() {
    let home = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(home.path().join("layout"));
    let digest = fixture.image(Some("1.0"), &[LayerSpec::random(1, 70_000)]);
    let digest = digest.manifest_digest;
    let served = Served::start(&home.path().join("registry"));
    let app = format!("{}/app", served.address);
    let push = |tag: &str| {
        let to = format!("{app}:{tag}");
        done(home.path(), &["push", text(fixture.directory()), &to])
    };
    let first = push("v1");
    let start = format!("{app}:v1 {digest}  2 blobs, ");
    assert!(last(&first).starts_with(&start), "{first:?}");
    assert!(last(&first).ends_with(" sent"), "{first:?}");
    let again = push("v1");
    assert_eq!(
        last(&again),
        format!("{app}:v1 {digest}  already up to date")
    );
    let tagged = push("3");
    let expected = format!("{app}:3 {digest}  tagged 3; the image was already there");
    assert_eq!(last(&tagged), expected);

    let copy = |from: &str, to: &str| done(home.path(), &["copy", from, to]);
    let other = format!("{}/other", served.address);
    let copied = copy(&format!("{app}:v1"), &other);
    assert_eq!(copied.stdout, "");
    let offer = format!(
        "{other}: no tag given, so latest is set; for the image's own tag, write {other}:v1"
    );
    assert_eq!(copied.stderr.lines().next(), Some(offer.as_str()));
    let expected = format!("{other}:latest {digest}  no blob sent, 2 mounted");
    assert_eq!(last(&copied), expected);
    let layout = format!("oci:{}", home.path().join("out").display());
    let copied = copy(&app.replace("/app", "/other"), &layout);
    let start = format!("{layout}:latest {digest}  2 blobs, ");
    assert!(last(&copied).starts_with(&start), "{copied:?}");

    let run = done(home.path(), &["tag", &other, "8", "7"]);
    assert_eq!(last(&run), format!("{other}:7, 8 {digest}  tagged"));
    assert_eq!(run.stdout, "");
}

#[test]
fn a_docker_archive_comes_from_a_file_and_the_reader_agrees() {
    let home = tempfile::tempdir().unwrap();
    let archive = home.path().join("image.tar");
    let saved = DockerArchive::new(ArchiveStyle::Classic)
        .image(DockerImage::new(&["app:7"]).layer(&[("file", &[7; 90_000])]))
        .write(&archive);
    let served = Served::start(&home.path().join("registry"));
    let reference = format!("{}/app", served.address);
    let first = done(home.path(), &["push", text(&archive), &reference]);
    let again = done(home.path(), &["push", text(&archive), &reference]);
    assert_eq!(first.stdout, again.stdout);
    assert!(
        again.stderr.contains("already up to date"),
        "{}",
        again.stderr
    );
    let Some(skopeo) = Skopeo::find() else { return };
    let digest = skopeo.inspect_digest(&format!("docker://{reference}:latest"));
    assert_eq!(first.stdout.trim_end(), format!("{reference}@{digest}"));
    let out = home.path().join("out");
    skopeo.copy(
        &format!("docker://{reference}:latest"),
        &format!("oci:{}:7", out.display()),
    );
    assert!(
        files_below(&out)
            .keys()
            .any(|path| path.ends_with(saved[0].config_digest.replace("sha256:", "")))
    );
}

#[test]
fn e3_an_unchanged_push_is_one_request_after_the_ping() {
    let home = tempfile::tempdir().unwrap();
    let fixture = layout(&home.path().join("layout"));
    let served = Served::start(&home.path().join("registry"));
    let proxy = RecordingProxy::start(served.address);
    let reference = format!("{}/a:1", proxy.address());
    let push = ["push", text(fixture.directory()), reference.as_str()];
    let first = done(home.path(), &push);
    proxy.forget();
    let again = done(home.path(), &push);
    assert_eq!(first.stdout, again.stdout);
    let lines = proxy.lines();
    let after_ping: Vec<&String> = lines
        .iter()
        .filter(|line| !line.ends_with(" /v2/"))
        .collect();
    assert_eq!(after_ping, ["HEAD /v2/a/manifests/1"]);
}

#[test]
fn a_copy_goes_round_through_two_registries_and_a_second_one_moves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let fixture = layout(&home.path().join("layout"));
    let one = Served::start(&home.path().join("one"));
    let docker = DockerRegistry::start();
    let two = Served::start(&home.path().join("two"));
    let other = docker.as_ref().map_or(two.address, DockerRegistry::address);
    let (a, b) = (format!("{}/a:1.0", one.address), format!("{other}/b/c:1.0"));
    let (x, y) = (home.path().join("x"), home.path().join("y"));
    let (into_x, into_y) = (
        format!("oci:{}", x.display()),
        format!("oci:{}", y.display()),
    );
    done(home.path(), &["push", text(fixture.directory()), &a]);
    for _ in 0..2 {
        let mut last = Run {
            code: 0,
            stdout: String::new(),
            stderr: String::new(),
        };
        for (source, destination) in [(a.as_str(), into_x.as_str()), (&into_x, &b), (&b, &into_y)] {
            last = done(home.path(), &["copy", source, destination]);
            assert_eq!(last.stdout, "");
        }
        drop(last);
    }
    assert_eq!(files_below(&x.join("blobs")), files_below(&y.join("blobs")));
    assert_eq!(files_below(&x.join("blobs")).len(), 4);
    for (source, destination) in [(&a, &into_x), (&into_x, &b)] {
        let again = done(home.path(), &["copy", source, destination]);
        assert!(
            again.stderr.contains("already up to date"),
            "{}",
            again.stderr
        );
    }
    if let Some(skopeo) = Skopeo::find() {
        skopeo.inspect(&format!("oci:{}:1.0", y.display()));
    }
}

#[test]
fn without_a_reference_the_embedded_registry_takes_it_and_serves_it_later() {
    let home = tempfile::tempdir().unwrap();
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hello");
    let run = done(home.path(), &["push", text(&hello)]);
    assert!(
        run.stdout.starts_with("localhost:5000/hello@sha256:"),
        "{}",
        run.stdout
    );
    assert_eq!(run.stdout.lines().count(), 1);
    assert!(
        run.stderr.contains("wharf registry serve"),
        "{}",
        run.stderr
    );
    let served = Served::start(&home.path().join(".local/share/wharf/registry"));
    let out = format!("oci:{}", home.path().join("out").display());
    done(
        home.path(),
        &["copy", &format!("{}/hello", served.address), &out],
    );
}

#[test]
fn a_digest_that_is_not_the_images_is_refused_and_its_own_is_taken() {
    let home = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(home.path().join("layout"));
    let image = fixture.image(None, &[LayerSpec::random(1, 100)]);
    let served = Served::start(&home.path().join("registry"));
    let wrong = format!("{}/a@sha256:{}", served.address, "0".repeat(64));
    let run = wharf(home.path(), &["push", text(fixture.directory()), &wrong]);
    assert_eq!(run.code, 7);
    assert!(
        run.stderr.contains("the digest of the content is "),
        "{}",
        run.stderr
    );
    let right = format!("{}/a@{}", served.address, image.manifest_digest);
    assert_eq!(
        done(home.path(), &["push", text(fixture.directory()), &right]).stdout,
        format!("{right}\n")
    );
}

#[test]
fn a_real_root_file_system_goes_both_ways_to_both_registries() {
    let home = tempfile::tempdir().unwrap();
    let image = RootfsImage::build(&home.path().join("rootfs"), 300 << 20);
    let served = Served::start(&home.path().join("registry"));
    let docker = DockerRegistry::start();
    for address in
        std::iter::once(served.address).chain(docker.as_ref().map(DockerRegistry::address))
    {
        let reference = format!("{address}/layout:1");
        let run = done(home.path(), &["push", text(&image.layout), &reference]);
        assert!(
            run.stdout
                .ends_with(&format!("@{}\n", image.manifest_digest))
        );
        let archived = format!("{address}/archive:1");
        let pushed = done(home.path(), &["push", text(&image.archive), &archived]).stdout;
        let Some(skopeo) = Skopeo::find() else {
            continue;
        };
        assert_eq!(
            skopeo.inspect_digest(&format!("docker://{reference}")),
            image.manifest_digest
        );
        let digest = skopeo.inspect_digest(&format!("docker://{archived}"));
        assert!(pushed.ends_with(&format!("@{digest}\n")), "{pushed}");
        let out = home.path().join(format!("out-{}", address.port()));
        skopeo.copy(
            &format!("docker://{archived}"),
            &format!("oci:{}:1", out.display()),
        );
        fs::remove_dir_all(out).unwrap();
    }
}
