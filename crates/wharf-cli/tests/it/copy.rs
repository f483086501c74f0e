//! `wharf copy` with its own flags, from and to real registries.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use wharf_testkit::{
    Child, DockerRegistry, ImageFixture, LayerSpec, LayoutFixture, RecordingProxy, sha256_hex,
};

use crate::common::wire::{Answer, fetch, send};
use crate::common::{Run, Served, done, text, wharf};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A repository `app` in each registry that is available, with an image as `1`.
struct Place {
    home: tempfile::TempDir,
    served: Served,
    docker: Option<DockerRegistry>,
    layout: LayoutFixture,
    image: ImageFixture,
}

impl Place {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut layout = LayoutFixture::new(home.path().join("layout"));
        let image = layout.image(Some("1"), &[LayerSpec::random(1, 3000)]);
        Place {
            served: Served::start(&home.path().join("registry")),
            docker: DockerRegistry::start(),
            layout,
            image,
            home,
        }
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    /// Each pair of different registries, as source and destination.
    fn pairs(&self) -> Vec<(SocketAddr, SocketAddr)> {
        let ours = self.served.address;
        let Some(docker) = self.docker.as_ref().map(DockerRegistry::address) else {
            return vec![(ours, ours)];
        };
        vec![
            (ours, docker),
            (docker, ours),
            (ours, ours),
            (docker, docker),
        ]
    }

    /// Both registries.
    fn addresses(&self) -> Vec<SocketAddr> {
        let docker = self.docker.as_ref().map(DockerRegistry::address);
        std::iter::once(self.served.address).chain(docker).collect()
    }

    fn done(&self, arguments: &[&str]) -> Run {
        done(self.home(), arguments)
    }

    /// Pushes what the layout has under a tag.
    fn push(&self, tag: &str, to: &str) {
        let from = format!("oci:{}:{tag}", text(self.layout.directory()));
        self.done(&["push", "-q", &from, to]);
    }

    /// Puts an artifact about `subject`, by digest or under the tag of `to`, and returns its digest.
    fn artifact(&self, to: &str, subject: Option<&str>, note: &str) -> String {
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {
                "mediaType": "application/vnd.example.note",
                "digest": self.image.config_digest,
                "size": self.image.config_size,
            },
            "layers": [],
            "annotations": { "note": note },
        });
        if let Some(subject) = subject {
            let size = self.layout.read(subject).len();
            manifest["subject"] =
                json!({ "mediaType": OCI_MANIFEST, "digest": subject, "size": size });
        }
        let bytes = manifest.to_string();
        let digest = format!("sha256:{}", sha256_hex(bytes.as_bytes()));
        let file = self.layout.blob_path(&digest);
        fs::write(&file, bytes).unwrap();
        let put = ["manifest", "put", "-q", to, text(&file)];
        assert!(self.done(&put).stdout.contains(&digest));
        digest
    }
}

fn manifest(address: SocketAddr, name: &str, at: &str) -> Answer {
    fetch(address, &format!("/v2/{name}/manifests/{at}"))
}

/// The digest of what a tag names, if there is one.
fn digest(address: SocketAddr, name: &str, tag: &str) -> Option<String> {
    let answer = manifest(address, name, tag);
    let digest = answer.header("docker-content-digest");
    digest.filter(|_| answer.status == 200).map(str::to_owned)
}

/// The methods of the requests to repositories, sorted.
fn methods(proxy: &RecordingProxy) -> Vec<String> {
    let requests = proxy.requests().into_iter();
    let requests = requests.filter(|request| request.target != "/v2/");
    let mut methods: Vec<String> = requests.map(|request| request.method).collect();
    methods.sort();
    methods
}

/// How many tags `app` has.
fn tags_of(address: SocketAddr) -> usize {
    let list: Value = serde_json::from_slice(&fetch(address, "/v2/app/tags/list").body).unwrap();
    list["tags"].as_array().unwrap().len()
}

fn tag_of(digest: &str, suffix: &str) -> String {
    format!("{}{suffix}", digest.replace(':', "-"))
}

/// The digests of the referrers that a registry lists, itself or under the fallback tag.
fn referrers(address: SocketAddr, name: &str, subject: &str) -> BTreeSet<String> {
    let mut answer = fetch(address, &format!("/v2/{name}/referrers/{subject}"));
    if answer.status != 200 {
        answer = manifest(address, name, &tag_of(subject, ""));
    }
    let list: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let listed = list["manifests"].as_array().cloned().unwrap_or_default();
    let digests = listed.iter().map(|one| one["digest"].as_str());
    digests.map(|one| one.unwrap().to_owned()).collect()
}

/// Whether a layout has content of this digest.
fn blob(layout: &Path, digest: &str) -> bool {
    layout.join("blobs").join(digest.replace(':', "/")).exists()
}

/// Deletes a blob of the embedded registry.
fn lose(address: SocketAddr, name: &str, digest: &str) {
    let answer = send(address, "DELETE", &format!("/v2/{name}/blobs/{digest}"));
    assert_eq!(answer.status, 202);
}

#[test]
fn all_tags_of_a_repository_are_copied_with_their_digests() {
    let mut place = Place::new();
    let arm64 = place
        .layout
        .child("linux/arm64", &[LayerSpec::random(2, 100)]);
    let inner = place
        .layout
        .child_index(&[Child::image(&arm64, "linux/arm64")]);
    let index = place.layout.index(Some("all"), &[Child::content(&inner)]);
    let image = place.image.manifest_digest.clone();
    for (number, (from, to)) in place.pairs().into_iter().enumerate() {
        let name = format!("copied{number}");
        let app = format!("{from}/app");
        for tag in ["1", "all"] {
            place.push(tag, &format!("{app}:{tag}"));
        }
        let signature = tag_of(&image, ".sig");
        let signed = place.artifact(&format!("{app}:{signature}"), None, "signed");
        let other = format!("{to}/{name}");
        // A platform makes no difference.
        let flags = ["copy", "-a", "--platform", "linux/arm64", "-j2"];
        let run = place.done(&[&flags[..], &[&app, &other]].concat());
        assert_eq!(run.stdout, "");
        for (tag, expected) in [("1", &image), ("all", &index.digest), (&signature, &signed)] {
            assert_eq!(digest(to, &name, tag).as_ref(), Some(expected), "{run:?}");
        }
        let child = manifest(to, &name, &arm64.manifest_digest);
        assert_eq!(child.status, 200);
        let proxies = [from, to].map(RecordingProxy::start);
        let [from_proxy, to_proxy] = &proxies;
        let again = [
            format!("{}/app", from_proxy.address()),
            format!("{}/{name}", to_proxy.address()),
        ];
        let again = place.done(&["cp", "--all-tags", &again[0], &again[1]]);
        let sent = proxies.each_ref().map(methods);
        let heads = vec!["HEAD".to_owned(); tags_of(from)];
        assert_eq!(
            sent,
            [[vec!["GET".to_owned()], heads.clone()].concat(), heads]
        );
        let same = again.stderr.matches("already up to date").count();
        assert_eq!(same, again.stderr.lines().count(), "{again:?}");
    }
    let wrong = wharf(
        place.home(),
        &["copy", "-a", "localhost:1/app:1", "localhost:1/b"],
    );
    assert!(wrong.complaint().contains("a repository has no tag"));
}

#[test]
fn of_all_tags_one_that_fails_stops_no_other() {
    let mut place = Place::new();
    let lost = place.layout.image(Some("2"), &[LayerSpec::random(5, 100)]);
    place.layout.image(Some("3"), &[LayerSpec::random(6, 100)]);
    let ours = place.served.address;
    let app = format!("{ours}/app");
    for tag in ["1", "2", "3"] {
        place.push(tag, &format!("{app}:{tag}"));
    }
    lose(ours, "app", &lost.layers[0].0);
    for (number, to) in place.addresses().into_iter().enumerate() {
        let name = format!("rest{number}");
        let run = wharf(place.home(), &["copy", "-a", &app, &format!("{to}/{name}")]);
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?}");
        let failed = run
            .stderr
            .lines()
            .filter(|line| line.starts_with("wharf: "));
        let failed: Vec<&str> = failed.collect();
        assert_eq!(failed.len(), 1, "{run:?}");
        assert!(failed[0].starts_with("wharf: tag 2: "), "{run:?}");
        let there = ["1", "2", "3"].map(|tag| digest(to, &name, tag).is_some());
        assert_eq!(there, [true, false, true]);
    }
}

#[test]
fn referrers_are_copied_with_those_of_children_and_of_each_other() {
    let mut place = Place::new();
    let arm64 = place
        .layout
        .child("linux/arm64", &[LayerSpec::random(2, 100)]);
    let child = arm64.manifest_digest.clone();
    place
        .layout
        .index(Some("all"), &[Child::image(&arm64, "linux/arm64")]);
    let index = place
        .layout
        .index(Some("all"), &[Child::image(&arm64, "linux/arm64")]);
    for (number, (from, to)) in place.pairs().into_iter().enumerate() {
        let (app, name) = (format!("{from}/app{number}"), format!("copied{number}"));
        place.push("1", &format!("{app}:base"));
        place.push("all", &format!("{app}:1"));
        let sbom = place.artifact(&app, Some(&child), "sbom");
        let signed = place.artifact(&app, Some(&sbom), "signature of the sbom");
        let whole = place.artifact(&app, Some(&index.digest), "of the index");
        // Two that sign each other.
        let tagged = |digest: &str, suffix: &str| format!("{app}:{}", tag_of(digest, suffix));
        let first = place.artifact(&tagged(&index.digest, ".att"), None, "attested");
        let second = place.artifact(&tagged(&first, ".sig"), None, "signed");
        place.done(&["tag", &format!("{app}@{first}"), &tag_of(&second, ".sig")]);
        let other = format!("{to}/{name}:1");
        let run = place.done(&["copy", &format!("{app}:1"), &other]);
        assert_eq!(referrers(to, &name, &child), BTreeSet::new(), "{run:?}");

        let run = place.done(&["copy", "--referrers", &format!("{app}:1"), &other]);
        assert_eq!(run.stdout, "");
        assert!(run.stderr.contains(" 5 referrers copied"), "{run:?}");
        assert_eq!(digest(to, &name, "1").as_ref(), Some(&index.digest));
        for (subject, referrer) in [(&child, &sbom), (&sbom, &signed), (&index.digest, &whole)] {
            let listed = referrers(to, &name, subject);
            assert_eq!(listed, BTreeSet::from([referrer.clone()]), "{run:?}");
            assert_eq!(manifest(to, &name, referrer).status, 200);
        }
        for (subject, suffix, expected) in [
            (&index.digest, ".att", &first),
            (&first, ".sig", &second),
            (&second, ".sig", &first),
        ] {
            let found = digest(to, &name, &tag_of(subject, suffix));
            assert_eq!(found.as_ref(), Some(expected), "{run:?}");
        }
    }
}

#[test]
fn a_list_under_the_fallback_tag_counts_where_the_registry_lists_none() {
    let place = Place::new();
    let image = &place.image.manifest_digest;
    for (number, (from, to)) in place.pairs().into_iter().enumerate() {
        let (app, name) = (format!("{from}/old{number}"), format!("copied{number}"));
        place.push("1", &format!("{app}:1"));
        let old = place.artifact(&app, None, "put before the registry listed any");
        let size = place.layout.read(&old).len();
        let list = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{ "mediaType": OCI_MANIFEST, "digest": old, "size": size }],
        });
        let file = place.home().join("list");
        fs::write(&file, list.to_string()).unwrap();
        let tag = format!("{app}:{}", tag_of(image, ""));
        place.done(&["manifest", "put", "-q", &tag, text(&file)]);
        let other = format!("{to}/{name}:1");
        let run = place.done(&["copy", "--referrers", &format!("{app}:1"), &other]);
        assert!(run.stderr.contains(" 1 referrer copied"), "{run:?}");
        assert_eq!(manifest(to, &name, &old).status, 200);
    }
}

#[test]
fn a_referrer_that_fails_fails_the_command_after_the_rest() {
    let place = Place::new();
    let ours = place.served.address;
    let app = format!("{ours}/app");
    place.push("1", &format!("{app}:1"));
    let image = &place.image.manifest_digest;
    let good = place.artifact(&app, Some(image), "good");
    let blob = place.home().join("blob");
    fs::write(&blob, "lost").unwrap();
    place.done(&["blob", "push", "-q", &app, text(&blob)]);
    let lost = format!("sha256:{}", sha256_hex(b"lost"));
    let bytes = fs::read_to_string(place.layout.blob_path(&good)).unwrap();
    let bad = bytes.replace(&place.image.config_digest, &lost);
    let bad = bad.replace(
        &format!("\"size\":{}}},\"layers\"", place.image.config_size),
        "\"size\":4},\"layers\"",
    );
    let file = place.home().join("bad");
    fs::write(&file, &bad).unwrap();
    let put = place.done(&["manifest", "put", "-q", &app, text(&file)]);
    lose(ours, "app", &lost);
    for (number, to) in place.addresses().into_iter().enumerate() {
        let name = format!("some{number}");
        let other = format!("{to}/{name}:1");
        let run = wharf(
            place.home(),
            &["copy", "--referrers", &format!("{app}:1"), &other],
        );
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{run:?} {put:?}");
        assert!(run.stderr.contains(" 1 referrer copied"), "{run:?}");
        assert!(run.stderr.contains(&lost), "{run:?}");
        assert_eq!(digest(to, &name, "1").as_ref(), Some(image));
        assert_eq!(referrers(to, &name, image), BTreeSet::from([good.clone()]));
    }
}

#[test]
fn an_image_without_referrers_costs_the_questions_for_them() {
    let place = Place::new();
    for address in place.addresses() {
        let proxy = RecordingProxy::start(address);
        let app = format!("{}/app", proxy.address());
        place.push("1", &format!("{app}:1"));
        place.done(&["copy", &format!("{app}:1"), &format!("{address}/other:1")]);
        proxy.forget();
        let copy = [
            "copy",
            "--referrers",
            &format!("{app}:1"),
            &format!("{address}/other:1"),
        ];
        let run = place.done(&copy);
        assert!(run.stderr.contains(" 0 referrers copied"), "{run:?}");
        let requests = proxy.requests().into_iter();
        let mut methods: Vec<String> = requests.map(|request| request.method).collect();
        methods.sort();
        // The tag; the list, in the second registry also under the tag; five tags of the digest.
        let lists = match address == place.served.address {
            true => &["GET"][..],
            false => &["GET", "GET"],
        };
        let expected = [lists, &["HEAD"; 5]].concat();
        assert_eq!(methods, expected);
    }
}

#[test]
fn the_rate_is_a_bound_and_changes_nothing_else() {
    let place = Place::new();
    for (number, (from, to)) in place.pairs().into_iter().enumerate() {
        let (app, name) = (format!("{from}/app:1"), format!("slow{number}"));
        place.push("1", &app);
        let other = format!("{to}/{name}:1");
        place.done(&["copy", "--limit-rate", "1M", &app, &other]);
        let image = &place.image.manifest_digest;
        assert_eq!(digest(to, &name, "1").as_ref(), Some(image));
    }
    let wrong = wharf(
        place.home(),
        &["copy", "--limit-rate", "0", "a.b/c", "a.b/d"],
    );
    assert!(wrong.complaint().contains("not a number of bytes"));
}

#[test]
fn no_clobber_overwrites_no_tag_and_with_all_tags_skips_it() {
    let mut place = Place::new();
    let second = place.layout.image(Some("2"), &[LayerSpec::random(7, 100)]);
    let (first, second) = (place.image.manifest_digest.clone(), second.manifest_digest);
    for (number, (from, to)) in place.pairs().into_iter().enumerate() {
        let (app, name) = (format!("{from}/app"), format!("kept{number}"));
        for tag in ["1", "2"] {
            place.push(tag, &format!("{app}:{tag}"));
        }
        let proxy = RecordingProxy::start(to);
        let other = format!("{}/{name}", proxy.address());
        place.done(&["copy", "-n", &format!("{app}:1"), &format!("{other}:1")]);
        assert_eq!(digest(to, &name, "1").as_ref(), Some(&first));
        // Also where it is the same.
        for source in ["1", "2"] {
            proxy.forget();
            let copy = [
                "copy",
                "-n",
                &format!("{app}:{source}"),
                &format!("{other}:1"),
            ];
            let run = wharf(place.home(), &copy);
            let said = format!("{other}: tag 1 is there already, and is not overwritten");
            assert_eq!(run.complaint(), said);
            let requests = proxy.requests();
            assert!(
                requests.iter().all(|request| request.method == "HEAD"),
                "{requests:?}"
            );
        }
        let by_digest = format!("{other}@{second}");
        place.done(&["copy", "--no-clobber", &format!("{app}:2"), &by_digest]);
        place.done(&["tag", &format!("{app}:2"), "1"]);
        let run = place.done(&["copy", "-a", "-n", &app, &other]);
        assert!(run.stderr.contains(":1  is there already"), "{run:?}");
        let there = ["1", "2"].map(|tag| digest(to, &name, tag).unwrap());
        assert_eq!(there, [first.clone(), second.clone()]);
    }
}

#[test]
fn several_platforms_make_a_smaller_index_and_sparse_keeps_the_index() {
    let mut place = Place::new();
    let platforms = ["linux/amd64", "linux/arm64", "linux/s390x"];
    let mut children = Vec::new();
    for (seed, platform) in (10..).zip(platforms) {
        let image = place
            .layout
            .child(platform, &[LayerSpec::random(seed, 100)]);
        children.push((Child::image(&image, platform), image.manifest_digest));
    }
    let links: Vec<Child> = children.iter().map(|(child, _)| child.clone()).collect();
    let index = place.layout.index(Some("all"), &links);
    let all: Vec<String> = children.into_iter().map(|(_, digest)| digest).collect();
    for (number, (from, to)) in place.pairs().into_iter().enumerate() {
        let (app, name) = (format!("{from}/app{number}:1"), format!("part{number}"));
        place.push("all", &app);
        let other = format!("{to}/{name}:1");
        let two = ["--platform", "linux/s390x", "--platform=linux/amd64"];
        let run = place.done(&[&["copy"], &two[..], &[&app, &other]].concat());
        assert_eq!(run.stdout, "");
        let made = manifest(to, &name, "1");
        let digest_made = format!("sha256:{}", sha256_hex(&made.body));
        let said = format!("an index with 2 of 3 manifests: {digest_made}\n");
        assert!(run.stderr.starts_with(&said), "{run:?}");
        let made: Value = serde_json::from_slice(&made.body).unwrap();
        let whole: Value = serde_json::from_slice(&place.layout.read(&index.digest)).unwrap();
        let kept = [0, 2].map(|at: usize| whole["manifests"][at].clone());
        assert_eq!(made["manifests"], json!(kept));
        assert_eq!(made["mediaType"], whole["mediaType"]);
        let there = |name: &str| {
            let found = all
                .iter()
                .map(|child| manifest(to, name, child).status == 200);
            found.collect::<Vec<_>>()
        };
        assert_eq!(there(&name), [true, false, true]);
        // The same again costs nothing.
        let run = place.done(&[
            "copy",
            "--platform",
            "linux/s390x,linux/amd64",
            &app,
            &other,
        ]);
        assert!(run.stderr.contains("already up to date"), "{run:?}");

        let sparse = format!("sparse{number}");
        let other = format!("{to}/{sparse}:1");
        let copy = [
            "copy",
            "--sparse",
            "--platform",
            "linux/arm64",
            &app,
            &other,
        ];
        // Both registries want all children: ours answers 404, the other one 400.
        let code = if to == place.served.address { 3 } else { 6 };
        let run = wharf(place.home(), &copy);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{run:?}");
        assert!(
            run.stderr.contains("without --sparse a smaller index"),
            "{run:?}"
        );
        assert_eq!(digest(to, &sparse, "1"), None);
        assert_eq!(there(&sparse), [false, true, false]);

        let layout = place.home().join(&sparse);
        let at = format!("oci:{}:1", text(&layout));
        let has = || {
            all.iter()
                .map(|digest| blob(&layout, digest))
                .collect::<Vec<_>>()
        };
        let run = place.done(&["copy", "--sparse", "--platform", "linux/arm64", &app, &at]);
        assert!(
            run.stderr
                .starts_with("the index stays as it is, with 1 of 3 "),
            "{run:?}"
        );
        assert!(blob(&layout, &index.digest));
        assert_eq!(has(), [false, true, false]);
        place.done(&["copy", "--sparse", "--platform", platforms[0], &app, &at]);
        assert_eq!(has(), [true, true, false]);
        place.done(&["copy", "--force", &app, &at]);
        assert_eq!(has(), [true; 3]);
        let none = ["copy", "--platform", "a/b,linux/386", &app, &other];
        let none = wharf(place.home(), &none);
        assert!(
            none.stderr.contains("no image for a/b, linux/386"),
            "{none:?}"
        );
        // Of a list each platform is wanted, and nothing moves without one of them.
        let lacking = format!("lacking{number}");
        let other = format!("{to}/{lacking}:1");
        for flags in [&["copy"][..], &["copy", "--sparse"]] {
            let some = [
                flags,
                &["--platform", "linux/386,linux/arm64", &app, &other],
            ]
            .concat();
            let run = wharf(place.home(), &some);
            let said = "no image for linux/386, there is: linux/amd64, linux/arm64, linux/s390x";
            assert!(run.complaint().contains(said), "{run:?}");
            assert_eq!(there(&lacking), [false; 3]);
        }
    }
    let run = wharf(
        place.home(),
        &["copy", "--sparse", "localhost:1/a", "localhost:1/b"],
    );
    assert!(run.complaint().contains("--sparse needs the platforms"));
}
