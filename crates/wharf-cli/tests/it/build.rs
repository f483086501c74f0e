//! `wharf append --file`: images of files, without another tool.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use wharf_testkit::{Child, Flavour, LayerSpec, RecordingProxy, Skopeo};

use crate::common::edits::{
    Registries, blob, config_json, digest, manifest, manifest_json, methods,
};
use crate::common::{command, ran, text, wharf};

const OCI: &str = "application/vnd.oci.image.";

/// An entry of a layer: path, permissions, owner, time, and content or link.
type Entry = (String, u32, (u64, u64), u64, String);

/// Files to build of: a program, a directory with a link, and a file.
fn files(registries: &Registries) -> PathBuf {
    let root = registries.home().join("files");
    fs::create_dir_all(root.join("conf/sub")).unwrap();
    for (name, content) in [
        ("app", "#!"),
        ("conf/one", "1"),
        ("conf/sub/two", "2"),
        ("note", "n"),
    ] {
        fs::write(root.join(name), content).unwrap();
    }
    mode(&root.join("app"), 0o755);
    std::os::unix::fs::symlink("../../../etc/passwd", root.join("conf/up")).unwrap();
    root
}

fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The entries of a layer of an image.
fn layer(address: SocketAddr, name: &str, manifest: &Value, at: usize) -> Vec<Entry> {
    let digest = manifest["layers"][at]["digest"].as_str().unwrap();
    let unpacked = gunzip(&blob(address, name, digest));
    let mut unpacked = tar::Archive::new(unpacked.as_slice());
    let entries = unpacked.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let header = entry.header().clone();
        let mut content = String::new();
        std::io::Read::read_to_string(&mut entry, &mut content).unwrap();
        let link = entry.link_name_bytes().unwrap_or_default();
        content += &String::from_utf8_lossy(&link);
        let owner = (header.uid().unwrap(), header.gid().unwrap());
        (
            path,
            header.mode().unwrap(),
            owner,
            header.mtime().unwrap(),
            content,
        )
    });
    entries.collect()
}

fn entry(path: &str, mode: u32, owner: (u64, u64), content: &str) -> Entry {
    (path.to_owned(), mode, owner, 0, content.to_owned())
}

fn gunzip(packed: &[u8]) -> Vec<u8> {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("packed");
    fs::write(&file, packed).unwrap();
    let input = fs::File::open(&file).unwrap();
    Command::new("gzip")
        .arg("-dc")
        .stdin(input)
        .output()
        .unwrap()
        .stdout
}

/// The architecture of this machine, if it is one of the usual ones.
fn here() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[test]
fn an_image_is_made_of_files_alone() {
    let registries = Registries::start();
    let root = files(&registries);
    let [app, conf, note] =
        ["app", "conf", "note"].map(|name| root.join(name).display().to_string());
    for address in registries.addresses() {
        let to = format!("{address}/built:1");
        let printed = registries.printed(&[
            "append",
            "--oci-empty-base",
            "--file",
            &format!("{app}:/usr/bin/app"),
            "--file",
            &format!("{conf}:/etc/app"),
            "--file",
            &note,
            "--entrypoint",
            "/usr/bin/app",
            "--cmd",
            "-v,x",
            "-e",
            "A=b",
            "--workdir",
            "/w",
            "--user",
            "7:8",
            "-l",
            "team=a",
            "-t",
            &to,
        ]);
        assert!(
            printed.starts_with(&format!("{address}/built@")),
            "{printed}"
        );
        let at = digest(&printed);
        let (_, media_type) = manifest(address, "built", at);
        assert_eq!(media_type, format!("{OCI}manifest.v1+json"));
        let document = manifest_json(address, "built", at);
        let types = ["config", "layers"].map(|field| {
            let first = document[field].get(0).unwrap_or(&document[field]);
            first["mediaType"].as_str().unwrap().to_owned()
        });
        let expected = [
            format!("{OCI}config.v1+json"),
            format!("{OCI}layer.v1.tar+gzip"),
        ];
        assert_eq!(types, expected);
        let config = config_json(address, "built", at);
        assert_eq!(
            (&config["os"], &config["architecture"]),
            (&json!("linux"), &json!(here()))
        );
        assert_eq!(config["created"], json!("1970-01-01T00:00:00Z"));
        let running = json!({"Entrypoint": ["/usr/bin/app"], "Cmd": ["-v", "x"], "Env": ["A=b"],
            "WorkingDir": "/w", "User": "7:8", "Labels": {"team": "a"}});
        assert_eq!(config["config"], running);
        let root = (0, 0);
        let expected = [
            entry("etc/", 0o755, root, ""),
            entry("etc/app/", 0o755, root, ""),
            entry("etc/app/one", 0o644, root, "1"),
            entry("etc/app/sub/", 0o755, root, ""),
            entry("etc/app/sub/two", 0o644, root, "2"),
            entry("etc/app/up", 0o777, root, "../../../etc/passwd"),
            entry("note", 0o644, root, "n"),
            entry("usr/", 0o755, root, ""),
            entry("usr/bin/", 0o755, root, ""),
            entry("usr/bin/app", 0o755, root, "#!"),
        ];
        assert_eq!(layer(address, "built", &document, 0), expected);
        if let Some(skopeo) = Skopeo::find() {
            let found = skopeo.inspect(&format!("docker://{to}"));
            assert_eq!(found["Architecture"], json!(here()));
        }
    }
}

#[test]
fn the_same_files_give_the_same_digest() {
    let registries = Registries::start();
    let root = files(&registries);
    let address = registries.addresses()[0];
    let place = |name: &str| format!("{}:/{name}", root.join(name).display());
    let build = |names: &[&str], epoch: Option<&str>| {
        let mut command = command(registries.home());
        command.args([
            "append",
            "-q",
            "--no-cache",
            "--oci-empty-base",
            "--platform",
            "linux/amd64",
        ]);
        for name in names {
            command.args(["--file", &place(name)]);
        }
        if let Some(epoch) = epoch {
            command.env("SOURCE_DATE_EPOCH", epoch);
        }
        let run = ran(command
            .args(["-t", &format!("{address}/a")])
            .output()
            .unwrap());
        assert_eq!(run.code, 0, "{run:?}");
        run.stdout
    };
    let first = build(&["app", "conf", "note"], None);
    // As after a checkout with another umask, at another time.
    for (name, bits) in [
        ("app", 0o700),
        ("note", 0o600),
        ("conf", 0o700),
        ("conf/one", 0o666),
    ] {
        mode(&root.join(name), bits);
    }
    fs::remove_file(root.join("conf/one")).unwrap();
    fs::write(root.join("conf/one"), "1").unwrap();
    assert_eq!(build(&["note", "conf", "app"], None), first);
    let later = build(&["app", "conf", "note"], Some("1700000000"));
    assert_ne!(later, first);
    let config = config_json(address, "a", digest(later.trim_end()));
    assert_eq!(config["created"], json!("2023-11-14T22:13:20Z"));
    let document = manifest_json(address, "a", digest(later.trim_end()));
    let entries = layer(address, "a", &document, 0);
    assert!(entries.iter().all(|entry| entry.3 == 1_700_000_000));
}

#[test]
fn owner_and_permissions_are_as_asked() {
    let registries = Registries::start();
    let root = files(&registries);
    mode(&root.join("note"), 0o4711);
    let address = registries.addresses()[0];
    let built = |more: &[&str]| {
        let file = format!("{}:/d/note", root.join("note").display());
        let to = format!("{address}/a");
        let arguments = ["append", "--oci-empty-base", "--file", &file, "-t", &to];
        let printed = registries.printed(&[&arguments[..], more].concat());
        let document = manifest_json(address, "a", digest(&printed));
        layer(address, "a", &document, 0).pop().unwrap()
    };
    assert_eq!(built(&[]), entry("d/note", 0o4755, (0, 0), "n"));
    let asked = built(&["--chown", "1000:7", "--chmod", "0640"]);
    assert_eq!(asked, entry("d/note", 0o640, (1000, 7), "n"));
    assert_eq!(
        built(&["--chmod", "keep"]),
        entry("d/note", 0o4711, (0, 0), "n")
    );
    for wrong in [["--chown", "root"], ["--chmod", "u+x"]] {
        let run = wharf(
            registries.home(),
            &[&["append", "-t", "a", "--file", "x"], &wrong[..]].concat(),
        );
        assert!(run.code != 0 && run.stdout.is_empty(), "{run:?}");
        assert!(run.stderr.contains(wrong[0]), "{run:?}");
    }
}

#[test]
fn files_for_several_platforms_make_an_index_and_share_what_is_for_all() {
    let registries = Registries::start();
    let root = files(&registries);
    let [app, conf] = ["app", "conf"].map(|name| root.join(name).display().to_string());
    for address in registries.addresses() {
        let to = format!("{address}/multi:1");
        let printed = registries.printed(&[
            "append",
            "--oci-empty-base",
            "--file",
            &format!("{conf}:/etc/app"),
            "--file",
            &format!("linux/amd64={app}:/app"),
            "--file",
            &format!("linux/arm64={conf}/one:/app"),
            "--entrypoint",
            "/app",
            "-t",
            &to,
        ]);
        let index = manifest_json(address, "multi", digest(&printed));
        assert_eq!(index["mediaType"], json!(format!("{OCI}index.v1+json")));
        let children = index["manifests"].as_array().unwrap();
        let images: Vec<Value> = children
            .iter()
            .map(|child| manifest_json(address, "multi", child["digest"].as_str().unwrap()))
            .collect();
        assert_eq!(images[0]["layers"][0], images[1]["layers"][0]);
        for (at, (architecture, content)) in
            [("amd64", "#!"), ("arm64", "1")].into_iter().enumerate()
        {
            let platform = json!({"architecture": architecture, "os": "linux"});
            assert_eq!(children[at]["platform"], platform);
            let own = layer(address, "multi", &images[at], 1);
            assert_eq!(own.last().unwrap().4, content);
            let config = config_json(address, "multi", children[at]["digest"].as_str().unwrap());
            assert_eq!(config["architecture"], json!(architecture));
            assert_eq!(config["config"]["Entrypoint"], json!(["/app"]));
        }
        // Platforms without files of their own, and one alone, which is an image.
        let two = [
            "append",
            "--platform",
            "linux/arm64,linux/s390x",
            "--file",
            &conf,
            "-t",
            &to,
        ];
        let printed = registries.printed(&two);
        let index = manifest_json(address, "multi", digest(&printed));
        assert_eq!(
            index["mediaType"],
            json!("application/vnd.docker.distribution.manifest.list.v2+json")
        );
        assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
        let one = [
            "append",
            "--file",
            &format!("linux/s390x={conf}"),
            "-t",
            &to,
        ];
        let config = config_json(address, "multi", digest(&registries.printed(&one)));
        assert_eq!(config["architecture"], json!("s390x"));
    }
}

#[test]
fn files_go_upon_a_base_at_the_cost_of_one_layer() {
    let registries = Registries::start();
    let root = files(&registries);
    let app = root.join("app").display().to_string();
    let mut fixture = registries.layout("layout");
    fixture.flavour(Flavour::Oci);
    let base = fixture.image(Some("1"), &[LayerSpec::gzip(&[("a", b"a")])]);
    let amd64 = fixture.child("linux/amd64", &[LayerSpec::gzip(&[("a", b"a")])]);
    let arm64 = fixture.child("linux/arm64", &[LayerSpec::gzip(&[("b", b"b")])]);
    let children = [("linux/amd64", &amd64), ("linux/arm64", &arm64)];
    let children = children.map(|(platform, image)| Child::image(image, platform));
    fixture.index(Some("all"), &children);
    for address in registries.addresses() {
        let proxy = RecordingProxy::start(address);
        let at = |tag: &str| format!("{}/app:{tag}", proxy.address());
        for tag in ["1", "all"] {
            let from = format!("oci:{}:{tag}", text(fixture.directory()));
            registries.done(&["copy", "-q", &from, &at(tag)]);
        }
        let file = format!("{app}:/app");
        proxy.forget();
        registries.printed(&[
            "append",
            "--oci-empty-base",
            "--file",
            &file,
            "-t",
            &at("new"),
        ]);
        if address != registries.addresses()[0] {
            let sent = methods(&proxy);
            assert_eq!(sent.len(), 7, "docs/requests.md: {:?}", proxy.lines());
        }
        proxy.forget();
        let printed =
            registries.printed(&["append", "-b", &at("1"), "--file", &file, "-t", &at("2")]);
        if address != registries.addresses()[0] {
            // The layer and the config, three requests each, and the manifest; and GET of the
            // manifest and the config of the base.
            let sent = methods(&proxy);
            assert_eq!(
                sent.len(),
                3 + 3 + 1 + 2,
                "docs/requests.md: {:?}",
                proxy.lines()
            );
        }
        let document = manifest_json(address, "app", digest(&printed));
        assert_eq!(document["layers"][0]["digest"], json!(base.layers[0].0));
        assert_eq!(layer(address, "app", &document, 1).pop().unwrap().0, "app");

        // Of an index each image gets them, or those that have files of their own.
        let all =
            registries.printed(&["append", "-b", &at("all"), "--file", &file, "-t", &at("2")]);
        let index = manifest_json(address, "app", digest(&all));
        assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
        let own = format!("linux/arm64={app}:/app");
        let one = registries.printed(&["append", "-b", &at("all"), "--file", &own, "-t", &at("2")]);
        let config = config_json(address, "app", digest(&one));
        assert_eq!(config["architecture"], json!("arm64"));
        let missing = format!("linux/s390x={app}:/app");
        let to = at("none");
        let said = registries.complaint(&[
            "append",
            "-q",
            "-b",
            &at("all"),
            "--file",
            &missing,
            "-t",
            &to,
        ]);
        assert!(said.contains("linux/s390x"), "{said}");
        let said = registries.complaint(&[
            "append",
            "-q",
            "-b",
            &at("1"),
            "--file",
            &missing,
            "-t",
            &to,
        ]);
        assert!(
            said.contains("files for linux/s390x, but no image for it"),
            "{said}"
        );
    }
}

#[test]
fn what_no_layer_can_contain_is_named_and_nothing_is_pushed() {
    let registries = Registries::start();
    let root = registries.home().join("evil");
    let at = |name: &str| root.join(name);
    for name in ["sockets", "pipes", "whiteouts", "plain"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(at("sockets/s")).unwrap();
    let made = Command::new("mkfifo").arg(at("pipes/p")).status();
    assert!(made.unwrap().success());
    fs::write(at("whiteouts/.wh.file"), "").unwrap();
    fs::write(at("plain/file"), "x").unwrap();
    fs::write(at("locked"), "x").unwrap();
    mode(&at("locked"), 0o000);
    let mut evil = vec![
        (
            text(&at("sockets")).to_owned(),
            at("sockets/s"),
            "is a socket",
        ),
        (
            text(&at("pipes")).to_owned(),
            at("pipes/p"),
            "is a named pipe",
        ),
        (
            text(&at("pipes/p")).to_owned(),
            at("pipes/p"),
            "is a named pipe",
        ),
        (
            text(&at("whiteouts")).to_owned(),
            at("whiteouts/.wh.file"),
            "whiteout",
        ),
        (text(&at("none")).to_owned(), at("none"), "no such file"),
        ("/dev/null".to_owned(), "/dev/null".into(), "is a device"),
        // A file that has more bytes than it says.
        (
            "/proc/self/status".to_owned(),
            "/proc/self/status".into(),
            "while it was read",
        ),
    ];
    match fs::read(at("locked")) {
        Err(_) => evil.push((
            text(&at("locked")).to_owned(),
            at("locked"),
            "permission denied",
        )),
        Ok(_) => eprintln!("skipped: root reads every file"),
    }
    for address in registries.addresses() {
        let to = format!("{address}/evil:1");
        for (source, path, words) in &evil {
            let file = format!("{source}:/x");
            let run = wharf(
                registries.home(),
                &["append", "-q", "--file", &file, "-t", &to],
            );
            assert_ne!(run.code, 0, "{run:?}");
            assert!(run.stdout.is_empty(), "{run:?}");
            let path = path.display().to_string();
            assert!(
                run.stderr.contains(&path) && run.stderr.contains(words),
                "{path}: {run:?}"
            );
        }
        let plain = text(&at("plain")).to_owned();
        for (files, words) in [
            (
                [format!("{plain}/file:/a"), format!("{plain}/file:/a/b")],
                "/a would be a directory",
            ),
            (
                [format!("{plain}:/a/../b"), plain.clone()],
                "leads through `..`",
            ),
            ([format!("{plain}/file:/"), plain.clone()], ""),
            (
                [format!("{plain}:relative"), plain.clone()],
                "DEST begins with /",
            ),
        ] {
            let arguments = [
                "append", "-q", "--file", &files[0], "--file", &files[1], "-t", &to,
            ];
            let run = wharf(registries.home(), &arguments);
            if words.is_empty() {
                assert_eq!(run.code, 0, "{run:?}");
                registries.done(&["delete", "-q", run.stdout.trim_end()]);
                continue;
            }
            assert_ne!(run.code, 0, "{run:?}");
            assert!(
                run.stderr.contains(words) && run.stdout.is_empty(),
                "{run:?}"
            );
        }
        let run = wharf(registries.home(), &["digest", &to]);
        assert_ne!(run.code, 0, "nothing was pushed: {run:?}");
    }
}

/// A program without libraries, if there is a compiler that makes one.
fn program(registries: &Registries) -> Option<String> {
    let (source, program) = (registries.file("hello.c"), registries.file("hello"));
    let text = "#include <stdio.h>\nint main(void) { puts(\"hello from nothing\"); return 0; }\n";
    fs::write(&source, text).unwrap();
    let made = Command::new("cc")
        .args(["-static", "-o", &program, &source])
        .output();
    match made {
        Ok(made) if made.status.success() => Some(program),
        _ => {
            eprintln!("skipped: no C compiler for static programs");
            None
        }
    }
}

#[test]
fn an_image_of_one_program_runs() {
    let registries = Registries::start();
    let Some(program) = program(&registries) else {
        return;
    };
    let layout = registries.home().join("layout");
    let to = format!("oci:{}:1", text(&layout));
    let file = format!("{program}:/hello");
    registries.done(&[
        "append",
        "-q",
        "--oci-empty-base",
        "--file",
        &file,
        "--entrypoint",
        "/hello",
        "-t",
        &to,
    ]);
    let bundle = registries.home().join("bundle");
    let unpacked = Command::new("umoci")
        .args([
            "unpack",
            "--rootless",
            "--image",
            &format!("{}:1", text(&layout)),
        ])
        .arg(&bundle)
        .output();
    match unpacked {
        Err(_) => eprintln!("skipped: no umoci"),
        Ok(unpacked) => {
            assert!(unpacked.status.success(), "{unpacked:?}");
            let config: Value =
                serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
            assert_eq!(config["process"]["args"], json!(["/hello"]));
            let ran = Command::new("chroot")
                .arg(bundle.join("rootfs"))
                .arg("/hello")
                .output();
            match ran {
                Ok(ran) if ran.status.success() => {
                    assert_eq!(ran.stdout, b"hello from nothing\n");
                }
                _ => eprintln!("skipped: no right to change the root here"),
            }
        }
    }
    podman_runs(&registries, &["--file", &file, "--entrypoint", "/hello"]);
}

/// Loads an image into podman, which runs it where it may.
fn podman_runs(registries: &Registries, built_of: &[&str]) {
    let archive = registries.file("hello.tar");
    let arguments = ["append", "-q", "-t", "hello:1", "-o", &archive];
    registries.done(&[&arguments[..], built_of].concat());
    let [store, state] = ["store", "state"].map(|name| registries.file(name));
    let podman = |arguments: &[&str]| {
        let own = [
            "--root",
            &store,
            "--runroot",
            &state,
            "--storage-driver",
            "vfs",
        ];
        Command::new("podman").args(own).args(arguments).output()
    };
    let Ok(loaded) = podman(&["load", "-i", &archive]) else {
        eprintln!("skipped: no podman");
        return;
    };
    assert!(loaded.status.success(), "{loaded:?}");
    let said = String::from_utf8(loaded.stdout).unwrap();
    let image = said.trim().rsplit(' ').next().unwrap().to_owned();
    assert!(image.ends_with("hello:1"), "{said}");
    let ran = podman(&["run", "--rm", "--network", "none", &image]).unwrap();
    match ran.status.success() {
        true => assert_eq!(ran.stdout, b"hello from nothing\n"),
        false => eprintln!("skipped: podman runs nothing here: {ran:?}"),
    }
}
