//! What OCI says, as pure types: no runtime, no network, no files.
