//! How an image is run, as its config says: the known fields of `config.config`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ImageConfig;

/// How an image is run. Fields of another form than expected are left out: they harm nothing here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunConfig {
    /// The program, and its first arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Further arguments, or the program if there is no entrypoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Variables of the environment, `NAME=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The user, by name or number, perhaps with a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The directory in which it starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Free-form facts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The ports that it listens on, `8080/tcp`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exposed_ports: Vec<String>,
    /// The directories that keep data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// The signal that ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
}

impl ImageConfig {
    /// How the image is run.
    pub fn run_config(&self) -> RunConfig {
        RunConfig {
            entrypoint: self.run_field("Entrypoint"),
            cmd: self.run_field("Cmd"),
            env: self.run_field("Env").unwrap_or_default(),
            user: self.run_text("User"),
            working_dir: self.run_text("WorkingDir"),
            labels: self.run_field("Labels").unwrap_or_default(),
            exposed_ports: self.run_keys("ExposedPorts"),
            volumes: self.run_keys("Volumes"),
            stop_signal: self.run_text("StopSignal"),
        }
    }

    fn run_field<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Option<T> {
        T::deserialize(self.config.as_ref()?.get(name)?).ok()
    }

    fn run_text(&self, name: &str) -> Option<String> {
        self.run_field(name)
            .filter(|text: &String| !text.is_empty())
    }

    fn run_keys(&self, name: &str) -> Vec<String> {
        let set: Option<BTreeMap<String, Value>> = self.run_field(name);
        set.unwrap_or_default().into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn known_fields_are_read_and_odd_ones_are_left_out() {
        let document = json!({ "config": {
            "Entrypoint": ["/app"], "Cmd": null, "Env": ["A=b"], "User": "", "WorkingDir": 7,
            "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}}, "Volumes": ["x"],
        }});
        let config = ImageConfig::parse(document.to_string().as_bytes()).unwrap();
        let expected = RunConfig {
            entrypoint: Some(vec!["/app".to_owned()]),
            env: vec!["A=b".to_owned()],
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            exposed_ports: vec!["80/tcp".to_owned()],
            ..RunConfig::default()
        };
        assert_eq!(config.run_config(), expected);
        assert_eq!(ImageConfig::default().run_config(), RunConfig::default());
    }
}
