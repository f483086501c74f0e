//! Comparing the circles of all crates with those that are known.

use std::fs;

use super::edges::{Edges, edges};
use super::graph::circles;
use super::known::{self, Known};
use super::modules::Crate;
use crate::tree::{Tree, read};

/// The checked-in circles.
const FILE: &str = "xtask/circles.txt";

/// The dependencies of one crate.
struct Package {
    name: String,
    edges: Edges,
}

/// Fails when there is a circle that is not known, and when a known one is gone or smaller.
pub(crate) fn check(tree: &Tree) -> Result<(), String> {
    let packages = packages(tree)?;
    let known = known::parse(&tree.read(FILE)?).map_err(|error| format!("{FILE}: {error}"))?;
    let found = found(&packages);
    grown(&packages, &found, &known)?;
    match found.len() == known.len() && found.iter().all(|circle| known.contains(circle)) {
        true => Ok(()),
        false => Err("circles are gone: run `cargo xtask circles --update`".to_owned()),
    }
}

/// Writes the circles of today, all of which must be known or parts of known ones.
pub(crate) fn lower(tree: &Tree) -> Result<(), String> {
    let (packages, path) = (packages(tree)?, tree.path(FILE));
    let found = found(&packages);
    if path.exists() {
        grown(&packages, &found, &known::parse(&read(&path)?)?)?;
    }
    fs::write(&path, known::format(&found)).map_err(|error| format!("{FILE}: {error}"))
}

/// Every circle with an example for each dependency in it.
pub(crate) fn show(tree: &Tree) -> Result<String, String> {
    let packages = packages(tree)?;
    let found = found(&packages);
    let shown = found.iter().map(|circle| described(&packages, circle));
    Ok(shown.collect::<String>() + &format!("{} circles", found.len()))
}

fn packages(tree: &Tree) -> Result<Vec<Package>, String> {
    let roots = tree.files().filter_map(|file| {
        let (directory, root) = file.rsplit_once('/')?;
        let package = directory.strip_suffix("/src")?;
        ["lib.rs", "main.rs"]
            .contains(&root)
            .then_some((package, directory, root))
    });
    let packages = roots.map(|(package, directory, root)| {
        let read = Crate::read(&tree.path(directory), root);
        let read = read.map_err(|error| format!("{directory}/{error}"))?;
        let name = package.rsplit('/').next().unwrap_or(package).to_owned();
        let edges = edges(&read);
        Ok(Package { name, edges })
    });
    packages.collect()
}

fn found(packages: &[Package]) -> Vec<Known> {
    let found = packages.iter().flat_map(|package| {
        let circles = circles(&package.edges).into_iter();
        circles.map(|files| Known {
            package: package.name.clone(),
            files,
        })
    });
    found.collect()
}

/// An error that describes what is in no known circle.
fn grown(packages: &[Package], found: &[Known], known: &[Known]) -> Result<(), String> {
    let is_known = |circle: &&Known| {
        let mut same = known.iter().filter(|known| known.package == circle.package);
        same.any(|known| circle.files.is_subset(&known.files))
    };
    let grown = found.iter().filter(|circle| !is_known(circle));
    let complaints: String = grown.map(|circle| described(packages, circle)).collect();
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "files that need each other in a circle\n{complaints}"
        )),
    }
}

fn described(packages: &[Package], circle: &Known) -> String {
    let Known { package, files } = circle;
    let mut text = format!("{package}: a circle of {} files\n", files.len());
    let edges = packages.iter().find(|found| found.name == *package);
    for (from, targets) in edges.into_iter().flat_map(|found| &found.edges) {
        for (to, example) in targets {
            if files.contains(from) && files.contains(to) {
                let line = format!("  {from}:{} needs {to}: {}\n", example.line, example.path);
                text.push_str(&line);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::planted;

    /// The files of the circles in a crate of these files, each with what makes it a part.
    fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<(String, &str)> = files
            .iter()
            .map(|(name, text)| (format!("crates/a/src/{name}"), *text))
            .collect();
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, text)| (name.as_str(), *text))
            .collect();
        let (_directory, tree) = planted(&files);
        let found = found(&packages(&tree).expect("Rust")).into_iter();
        let joined = |circle: Known| circle.files.into_iter().collect::<Vec<_>>().join(" ");
        found.map(joined).collect()
    }

    #[test]
    fn a_circle_is_found_however_it_is_written() {
        for (one, two) in [
            (
                "use crate::two::Two; pub struct One;",
                "use super::one::One; pub struct Two;",
            ),
            (
                "pub fn one() { crate::two::two() }",
                "pub fn two() -> Result<(), super::one::E> {}",
            ),
            (
                "use crate::Two; pub struct One;",
                "use crate::*; pub struct Two(One); use crate::one::f;",
            ),
            (
                "use crate::two; pub fn f() { two::f() }",
                "pub fn f() { assert!(x(crate::one::f())) }",
            ),
            (
                "pub use crate::two::Two; pub struct One(Two);",
                "pub struct Two(crate::One);",
            ),
            (
                "pub struct One; mod inner { use super::super::two::Two; }",
                "impl Two for crate::one::One {}",
            ),
        ] {
            let root = "mod one; mod two; pub use one::One; pub use two::{Two};";
            let files = [("lib.rs", root), ("one.rs", one), ("two.rs", two)];
            assert_eq!(circles_of(&files), ["one.rs two.rs"], "{one} {two}");
        }
    }

    #[test]
    fn modules_that_a_macro_declares_are_read() {
        let root = "mod list; mod one;";
        let list = "crate::commands! { enum List { One(two::Two) } }";
        let files = [
            ("lib.rs", root),
            ("list/mod.rs", list),
            ("list/two.rs", "use crate::one::One; pub struct Two;"),
            ("one.rs", "pub struct One(crate::list::List);"),
        ];
        assert_eq!(circles_of(&files), ["list/mod.rs list/two.rs one.rs"]);
    }

    #[test]
    fn tests_docs_and_re_exports_make_no_circle() {
        let root = "mod one; mod two; pub use one::One; pub use two::Two;";
        let one = "/// See [`crate::two::Two`].\npub struct One; #[cfg(test)] mod tests { use crate::two::Two; }
            impl One { #[cfg(test)] fn f() { crate::two::f() } pub(in crate::two) fn g() { http::two() } }
            pub use crate::two::Two as Shown;";
        let two = "use crate::One; pub struct Two(One);";
        let files = [("lib.rs", root), ("one.rs", one), ("two.rs", two)];
        assert_eq!(circles_of(&files), [""; 0]);
    }

    #[test]
    fn a_directory_is_no_file_of_a_circle_until_it_defines_something() {
        let one = "use super::Common; pub struct One;";
        let files = |shared| {
            [
                ("lib.rs", "mod part;"),
                ("part/mod.rs", shared),
                ("part/one.rs", one),
                ("part/two.rs", "pub struct Common;"),
            ]
        };
        let declared = "mod one; mod two; pub use one::One; use two::Common;";
        assert_eq!(circles_of(&files(declared)), [""; 0]);
        let defined = "mod one; use one::One; pub struct Common(One);";
        assert_eq!(circles_of(&files(defined)), ["part/mod.rs part/one.rs"]);
    }

    const ROOT: (&str, &str) = ("crates/a/src/lib.rs", "mod one; mod two; mod three;");
    const CIRCLE: [(&str, &str); 3] = [
        ("crates/a/src/one.rs", "fn f() { crate::two::f() }"),
        ("crates/a/src/two.rs", "fn f() { crate::one::f() }"),
        ("crates/a/src/three.rs", "fn f() {}"),
    ];

    #[test]
    fn a_circle_that_is_not_known_is_refused() {
        for known in ["", "b: one.rs two.rs\n", "a: one.rs three.rs\n"] {
            let files = [&[ROOT, (FILE, known)], CIRCLE.as_slice()].concat();
            let (_directory, tree) = planted(&files);
            let complaint = check(&tree).expect_err("a circle");
            let expected = "a: a circle of 2 files\n  one.rs:1 needs two.rs: crate::two::f\n  \
                two.rs:1 needs one.rs: crate::one::f\n";
            assert!(complaint.ends_with(expected), "{complaint}");
            assert_eq!(lower(&tree), Err(complaint));
        }
    }

    #[test]
    fn a_known_circle_passes_and_one_that_shrank_is_taken_over() {
        for (known, stays) in [
            ("a: one.rs two.rs\n", true),
            ("a: one.rs three.rs two.rs\n", false),
            ("a: one.rs two.rs\na: four.rs three.rs\n", false),
        ] {
            let files = [&[ROOT, (FILE, known)], CIRCLE.as_slice()].concat();
            let (_directory, tree) = planted(&files);
            assert_eq!(check(&tree).is_ok(), stays, "{known}");
            lower(&tree).expect("no circle is new");
            assert_eq!(check(&tree), Ok(()));
            assert!(
                tree.read(FILE)
                    .expect("circles")
                    .ends_with("\na: one.rs two.rs\n")
            );
        }
    }
}
