//! Paths for scripts of registries, and helpers for recorded requests.

use wharf_testkit::{DockerRegistry, FaultServer, RecordingProxy};

/// Where uploads begin.
pub(crate) const UPLOADS: &str = "/v2/*/blobs/uploads/";

/// Upload sessions.
pub(crate) const SESSION: &str = "/v2/*/blobs/uploads/*";

pub(crate) const BLOB: &str = "/v2/*/blobs/*";

pub(crate) const MANIFEST: &str = "/v2/*/manifests/*";

/// `Authorization` of the user `me` with the password `hidden`.
pub(crate) const BASIC: &str = "Basic bWU6aGlkZGVu";

/// The request lines that start with `start`.
pub(crate) fn lines(server: &FaultServer, start: &str) -> Vec<String> {
    let lines = server.lines().into_iter();
    lines.filter(|line| line.starts_with(start)).collect()
}

/// How many request lines start with `start`.
pub(crate) fn count(server: &FaultServer, start: &str) -> usize {
    lines(server, start).len()
}

/// Debian's registry behind a proxy that counts; `None` if it is not installed.
pub(crate) fn counted_registry() -> Option<(DockerRegistry, RecordingProxy)> {
    let registry = DockerRegistry::start()?;
    let proxy = RecordingProxy::start(registry.address());
    Some((registry, proxy))
}

/// The methods of the requests since the last call.
pub(crate) fn methods(proxy: &RecordingProxy) -> Vec<String> {
    let methods = proxy.requests().into_iter().map(|request| request.method);
    let methods = methods.collect();
    proxy.forget();
    methods
}
