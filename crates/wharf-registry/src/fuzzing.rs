//! Access to the private parser of requests for its fuzz target, under `cfg(fuzzing)` only.

use http::Method;

/// Parses a request.
pub fn route(method: &Method, path: &str, query: &str) {
    let _ = crate::http::route::route(method, path, query);
}
