//! Places as other tools write them: which they are, and what to write instead. Pure.

use crate::{Error, ErrorKind, Result};

/// What stands before the places of other tools, and how their images get here.
const KINDS: [(&str, &str); 9] = [
    ("docker-daemon:", "docker save IMAGE | wharf push - REF"),
    (
        "containers-storage:",
        "podman save IMAGE | wharf push - REF",
    ),
    ("dir:", "skopeo copy dir:DIR oci:OTHER, and push that"),
    ("ostree:", "skopeo copy ostree:IMAGE oci:DIR, and push that"),
    ("sif:", "skopeo copy sif:FILE oci:DIR, and push that"),
    ("tarball:", "wharf blob push --compress gzip REPO FILE"),
    ("docker-image://", "the reference without it"),
    ("oci://", "the reference without it"),
    ("atomic:", "the reference without it"),
];

/// Refuses a place of another tool by its name: as a reference it would be one at Docker Hub.
///
/// # Errors
/// [`ErrorKind::Invalid`], with what to write instead.
pub(super) fn check(text: &str) -> Result<()> {
    let known = KINDS.iter().find(|(kind, _)| text.starts_with(kind));
    let Some((kind, instead)) = known else {
        return Ok(());
    };
    let message = format!(
        "{kind} is not supported, only docker://, oci:, oci-archive: and docker-archive: are; \
         use {instead}"
    );
    Err(Error::new(ErrorKind::Invalid, message).target(format_args!("\"{text}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_c16_places_of_other_tools_are_refused_by_name() {
        for text in [
            "docker-daemon:x",
            "docker-daemon:x:1",
            "containers-storage:x",
            "containers-storage:[overlay@/var/lib]x",
            "dir:x",
            "ostree:x@/repo",
            "sif:x.sif",
            "oci://ghcr.io/a/b:1",
        ] {
            let error = check(text).unwrap_err().to_string();
            let kind = text.split_once(':').unwrap().0;
            let start = format!("\"{text}\": {kind}:");
            assert!(error.starts_with(&start), "{error}");
            assert!(
                error.contains(" is not supported, only docker://, "),
                "{error}"
            );
        }
        // Images that exist, and paths with colons.
        for text in [
            "docker:27",
            "registry:2",
            "dir/x",
            "oci:x",
            "./dir:x",
            "a:dir:x",
        ] {
            check(text).unwrap();
        }
    }
}
