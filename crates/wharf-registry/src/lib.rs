//! The embedded registry: an HTTP face over the library's stores.
