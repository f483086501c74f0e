//! The numbers that are allowed: a file of lines `NUMBER PATH`.

use std::collections::BTreeMap;

/// How many words each file may have; none for a file that is not named.
pub(crate) type Numbers = BTreeMap<String, usize>;

const HEADER: &str = "\
# How many banned words each file still has (`cargo xtask words` lists them).
# The numbers only fall: `cargo xtask words --update` takes over every number that fell.
# When a file is renamed, rename it here. To begin anew, remove this file and update.
";

pub(crate) fn parse(text: &str) -> Result<Numbers, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let numbers = lines.map(|line| {
        let (number, path) = line.split_once(' ')?;
        Some((path.to_owned(), number.parse().ok()?))
    });
    let numbers: Option<Numbers> = numbers.collect();
    numbers.ok_or_else(|| "a line is not `NUMBER PATH`".to_owned())
}

pub(crate) fn format(numbers: &Numbers) -> String {
    let lines = numbers
        .iter()
        .map(|(path, number)| format!("{number} {path}\n"));
    HEADER.to_owned() + &lines.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let numbers = Numbers::from([("a.rs".to_owned(), 3), ("b c.md".to_owned(), 10)]);
        assert_eq!(parse(&format(&numbers)), Ok(numbers));
        assert!(parse("three a.rs\n").is_err());
    }
}
