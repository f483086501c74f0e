//! Doors to private parsers for the fuzz targets; there under `cfg(fuzzing)` only.

pub use crate::credentials::fuzzing::docker_config;
pub use crate::remote::fuzzing::{challenge, hosts_file, link, range, referrers_index};
