//! Paths of documents and source files in a text.

use crate::tree::Tree;

/// A path that a text names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Citation<'a> {
    /// How many lines of the text stand before it.
    pub(crate) line: usize,
    pub(crate) path: &'a str,
    /// The text behind it.
    pub(crate) after: &'a str,
}

/// All citations of `text`; addresses are none.
pub(crate) fn citations(text: &str) -> Vec<Citation<'_>> {
    let mut found = Vec::new();
    let (mut rest, mut at) = (text, 0);
    while let Some(start) = rest.find(in_path) {
        let run = rest.get(start..).unwrap_or_default();
        let length = run.find(|c| !in_path(c)).unwrap_or(run.len());
        let (run, after) = run.split_at_checked(length).unwrap_or((run, ""));
        at += start;
        let before = text.get(..at).unwrap_or_default();
        let path = run.trim_end_matches('.');
        if !before.ends_with(':') && is_citation(path) {
            found.push(Citation {
                line: before.matches('\n').count(),
                path,
                after,
            });
        }
        (rest, at) = (after, at + length);
    }
    found
}

fn in_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-./".contains(c)
}

fn is_citation(path: &str) -> bool {
    let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
    let document = name.ends_with(".md") && name != ".md";
    let source = name.ends_with(".rs") && ![".rs", "docs.rs"].contains(&name);
    let mut parts = path
        .split('/')
        .skip_while(|part| [".", ".."].contains(part));
    let place = matches!(parts.next(), Some("docs" | "crates"));
    let inside = place && parts.next().is_some_and(|part| !part.is_empty());
    document || (source || inside) && !has_placeholder(path)
}

/// Whether a part of `path` stands for any name, as in `commands/NAME.rs`.
fn has_placeholder(path: &str) -> bool {
    let mut parts = path.split(['/', '.']);
    parts.any(|part| part.len() > 1 && part.bytes().all(|byte| byte.is_ascii_uppercase()))
}

/// Whether `path` leads somewhere from the directory of `file`, its crate, the root or `docs`, or
/// is the end of the path of a source file.
pub(crate) fn is_there(tree: &Tree, file: &str, path: &str) -> bool {
    let mut directories = vec![String::new(), "docs".to_owned()];
    directories.extend(
        file.rsplit_once('/')
            .map(|(directory, _)| directory.to_owned()),
    );
    if let Some(rest) = file.strip_prefix("crates/") {
        let name = rest.split('/').next().unwrap_or(rest);
        directories.push(format!("crates/{name}"));
    }
    let mut places = directories.iter().filter_map(|from| joined(from, path));
    let end = format!("/{path}");
    places.any(|place| tree.has(&place))
        || path.ends_with(".rs") && tree.files().any(|file| file.ends_with(&end))
}

/// `path` as seen from `directory`, where it stays within the root.
fn joined(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            other => parts.push(other),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<&str> {
        let found = citations(text).into_iter();
        found.map(|citation| citation.path).collect()
    }

    #[test]
    fn paths_are_found_in_prose() {
        let text = "In README.md, (docs/a.md#b), `crates/x/src/y.rs` and docs/adr/. `../docs/c.md`";
        let expected = [
            "README.md",
            "docs/a.md",
            "crates/x/src/y.rs",
            "docs/adr/",
            "../docs/c.md",
        ];
        assert_eq!(paths(text), expected);
    }

    #[test]
    fn addresses_patterns_and_words_are_none() {
        let text = "https://docs.rs/a docs .rs a/NAME.rs crates/NAME/b docs.rs crates/* https://a/docs/b.md *.md .md ./docs.rs a.mdx http://b/crates/c";
        assert_eq!(paths(text), [""; 0]);
    }

    #[test]
    fn a_path_does_not_leave_the_root() {
        assert_eq!(joined("a/b", "../c"), Some("a/c".to_owned()));
        assert_eq!(joined("a", "../../c"), None);
    }
}
