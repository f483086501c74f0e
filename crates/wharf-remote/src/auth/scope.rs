//! Token scopes (distribution: "Token Scope Documentation"), and the scopes that a request needs.
//!
//! Pure. The order matters: some registries look at the first scope only, so the repository that is
//! written to comes first, and `pull` before `push` (wire.md M3).

use std::fmt;

use http::Method;
use url::Url;
use wharf_oci::RepositoryName;

/// The most scopes of one token.
const MANY: usize = 32;

/// Whether a repository is only read or is written to as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `pull`.
    Read,
    /// `pull,push`.
    Write,
}

/// Some actions on one resource: `repository:library/app:pull,push`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Scope {
    /// `repository`, `registry`, …
    kind: String,
    name: String,
    actions: Vec<String>,
}

/// Scopes in order, one for each resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ScopeSet(Vec<Scope>);

/// The scopes for one request.
#[derive(Clone, Debug)]
pub(crate) struct Needed {
    method: Method,
    /// Serve other requests to the repository as well, so that one token lasts.
    usual: ScopeSet,
    /// The fewest that allow the request.
    least: ScopeSet,
}

impl Needed {
    /// A request with this `method` that needs `scopes`, and no fewer.
    pub(crate) fn exactly(method: Method, scopes: ScopeSet) -> Self {
        Needed {
            method,
            usual: scopes.clone(),
            least: scopes,
        }
    }

    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    pub(super) fn usual(&self) -> &ScopeSet {
        &self.usual
    }

    pub(super) fn least(&self) -> &ScopeSet {
        &self.least
    }
}

impl ScopeSet {
    /// Parses scopes separated by spaces. Skips malformed ones.
    pub(super) fn parse(text: &str) -> Self {
        let mut set = ScopeSet::default();
        for word in text.split_ascii_whitespace().take(MANY) {
            // A name may contain a port, so the last colon separates the actions.
            let parts = word.split_once(':').and_then(|(kind, rest)| {
                let (name, actions) = rest.rsplit_once(':')?;
                Some((kind, name, actions))
            });
            if let Some((kind, name, actions)) = parts {
                set.add(
                    kind,
                    name,
                    actions.split(',').filter(|action| !action.is_empty()),
                );
            }
        }
        set
    }

    /// What listing the repositories of a registry needs.
    pub(crate) fn catalog() -> Self {
        let mut set = ScopeSet::default();
        set.add("registry", "catalog", ["*"]);
        set
    }

    fn repository<const N: usize>(name: &str, actions: [&str; N]) -> Self {
        let mut set = ScopeSet::default();
        set.add("repository", name, actions);
        set
    }

    fn add<'a>(&mut self, kind: &str, name: &str, actions: impl IntoIterator<Item = &'a str>) {
        let known = |scope: &Scope| scope.kind == kind && scope.name == name;
        let index = self.0.iter().position(known).unwrap_or_else(|| {
            self.0.push(Scope {
                kind: kind.to_owned(),
                name: name.to_owned(),
                actions: Vec::new(),
            });
            self.0.len() - 1
        });
        let Some(scope) = self.0.get_mut(index) else {
            return;
        };
        for action in actions {
            if !scope.actions.iter().any(|known| known == action) {
                scope.actions.push(action.to_owned());
            }
        }
        scope.actions.sort_by_key(|action| rank(action));
    }

    /// Both sets, ours first, at most [`MANY`].
    pub(super) fn merged(&self, other: &ScopeSet) -> ScopeSet {
        let mut merged = self.clone();
        for scope in &other.0 {
            let actions = scope.actions.iter().map(String::as_str);
            merged.add(&scope.kind, &scope.name, actions);
        }
        merged.0.truncate(MANY);
        merged
    }

    /// Whether everything that `other` allows is allowed.
    pub(super) fn covers(&self, other: &ScopeSet) -> bool {
        other.0.iter().all(|wanted| {
            let same = |scope: &&Scope| scope.kind == wanted.kind && scope.name == wanted.name;
            let ours = self.0.iter().find(same);
            ours.is_some_and(|ours| {
                let has =
                    |action: &String| ours.actions.iter().any(|own| own == action || own == "*");
                wanted.actions.iter().all(has)
            })
        })
    }

    /// Whether both name the same resource first, the only one that some registries look at.
    pub(super) fn begins_like(&self, other: &ScopeSet) -> bool {
        let resource = |set: &ScopeSet| {
            let first = set.0.first();
            first.map(|scope| (scope.kind.clone(), scope.name.clone()))
        };
        resource(self) == resource(other)
    }

    /// How much it allows, as a number for comparisons. `*` counts as more than any list.
    pub(super) fn breadth(&self) -> usize {
        let actions = self.0.iter().flat_map(|scope| &scope.actions);
        let weights = actions.map(|action| if action == "*" { 1000 } else { 1 });
        weights.sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each scope in its own text.
    pub(super) fn each(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Scope::to_string)
    }
}

/// The usual order.
fn rank(action: &str) -> usize {
    let known = ["pull", "push", "delete"];
    known
        .iter()
        .position(|known| *known == action)
        .unwrap_or(known.len())
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.each().collect::<Vec<_>>().join(" "))
    }
}

/// The scopes of a request to the repository `name`. Deleting needs more than writing; ending an
/// upload session does not, at most registries. A mount needs `pull` on its source.
pub(crate) fn needed(method: &Method, url: &Url, name: &RepositoryName, access: Access) -> Needed {
    let set = |actions: &[&str]| {
        let mut set = ScopeSet::default();
        set.add("repository", name.as_str(), actions.iter().copied());
        set
    };
    let session = url.path().contains("/blobs/uploads/");
    let (read, write) = (&["pull"][..], &["pull", "push"][..]);
    let (usual, least) = match *method {
        Method::DELETE if !session => (&["pull", "push", "delete"][..], &["delete"][..]),
        Method::GET | Method::HEAD if !session => match access {
            Access::Read => (read, read),
            Access::Write => (write, read),
        },
        _ => (write, write),
    };
    let (mut usual, mut least) = (set(usual), set(least));
    if *method == Method::POST
        && let Some(from) = mounted_from(url)
    {
        usual.add("repository", &from, ["pull"]);
        least.add("repository", &from, ["pull"]);
    }
    Needed {
        method: method.clone(),
        usual,
        least,
    }
}

/// The repository of the same registry that a mount comes from.
fn mounted_from(url: &Url) -> Option<String> {
    let value = |wanted: &str| {
        let mut pairs = url.query_pairs();
        pairs.find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
    };
    match (value("mount"), value("origin")) {
        (Some(_), None) => value("from"),
        _ => None,
    }
}

/// The scopes of a push to the repository `name`, with mounts from `sources` (wire.md M3).
pub(super) fn for_push(
    name: &RepositoryName,
    access: Access,
    sources: &[RepositoryName],
) -> ScopeSet {
    let mut scopes = match access {
        Access::Read => ScopeSet::repository(name.as_str(), ["pull"]),
        Access::Write => ScopeSet::repository(name.as_str(), ["pull", "push"]),
    };
    for source in sources {
        scopes.add("repository", source.as_str(), ["pull"]);
    }
    scopes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn needs(method: Method, path: &str, access: Access) -> String {
        let url = Url::parse(&format!("https://r.example{path}")).unwrap();
        let needed = needed(&method, &url, &"a/b".parse().unwrap(), access);
        assert!(needed.usual.covers(&needed.least));
        needed.usual.to_string()
    }

    #[test]
    fn m3_the_destination_stands_first_and_the_mount_source_after_it() {
        let mount = "/v2/a/b/blobs/uploads/?mount=sha256:00&from=c%2Fd";
        assert_eq!(
            needs(Method::POST, mount, Access::Write),
            "repository:a/b:pull,push repository:c/d:pull"
        );
        let far = format!("{mount}&origin=other.example");
        assert_eq!(
            needs(Method::POST, &far, Access::Write),
            "repository:a/b:pull,push"
        );
        let own = "/v2/a/b/blobs/uploads/?mount=sha256:00&from=a/b";
        assert_eq!(
            needs(Method::POST, own, Access::Write),
            "repository:a/b:pull,push"
        );
    }

    #[test]
    fn a_request_asks_for_no_more_than_it_needs() {
        let (manifest, session) = ("/v2/a/b/manifests/1", "/v2/a/b/blobs/uploads/1");
        for (method, path, access, expected) in [
            (Method::GET, manifest, Access::Read, "pull"),
            (Method::HEAD, manifest, Access::Write, "pull,push"),
            (Method::PUT, manifest, Access::Read, "pull,push"),
            (Method::GET, session, Access::Read, "pull,push"),
            (Method::DELETE, session, Access::Write, "pull,push"),
            (Method::DELETE, manifest, Access::Write, "pull,push,delete"),
        ] {
            let expected = format!("repository:a/b:{expected}");
            assert_eq!(
                needs(method.clone(), path, access),
                expected,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn fault_b1_the_least_is_what_the_method_alone_needs() {
        let least = |method: Method, path: &str| {
            let url = Url::parse(&format!("https://r.example{path}")).unwrap();
            let name = "a/b".parse().unwrap();
            needed(&method, &url, &name, Access::Write)
                .least
                .to_string()
        };
        let mount = "/v2/a/b/blobs/uploads/?mount=sha256:00&from=c";
        for (method, path, expected) in [
            (Method::HEAD, "/v2/a/b/manifests/1", "repository:a/b:pull"),
            (Method::GET, "/v2/a/b/blobs/x", "repository:a/b:pull"),
            (
                Method::PUT,
                "/v2/a/b/manifests/1",
                "repository:a/b:pull,push",
            ),
            (
                Method::DELETE,
                "/v2/a/b/manifests/1",
                "repository:a/b:delete",
            ),
            (
                Method::DELETE,
                "/v2/a/b/blobs/uploads/1",
                "repository:a/b:pull,push",
            ),
            (
                Method::POST,
                mount,
                "repository:a/b:pull,push repository:c:pull",
            ),
        ] {
            assert_eq!(least(method.clone(), path), expected, "{method} {path}");
        }
    }

    #[test]
    fn fault_b1_narrower_sets_are_told_from_wider_ones() {
        let set = ScopeSet::parse;
        let (exact, more) = (
            set("repository:a:pull"),
            set("repository:a:pull repository:b:pull"),
        );
        let all = set("repository:a:*");
        assert!(exact.breadth() < more.breadth() && more.breadth() < all.breadth());
        assert!(exact.begins_like(&all) && exact.begins_like(&more));
        assert!(!set("repository:b:pull repository:a:pull").begins_like(&exact));
    }

    #[test]
    fn scopes_are_merged_by_resource_and_compared_by_what_they_allow() {
        let ours = ScopeSet::parse("repository:a:pull,push");
        let merged = ours.merged(&ScopeSet::parse(
            "repository:b:pull repository:a:delete,pull",
        ));
        assert_eq!(
            merged.to_string(),
            "repository:a:pull,push,delete repository:b:pull"
        );
        assert!(merged.covers(&ours) && !ours.covers(&merged));
        assert!(ScopeSet::parse("repository:a:*").covers(&ours));
        assert!(ours.covers(&ScopeSet::default()));
    }

    #[test]
    fn what_is_no_scope_is_passed_over() {
        let set = ScopeSet::parse("nonsense a:b repository:h:5000/a:pull,, registry:catalog:*");
        let expected = "repository:h:5000/a:pull registry:catalog:*";
        assert_eq!(set.to_string(), expected);
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_what_is_written_reads_the_same(text in "[a-z:,* ]{0,80}") {
            let set = ScopeSet::parse(&text);
            prop_assert_eq!(&ScopeSet::parse(&set.to_string()), &set);
            prop_assert!(set.covers(&set) && set.merged(&set) == set);
        }
    }
}
