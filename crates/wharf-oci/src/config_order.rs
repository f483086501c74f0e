//! The order of the fields that say how to run an image. Digests depend on it.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The order in which other tools write them.
const RUNNING: [&str; 24] = [
    "AttachStderr",
    "AttachStdin",
    "AttachStdout",
    "Cmd",
    "Healthcheck",
    "Domainname",
    "Entrypoint",
    "Env",
    "Hostname",
    "Image",
    "Labels",
    "OnBuild",
    "OpenStdin",
    "StdinOnce",
    "Tty",
    "User",
    "Volumes",
    "WorkingDir",
    "ExposedPorts",
    "ArgsEscaped",
    "NetworkDisabled",
    "MacAddress",
    "StopSignal",
    "Shell",
];

const HEALTH: [&str; 5] = ["Test", "Interval", "Timeout", "StartPeriod", "Retries"];

/// Writes how to run an image: known fields in their order, then the others by name.
pub(crate) fn in_order<S: Serializer>(
    config: &Option<Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match config {
        Some(Value::Object(fields)) => Ordered(fields, &RUNNING).serialize(serializer),
        other => other.serialize(serializer),
    }
}

/// An object, and the names that are first.
struct Ordered<'a>(&'a Map<String, Value>, &'a [&'a str]);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Ordered(fields, first) = self;
        let rank = |name: &String| first.iter().position(|known| known == name);
        let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
        sorted.sort_by_key(|(name, _)| (rank(name).unwrap_or(usize::MAX), *name));
        let mut map = serializer.serialize_map(Some(sorted.len()))?;
        for (name, value) in sorted {
            match value {
                Value::Object(health) if name == "Healthcheck" => {
                    map.serialize_entry(name, &Ordered(health, &HEALTH))?;
                }
                value => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}
