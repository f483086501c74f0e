//! Entry points of the fuzz targets.

use std::path::Path;

use super::document::Document;

/// Reads a file of credentials and all its entries. Returns the errors.
pub fn docker_config(bytes: &[u8]) -> Vec<String> {
    let path = Path::new("config.json");
    let document = match Document::parse(path, bytes) {
        Ok(document) => document,
        Err(error) => return vec![error.to_string()],
    };
    let keys = [
        "docker.io",
        "registry.example",
        "registry.example:5000/team",
    ];
    let errors = keys.iter().filter_map(|key| {
        let _ = (
            document.helpers(key, true),
            document.written(key),
            document.below(key),
        );
        document.credential(path, key).err()
    });
    errors.map(|error| error.to_string()).collect()
}
