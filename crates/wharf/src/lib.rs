//! Move container images and OCI artifacts between files, streams and registries.
