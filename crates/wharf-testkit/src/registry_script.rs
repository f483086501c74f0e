//! An empty, well-behaved registry as a script, to which tests add failures.

use crate::fault_server::{Answer, RecordedRequest, Script};

/// Rules of a minimal registry to push to: it is empty and accepts every upload and manifest.
///
/// It keeps no state. A mount opens a session (202). An upload may be one PUT, or PATCH and PUT; a
/// body sent with the PUT must have the digest it claims. `Location` is a path. Rules added later
/// override these, and [`Answer::fall_through`] returns to them.
///
/// ```
/// use wharf_testkit::{Answer, FaultServer, push_registry};
///
/// let script = push_registry().on(
///     "PUT",
///     "/v2/*/blobs/uploads/*",
///     [Answer::close_after(1000), Answer::fall_through()],
/// );
/// let _server = FaultServer::start(script);
/// ```
pub fn push_registry() -> Script {
    Script::new()
        .on("GET", "/v2/", [Answer::status(200)])
        .on("*", "/v2/*/blobs/*", [absent("BLOB_UNKNOWN")])
        .on("*", "/v2/*/manifests/*", [absent("MANIFEST_UNKNOWN")])
        .on(
            "POST",
            "/v2/*/blobs/uploads/",
            [session("{path}session-{n}")],
        )
        .on(
            "PATCH",
            "/v2/*/blobs/uploads/*",
            [session("{path}?state={n}")],
        )
        .on(
            "PUT",
            "/v2/*/blobs/uploads/*",
            [Answer::from_fn(commit_blob)],
        )
        .on("DELETE", "/v2/*/blobs/uploads/*", [Answer::status(204)])
        .on(
            "PUT",
            "/v2/*/manifests/*",
            [Answer::status(201)
                .header("Location", "{path}")
                .header("Docker-Content-Digest", "{body_digest}")],
        )
}

fn absent(code: &'static str) -> Answer {
    Answer::error(404, code, "not known to the script")
}

fn session(location: &str) -> Answer {
    Answer::status(202)
        .header("Location", location)
        .header("Docker-Upload-UUID", "session-{n}")
        .header("Range", "0-0")
}

fn commit_blob(request: &RecordedRequest) -> Answer {
    let Some(digest) = request.query("digest") else {
        return Answer::error(400, "DIGEST_INVALID", "no digest");
    };
    // After PATCHes the body is empty; their bytes are not kept.
    let sha256 = digest
        .strip_prefix("sha256:")
        .filter(|_| request.body_len > 0);
    if sha256.is_some_and(|expected| expected != request.body_sha256) {
        return Answer::error(400, "DIGEST_INVALID", "the body has another digest");
    }
    let repository = request.path().split("/blobs/").next().unwrap_or_default();
    Answer::status(201)
        .header("Location", &format!("{repository}/blobs/{digest}"))
        .header("Docker-Content-Digest", &digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault_server::FaultServer;
    use crate::layer::LayerSpec;
    use crate::layout::LayoutFixture;
    use crate::peers::Skopeo;
    use crate::wire::send;

    #[test]
    fn a_body_with_another_digest_is_refused() {
        let server = FaultServer::start(push_registry());
        let line = format!(
            "PUT /v2/a/b/blobs/uploads/1?digest=sha256:{}",
            crate::sha256_hex("abc")
        );
        let good = send(server.address(), &line, "", b"abc");
        assert!(good.starts_with("HTTP/1.1 201"), "{good}");
        assert!(
            good.contains("location: /v2/a/b/blobs/sha256:ba78"),
            "{good}"
        );
        assert!(send(server.address(), &line, "", b"abd").starts_with("HTTP/1.1 400"));
    }

    #[test]
    fn skopeo_pushes_an_image_to_it() {
        let Some(skopeo) = Skopeo::find() else { return };
        let directory = tempfile::tempdir().unwrap();
        let mut layout = LayoutFixture::new(directory.path());
        let image = layout.image(Some("one"), &[LayerSpec::gzip(&[("a", b"1")])]);
        let server = FaultServer::start(push_registry());
        skopeo.copy(
            &format!("oci:{}:one", directory.path().display()),
            &format!("docker://{}/team/app:one", server.address()),
        );
        let last = server.requests().pop().unwrap();
        assert_eq!(last.line(), "PUT /v2/team/app/manifests/one");
        assert_eq!(
            format!("sha256:{}", last.body_sha256),
            image.manifest_digest
        );
    }
}
