//! Looking at every text file.

use super::paths::{citations, is_there};
use super::rows::{Rows, cited};
use crate::prose::{self, Kind, Piece};
use crate::tree::Tree;

/// The wire specification. Its rows are cited as `wire.md U5`.
const WIRE: &str = "docs/wire.md";

/// Fails with a line for each citation of what is not there.
pub(crate) fn check(tree: &Tree) -> Result<(), String> {
    let rows = match tree.has(WIRE) {
        true => Rows::of(&tree.read(WIRE)?),
        false => Rows::default(),
    };
    let mut complaints = Vec::new();
    for file in tree.files() {
        for piece in texts(tree, file)? {
            for citation in citations(&piece.text) {
                let line = piece.line + citation.line;
                let path = citation.path;
                if !is_there(tree, file, path) {
                    complaints.push(format!("{file}:{line}: {path} is not in the repository"));
                } else if names_wire(path) {
                    let unknown = cited(citation.after).filter(|row| !rows.has(row));
                    complaints
                        .extend(unknown.map(|row| format!("{file}:{line}: {WIRE} has no {row}")));
                }
            }
        }
    }
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(complaints.join("\n")),
    }
}

fn names_wire(path: &str) -> bool {
    path.rsplit('/').next() == WIRE.rsplit('/').next()
}

/// What is looked at: the comments of Rust, all of other texts.
fn texts(tree: &Tree, file: &str) -> Result<Vec<Piece>, String> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let kind = name.rsplit_once('.').map(|(_, kind)| kind);
    if kind == Some("rs") {
        let mut pieces = prose::pieces(&tree.read(file)?);
        pieces.retain(|piece| piece.kind == Kind::Comment);
        return Ok(pieces);
    }
    let looked_at =
        matches!(kind, Some("md" | "toml" | "sh")) || name == "justfile" || file == ".ci/run";
    if !looked_at {
        return Ok(Vec::new());
    }
    Ok(vec![Piece {
        kind: Kind::Comment,
        line: 1,
        text: tree.read(file)?,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::planted;

    const WIRE_TEXT: &str =
        "## 2. Sending\n| U1 | a blob |\n- **U2** more\n## 11. Rules\n1. One.\n";

    #[test]
    fn documents_and_rows_that_are_there_are_cited_freely() {
        let (_directory, tree) = planted(&[
            (WIRE, WIRE_TEXT),
            ("README.md", "See [it](docs/wire.md#2-sending) and docs/."),
            (
                "docs/tls.md",
                "wire.md and ../README.md, https://a.example/docs/other.md",
            ),
            (
                "crates/a/src/b.rs",
                "//! crates/a/src/b.rs, src/b.rs, `wire.md U1`; (wire.md U2,\n//! section 11, rule 1)\nfn f() { g(\"nothing.md\") }",
            ),
            ("justfile", "# crates/a, a/src/b.rs and b.rs"),
        ]);
        assert_eq!(check(&tree), Ok(()));
    }

    #[test]
    fn documents_and_rows_that_are_not_there_are_refused() {
        let (_directory, tree) = planted(&[
            (WIRE, WIRE_TEXT),
            (
                "crates/a/src/b.rs",
                "fn f() {}\n/// As DESIGN.md says\n/// (wire.md U1, U7).\n// section 2 of docs/none",
            ),
            (
                "README.md",
                "crates/a/src/c.rs\n\nwire.md section 3, wire.md rule 2",
            ),
            ("Cargo.toml", "# docs/plan.md, rc/b.rs"),
        ]);
        let complaint = check(&tree).expect_err("bad citations");
        let expected = [
            "Cargo.toml:1: docs/plan.md is not in the repository",
            "Cargo.toml:1: rc/b.rs is not in the repository",
            "README.md:1: crates/a/src/c.rs is not in the repository",
            "README.md:3: docs/wire.md has no section 3",
            "README.md:3: docs/wire.md has no rule 2",
            "crates/a/src/b.rs:2: DESIGN.md is not in the repository",
            "crates/a/src/b.rs:3: docs/wire.md has no U7",
            "crates/a/src/b.rs:4: docs/none is not in the repository",
        ];
        assert_eq!(complaint.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn rows_of_a_specification_that_is_gone_are_refused() {
        let (_directory, tree) = planted(&[("a.rs", "// wire.md U1\n")]);
        let complaint = check(&tree).expect_err("there is no such document");
        assert_eq!(complaint, "a.rs:1: wire.md is not in the repository");
    }
}
