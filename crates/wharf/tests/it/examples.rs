//! Every example runs, against Debian's registry, and does what it says.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use wharf::{Client, Digest, Reference, Source};
use wharf_testkit::{DockerRegistry, LayerSpec, LayoutFixture, seeded_bytes};

/// Cargo builds examples beside the directory of test programs.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let directory = test.parent().and_then(Path::parent).unwrap();
    let program = directory.join("examples").join(name);
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.is_file(),
        "{} is not built: run `cargo build -p wharf --examples`, or the tests without `--test`",
        program.display()
    );
    program
}

fn run<S: AsRef<OsStr>>(name: &str, arguments: &[S], stdin: Stdio) -> Output {
    let mut command = Command::new(program(name));
    command.args(arguments).stdin(stdin).output().unwrap()
}

#[test]
fn fault_l7_the_crate_page_links_every_example_and_says_what_ends_a_process() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("src/lib.rs")).unwrap();
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap();
        assert!(page.contains(&format!("[`examples::{name}`]")), "{name}");
    }
    for word in ["[`Client::tidy`], [`Client::save`]", "| [`credentials`] |"] {
        assert!(page.contains(word), "{word}");
    }
}

/// The output of an example, which must succeed.
fn done<S: AsRef<OsStr>>(name: &str, arguments: &[S]) -> (String, String) {
    printed(name, run(name, arguments, Stdio::null()))
}

fn printed(name: &str, output: Output) -> (String, String) {
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{name}: {stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

/// A layout of one image in `directory`, and the digest of its manifest.
fn layout(directory: &Path) -> (String, String) {
    let mut layout = LayoutFixture::new(directory.join("layout"));
    let layers = [LayerSpec::random(1, 50_000), LayerSpec::random(2, 5)];
    let image = layout.image(Some("1.0"), &layers);
    let path = layout.directory().to_str().unwrap().to_owned();
    (path, image.manifest_digest)
}

/// The digest that a reference names at the registry.
async fn digest(reference: &str) -> String {
    let reference: Reference = reference.parse().unwrap();
    let repository = Client::builder().build().unwrap();
    let repository = repository.repository(reference.repository());
    let descriptor = repository.resolve(&reference.selector()).await.unwrap();
    descriptor.digest.to_string()
}

fn at(address: SocketAddr, rest: &str) -> String {
    format!("{address}/{rest}")
}

#[tokio::test]
async fn push_layout_and_progress_push_an_image() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (path, image) = layout(directory.path());
    for (example, said) in [("push_layout", "3 blobs sent"), ("progress", "bytes\n")] {
        let to = at(registry.address(), &format!("{example}:1"));
        let (stdout, stderr) = done(example, &[&path, &to]);
        let name = at(registry.address(), example);
        assert_eq!(stdout, format!("{name}@{image}\n"));
        assert!(stderr.contains(said), "{stderr}");
        assert_eq!(digest(&to).await, image);
    }
}

#[tokio::test]
async fn push_two_pushes_to_two_registries_and_says_what_failed() {
    let (Some(one), Some(two)) = (DockerRegistry::start(), DockerRegistry::start()) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (path, image) = layout(directory.path());
    let (first, second) = (at(one.address(), "app:1"), at(two.address(), "app:1"));
    let (stdout, _) = done("push_two", &[&path, &first, &second]);
    assert_eq!(stdout.lines().count(), 2);
    assert_eq!(digest(&first).await, image);
    assert_eq!(digest(&second).await, image);

    let missing = format!("app@{}", Digest::of(b"another"));
    let refused = at(two.address(), &missing);
    let output = run("push_two", &[&path, &first, &refused], Stdio::null());
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("Error: Invalid: "), "{stderr}");
}

#[tokio::test]
async fn push_generated_makes_the_same_image_of_the_same_tree() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("hello"), "hello\n").unwrap();
    let path = directory.path().to_str().unwrap();
    let to = at(registry.address(), "app:1");
    let (first, _) = done("push_generated", &[path, &to]);
    let (again, _) = done("push_generated", &[path, &to]);
    assert_eq!(first, again);
    assert!(
        first.ends_with(&format!("{}\n", digest(&to).await)),
        "{first}"
    );
}

#[tokio::test]
async fn stream_layer_takes_a_tar_from_standard_input() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    // It need not be a tar.
    let (tar, file) = (seeded_bytes(1, 5000), directory.path().join("tar"));
    std::fs::write(&file, &tar).unwrap();
    let stdin = std::fs::File::open(&file).unwrap().into();
    let to = at(registry.address(), "app");
    let output = run("stream_layer", &[&to], stdin);
    let (stdout, _) = printed("stream_layer", output);
    let diff_id = format!("diff-id {}", Digest::of(&tar));
    assert_eq!(stdout.lines().last(), Some(diff_id.as_str()));
}

#[tokio::test]
async fn attach_artifact_makes_a_referrer() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (path, image) = layout(directory.path());
    let to = at(registry.address(), "app:1");
    done("push_layout", &[&path, &to]);
    let file = directory.path().join("sbom.json");
    std::fs::write(&file, "{}").unwrap();
    let arguments = [&to, file.to_str().unwrap(), "application/spdx+json"];
    let (stdout, stderr) = done("attach_artifact", &arguments);
    let artifact: Reference = stdout.trim().parse().unwrap();
    let attached = artifact.digest().unwrap().to_string();
    assert_eq!(stderr, format!("attached: {attached}\n"));

    let client = Client::builder().build().unwrap();
    let repository = client.repository(artifact.repository());
    let referrers = repository.referrers(&image.parse().unwrap()).await.unwrap();
    let types: Vec<String> = referrers
        .iter()
        .filter_map(|referrer| referrer.artifact_type.as_ref())
        .map(ToString::to_string)
        .collect();
    assert_eq!(types, ["application/spdx+json"]);
}

#[tokio::test]
async fn fault_l1_read_image_prints_a_file_of_an_image() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(directory.path().join("layout"));
    layout.image(Some("1"), &[LayerSpec::gzip(&[("etc/hello", b"hello\n")])]);
    let to = at(registry.address(), "app:1");
    done("push_layout", &[layout.directory().to_str().unwrap(), &to]);
    let (stdout, stderr) = done("read_image", &[to.as_str(), "/etc/hello"]);
    assert_eq!(stdout, "hello\n");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{stderr}");
    assert_eq!(lines[0], "platform linux/amd64");
    assert_eq!(lines[2], "file /etc/hello of 6 bytes");
}

#[tokio::test]
async fn fault_l4_push_on_base_mounts_the_layers_of_the_base() {
    let Some(registry) = DockerRegistry::start() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = layout(directory.path());
    let base = at(registry.address(), "base:1");
    done("push_layout", &[&path, &base]);
    let app = tempfile::tempdir().unwrap();
    std::fs::write(app.path().join("app"), "an app").unwrap();
    let to = at(registry.address(), "app:1");
    let arguments = [base.as_str(), app.path().to_str().unwrap(), &to];
    let (stdout, stderr) = done("push_on_base", &arguments);
    assert_eq!(stderr, "2 blobs mounted\n");
    let name = at(registry.address(), "app");
    assert_eq!(stdout, format!("{name}@{}\n", digest(&to).await));
}
