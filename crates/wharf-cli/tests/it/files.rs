//! `wharf files`: the names that a container would see.

use std::path::Path;

use wharf_testkit::{DockerRegistry, LayoutFixture, RecordingProxy, TarLayer};

use crate::common::{Served, command, complaint, done, text};

fn layout(place: &Path) -> String {
    let lower = TarLayer::new()
        .directory("etc/")
        .file("etc/gone", b"1")
        .file("./etc/motd", b"old")
        .symlink("bin", "usr/bin")
        .directory("usr/")
        .directory("usr/bin/")
        .mode(0o4755)
        .owner(7, 8)
        .file("usr/bin/su", b"12345")
        .hard_link("usr/bin/sudo", "usr/bin/su");
    let upper = TarLayer::new()
        .file("etc/.wh.gone", b"")
        .mode(0o600)
        .modified(0)
        .file("etc/motd", b"hello\n")
        .device("etc/null", 1, 3)
        .file("implied/a-b", b"")
        .file(b"\xff\n", b"");
    let layers = [lower.layer(), upper.layer()];
    LayoutFixture::new(place).image(Some("1"), &layers);
    format!("oci:{}:1", text(place))
}

#[test]
fn paths_come_one_per_line_sorted() {
    let home = tempfile::tempdir().unwrap();
    let from = layout(&home.path().join("layout"));
    let output = command(home.path())
        .args(["files", &from])
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    let expected: &[u8] = b"/bin\n/etc\n/etc/motd\n/etc/null\n/implied/a-b\n/usr\n/usr/bin\n\
        /usr/bin/su\n/usr/bin/sudo\n/\xff\n\n";
    assert_eq!(output.stdout, expected);
    for (path, lines) in [
        ("etc", "/etc\n/etc/motd\n/etc/null\n"),
        ("/etc/motd", "/etc/motd\n"),
        ("bin/", "/usr/bin\n/usr/bin/su\n/usr/bin/sudo\n"),
        ("bin/../../usr/bin/su", "/usr/bin/su\n"),
        ("implied", "/implied/a-b\n"),
    ] {
        assert_eq!(done(home.path(), &["files", &from, path]).stdout, lines);
    }
    let line = complaint(home.path(), &["files", &from, "etc/gone"]);
    assert!(line.ends_with("no file /etc/gone"), "{line}");
}

#[test]
fn a_long_list_has_what_the_layers_say() {
    let home = tempfile::tempdir().unwrap();
    let from = layout(&home.path().join("layout"));
    let output = command(home.path())
        .args(["files", "-l", &from, "/"])
        .output();
    let printed = String::from_utf8_lossy(&output.unwrap().stdout).into_owned();
    let lossy = printed.lines().take(9).collect::<Vec<_>>().join("\n");
    let expected = "\
lrw-r--r-- 0:0   0 2023-11-14T22:13:20Z /bin -> usr/bin
drw-r--r-- 0:0   0 2023-11-14T22:13:20Z /etc
-rw------- 0:0   6 1970-01-01T00:00:00Z /etc/motd
crw------- 0:0 1,3 1970-01-01T00:00:00Z /etc/null
-rw------- 0:0   0 1970-01-01T00:00:00Z /implied/a-b
drw-r--r-- 0:0   0 2023-11-14T22:13:20Z /usr
drw-r--r-- 0:0   0 2023-11-14T22:13:20Z /usr/bin
-rwsr-xr-x 7:8   5 2023-11-14T22:13:20Z /usr/bin/su
-rwsr-xr-x 7:8   5 2023-11-14T22:13:20Z /usr/bin/sudo link to /usr/bin/su";
    assert_eq!(lossy, expected);
}

#[test]
fn programs_get_a_json_object_per_line() {
    let home = tempfile::tempdir().unwrap();
    let from = layout(&home.path().join("layout"));
    let run = done(home.path(), &["files", "--format", "json", &from]);
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), 10);
    for line in [
        r#"{"path":"/bin","type":"symlink","mode":"0644","uid":0,"gid":0,"size":0,"modified":"2023-11-14T22:13:20Z","layer":0,"link":"usr/bin"}"#,
        r#"{"path":"/etc/motd","type":"file","mode":"0600","uid":0,"gid":0,"size":6,"modified":"1970-01-01T00:00:00Z","layer":1}"#,
        r#"{"path":"/etc/null","type":"char","mode":"0600","uid":0,"gid":0,"size":0,"modified":"1970-01-01T00:00:00Z","layer":1,"major":1,"minor":3}"#,
        r#"{"path":"/usr/bin/sudo","type":"hardlink","mode":"4755","uid":7,"gid":8,"size":5,"modified":"2023-11-14T22:13:20Z","layer":0,"link":"/usr/bin/su"}"#,
        "{\"path\":\"/\u{fffd}\\n\",\"path_hex\":\"2fff0a\",\"type\":\"file\",\"mode\":\"0600\",\"uid\":0,\"gid\":0,\"size\":0,\"modified\":\"1970-01-01T00:00:00Z\",\"layer\":1}",
    ] {
        assert!(lines.contains(&line), "{line}\n{}", run.stdout);
    }
}

#[test]
fn each_layer_is_read_once() {
    let home = tempfile::tempdir().unwrap();
    let from = layout(&home.path().join("layout"));
    let served = Served::start(&home.path().join("registry"));
    let docker = DockerRegistry::start();
    let docker = docker.as_ref().map(DockerRegistry::address);
    for address in std::iter::once(served.address).chain(docker) {
        done(
            home.path(),
            &["copy", "-q", &from, &format!("{address}/app:1")],
        );
        let proxy = RecordingProxy::start(address);
        let through = format!("{}/app:1", proxy.address());
        done(home.path(), &["files", &through, "/etc"]);
        let reads = proxy.requests().into_iter();
        let reads = reads.filter(|request| request.target.starts_with("/v2/app/"));
        // The manifest, the config and two layers.
        assert_eq!(reads.count(), 2 + 2, "docs/requests.md");
    }
}
