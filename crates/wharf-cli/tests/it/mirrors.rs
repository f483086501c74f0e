//! `--hosts-dir`: reading from mirrors, real registries on both sides.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use wharf_testkit::{DockerRegistry, LayerSpec, LayoutFixture, RecordingProxy};

use crate::common::{Served, command, complaint, done, text, wharf};

/// Writes the entry of a registry into `directory`.
fn says(directory: &Path, registry: SocketAddr, said: &str) {
    let own = directory.join(registry.to_string());
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("hosts.toml"), said).unwrap();
}

/// The number of reads and HEADs of blobs and manifests.
fn reads(proxy: &RecordingProxy) -> usize {
    let requests = proxy.requests();
    let reads = requests
        .iter()
        .filter(|one| one.path() != "/v2/" && matches!(one.method.as_str(), "GET" | "HEAD"));
    reads.count()
}

#[test]
fn the_embedded_registry_is_a_mirror_of_another() {
    let home = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(home.path().join("layout"));
    let layers = [LayerSpec::random(1, 70_000), LayerSpec::random(2, 300_000)];
    let image = fixture.image(Some("1"), &layers);
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let served = Served::start(&home.path().join("registry"));
    let upstream = RecordingProxy::start(registry.address());
    let mirror = RecordingProxy::start(served.address);
    let hosts = home.path().join("hosts");
    let named = format!("[host.\"http://{}\"]\n", mirror.address());
    says(&hosts, upstream.address(), &named);
    let reference = format!("{}/team/app:1", upstream.address());
    let pull = |to: &str| {
        let to = format!("oci:{}", home.path().join(to).display());
        done(
            home.path(),
            &["copy", "--hosts-dir", text(&hosts), "-vv", &reference, &to],
        )
    };

    // A push goes to the registry only.
    let layout = text(fixture.directory());
    done(
        home.path(),
        &["push", "--hosts-dir", text(&hosts), layout, &reference],
    );
    assert_eq!(mirror.lines(), Vec::<String>::new());
    assert!(
        upstream
            .lines()
            .iter()
            .any(|line| line.starts_with("PUT /v2/team/app/manifests/"))
    );

    // The mirror has nothing yet, and is skipped.
    upstream.forget();
    let run = pull("first");
    assert!(reads(&upstream) >= 5, "{:?}", upstream.lines());
    assert!(run.stderr.contains("mirror skipped"), "{}", run.stderr);

    // It has everything, and no other host is asked.
    let own = format!("{}/team/app:1", served.address);
    done(home.path(), &["push", layout, &own]);
    upstream.forget();
    mirror.forget();
    let run = pull("second");
    assert_eq!(upstream.lines(), Vec::<String>::new());
    // The tag, the manifest, the config and two layers.
    assert_eq!(reads(&mirror), 5, "{:?}", mirror.lines());
    let namespace = format!("ns=127.0.0.1%3A{}", upstream.address().port());
    assert!(mirror.lines().iter().all(|line| line.ends_with(&namespace)));
    let said = format!("mirror=\"http://{}/v2/\"", mirror.address());
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    let index = fs::read_to_string(home.path().join("second/index.json")).unwrap();
    assert!(index.contains(&image.manifest_digest), "{index}");

    // Without the flag only the named registry is read.
    mirror.forget();
    let to = format!("oci:{}", home.path().join("third").display());
    done(home.path(), &["copy", &reference, &to]);
    assert_eq!(mirror.lines(), Vec::<String>::new());
}

#[test]
fn a_copy_within_a_registry_reads_from_the_mirror_and_mounts_in_the_registry() {
    let home = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(home.path().join("layout"));
    fixture.image(Some("1"), &[LayerSpec::random(1, 70_000)]);
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let served = Served::start(&home.path().join("registry"));
    let upstream = RecordingProxy::start(registry.address());
    let hosts = home.path().join("hosts");
    let named = format!("[host.\"http://{}\"]\n", served.address);
    says(&hosts, upstream.address(), &named);
    let layout = text(fixture.directory());
    let [from, to] = ["from", "to"].map(|name| format!("{}/{name}:1", upstream.address()));
    done(home.path(), &["push", layout, &from]);
    done(
        home.path(),
        &["push", layout, &format!("{}/from:1", served.address)],
    );
    upstream.forget();
    let run = command(home.path())
        .args(["copy", "--no-cache", &from, &to])
        .env("WHARF_HOSTS_DIR", &hosts)
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let lines = upstream.lines();
    assert!(
        !lines.iter().any(|line| line.contains("/v2/from/")),
        "{lines:?}"
    );
    let mounts = lines
        .iter()
        .filter(|line| line.contains("mount=") && line.contains("from=from"));
    assert_eq!(mounts.count(), 2, "{lines:?}");
}

#[test]
fn a_file_that_makes_no_sense_is_one_line() {
    let home = tempfile::tempdir().unwrap();
    let hosts = home.path().join("hosts");
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    says(&hosts, address, "server = \"https://r.example\"\n[host\n");
    let to = format!("oci:{}", home.path().join("to").display());
    let from = format!("{address}/app:1");
    let run = wharf(
        home.path(),
        &["copy", "--hosts-dir", text(&hosts), &from, &to],
    );
    assert_eq!(run.code, 7, "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    let file = hosts.join("127.0.0.1:1/hosts.toml");
    let expected = format!("{}: line 2, column 6: not TOML: ", file.display());
    assert!(run.stderr.contains(&expected), "{run:?}");

    for arguments in [
        &["copy", "--hosts-dir", "/nowhere", &from, &to][..],
        &["tag", "--hosts-dir", "/nowhere", &from, "2"],
    ] {
        let line = complaint(home.path(), arguments);
        assert_eq!(line, "/nowhere: no such file or directory");
    }
}
