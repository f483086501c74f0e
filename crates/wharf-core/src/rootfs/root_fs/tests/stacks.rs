//! Random stacks of layers: the merge and the model agree.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tar::EntryType;

use super::fixtures::{
    Line, blob_of, directory, file, hard_link, layer_of, merged, read_back, symlink,
};
use super::model::{Model, Shown};
use crate::ErrorKind;
use crate::image::{StoredFile, StoredLayer};

/// Paths that the lines may have.
fn paths() -> Vec<String> {
    let names = ["a", "b", "c"];
    let two = |a: &str| names.map(|b| format!("{a}/{b}"));
    let mut paths: Vec<String> = names.map(str::to_owned).to_vec();
    paths.extend(names.iter().flat_map(|a| two(a)));
    let three: Vec<String> = paths[3..].iter().flat_map(|above| two(above)).collect();
    [paths, three].concat()
}

fn any_line() -> impl Strategy<Value = Line> {
    let name = proptest::collection::vec(prop_oneof!["[abc]"], 1..4);
    let name = name.prop_map(|parts| format!("./{}", parts.join("/")));
    let to = prop_oneof![
        "[abc]",
        "[abc]/[abc]",
        "/[abc]",
        "\\.\\./[abc]",
        "\\.\\./\\.\\./[abc]/[abc]"
    ];
    let kind = prop_oneof![
        3 => Just(EntryType::Directory),
        4 => Just(EntryType::Regular),
        2 => Just(EntryType::Symlink),
        3 => Just(EntryType::Link),
        2 => Just(EntryType::Char),
        1 => Just(EntryType::Block),
    ];
    (kind, name.clone(), to, name, "[xyz]{0,3}").prop_map(|(kind, name, to, other, text)| {
        let (folder, last) = name.rsplit_once('/').unwrap();
        match kind {
            EntryType::Directory => directory(&name),
            EntryType::Symlink => symlink(&name, &to),
            EntryType::Link => hard_link(&name, &other),
            // Whiteouts, as these two stand for.
            EntryType::Char => file(&format!("{folder}/.wh.{last}"), ""),
            EntryType::Block => file(&format!("{folder}/.wh..wh..opq"), ""),
            _ => file(&name, &text),
        }
    })
}

/// One to four layers of fewer than `most` lines: those that can be applied, and the model of them.
fn any_stack(most: usize) -> impl Strategy<Value = (Model, Vec<Vec<Line>>)> {
    let layers = proptest::collection::vec(proptest::collection::vec(any_line(), 0..most), 1..5);
    layers.prop_map(|layers| {
        let mut model = Model::default();
        let layers = layers.into_iter().enumerate();
        let applied = layers.map(|(number, lines)| model.apply(number, lines));
        let applied = applied.collect();
        (model, applied)
    })
}

fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).build().unwrap()
}

proptest! {
#![proptest_config(ProptestConfig::with_cases(400))]

#[test]
fn stacks_of_layers_give_what_applying_them_one_by_one_gives(
    (model, applied) in any_stack(9)
) {
    let tars: Vec<_> = applied.iter().map(|lines| layer_of(lines)).collect();
    let tar = runtime().block_on(merged(&tars)).unwrap();

    let mut found: BTreeMap<String, (EntryType, String, u32)> = BTreeMap::new();
    for (kind, name, text, mode) in read_back(&tar) {
        let entry = match kind {
            // What it is linked to came before.
            EntryType::Link => found.get(&text).cloned().expect(&text),
            kind => (kind, text, mode),
        };
        prop_assert!(found.insert(name, entry).is_none());
    }
    let mut expected = BTreeMap::new();
    let mut shared: BTreeMap<(usize, usize), BTreeSet<String>> = BTreeMap::new();
    for (path, shown) in &model.nodes {
        let (kind, at) = match shown {
            Shown::Directory(None) => continue,
            Shown::Directory(Some(at)) => (EntryType::Directory, at),
            Shown::Symlink(at, _) => (EntryType::Symlink, at),
            Shown::File(at) => (EntryType::Regular, at),
        };
        let line = &applied[at.0][at.1];
        let mode = u32::try_from(at.1).unwrap();
        expected.insert(path.join("/"), (kind, line.text.clone(), mode));
        shared.entry(*at).or_default().insert(path.join("/"));
    }
    prop_assert_eq!(&found, &expected);
    // Names of one inode are links of each other in the tar.
    let links = read_back(&tar).into_iter().filter(|(kind, ..)| *kind == EntryType::Link).count();
    let wanted: usize = shared.values().map(|names| names.len() - 1).sum();
    prop_assert_eq!(links, wanted);
}}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_file_is_found_as_all_layers_together_show_it(
        (model, applied) in any_stack(7)
    ) {
        let stored = applied.iter().map(|lines| StoredLayer::of(blob_of(layer_of(lines)), None));
        let stored: Vec<_> = stored.collect();
        let runtime = runtime();
        let spool = std::env::temp_dir();
        for path in paths() {
            let found = runtime.block_on(StoredFile::find(&stored, path.as_bytes(), &spool));
            match (found, model.file(&path)) {
                (Ok(found), Some(at)) => {
                    let line = &applied[at.0][at.1];
                    prop_assert_eq!(found.mode() as usize, at.1, "{}", &path);
                    prop_assert_eq!(found.layer(), stored[at.0].descriptor());
                    let text = runtime.block_on(found.read_all(99)).unwrap();
                    prop_assert_eq!(&text[..], line.text.as_bytes());
                }
                (Err(error), None) => {
                    let kind = error.kind();
                    prop_assert!(matches!(kind, ErrorKind::NotFound | ErrorKind::Invalid), "{}", error);
                }
                (found, expected) => prop_assert!(false, "{}: {:?} {:?}", path, found, expected),
            }
        }
    }
}
