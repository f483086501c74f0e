//! Rows, sections and rules of the wire specification.

use std::collections::BTreeSet;

/// What the specification has: `U5`, `section 8`, `rule 3`.
#[derive(Debug, Default)]
pub(crate) struct Rows(BTreeSet<String>);

impl Rows {
    /// Reads the headings, the first cells of tables, the bold heads of lists, and numbered lists.
    pub(crate) fn of(text: &str) -> Self {
        let rows = text.lines().filter_map(|line| {
            if let Some(heading) = line.strip_prefix("## ") {
                let (number, _) = heading.split_once('.')?;
                return is_number(number).then(|| format!("section {number}"));
            }
            if let Some(cell) = line.strip_prefix("| ") {
                let (row, _) = cell.split_once(" |")?;
                return is_row(row).then(|| row.to_owned());
            }
            if let Some(item) = line.strip_prefix("- **") {
                let (row, _) = item.split_once("**")?;
                return is_row(row).then(|| row.to_owned());
            }
            let (number, _) = line.split_once(". ")?;
            is_number(number).then(|| format!("rule {number}"))
        });
        Rows(rows.collect())
    }

    pub(crate) fn has(&self, row: &str) -> bool {
        self.0.contains(row)
    }
}

/// The rows that are named directly behind the name of the specification.
pub(crate) fn cited(after: &str) -> impl Iterator<Item = String> {
    let mut rest = after;
    let mut unit = None;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || ",;(`".contains(c));
            let sign = usize::from(rest.starts_with('§')) * '§'.len_utf8();
            let word = rest.find(|c: char| !c.is_ascii_alphanumeric());
            let length = sign.max(word.unwrap_or(rest.len()));
            let (word, after) = rest.split_at_checked(length)?;
            rest = after;
            match word {
                "row" | "rows" | "and" | "to" | "or" => {}
                "section" | "sections" | "§" => unit = Some("section"),
                "rule" | "rules" => unit = Some("rule"),
                row if is_row(row) => return Some(row.to_owned()),
                number if is_number(number) => return Some(format!("{} {number}", unit?)),
                _ => return None,
            }
        }
    })
    .fuse()
}

/// A capital letter and a number.
fn is_row(word: &str) -> bool {
    let number = word.strip_prefix(|c: char| c.is_ascii_uppercase());
    number.is_some_and(is_number)
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_tables_lists_and_headings() {
        let text =
            "# Wire\n## 3. Sending\n| row | what |\n| --- | --- |\n| O10 | x |\n- **S1** y\n4. z\n";
        let rows = Rows::of(text);
        assert_eq!(Vec::from_iter(rows.0), ["O10", "S1", "rule 4", "section 3"]);
    }

    #[test]
    fn lists_of_rows_are_taken_apart() {
        for (text, expected) in [
            (" U5, U6). F9", &["U5", "U6"][..]),
            ("` U5`;", &["U5"]),
            (
                " E2; section 11, rules 2 and 3).",
                &["E2", "section 11", "rule 2", "rule 3"],
            ),
            (
                " (M3, A1,\n section 11), against",
                &["M3", "A1", "section 11"],
            ),
            (" F2 to F5).", &["F2", "F5"]),
            (", sections 4 and 5: mounts", &["section 4", "section 5"]),
            (" § 8", &["section 8"]),
            (", row by row, against A1", &[]),
            (" and 5", &[]),
            ("", &[]),
        ] {
            assert_eq!(Vec::from_iter(cited(text)), expected, "{text}");
        }
    }
}
