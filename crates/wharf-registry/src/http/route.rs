//! Parses requests: a pure function of method, path and query.
//!
//! Names contain slashes, so a path is read from its end. A route has checked types only. The
//! numbers are those of the distribution-spec's table "Endpoints".

use http::{Method, StatusCode};
use wharf_oci::{Digest, RepositoryName, Selector, Tag};

use super::page::Page;
use super::respond::{Code, Refusal};
use crate::access::Action;
use crate::driver::SessionId;

/// A parsed request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// end-1: `GET /v2/`
    Ping,
    /// `GET /v2/_catalog`, of the older Docker specification
    Catalog(Page<RepositoryName>),
    /// `/v2/<name>/…`
    Repository(RepositoryName, Operation),
}

/// The content or list in a repository that a request names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// end-2: `GET|HEAD /v2/<name>/blobs/<digest>`
    ReadBlob(Digest, Reading),
    /// end-3: `GET|HEAD /v2/<name>/manifests/<reference>`
    ReadManifest(Selector, Reading),
    /// end-4a: `POST /v2/<name>/blobs/uploads/`
    BeginUpload,
    /// end-4b: `POST /v2/<name>/blobs/uploads/?digest=<digest>`: the body is the blob
    PutBlob(Digest),
    /// end-11: `POST /v2/<name>/blobs/uploads/?mount=<digest>&from=<other name>`; without
    /// `from`, any repository that has it
    Mount(Digest, Option<RepositoryName>),
    /// end-5: `PATCH /v2/<name>/blobs/uploads/<session>`
    AppendUpload(SessionId),
    /// end-6: `PUT /v2/<name>/blobs/uploads/<session>?digest=<digest>`
    FinishUpload(SessionId, Digest),
    /// end-13: `GET /v2/<name>/blobs/uploads/<session>`
    UploadStatus(SessionId),
    /// end-14: `DELETE /v2/<name>/blobs/uploads/<session>`
    CancelUpload(SessionId),
    /// end-7a, end-7b: `PUT /v2/<name>/manifests/<reference>`; for a digest, the tags of the
    /// query, each once
    PutManifest(Selector, Vec<Tag>),
    /// end-8a, end-8b: `GET /v2/<name>/tags/list`
    Tags(Page<Tag>),
    /// end-9: `DELETE /v2/<name>/manifests/<reference>`
    DeleteManifest(Selector),
    /// end-10: `DELETE /v2/<name>/blobs/<digest>`
    DeleteBlob(Digest),
    /// end-12a, end-12b: `GET /v2/<name>/referrers/<digest>`
    Referrers {
        subject: Digest,
        artifact_type: Option<String>,
        after: Option<Digest>,
    },
}

/// Whether the body is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Head,
    Get,
}

impl Route {
    /// The right that the client must have. A mount needs one more, to pull from its source.
    pub(crate) fn needs(&self) -> Option<(&RepositoryName, Action)> {
        let Route::Repository(name, operation) = self else {
            return None;
        };
        let action = match operation {
            Operation::ReadBlob(..)
            | Operation::ReadManifest(..)
            | Operation::Tags(_)
            | Operation::Referrers { .. } => Action::Pull,
            Operation::BeginUpload
            | Operation::PutBlob(_)
            | Operation::Mount(..)
            | Operation::AppendUpload(_)
            | Operation::FinishUpload(..)
            | Operation::UploadStatus(_)
            | Operation::CancelUpload(_)
            | Operation::PutManifest(..) => Action::Push,
            Operation::DeleteManifest(_) | Operation::DeleteBlob(_) => Action::Delete,
        };
        Some((name, action))
    }
}

type Parsed<T> = Result<T, Box<Refusal>>;

/// The operation that a request names.
pub(crate) fn route(method: &Method, path: &str, query: &str) -> Parsed<Route> {
    let path = decode(path, Plus::Kept).ok_or_else(no_such_endpoint)?;
    let query = Query::parse(query);
    let rest = match path.as_str() {
        "/v2" => "",
        path => path.strip_prefix("/v2/").ok_or_else(no_such_endpoint)?,
    };
    match rest {
        "" => reading(method).map(|_| Route::Ping),
        "_catalog" => {
            only(method, &Method::GET)?;
            Page::parse(query.find("n"), query.find("last")).map(Route::Catalog)
        }
        rest => in_repository(method, rest, &query),
    }
}

/// A wrong name is refused before the operation is parsed.
fn in_repository(method: &Method, rest: &str, query: &Query) -> Parsed<Route> {
    let within = |name: &str, operation: &dyn Fn() -> Parsed<Operation>| {
        Ok(Route::Repository(parse_name(name)?, operation()?))
    };
    if let Some(name) = rest
        .strip_suffix("/blobs/uploads/")
        .or(rest.strip_suffix("/blobs/uploads"))
    {
        return within(name, &|| begin(method, query));
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return within(name, &|| {
            only(method, &Method::GET)?;
            Page::parse(query.find("n"), query.find("last")).map(Operation::Tags)
        });
    }
    let (head, last) = rest.rsplit_once('/').ok_or_else(no_such_endpoint)?;
    if let Some(name) = head.strip_suffix("/blobs/uploads") {
        return within(name, &|| upload(method, last, query));
    }
    if let Some(name) = head.strip_suffix("/blobs") {
        return within(name, &|| blob(method, last));
    }
    if let Some(name) = head.strip_suffix("/manifests") {
        return within(name, &|| manifest(method, last, query));
    }
    if let Some(name) = head.strip_suffix("/referrers") {
        return within(name, &|| referrers(method, last, query));
    }
    Err(no_such_endpoint())
}

fn begin(method: &Method, query: &Query) -> Parsed<Operation> {
    only(method, &Method::POST)?;
    if let Some(digest) = query.find("mount") {
        let from = query.find("from").map(parse_name).transpose();
        return Ok(Operation::Mount(parse_digest(digest)?, from?));
    }
    let digest = query.find("digest").map(parse_digest).transpose()?;
    Ok(digest.map_or(Operation::BeginUpload, Operation::PutBlob))
}

fn upload(method: &Method, id: &str, query: &Query) -> Parsed<Operation> {
    let id = id
        .parse()
        .map_err(|error| Refusal::new(Code::BlobUploadUnknown, error))?;
    match *method {
        Method::GET => Ok(Operation::UploadStatus(id)),
        Method::PATCH => Ok(Operation::AppendUpload(id)),
        Method::DELETE => Ok(Operation::CancelUpload(id)),
        Method::PUT => {
            let missing = || Refusal::new(Code::DigestInvalid, "no digest in the query");
            let digest = parse_digest(query.find("digest").ok_or_else(missing)?)?;
            Ok(Operation::FinishUpload(id, digest))
        }
        _ => Err(not_allowed("GET, PATCH, PUT, DELETE")),
    }
}

fn blob(method: &Method, digest: &str) -> Parsed<Operation> {
    let digest = parse_digest(digest)?;
    if *method == Method::DELETE {
        return Ok(Operation::DeleteBlob(digest));
    }
    let reading = reading(method).map_err(|_| not_allowed("GET, HEAD, DELETE"))?;
    Ok(Operation::ReadBlob(digest, reading))
}

fn manifest(method: &Method, reference: &str, query: &Query) -> Parsed<Operation> {
    match *method {
        Method::PUT => {
            let at = parse_selector(reference, Code::ManifestInvalid)?;
            let tags = match at {
                Selector::Digest(_) => further_tags(query)?,
                Selector::Tag(_) => Vec::new(),
            };
            Ok(Operation::PutManifest(at, tags))
        }
        Method::DELETE => {
            let at = parse_selector(reference, Code::ManifestUnknown)?;
            Ok(Operation::DeleteManifest(at))
        }
        _ => {
            let reading = reading(method).map_err(|_| not_allowed("GET, HEAD, PUT, DELETE"))?;
            // Text that is not a tag names nothing.
            let at = parse_selector(reference, Code::ManifestUnknown)?;
            Ok(Operation::ReadManifest(at, reading))
        }
    }
}

/// distribution-spec, "Pushing Manifests": tags beside a digest. At least ten must be accepted;
/// more than [`MOST_TAGS`] are refused.
fn further_tags(query: &Query) -> Parsed<Vec<Tag>> {
    let mut tags = Vec::new();
    for text in query.find_all("tag") {
        let tag = parse_tag(text, Code::ManifestInvalid)?;
        if tags.contains(&tag) {
            continue;
        }
        if tags.len() == MOST_TAGS {
            let message = format!("more than {MOST_TAGS} tags in one request");
            return Err(Refusal::new(Code::Unsupported, message).status(StatusCode::URI_TOO_LONG));
        }
        tags.push(tag);
    }
    Ok(tags)
}

const MOST_TAGS: usize = 64;

fn referrers(method: &Method, subject: &str, query: &Query) -> Parsed<Operation> {
    only(method, &Method::GET)?;
    Ok(Operation::Referrers {
        subject: parse_digest(subject)?,
        artifact_type: query.find("artifactType").map(str::to_owned),
        after: query.find("last").map(parse_digest).transpose()?,
    })
}

fn parse_selector(reference: &str, code: Code) -> Parsed<Selector> {
    if reference.contains(':') {
        return parse_digest(reference).map(Selector::Digest);
    }
    parse_tag(reference, code).map(Selector::Tag)
}

fn parse_tag(text: &str, code: Code) -> Parsed<Tag> {
    text.parse().map_err(|error| Refusal::new(code, error))
}

fn parse_name(text: &str) -> Parsed<RepositoryName> {
    text.parse()
        .map_err(|error| Refusal::new(Code::NameInvalid, error))
}

fn parse_digest(text: &str) -> Parsed<Digest> {
    text.parse()
        .map_err(|error| Refusal::new(Code::DigestInvalid, error))
}

fn reading(method: &Method) -> Parsed<Reading> {
    match *method {
        Method::GET => Ok(Reading::Get),
        Method::HEAD => Ok(Reading::Head),
        _ => Err(not_allowed("GET, HEAD")),
    }
}

fn only(method: &Method, allowed: &Method) -> Parsed<()> {
    if method == allowed {
        Ok(())
    } else {
        Err(not_allowed(allowed.as_str()))
    }
}

fn not_allowed(allowed: &str) -> Box<Refusal> {
    Refusal::new(
        Code::Unsupported,
        format!("not supported here, only {allowed}"),
    )
    .header(http::header::ALLOW, allowed)
}

/// Used also for referrers if they are off: 404 tells clients to use the referrers tag.
pub(crate) fn no_such_endpoint() -> Box<Refusal> {
    Refusal::new(Code::Unsupported, "no such endpoint").status(StatusCode::NOT_FOUND)
}

struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key, Plus::IsSpace)?, decode(value, Plus::IsSpace)?))
        });
        Query(pairs.collect())
    }

    fn find(&self, key: &str) -> Option<&str> {
        self.find_all(key).next()
    }

    fn find_all(&self, key: &str) -> impl Iterator<Item = &str> {
        let pairs = self.0.iter().filter(move |(found, _)| found == key);
        pairs.map(|(_, value)| value.as_str())
    }
}

/// The meaning of `+`: a space in queries only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    Kept,
    IsSpace,
}

/// Decodes percent encoding; `None` if the result is not UTF-8 or the text is cut off.
fn decode(text: &str, plus: Plus) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if plus == Plus::IsSpace => b' ',
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const ID: &str = "00112233445566778899aabbccddeeff";

    fn ask(method: &str, target: &str) -> Parsed<Route> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let target = path
            .replace("DIGEST", &format!("sha256:{HEX}"))
            .replace("ID", ID);
        let query = query.replace("DIGEST", &format!("sha256:{HEX}"));
        route(&method.parse().unwrap(), &target, &query)
    }

    fn status(method: &str, target: &str) -> (u16, String) {
        let answer = ask(method, target).unwrap_err().into_answer();
        let allow = answer
            .headers()
            .get("allow")
            .map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), allow.unwrap_or_default())
    }

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    fn digest() -> Digest {
        format!("sha256:{HEX}").parse().unwrap()
    }

    #[test]
    fn every_endpoint_is_understood_and_says_what_it_needs() {
        let (id, other): (SessionId, _) = (ID.parse().unwrap(), name("x/y"));
        let at = || Selector::Tag("v1".parse().unwrap());
        let page = Page {
            limit: 2,
            after: Some("v0".parse().unwrap()),
        };
        let tags = vec!["1.0".parse().unwrap(), "latest".parse().unwrap()];
        let put_digest = Operation::PutManifest(Selector::Digest(digest()), tags);
        let listing = |artifact_type: Option<&str>, after| Operation::Referrers {
            subject: digest(),
            artifact_type: artifact_type.map(str::to_owned),
            after,
        };
        let (get, head) = (Reading::Get, Reading::Head);
        let (pull, push, delete) = (Action::Pull, Action::Push, Action::Delete);
        for (request, needs, expected) in [
            ("GET blobs/DIGEST", pull, Operation::ReadBlob(digest(), get)),
            (
                "HEAD manifests/v1",
                pull,
                Operation::ReadManifest(at(), head),
            ),
            (
                "PUT manifests/v1",
                push,
                Operation::PutManifest(at(), vec![]),
            ),
            (
                "PUT manifests/DIGEST?tag=1.0&tag=latest&tag=1.0",
                push,
                put_digest,
            ),
            (
                "DELETE manifests/v1",
                delete,
                Operation::DeleteManifest(at()),
            ),
            (
                "DELETE blobs/DIGEST",
                delete,
                Operation::DeleteBlob(digest()),
            ),
            ("GET referrers/DIGEST", pull, listing(None, None)),
            (
                "GET referrers/DIGEST?artifactType=text%2Fplain%2Bx&last=DIGEST",
                pull,
                listing(Some("text/plain+x"), Some(digest())),
            ),
            ("POST blobs/uploads/", push, Operation::BeginUpload),
            ("POST blobs/uploads", push, Operation::BeginUpload),
            (
                "POST blobs/uploads/?digest=DIGEST",
                push,
                Operation::PutBlob(digest()),
            ),
            (
                "POST blobs/uploads/?mount=DIGEST",
                push,
                Operation::Mount(digest(), None),
            ),
            (
                "POST blobs/uploads/?mount=DIGEST&from=x%2Fy",
                push,
                Operation::Mount(digest(), Some(other)),
            ),
            (
                "GET blobs/uploads/ID",
                push,
                Operation::UploadStatus(id.clone()),
            ),
            (
                "PATCH blobs/uploads/ID",
                push,
                Operation::AppendUpload(id.clone()),
            ),
            (
                "DELETE blobs/uploads/ID",
                push,
                Operation::CancelUpload(id.clone()),
            ),
            (
                "PUT blobs/uploads/ID?digest=DIGEST",
                push,
                Operation::FinishUpload(id, digest()),
            ),
            ("GET tags/list?n=2&last=v0", pull, Operation::Tags(page)),
        ] {
            let (method, target) = request.split_once(' ').unwrap();
            let route = ask(method, &format!("/v2/a/b/{target}")).unwrap();
            assert_eq!(route.needs(), Some((&name("a/b"), needs)), "{request}");
            let expected = Route::Repository(name("a/b"), expected);
            assert_eq!(route, expected, "{request}");
        }
        for target in ["/v2/", "/v2"] {
            assert_eq!(ask("GET", target), Ok(Route::Ping));
        }
        let (limit, after) = (3, None);
        let catalog = Route::Catalog(Page { limit, after });
        assert_eq!(catalog.needs(), None);
        assert_eq!(ask("GET", "/v2/_catalog?n=3"), Ok(catalog));
    }

    #[test]
    fn an_escaped_digest_is_a_digest() {
        let found = route(&Method::HEAD, &format!("/v2/a/blobs/sha256%3A{HEX}"), "");
        let expected = Operation::ReadBlob(digest(), Reading::Head);
        assert_eq!(found, Ok(Route::Repository(name("a"), expected)));
    }

    #[test]
    fn words_of_paths_may_be_parts_of_names() {
        let found = ask("GET", "/v2/blobs/uploads/manifests/tags/list").unwrap();
        let (within, needs) = found.needs().unwrap();
        assert_eq!(within, &name("blobs/uploads/manifests"));
        assert_eq!(needs, Action::Pull);
    }

    #[test]
    fn what_is_not_allowed_says_what_is() {
        for (method, target, allowed) in [
            ("POST", "/v2/", "GET, HEAD"),
            ("POST", "/v2/a/manifests/v1", "GET, HEAD, PUT, DELETE"),
            ("PUT", "/v2/a/blobs/DIGEST", "GET, HEAD, DELETE"),
            ("PUT", "/v2/a/referrers/DIGEST", "GET"),
            ("GET", "/v2/a/blobs/uploads/", "POST"),
            ("POST", "/v2/a/tags/list", "GET"),
        ] {
            assert_eq!(
                status(method, target),
                (405, allowed.to_owned()),
                "{method} {target}"
            );
        }
    }

    #[test]
    fn what_is_malformed_is_refused_with_the_right_status() {
        for (method, target, expected) in [
            ("GET", "/", 404),
            ("GET", "/v1/", 404),
            ("GET", "/v2/a", 404),
            ("GET", "/v2/a/referrers/v1", 400),
            ("GET", "/v2/a/referrers/DIGEST?last=x", 400),
            ("PUT", "/v2/a/manifests/DIGEST?tag=a/b", 400),
            ("DELETE", "/v2/a/manifests/.bad", 404),
            ("GET", "/v2/a/manifests/.bad", 404),
            ("PUT", "/v2/a/manifests/.bad", 400),
            ("GET", "/v2/A/manifests/v1", 400),
            ("GET", "/v2/../manifests/v1", 400),
            ("GET", "/v2/a/%2e%2e/b/manifests/v1", 400),
            ("GET", "/v2/a/blobs/sha256:00", 400),
            ("PATCH", "/v2/a/blobs/uploads/x", 404),
            ("PUT", "/v2/a/blobs/uploads/ID", 400),
            ("GET", "/v2/a/tags/list?n=x", 400),
        ] {
            assert_eq!(status(method, target).0, expected, "{method} {target}");
        }
    }

    #[test]
    fn the_number_of_tags_in_a_request_is_bounded() {
        let with = |count: usize| {
            let tags: Vec<_> = (0..count).map(|number| format!("tag={number}")).collect();
            format!("/v2/a/manifests/DIGEST?{}", tags.join("&"))
        };
        assert!(ask("PUT", &with(MOST_TAGS)).is_ok());
        assert_eq!(status("PUT", &with(MOST_TAGS + 1)).0, 414);
    }

    proptest! {
        #[test]
        fn any_path_is_understood_or_refused(
            method in "GET|HEAD|PUT|POST|PATCH|DELETE",
            path in "(/v2)?(/(a|blobs|uploads|manifests|referrers|tags|list|_catalog|%2|%ff|sha256:0|[^?]{0,4})){0,7}/?",
            query in "((n|last|digest|mount|from|tag)?=?.{0,4}&?){0,3}",
        ) {
            let _ = route(&method.parse().unwrap(), &path, &query);
        }
    }
}
