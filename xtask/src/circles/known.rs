//! The circles that are known: a file of lines `CRATE: FILE FILE…`.

use super::graph::Circle;

/// A circle of a crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) package: String,
    pub(super) files: Circle,
}

const HEADER: &str = "\
# Circles of files that are known today, to be opened one after the other (`cargo xtask circles`
# shows them with the paths that make them). None is added and none grows. After one is gone or has
# become smaller, `cargo xtask circles --update` takes that over. When a file is renamed, rename it
# here. To begin anew, remove this file and update.
";

pub(super) fn parse(text: &str) -> Result<Vec<Known>, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let known = lines.map(|line| {
        let (package, files) = line.split_once(": ")?;
        let files = files.split(' ').map(str::to_owned).collect();
        Some(Known {
            package: package.to_owned(),
            files,
        })
    });
    let known: Option<Vec<Known>> = known.collect();
    known.ok_or_else(|| "a line is not `CRATE: FILE FILE…`".to_owned())
}

pub(super) fn format(circles: &[Known]) -> String {
    let lines = circles.iter().map(|circle| {
        let files: Vec<&str> = circle.files.iter().map(String::as_str).collect();
        format!("{}: {}\n", circle.package, files.join(" "))
    });
    HEADER.to_owned() + &lines.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let known = vec![Known {
            package: "a".to_owned(),
            files: Circle::from(["b.rs".to_owned(), "c/d.rs".to_owned()]),
        }];
        assert_eq!(parse(&format(&known)), Ok(known));
        assert!(parse("a b.rs c.rs\n").is_err());
    }
}
