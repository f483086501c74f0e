//! A door to the private parser of requests for its fuzz target; there under `cfg(fuzzing)` only.

use http::Method;

/// Finds out what a request means.
pub fn route(method: &Method, path: &str, query: &str) {
    let _ = crate::http::route::route(method, path, query);
}
