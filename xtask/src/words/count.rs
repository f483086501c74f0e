//! Finding the words in comments, string literals and Markdown.

use crate::prose::{self, Kind};
use crate::tree::Tree;

/// Machines are no persons, and verbs say what happens. In lower case, with single blanks.
const WORDS: [&str; 16] = [
    "who",
    "whom",
    "whose",
    "whoever",
    "nobody",
    "somebody",
    "anybody",
    "everybody",
    "comes to",
    "came of",
    "gone on with",
    "go on with",
    "goes on with",
    "has it that",
    "let pass",
    "lets it pass",
];

/// The check and the rule, which have to name the words.
const EXEMPT: [&str; 2] = ["xtask/src/words/", "CONTRIBUTING.md"];

/// A word, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) line: usize,
    pub(crate) word: &'static str,
}

/// The words of all files that have some.
pub(crate) fn of_tree(tree: &Tree) -> Result<Vec<(String, Vec<Hit>)>, String> {
    let mut found = Vec::new();
    for file in tree.files() {
        if EXEMPT.iter().any(|exempt| file.starts_with(exempt)) {
            continue;
        }
        let hits = match file.rsplit_once('.') {
            Some((_, "rs")) => in_rust(&tree.read(file)?),
            Some((_, "md")) => in_text(&without_code(&tree.read(file)?), 1),
            _ => continue,
        };
        if !hits.is_empty() {
            found.push((file.to_owned(), hits));
        }
    }
    Ok(found)
}

fn in_rust(source: &str) -> Vec<Hit> {
    let pieces = prose::pieces(source).into_iter();
    let hits = pieces.flat_map(|piece| match piece.kind {
        Kind::Comment => in_text(&without_code(&piece.text), piece.line),
        Kind::Literal => in_text(&piece.text, piece.line),
    });
    hits.collect()
}

/// The words of `text`, whose first line has this number.
fn in_text(text: &str, first: usize) -> Vec<Hit> {
    let (text, lines) = unfolded(text, first);
    let mut hits = Vec::new();
    for word in WORDS {
        for (start, _) in text.match_indices(word) {
            let before = text.get(..start).and_then(|before| before.chars().last());
            let after = text.get(start + word.len()..);
            let after = after.and_then(|after| after.chars().next());
            let joined = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            if !joined(before) && !joined(after) {
                let line = lines.get(start).copied().unwrap_or(first);
                hits.push((start, Hit { line, word }));
            }
        }
    }
    hits.sort_by_key(|(start, _)| *start);
    hits.into_iter().map(|(_, hit)| hit).collect()
}

/// In lower case and with single blanks, so that words are found across lines; and the line of
/// each byte.
fn unfolded(text: &str, first: usize) -> (String, Vec<usize>) {
    let (mut plain, mut lines) = (String::new(), Vec::new());
    let mut line = first;
    for next in text.chars() {
        let length = plain.len();
        if !next.is_whitespace() {
            plain.extend(next.to_lowercase());
        } else if !plain.ends_with(' ') {
            plain.push(' ');
        }
        lines.extend(std::iter::repeat_n(line, plain.len() - length));
        line += usize::from(next == '\n');
    }
    (plain, lines)
}

/// Without what stands between backticks, which is quoted; the lines stay.
fn without_code(text: &str) -> String {
    let mut prose = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('`') {
        let (before, code) = rest.split_at(start);
        prose.push_str(before);
        let inside = code.trim_start_matches('`');
        let fence = code.get(..code.len() - inside.len()).unwrap_or_default();
        let Some(end) = inside.find(fence) else {
            rest = inside;
            continue;
        };
        let (quoted, after) = inside.split_at(end);
        prose.extend(quoted.chars().filter(|c| *c == '\n'));
        rest = after.trim_start_matches('`');
    }
    prose + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::planted;

    #[test]
    fn words_are_found_whole_in_any_case_and_across_lines() {
        let text = "Who asks\nthe whole whoever_1 of it? It has  it\nthat nobody's";
        let hits = in_text(text, 5);
        let expected = [(5, "who"), (6, "has it that"), (7, "nobody")];
        assert_eq!(hits, expected.map(|(line, word)| Hit { line, word }));
    }

    #[test]
    fn comments_and_literals_count_and_names_and_code_do_not() {
        let source = "/// For whom\n/// this `who` is.\nfn who() -> &str { \"a\\nwhose\" }";
        let words: Vec<&str> = in_rust(source).iter().map(|hit| hit.word).collect();
        assert_eq!(words, ["whom", "whose"]);
        let sentence = "// What is gone\n// on with.\n";
        let expected = Hit {
            line: 1,
            word: "gone on with",
        };
        assert_eq!(in_rust(sentence), [expected]);
    }

    #[test]
    fn markdown_counts_without_what_it_quotes() {
        let text = "`who` is\n```\nwhom\n```\nsomebody ` whose\n";
        let (_directory, tree) = planted(&[
            ("a.md", text),
            ("a.txt", "who"),
            ("CONTRIBUTING.md", "who"),
            ("xtask/src/words/count.rs", "// who"),
            ("b.rs", "fn f() {}"),
        ]);
        let [somebody, whose] = ["somebody", "whose"].map(|word| Hit { line: 5, word });
        let found = of_tree(&tree).expect("files");
        assert_eq!(found, [("a.md".to_owned(), vec![somebody, whose])]);
    }
}
