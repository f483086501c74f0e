//! `wharf export`: from every kind of place, to standard output and to files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use wharf_testkit::{
    Answer, ArchiveStyle, Child, DockerArchive, DockerImage, DockerRegistry, FaultServer,
    LayerSpec, LayoutFixture, RecordingProxy,
};

use crate::common::said::{EMPTY, IMAGE, Login, MANIFEST, Place, with_image};
use crate::common::{Run, Served, command, complaint, done, piped, text, wharf};

const LOWER: &[(&str, &[u8])] = &[("etc/motd", b"old"), ("etc/gone", b"1"), ("opt/x", b"2")];
const UPPER: &[(&str, &[u8])] = &[
    ("etc/motd", b"new"),
    ("etc/.wh.gone", b""),
    ("opt/.wh..wh..opq", b""),
    ("opt/y", b"3"),
];

/// What the two layers are together.
fn expected() -> BTreeMap<String, String> {
    let files = [("etc/motd", "new"), ("opt/y", "3")];
    let owned = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
    files.into_iter().map(owned).collect()
}

/// Files and their content, as `tar` unpacks them.
fn unpacked(tar: &Path) -> BTreeMap<String, String> {
    let place = tempfile::tempdir().unwrap();
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(tar).arg("-C").arg(place.path());
    assert!(unpack.status().unwrap().success());
    let (mut files, mut folders) = (BTreeMap::new(), vec![place.path().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(place.path()).unwrap();
            files.insert(text(name).to_owned(), fs::read_to_string(&path).unwrap());
        }
    }
    files
}

fn unpacked_output(run: &Run) -> BTreeMap<String, String> {
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let place = tempfile::tempdir().unwrap();
    let tar = place.path().join("out.tar");
    fs::write(&tar, &run.stdout).unwrap();
    unpacked(&tar)
}

fn layers() -> Vec<LayerSpec> {
    vec![LayerSpec::zstd(LOWER), LayerSpec::gzip(UPPER)]
}

#[test]
fn layers_of_every_kind_of_place_are_merged() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("layout");
    let mut layout = LayoutFixture::new(&place);
    let image = layout.image(None, &layers());
    let other = layout.child("windows/amd64", &[LayerSpec::gzip(&[("other", b"")])]);
    let children = [
        Child::image(&other, "windows/amd64"),
        Child::image(&image, "linux/amd64"),
    ];
    layout.index(Some("1"), &children);
    let layout = format!("oci:{}:1", text(&place));
    let run = wharf(home.path(), &["export", &layout]);
    assert_eq!(unpacked_output(&run), expected());

    let served = Served::start(&home.path().join("registry"));
    let docker = DockerRegistry::start();
    let docker = docker.as_ref().map(DockerRegistry::address);
    for address in std::iter::once(served.address).chain(docker) {
        let at = format!("{address}/app:1");
        done(home.path(), &["copy", "-q", &layout, &at]);
        let proxy = RecordingProxy::start(address);
        let through = format!("{}/app:1", proxy.address());
        let run = wharf(home.path(), &["export", &through, "-"]);
        assert_eq!(unpacked_output(&run), expected());
        // Index, image and config; two layers, each once.
        let reads = proxy.requests().into_iter();
        let reads = reads.filter(|request| request.target.starts_with("/v2/app/"));
        let methods: Vec<String> = reads.map(|request| request.method).collect();
        assert_eq!(methods, ["GET", "GET", "GET", "GET", "GET"]);
        let run = wharf(home.path(), &["export", "--platform", "windows/amd64", &at]);
        assert_eq!(
            unpacked_output(&run).into_keys().collect::<Vec<_>>(),
            ["other"]
        );
    }
    assert_eq!(served.terminate(), Some(0));

    let archive = home.path().join("saved.tar");
    let saved = DockerImage::new(&["app:1"]).layer(LOWER).layer(UPPER);
    for style in ArchiveStyle::ALL {
        DockerArchive::new(style)
            .image(saved.clone())
            .write(&archive);
        let bytes = fs::read(&archive).unwrap();
        let named = format!("docker-archive:{}", text(&archive));
        for run in [
            wharf(home.path(), &["export", &named]),
            wharf(home.path(), &["export", text(&archive)]),
            piped(home.path(), &["export", "-"], &bytes),
            piped(home.path(), &["export", "-", "-"], &bytes),
        ] {
            assert_eq!(unpacked_output(&run), expected(), "{style:?}");
        }
    }
}

#[test]
fn a_file_is_replaced_only_by_a_whole_tar() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("layout");
    let mut layout = LayoutFixture::new(&place);
    let image = layout.image(Some("1"), &layers());
    let from = format!("oci:{}:1", text(&place));
    let to = home.path().join("out.tar");
    done(home.path(), &["export", &from, text(&to)]);
    assert_eq!(unpacked(&to), expected());

    fs::write(&to, "before").unwrap();
    layout.corrupt(&image.layers[1].0);
    let said = complaint(home.path(), &["export", &from, text(&to)]);
    assert!(said.contains(&image.layers[1].0), "{said}");
    assert_eq!(fs::read(&to).unwrap(), b"before");
    let left = fs::read_dir(home.path()).unwrap();
    let hidden = left.filter(|entry| text(&entry.as_ref().unwrap().path()).contains(".wharf-"));
    assert_eq!(hidden.count(), 0);
    // Nothing of it is on standard output either.
    let run = wharf(home.path(), &["export", &from]);
    assert_eq!((run.code, run.stdout.as_str()), (7, ""), "{run:?}");
}

#[test]
fn content_that_is_no_layer_comes_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("layout");
    let mut layout = LayoutFixture::new(&place);
    let chart = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    for (tag, media_type) in [("1", "application/octet-stream"), ("2", chart)] {
        layout.image(Some(tag), &[LayerSpec::bytes(media_type, b"hello\n")]);
        let from = format!("oci:{}:{tag}", text(&place));
        assert_eq!(done(home.path(), &["export", &from]).stdout, "hello\n");
    }
}

#[test]
fn what_cannot_be_exported_is_said_in_a_line() {
    let home = tempfile::tempdir().unwrap();
    let said = complaint(home.path(), &["export", "oci:nothing"]);
    assert!(said.contains("nothing"), "{said}");
    let place = home.path().join("layout");
    LayoutFixture::new(&place).image(Some("1"), &layers());
    let from = format!("oci:{}:1", text(&place));
    let said = complaint(home.path(), &["export", &from, "no/such/folder/out.tar"]);
    assert!(said.starts_with("no/such/folder/out.tar: "), "{said}");
    let run = command(home.path()).arg("export").output().unwrap();
    assert_ne!(run.status.code(), Some(0));
    assert!(run.stdout.is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn fault_xexport_a_full_disk_is_named_by_its_file() {
    let home = tempfile::tempdir().unwrap();
    let mut fixture = LayoutFixture::new(home.path().join("layout"));
    fixture.image(Some("1"), &layers());
    let from = format!("oci:{}:1", text(fixture.directory()));
    let run = wharf(home.path(), &["export", &from, "/dev/full"]);
    // What was written is lost, so that the next run begins anew.
    assert_eq!(
        run.complaint(),
        "/dev/full: no space left on device (free some space)"
    );
}

#[test]
fn fault_xexport_a_run_that_was_cut_off_does_not_say_that_the_next_sends_less() {
    let layer = format!(
        r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{EMPTY}","size":2}}"#
    );
    let manifest = MANIFEST.replace(r#""layers":[]"#, &format!(r#""layers":[{layer}]"#));
    let manifest = Answer::status(200)
        .header("Content-Type", IMAGE)
        .body(manifest);
    let cut = Answer::status(200).body("{}").cut_body_after(1);
    let script = with_image(cut).on("*", "*/manifests/*", [manifest]);
    let server = FaultServer::start(script);
    let host = server.address().to_string();
    let at = format!("{host}/a/b:1");
    let line = Place::new().said_of(&host, &["export", &at], Login::None);
    assert!(line.contains("connection to HOST "), "{line}");
    assert!(!line.contains("running it again"), "{line}");
}
