//! How flags are written, whatever the command: as scripts for crane write them.

use wharf_testkit::{LayerSpec, LayoutFixture};

use crate::common::{Served, done, text, wharf};

#[test]
fn groups_by_themselves_are_a_question_for_help() {
    let home = tempfile::tempdir().unwrap();
    for (words, usage) in [
        (&[][..], "Usage: wharf "),
        (&["auth"], "Usage: wharf auth [OPTIONS] <COMMAND>"),
    ] {
        let run = wharf(home.path(), words);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{run:?}");
        assert!(run.stderr.contains(usage), "{run:?}");
    }
    let help = done(home.path(), &["auth", "--help"]);
    assert_eq!(help.stderr, "");
    assert!(help.stdout.contains("Usage: wharf auth"), "{help:?}");
}

#[test]
fn flags_are_read_however_they_are_written_and_the_last_counts() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    let image = layout.image(Some("1"), &[LayerSpec::random(1, 500)]);
    let served = Served::start(&home.path().join("registry"));
    let path = text(layout.directory());
    let to = format!("{}/app", served.address);
    let one = format!("{to}@{}\n", image.manifest_digest);
    for flags in [
        &["--index=true", "--index=false"][..],
        &["--index", "--index=F", "-q=true"],
        &["-j", "1", "--jobs=2", "-j3", "-j=4", "-qj5"],
        &[
            "--force=1",
            "--force=0",
            "--platform",
            "linux/arm64",
            "--platform=all",
        ],
    ] {
        for before in [true, false] {
            let words = match before {
                true => [&["push"], flags, &[path, &to]].concat(),
                false => [&["push", path, &to], flags].concat(),
            };
            let run = done(home.path(), &words);
            assert_eq!(run.stdout, one, "{words:?}");
        }
    }
    let run = done(
        home.path(),
        &["--insecure=false", "push", "--index=TRUE", path, &to],
    );
    assert_ne!(run.stdout, one);
    let wrong = wharf(home.path(), &["push", "--index=maybe", path, &to]);
    assert_eq!((wrong.code, wrong.stdout.as_str()), (2, ""), "{wrong:?}");
}

#[test]
fn a_layout_with_several_images_is_pushed_as_one_index_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let mut layout = LayoutFixture::new(home.path().join("layout"));
    for seed in 1..4 {
        layout.image(None, &[LayerSpec::random(seed, 100)]);
    }
    let served = Served::start(&home.path().join("registry"));
    let (path, to) = (text(layout.directory()), format!("{}/app", served.address));
    let run = wharf(home.path(), &["push", path, &to]);
    assert_eq!(run.stdout, "");
    assert_ne!(run.code, 0);
    for part in ["holds 3 images", "--index"] {
        assert!(run.stderr.contains(part), "{run:?}");
    }
    let index = std::fs::read(layout.directory().join("index.json")).unwrap();
    let run = done(home.path(), &["push", "--index", path, &to]);
    let digest = wharf_testkit::sha256_hex(&index);
    assert_eq!(run.stdout, format!("{to}@sha256:{digest}\n"));
}
