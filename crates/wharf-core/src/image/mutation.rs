//! Changes to the config and the manifest of an image, as pure functions of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wharf_oci::Platform;

use super::edited::EditedImage;
use crate::{Error, ErrorKind, Result};

/// Changes to the config and the manifest of an image. What is not named stays.
///
/// ```
/// # use wharf_core as wharf;
/// use wharf::image::{EditedImage, Mutation};
/// use wharf::layer::Family;
///
/// let mutation = Mutation {
///     labels: vec![("team".to_owned(), Some("a".to_owned()))],
///     cmd: Some(vec!["/app".to_owned()]),
///     ..Mutation::default()
/// };
/// let image = mutation.apply(EditedImage::empty(Family::Oci))?;
/// let expected = serde_json::json!({ "Labels": { "team": "a" }, "Cmd": ["/app"] });
/// assert_eq!(image.config.config, Some(expected));
/// # Ok::<(), wharf::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mutation {
    /// Labels of the config, set, or removed where there is no value.
    pub labels: Vec<(String, Option<String>)>,
    /// Annotations of the manifest, set, or removed where there is no value.
    pub annotations: Vec<(String, Option<String>)>,
    /// Variables of the environment: set in their place, added at the end, or removed.
    pub env: Vec<(String, Option<String>)>,
    /// The entry point; an empty one removes it. Setting it removes the command of before.
    pub entrypoint: Option<Vec<String>>,
    /// The command; an empty one removes it.
    pub cmd: Option<Vec<String>>,
    /// The user.
    pub user: Option<String>,
    /// The working directory.
    pub working_dir: Option<String>,
    /// All exposed ports.
    pub exposed_ports: Option<Vec<String>>,
    /// The platform: architecture, operating system, its version, and variant. Parts that it lacks
    /// are removed.
    pub platform: Option<Platform>,
    /// When the image was made, RFC 3339.
    pub created: Option<String>,
}

impl Mutation {
    /// The image with these changes.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for changes to the config of an artifact; [`ErrorKind::Invalid`]
    /// if the config does not say how to run the image in the usual form.
    pub fn apply(&self, mut image: EditedImage) -> Result<EditedImage> {
        set_all(&mut image.fields.annotations, &self.annotations);
        if !self.changes_config() {
            return Ok(image);
        }
        if !image.is_runnable() {
            let message = "an artifact has no image config that could be changed";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if let Some(platform) = &self.platform {
            let platform = platform.clone();
            image.config.os = platform.os;
            image.config.architecture = platform.architecture;
            image.config.variant = platform.variant;
            image.config.os_version = platform.os_version;
        }
        if let Some(created) = &self.created {
            image.config.created = Some(created.clone());
        }
        if self.changes_running() {
            let is_windows = image.config.os == "windows";
            let mut running = match image.config.config.take() {
                None | Some(Value::Null) => Map::new(),
                Some(Value::Object(running)) => running,
                Some(_) => return Err(unusual("config")),
            };
            self.change_running(&mut running, is_windows)?;
            image.config.config = Some(Value::Object(running));
        }
        Ok(image)
    }

    fn changes_config(&self) -> bool {
        self.platform.is_some() || self.created.is_some() || self.changes_running()
    }

    fn changes_running(&self) -> bool {
        let lists = [&self.entrypoint, &self.cmd, &self.exposed_ports];
        !self.labels.is_empty()
            || !self.env.is_empty()
            || lists.iter().any(|list| list.is_some())
            || self.user.is_some()
            || self.working_dir.is_some()
    }

    fn change_running(&self, running: &mut Map<String, Value>, is_windows: bool) -> Result<()> {
        if !self.labels.is_empty() {
            let mut labels = match running.remove("Labels") {
                None => BTreeMap::new(),
                Some(found) => read(found, "Labels")?,
            };
            set_all(&mut labels, &self.labels);
            if !labels.is_empty() {
                running.insert("Labels".to_owned(), serde_json::json!(labels));
            }
        }
        if !self.env.is_empty() {
            let env = match running.remove("Env") {
                None => Vec::new(),
                Some(found) => read(found, "Env")?,
            };
            put_list(running, "Env", &changed_env(env, &self.env, is_windows));
        }
        if let Some(entrypoint) = &self.entrypoint {
            put_list(running, "Entrypoint", entrypoint);
            running.remove("Cmd");
        }
        if let Some(cmd) = &self.cmd {
            put_list(running, "Cmd", cmd);
        }
        for (name, value) in [("User", &self.user), ("WorkingDir", &self.working_dir)] {
            if let Some(value) = value {
                running.insert(name.to_owned(), value.clone().into());
            }
        }
        if let Some(ports) = &self.exposed_ports {
            let ports = ports
                .iter()
                .map(|port| (port.clone(), Value::Object(Map::new())));
            let ports: Map<String, Value> = ports.collect();
            match ports.is_empty() {
                true => running.remove("ExposedPorts"),
                false => running.insert("ExposedPorts".to_owned(), Value::Object(ports)),
            };
        }
        Ok(())
    }
}

/// Sets or removes entries of a map.
fn set_all(map: &mut BTreeMap<String, String>, changes: &[(String, Option<String>)]) {
    for (key, value) in changes {
        match value {
            Some(value) => map.insert(key.clone(), value.clone()),
            None => map.remove(key),
        };
    }
}

/// The environment with these changes. Windows does not tell upper case from lower case, so names
/// that are added there are in upper case.
fn changed_env(
    env: Vec<String>,
    changes: &[(String, Option<String>)],
    is_windows: bool,
) -> Vec<String> {
    let named = |line: &str, name: &str| {
        let (key, _) = line.split_once('=').unwrap_or((line, ""));
        match is_windows {
            true => key.eq_ignore_ascii_case(name),
            false => key == name,
        }
    };
    let mut env = env;
    for (name, value) in changes {
        let Some(value) = value else {
            env.retain(|line| !named(line, name));
            continue;
        };
        let mut found = false;
        for line in env.iter_mut().filter(|line| named(line, name)) {
            let (key, _) = line.split_once('=').unwrap_or((line, ""));
            *line = format!("{key}={value}");
            found = true;
        }
        if !found {
            let name = match is_windows {
                true => name.to_uppercase(),
                false => name.clone(),
            };
            env.push(format!("{name}={value}"));
        }
    }
    env
}

/// Sets a list; an empty one is removed.
fn put_list(running: &mut Map<String, Value>, name: &str, list: &[String]) {
    match list.is_empty() {
        true => running.remove(name),
        false => running.insert(name.to_owned(), serde_json::json!(list)),
    };
}

/// A field as what it usually is; `null` is nothing.
fn read<T: Default + serde::de::DeserializeOwned>(found: Value, name: &str) -> Result<T> {
    let read: Result<Option<T>, _> = serde_json::from_value(found);
    Ok(read.map_err(|_| unusual(name))?.unwrap_or_default())
}

fn unusual(name: &str) -> Error {
    let message = format!("{name} in the config of the image is not of the usual form");
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::layer::Family;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn set(key: &str, value: &str) -> (String, Option<String>) {
        (key.to_owned(), Some(value.to_owned()))
    }

    /// What `mutation` makes of an image that says this about running.
    fn changed(running: Value, os: &str, mutation: &Mutation) -> Value {
        let mut image = EditedImage::empty(Family::Oci);
        image.config.config = Some(running);
        image.config.os = os.to_owned();
        let changed = mutation.apply(image).unwrap();
        changed.config.config.unwrap()
    }

    #[test]
    fn what_is_not_named_stays_unknown_fields_included() {
        let running = json!({"StopTimeout": 5, "Cmd": null, "Labels": {"a": "1"}, "Env": ["A=b"]});
        let mutation = Mutation {
            labels: vec![set("b", "2")],
            user: Some("me".to_owned()),
            ..Mutation::default()
        };
        let expected = json!({"StopTimeout": 5, "Cmd": null, "Labels": {"a": "1", "b": "2"}, "Env": ["A=b"], "User": "me"});
        assert_eq!(changed(running.clone(), "linux", &mutation), expected);
        let nothing = Mutation::default();
        assert_eq!(changed(running.clone(), "linux", &nothing), running);
    }

    #[test]
    fn variables_change_in_their_place_or_are_added_at_the_end_in_order() {
        let running = json!({"Env": ["PATH=/bin", "A=1", "B=2"]});
        let mutation = Mutation {
            env: vec![
                set("Z", "9"),
                set("A", "x=y,z"),
                set("C", ""),
                ("B".to_owned(), None),
            ],
            ..Mutation::default()
        };
        let expected = json!({"Env": ["PATH=/bin", "A=x=y,z", "Z=9", "C="]});
        assert_eq!(changed(running, "linux", &mutation), expected);
        let running = json!({"Env": ["Path=C:\\"]});
        let mutation = Mutation {
            env: vec![set("path", "D:\\"), set("new", "1")],
            ..Mutation::default()
        };
        let expected = json!({"Env": ["Path=D:\\", "NEW=1"]});
        assert_eq!(changed(running, "windows", &mutation), expected);
    }

    #[test]
    fn an_entry_point_removes_the_command_and_an_empty_one_itself() {
        let running = || json!({"Entrypoint": ["a"], "Cmd": ["b"]});
        let mutation = |entrypoint: Option<&[&str]>, cmd: Option<&[&str]>| Mutation {
            entrypoint: entrypoint.map(texts),
            cmd: cmd.map(texts),
            ..Mutation::default()
        };
        for (entrypoint, cmd, expected) in [
            (Some(&["x"][..]), None, json!({"Entrypoint": ["x"]})),
            (
                None,
                Some(&["y"][..]),
                json!({"Entrypoint": ["a"], "Cmd": ["y"]}),
            ),
            (
                Some(&["x"]),
                Some(&["y"]),
                json!({"Entrypoint": ["x"], "Cmd": ["y"]}),
            ),
            (Some(&[]), None, json!({})),
            (None, Some(&[]), json!({"Entrypoint": ["a"]})),
        ] {
            let mutation = mutation(entrypoint, cmd);
            assert_eq!(changed(running(), "linux", &mutation), expected);
        }
    }

    #[test]
    fn labels_and_ports_are_removed_with_their_last_entry() {
        let running = json!({"Labels": {"a": "1"}, "ExposedPorts": {"80/tcp": {}}});
        let mutation = Mutation {
            labels: vec![("a".to_owned(), None)],
            exposed_ports: Some(texts(&["8080", "53/udp"])),
            ..Mutation::default()
        };
        let expected = json!({"ExposedPorts": {"8080": {}, "53/udp": {}}});
        assert_eq!(changed(running, "linux", &mutation), expected);
    }

    #[test]
    fn a_platform_is_set_as_a_whole() {
        let mut image = EditedImage::empty(Family::Oci);
        image.config.os_version = Some("10".to_owned());
        let mutation = Mutation {
            platform: Some("linux/arm/v7".parse().unwrap()),
            created: Some("2026-01-01T00:00:00Z".to_owned()),
            ..Mutation::default()
        };
        let config = mutation.apply(image).unwrap().config;
        assert_eq!(config.platform().to_string(), "linux/arm/v7");
        assert_eq!(
            (config.os_version, config.created.as_deref()),
            (None, Some("2026-01-01T00:00:00Z"))
        );
    }

    #[test]
    fn odd_configs_are_refused_by_name() {
        let mut image = EditedImage::empty(Family::Oci);
        image.config.config = Some(json!({"Env": "A=b"}));
        let mutation = Mutation {
            env: vec![set("A", "b")],
            ..Mutation::default()
        };
        let error = mutation.apply(image).unwrap_err();
        assert!(
            error.to_string().starts_with("Env in the config"),
            "{error}"
        );
    }
}
