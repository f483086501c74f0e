//! Routes of requests to the embedded registry: `METHOD PATH?QUERY`.
#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (method, target) = text.split_once(' ').unwrap_or(("GET", text));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let method = method.parse().unwrap_or(Method::GET);
    wharf_registry::fuzzing::route(&method, path, query);
});
