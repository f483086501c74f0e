//! Images that are named by sha512, against real registries.

use std::fs;

use wharf_testkit::{DockerRegistry, LayerSpec, LayoutFixture};

use crate::common::{Served, done, text};

#[test]
fn fault_xsha512_the_printed_reference_can_be_pulled() {
    let home = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(home.path().join("layout"));
    let layers = [LayerSpec::random(1, 5000)];
    let image = fixture.sha512().image(Some("1.0"), &layers);
    let layout = text(fixture.directory());
    let served = Served::start(&home.path().join("registry"));
    let docker = DockerRegistry::start();
    let docker = docker.as_ref().map(DockerRegistry::address);
    for (address, takes) in [(Some(served.address), true), (docker, false)] {
        let Some(address) = address else { continue };
        for tag in ["1", "2"] {
            let to = format!("{address}/app:{tag}");
            let refs = home.path().join("refs");
            let push = ["push", layout, &to, "--image-refs", text(&refs)];
            let run = done(home.path(), &push);
            let printed = run.stdout.trim_end();
            assert_eq!(printed.ends_with(&image.manifest_digest), takes, "{run:?}");
            assert_eq!(fs::read_to_string(&refs).unwrap(), run.stdout.trim_end());
            let copied = home.path().join(format!("{}-{tag}", address.port()));
            let by_digest = format!("oci:{}:d", text(&copied));
            done(home.path(), &["copy", printed, &by_digest]);
            let by_tag = format!("oci:{}:t", text(&copied));
            done(home.path(), &["copy", &to, &by_tag]);
        }
    }
    let file = fixture.blob_path(&image.manifest_digest);
    for address in [Some(served.address), docker].into_iter().flatten() {
        let to = format!("{address}/app:3@{}", image.manifest_digest);
        let put = done(home.path(), &["manifest", "put", &to, text(&file)]);
        let copied = format!(
            "oci:{}",
            text(&home.path().join(format!("put-{}", address.port())))
        );
        done(home.path(), &["copy", put.stdout.trim_end(), &copied]);
    }
    // The tag names the same digest, so that the second run finds all there.
    let to = format!("{}/app:1", served.address);
    let again = done(home.path(), &["push", layout, &to]);
    assert!(again.stderr.contains("already up to date"), "{again:?}");
}
