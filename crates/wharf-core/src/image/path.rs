//! Paths in an image, as bytes: tar has no encoding.

/// A path below the root of an image, without `.`, `..` and doubled slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImagePath(Vec<Vec<u8>>);

impl ImagePath {
    /// A path, absolute or below the root. `..` of the root is the root.
    pub(super) fn new(path: &[u8]) -> Self {
        ImagePath(Vec::new()).joined(path)
    }

    pub(super) fn parts(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// The path that this one stands for if its first `length` parts are a symbolic link.
    pub(super) fn through(&self, length: usize, target: &[u8]) -> Self {
        let (link, rest) = self.0.split_at(length.min(self.0.len()));
        let folder = match target.starts_with(b"/") {
            true => &[],
            false => link.get(..length.saturating_sub(1)).unwrap_or_default(),
        };
        let mut path = ImagePath(folder.to_vec()).joined(target);
        path.0.extend(rest.iter().cloned());
        path
    }

    fn joined(mut self, path: &[u8]) -> Self {
        for part in path.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(self.0.pop()),
                part => self.0.push(part.to_vec()),
            }
        }
        self
    }
}

impl std::fmt::Display for ImagePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.0.join(&b'/');
        write!(f, "/{}", String::from_utf8_lossy(&path).escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_within_the_image() {
        for (path, length, target, expected) in [
            (
                "etc/os-release",
                2,
                "../usr/lib/os-release",
                "/usr/lib/os-release",
            ),
            ("/bin/sh", 1, "usr/bin", "/usr/bin/sh"),
            ("/a/b/c", 2, "/x", "/x/c"),
            ("/a/b", 2, "../../../../etc/passwd", "/etc/passwd"),
            ("./a//b/../c", 2, "d", "/a/d"),
            ("/a", 1, "/", "/"),
        ] {
            let path = ImagePath::new(path.as_bytes());
            let found = path.through(length, target.as_bytes());
            assert_eq!(found.to_string(), expected, "{path} {target}");
        }
    }
}
