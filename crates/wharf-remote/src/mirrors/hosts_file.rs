//! containerd's `hosts.toml`: which hosts stand in for a registry, and how to reach each of them.
//! Pure.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};
use url::Url;

use crate::tls::{Certificates, Identity, Tls, Verification};
use wharf_core::{Error, ErrorKind, Result};

/// The most hosts of one file.
const MANY: usize = 64;

/// The content of one file.
#[derive(Debug)]
pub(super) struct HostsFile {
    /// The mirrors, tried first, in this order.
    pub(super) hosts: Vec<HostEntry>,
    /// The server that is tried last.
    pub(super) server: HostEntry,
}

/// One host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HostEntry {
    /// The root of its API, with a slash at the end; `None`: that of the registry itself.
    pub(super) url: Option<Url>,
    pub(super) can: Capabilities,
    /// Files of further certificates to trust there.
    pub(super) ca: Vec<PathBuf>,
    /// Files of client certificates, with those of their keys.
    pub(super) client: Vec<ClientPair>,
    pub(super) verification: Verification,
    /// Headers that are sent to this host only.
    pub(super) headers: HeaderMap,
    /// The connect timeout.
    pub(super) connect: Option<Duration>,
}

impl HostEntry {
    /// Its TLS settings, if the file has any. Blocking.
    ///
    /// # Errors
    /// If a file of certificates or keys cannot be read or is malformed; names the file.
    pub(super) fn tls(&self) -> Result<Option<Tls>> {
        let said = !self.ca.is_empty() || !self.client.is_empty();
        if !said && self.verification == Verification::Full {
            return Ok(None);
        }
        let mut authorities = Certificates::default();
        for path in &self.ca {
            authorities.extend(Certificates::from_file(path)?);
        }
        let pairs = self.client.iter();
        let identities =
            pairs.map(|pair| Identity::from_files(&pair.certificate, pair.key.as_deref()));
        Ok(Some(Tls {
            authorities,
            identities: identities.collect::<Result<_>>()?,
            verification: self.verification,
        }))
    }
}

/// An operation that a host may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Read content by digest.
    Pull,
    /// Resolve a tag.
    Resolve,
    /// List referrers.
    Referrers,
}

/// The operations that a host may be used for; all, if the file states none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities(Option<Vec<Need>>);

impl Capabilities {
    pub(super) fn allow(&self, need: Need) -> bool {
        self.0.as_ref().is_none_or(|listed| listed.contains(&need))
    }
}

/// A client certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientPair {
    pub(super) certificate: PathBuf,
    /// `None`: in the same file.
    pub(super) key: Option<PathBuf>,
}

/// Parses `text`; relative paths in it are below `base`.
///
/// # Errors
/// [`ErrorKind::Invalid`], with line and column.
pub(super) fn parse(text: &str, base: &Path) -> Result<HostsFile> {
    let reader = Reader { text, base };
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let message = error.message().lines().next().unwrap_or_default();
        reader.wrong(at, format!("not TOML: {message}"))
    })?;
    let table = table.get_ref();
    let server = match table.get("server") {
        Some(value) => Some((reader.string(value)?, value.span().start)),
        None => None,
    };
    let hosts = match table.get("host") {
        Some(value) => reader.hosts(value)?,
        None => Vec::new(),
    };
    Ok(HostsFile {
        hosts,
        server: reader.entry(server, table)?,
    })
}

type Value<'a> = Spanned<DeValue<'a>>;

/// A reader that knows the place of each value in the text.
struct Reader<'a> {
    text: &'a str,
    base: &'a Path,
}

impl Reader<'_> {
    fn hosts(&self, value: &Value<'_>) -> Result<Vec<HostEntry>> {
        let hosts = value.get_ref().as_table();
        let hosts =
            hosts.ok_or_else(|| self.kind(value, "a table such as [host.\"https://…\"]"))?;
        if hosts.len() > MANY {
            return Err(self.wrong(value.span().start, format!("more than {MANY} hosts")));
        }
        // Sorted in the order of the file.
        let mut hosts: Vec<_> = hosts.iter().collect();
        hosts.sort_by_key(|(url, _)| url.span().start);
        let entry = |(url, value): (&Spanned<_>, &Value<'_>)| {
            let table = value.get_ref().as_table();
            let table = table.ok_or_else(|| self.kind(value, "a table"))?;
            let text: &std::borrow::Cow<'_, str> = url.get_ref();
            self.entry(Some((text, url.span().start)), table)
        };
        hosts.into_iter().map(entry).collect()
    }

    /// The settings of one host, with the place of its URL.
    fn entry(&self, url: Option<(&str, usize)>, table: &DeTable<'_>) -> Result<HostEntry> {
        let mut entry = HostEntry::default();
        let mut root = Root::BeforeV2;
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "capabilities" => entry.can = self.capabilities(value)?,
                "ca" => entry.ca = self.paths(value)?,
                "client" => entry.client = self.pairs(value)?,
                "skip_verify" if self.boolean(value)? => {
                    entry.verification = Verification::None;
                }
                "override_path" if self.boolean(value)? => root = Root::AsGiven,
                "header" => entry.headers = self.headers(value)?,
                "dial_timeout" => entry.connect = Some(self.duration(value)?),
                "skip_verify" | "override_path" | "server" | "host" => {}
                unknown => tracing::debug!(key = ?unknown, "unknown key, ignored"),
            }
        }
        if let Some((text, at)) = url {
            let url = api_root(text, root);
            entry.url = Some(url.map_err(|why| self.wrong(at, why.to_owned()))?);
        }
        Ok(entry)
    }

    fn capabilities(&self, value: &Value<'_>) -> Result<Capabilities> {
        let mut needs = Vec::new();
        let list = value.get_ref().as_array();
        let list =
            list.ok_or_else(|| self.kind(value, "a list such as [\"pull\", \"resolve\"]"))?;
        for item in list {
            match self.string(item)?.to_ascii_lowercase().as_str() {
                "pull" => needs.push(Need::Pull),
                "resolve" => needs.push(Need::Resolve),
                "referrers" => needs.push(Need::Referrers),
                // Nothing is pushed to a mirror.
                "push" => {}
                unknown => tracing::debug!(capability = ?unknown, "unknown, ignored"),
            }
        }
        Ok(Capabilities((!list.is_empty()).then_some(needs)))
    }

    fn paths(&self, value: &Value<'_>) -> Result<Vec<PathBuf>> {
        match value.get_ref().as_str() {
            Some(path) => Ok(vec![self.base.join(path)]),
            None => self
                .array(value)?
                .iter()
                .map(|item| Ok(self.base.join(self.string(item)?)))
                .collect(),
        }
    }

    fn pairs(&self, value: &Value<'_>) -> Result<Vec<ClientPair>> {
        let alone = |path: &str| ClientPair {
            certificate: self.base.join(path),
            key: None,
        };
        if let Some(path) = value.get_ref().as_str() {
            return Ok(vec![alone(path)]);
        }
        let pair = |item: &Value<'_>| {
            if let Some(path) = item.get_ref().as_str() {
                return Ok(alone(path));
            }
            let mut both = self.array(item)?.iter();
            let (Some(certificate), Some(key), None) = (both.next(), both.next(), both.next())
            else {
                let wanted = "a certificate and its key belong here".to_owned();
                return Err(self.wrong(item.span().start, wanted));
            };
            let key = self.string(key)?;
            Ok(ClientPair {
                certificate: self.base.join(self.string(certificate)?),
                key: (!key.is_empty()).then(|| self.base.join(key)),
            })
        };
        self.array(value)?.iter().map(pair).collect()
    }

    fn headers(&self, value: &Value<'_>) -> Result<HeaderMap> {
        let table = value.get_ref().as_table();
        let table = table.ok_or_else(|| self.kind(value, "a table of headers"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in table {
            let at = name.span().start;
            let name: HeaderName = name
                .get_ref()
                .parse()
                .map_err(|_| self.wrong(at, "not a valid header name".to_owned()))?;
            if [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING].contains(&name) {
                return Err(self.wrong(at, format!("the header {name} cannot be set")));
            }
            let texts = match value.get_ref().as_str() {
                Some(text) => vec![text],
                None => {
                    let texts = self.array(value)?.iter().map(|item| self.string(item));
                    texts.collect::<Result<_>>()?
                }
            };
            for text in texts {
                let mut value = HeaderValue::from_str(text).map_err(|_| {
                    let message = format!("not a valid value for the header {name}");
                    self.wrong(value.span().start, message)
                })?;
                value.set_sensitive(true);
                headers.append(name.clone(), value);
            }
        }
        Ok(headers)
    }

    fn duration(&self, value: &Value<'_>) -> Result<Duration> {
        let text = self.string(value)?;
        let duration = text.parse::<jiff::SignedDuration>().ok();
        let duration = duration.and_then(|duration| Duration::try_from(duration).ok());
        let positive = duration.filter(|duration| !duration.is_zero());
        positive.ok_or_else(|| self.kind(value, "a time such as \"1s\" or \"500ms\""))
    }

    fn boolean(&self, value: &Value<'_>) -> Result<bool> {
        let boolean = value.get_ref().as_bool();
        boolean.ok_or_else(|| self.kind(value, "true or false"))
    }

    fn string<'v>(&self, value: &'v Value<'_>) -> Result<&'v str> {
        let string = value.get_ref().as_str();
        string.ok_or_else(|| self.kind(value, "a string"))
    }

    fn array<'v, 'i>(&self, value: &'v Value<'i>) -> Result<&'v DeArray<'i>> {
        let array = value.get_ref().as_array();
        array.ok_or_else(|| self.kind(value, "a string or a list"))
    }

    /// The error of a value of the wrong type, which is not quoted: it may be a secret.
    fn kind(&self, value: &Value<'_>, wanted: &str) -> Error {
        self.wrong(value.span().start, format!("{wanted} belongs here"))
    }

    fn wrong(&self, at: usize, what: String) -> Error {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default();
        let column = column.chars().count() + 1;
        let message = format!("line {line}, column {column}: {what}");
        Error::new(ErrorKind::Invalid, message)
    }
}

/// Where the API is, relative to a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    /// At `v2`, which is added if it is missing.
    BeforeV2,
    /// At the URL itself.
    AsGiven,
}

/// The root of the API at `text`, with a slash at the end.
fn api_root(text: &str, root: Root) -> std::result::Result<Url, &'static str> {
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false => format!("https://{text}"),
    };
    let mut url = Url::parse(&whole).map_err(|_| "not a URL such as \"https://mirror.example\"")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("an http or https URL belongs here");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("user names and passwords do not belong here; log in to the host instead");
    }
    url.set_query(None);
    url.set_fragment(None);
    let path = url.path().trim_end_matches('/').to_owned();
    let path = match root {
        Root::BeforeV2 if !path.ends_with("/v2") => format!("{path}/v2/"),
        _ => format!("{path}/"),
    };
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> HostsFile {
        parse(text, Path::new("/etc/certs.d/docker.io")).unwrap()
    }

    fn complaint(text: &str) -> String {
        let error = parse(text, Path::new("/")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    }

    fn urls(file: &HostsFile) -> Vec<&str> {
        let urls = file.hosts.iter().filter_map(|host| host.url.as_ref());
        urls.map(Url::as_str).collect()
    }

    #[test]
    fn hosts_stand_in_the_order_of_the_file() {
        let file = read(
            "server = \"https://registry-1.docker.io\"\n\
             [host.\"https://z.example\"]\ncapabilities = [\"pull\"]\n\
             [host.\"http://a.example:5000/team\"]\n\
             [host.\"m.example/v2\"]\n[host.\"m.example/v2\".header]\nx-a = \"1\"\n\
             [host.\"https://odd.example/v2/up\"]\noverride_path = true\n",
        );
        assert_eq!(
            urls(&file),
            [
                "https://z.example/v2/",
                "http://a.example:5000/team/v2/",
                "https://m.example/v2/",
                "https://odd.example/v2/up/",
            ]
        );
        let server = file.server.url.unwrap();
        assert_eq!(server.as_str(), "https://registry-1.docker.io/v2/");
    }

    #[test]
    fn capabilities_are_what_is_listed_or_everything() {
        let all = [Need::Pull, Need::Resolve, Need::Referrers];
        let allowed = |list: &str| {
            let file = read(&format!("capabilities = {list}"));
            all.map(|need| file.server.can.allow(need))
        };
        assert_eq!(allowed("[\"PULL\"]"), [true, false, false]);
        assert_eq!(
            allowed("[\"pull\", \"resolve\", \"fly\"]"),
            [true, true, false]
        );
        assert_eq!(allowed("[\"referrers\"]"), [false, false, true]);
        assert_eq!(allowed("[\"push\"]"), [false, false, false]);
        assert_eq!(allowed("[]"), [true, true, true]);
        assert_eq!(all.map(|need| read("").server.can.allow(need)), [true; 3]);
    }

    #[test]
    fn settings_come_in_the_forms_of_the_document() {
        let file = read(
            "ca = \"ca.pem\"\nclient = [[\"c.cert\", \"/k.key\"], [\"both.pem\", \"\"]]\n\
             skip_verify = true\ndial_timeout = \"1m30s\"\nnew_thing = 7\n\
             [header]\nx-one = \"a\"\nX-Two = [\"b\", \"c\"]\n",
        );
        let below = |name: &str| Path::new("/etc/certs.d/docker.io").join(name);
        let server = file.server;
        assert_eq!(server.ca, [below("ca.pem")]);
        let pair = |certificate: PathBuf, key| ClientPair { certificate, key };
        assert_eq!(
            server.client,
            [
                pair(below("c.cert"), Some("/k.key".into())),
                pair(below("both.pem"), None)
            ]
        );
        assert_eq!(server.verification, Verification::None);
        assert_eq!(server.connect, Some(Duration::from_secs(90)));
        assert_eq!(server.headers.get_all("x-two").iter().count(), 2);
        assert!(server.headers.values().all(HeaderValue::is_sensitive));
        let both = read("ca = [\"a\", \"b\"]\nclient = [\"c.pem\", \"d.pem\"]").server;
        assert_eq!((both.ca.len(), both.client.len()), (2, 2));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_without_its_value() {
        for (text, expected) in [
            ("server = 7", "line 1, column 10: a string belongs here"),
            (
                "\n[host]\n\"https://é\" = 1",
                "line 3, column 15: a table belongs here",
            ),
            (
                "skip_verify = \"yes\"",
                "line 1, column 15: true or false belongs here",
            ),
            (
                "[header]\nx = [\"a\", 1]",
                "line 2, column 11: a string belongs here",
            ),
            (
                "[header]\nx = \"a\\nb\"",
                "line 2, column 5: not a valid value for the header x",
            ),
            (
                "[header]\nHost = \"a\"",
                "line 2, column 1: the header host cannot be set",
            ),
            (
                "[host.\"ftp://x\"]",
                "line 1, column 7: an http or https URL belongs here",
            ),
            (
                "server = \"https://me:hidden@x\"",
                "line 1, column 10: user names and passwords do not belong here; log in to the \
                 host instead",
            ),
            (
                "dial_timeout = \"-1s\"",
                "line 1, column 16: a time such as \"1s\" or \"500ms\" belongs here",
            ),
            (
                "capabilities = \"pull\"",
                "line 1, column 16: a list such as [\"pull\", \"resolve\"] belongs here",
            ),
            (
                "client = [[\"a\"]]",
                "line 1, column 11: a certificate and its key belong here",
            ),
        ] {
            assert_eq!(complaint(text), expected, "{text}");
        }
        let broken = complaint("server = \"x\"\n[host.");
        assert!(broken.starts_with("line 2, column "), "{broken}");
        assert!(broken.contains("not TOML: "), "{broken}");
        assert_eq!(broken.lines().count(), 1);
    }

    proptest! {
        #[test]
        fn no_file_is_too_odd(text in "[a-z0-9\\[\\]\"=.\n:/ ]{0,200}") {
            let _ = parse(&text, Path::new("/"));
        }
    }
}
