//! Comparing what is found with what is allowed.

use std::fs;

use super::allowed::{self, Numbers};
use super::count::{Hit, of_tree};
use crate::tree::{Tree, read};

/// The checked-in numbers.
const FILE: &str = "xtask/words.txt";

/// Fails when a file has more words than it may have, and when the numbers can be lowered.
pub(crate) fn check(tree: &Tree) -> Result<(), String> {
    let found = of_tree(tree)?;
    let allowed = allowed::parse(&tree.read(FILE)?).map_err(|error| format!("{FILE}: {error}"))?;
    risen(&found, &allowed)?;
    match numbers(&found) == allowed {
        true => Ok(()),
        false => Err("there are fewer banned words: run `cargo xtask words --update`".to_owned()),
    }
}

/// Writes the numbers of today, none of which may have risen.
pub(crate) fn lower(tree: &Tree) -> Result<(), String> {
    let (found, path) = (of_tree(tree)?, tree.path(FILE));
    if path.exists() {
        risen(&found, &allowed::parse(&read(&path)?)?)?;
    }
    let text = allowed::format(&numbers(&found));
    fs::write(&path, text).map_err(|error| format!("{FILE}: {error}"))
}

/// Every word with its place, and their number.
pub(crate) fn show(tree: &Tree) -> Result<String, String> {
    let found = of_tree(tree)?;
    let total: usize = numbers(&found).values().sum();
    let places = found.iter().map(|(file, hits)| places(file, hits));
    Ok(places.collect::<String>() + &format!("{total} words in {} files", found.len()))
}

fn risen(found: &[(String, Vec<Hit>)], allowed: &Numbers) -> Result<(), String> {
    let may = |file: &String| allowed.get(file).copied().unwrap_or_default();
    let complaints = found.iter().filter(|(file, hits)| hits.len() > may(file));
    let complaints = complaints.map(|(file, hits)| {
        let (have, may, places) = (hits.len(), may(file), places(file, hits));
        format!("{file} has {have} banned words and may have {may}\n{places}")
    });
    let complaints: String = complaints.collect();
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "name the actor by its type, and say what it does (CONTRIBUTING.md)\n{complaints}"
        )),
    }
}

fn numbers(found: &[(String, Vec<Hit>)]) -> Numbers {
    let numbers = found.iter().map(|(file, hits)| (file.clone(), hits.len()));
    numbers.collect()
}

fn places(file: &str, hits: &[Hit]) -> String {
    let lines = hits
        .iter()
        .map(|hit| format!("  {file}:{}: {}\n", hit.line, hit.word));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::planted;

    #[test]
    fn more_words_than_allowed_are_refused() {
        let (_directory, tree) = planted(&[
            ("a.rs", "// who\n// whose\n"),
            ("b.md", "whom"),
            (FILE, "# numbers\n1 a.rs\n"),
        ]);
        let complaint = check(&tree).expect_err("two files have more");
        assert!(
            complaint.contains(
                "a.rs has 2 banned words and may have 1\n  a.rs:1: who\n  a.rs:2: whose\n"
            )
        );
        assert!(complaint.contains("b.md has 1 banned words and may have 0\n"));
        assert!(lower(&tree).is_err());
        assert_eq!(tree.read(FILE), Ok("# numbers\n1 a.rs\n".to_owned()));
    }

    #[test]
    fn fewer_words_than_allowed_are_taken_over() {
        let (_directory, tree) = planted(&[("a.rs", "// who\n"), (FILE, "2 a.rs\n1 gone.rs\n")]);
        let complaint = check(&tree).expect_err("the numbers can be lowered");
        assert!(
            complaint.contains("cargo xtask words --update"),
            "{complaint}"
        );
        lower(&tree).expect("none has risen");
        assert_eq!(check(&tree), Ok(()));
        let numbers = tree.read(FILE).expect("numbers");
        assert!(numbers.ends_with("\n1 a.rs\n"), "{numbers}");
    }

    #[test]
    fn without_numbers_those_of_today_are_written() {
        let (_directory, tree) = planted(&[("a.rs", "\"who\""), ("xtask/Cargo.toml", "")]);
        lower(&tree).expect("nothing was allowed before");
        assert!(show(&tree).expect("words").ends_with("1 words in 1 files"));
    }
}
