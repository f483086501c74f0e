//! Which request is meant: a pure function of method, path and query.
//!
//! Names contain slashes, so a path is read from its end. Whatever comes out is made of checked
//! types. The numbers are those of the distribution-spec's table "Endpoints".

use http::{Method, StatusCode};
use wharf_oci::{Digest, RepositoryName, Selector, Tag};

use super::page::Page;
use super::respond::{Code, Refusal};
use crate::driver::Session;

/// A request, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// end-1: `GET /v2/`
    Ping,
    /// end-2: `GET|HEAD /v2/<name>/blobs/<digest>`
    Blob {
        name: RepositoryName,
        digest: Digest,
        reading: Reading,
    },
    /// end-3: `GET|HEAD /v2/<name>/manifests/<reference>`
    Manifest {
        name: RepositoryName,
        at: Selector,
        reading: Reading,
    },
    /// end-10: `DELETE /v2/<name>/blobs/<digest>`
    DeleteBlob {
        name: RepositoryName,
        digest: Digest,
    },
    /// end-4a, end-4b, end-11: `POST /v2/<name>/blobs/uploads/`
    BeginUpload { name: RepositoryName, begin: Begin },
    /// end-5: `PATCH /v2/<name>/blobs/uploads/<session>`
    AppendUpload(Session),
    /// end-6: `PUT /v2/<name>/blobs/uploads/<session>?digest=<digest>`
    FinishUpload { session: Session, digest: Digest },
    /// end-13: `GET /v2/<name>/blobs/uploads/<session>`
    UploadStatus(Session),
    /// end-14: `DELETE /v2/<name>/blobs/uploads/<session>`
    CancelUpload(Session),
    /// end-7a, end-7b: `PUT /v2/<name>/manifests/<reference>`
    PutManifest {
        name: RepositoryName,
        at: Selector,
        /// Those of the query, each once; for a reference that is a digest.
        tags: Vec<Tag>,
    },
    /// end-9: `DELETE /v2/<name>/manifests/<reference>`
    DeleteManifest { name: RepositoryName, at: Selector },
    /// end-12a, end-12b: `GET /v2/<name>/referrers/<digest>`
    Referrers {
        name: RepositoryName,
        subject: Digest,
        artifact_type: Option<String>,
        after: Option<Digest>,
    },
    /// end-8a, end-8b: `GET /v2/<name>/tags/list`
    Tags {
        name: RepositoryName,
        page: Page<Tag>,
    },
    /// `GET /v2/_catalog`, of the older Docker specification
    Catalog(Page<RepositoryName>),
}

/// Whether the body is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Head,
    Get,
}

/// How a blob is to come in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Through a session.
    Session,
    /// As the body of this request.
    Whole(Digest),
    /// From another repository here, or from any that has it.
    Mount {
        digest: Digest,
        from: Option<RepositoryName>,
    },
}

type Parsed<T> = Result<T, Box<Refusal>>;

/// What a request asks for.
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

fn in_repository(method: &Method, rest: &str, query: &Query) -> Parsed<Route> {
    let (head, last) = rest.rsplit_once('/').ok_or_else(no_such_endpoint)?;
    if let Some(name) = rest
        .strip_suffix("/blobs/uploads/")
        .or(rest.strip_suffix("/blobs/uploads"))
    {
        let name = parse_name(name)?;
        only(method, &Method::POST)?;
        return Ok(Route::BeginUpload {
            name,
            begin: begin(query)?,
        });
    }
    if let Some(name) = head.strip_suffix("/blobs/uploads") {
        return upload(method, parse_name(name)?, last, query);
    }
    if let Some(name) = head.strip_suffix("/blobs") {
        return blob(method, parse_name(name)?, parse_digest(last)?);
    }
    if let Some(name) = head.strip_suffix("/manifests") {
        return manifest(method, parse_name(name)?, last, query);
    }
    if let Some(name) = head.strip_suffix("/referrers") {
        return referrers(method, parse_name(name)?, last, query);
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        let name = parse_name(name)?;
        only(method, &Method::GET)?;
        let page = Page::parse(query.find("n"), query.find("last"))?;
        return Ok(Route::Tags { name, page });
    }
    Err(no_such_endpoint())
}

fn begin(query: &Query) -> Parsed<Begin> {
    if let Some(digest) = query.find("mount") {
        let digest = parse_digest(digest)?;
        let from = query.find("from").map(parse_name).transpose()?;
        return Ok(Begin::Mount { digest, from });
    }
    let digest = query.find("digest").map(parse_digest).transpose()?;
    Ok(digest.map_or(Begin::Session, Begin::Whole))
}

fn upload(method: &Method, name: RepositoryName, id: &str, query: &Query) -> Parsed<Route> {
    let id = id
        .parse()
        .map_err(|error| Refusal::new(Code::BlobUploadUnknown, error))?;
    let session = Session {
        repository: name,
        id,
    };
    match *method {
        Method::GET => Ok(Route::UploadStatus(session)),
        Method::PATCH => Ok(Route::AppendUpload(session)),
        Method::DELETE => Ok(Route::CancelUpload(session)),
        Method::PUT => {
            let missing = || Refusal::new(Code::DigestInvalid, "no digest in the query");
            let digest = parse_digest(query.find("digest").ok_or_else(missing)?)?;
            Ok(Route::FinishUpload { session, digest })
        }
        _ => Err(not_allowed("GET, PATCH, PUT, DELETE")),
    }
}

fn blob(method: &Method, name: RepositoryName, digest: Digest) -> Parsed<Route> {
    if *method == Method::DELETE {
        return Ok(Route::DeleteBlob { name, digest });
    }
    let reading = reading(method).map_err(|_| not_allowed("GET, HEAD, DELETE"))?;
    Ok(Route::Blob {
        name,
        digest,
        reading,
    })
}

fn manifest(
    method: &Method,
    name: RepositoryName,
    reference: &str,
    query: &Query,
) -> Parsed<Route> {
    match *method {
        Method::PUT => {
            let at = parse_selector(reference, Code::ManifestInvalid)?;
            let tags = match at {
                Selector::Digest(_) => further_tags(query)?,
                Selector::Tag(_) => Vec::new(),
            };
            Ok(Route::PutManifest { name, at, tags })
        }
        Method::DELETE => {
            let at = parse_selector(reference, Code::ManifestUnknown)?;
            Ok(Route::DeleteManifest { name, at })
        }
        _ => {
            let reading = reading(method).map_err(|_| not_allowed("GET, HEAD, PUT, DELETE"))?;
            // To read a tag that cannot be is to read one that is not there.
            let at = parse_selector(reference, Code::ManifestUnknown)?;
            Ok(Route::Manifest { name, at, reading })
        }
    }
}

/// distribution-spec, "Pushing Manifests": tags beside a digest. At least ten must do; more than
/// [`MOST_TAGS`] are too many.
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

fn referrers(method: &Method, name: RepositoryName, subject: &str, query: &Query) -> Parsed<Route> {
    only(method, &Method::GET)?;
    let wanted = query.find("artifactType");
    Ok(Route::Referrers {
        name,
        subject: parse_digest(subject)?,
        artifact_type: wanted.map(str::to_owned),
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

/// Referrers are among these where they are off: 404 tells clients to use the referrers tag.
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

/// What `+` stands for: a space in queries only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plus {
    Kept,
    IsSpace,
}

/// Undoes percent encoding; `None` where that gives no UTF-8 or is cut off.
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

    fn session() -> Session {
        Session {
            repository: name("a/b"),
            id: ID.parse().unwrap(),
        }
    }

    #[test]
    fn every_endpoint_is_understood() {
        let tag = Selector::Tag("v1".parse().unwrap());
        let page = Page {
            limit: 2,
            after: Some("v0".parse().unwrap()),
        };
        let mount = Begin::Mount {
            digest: digest(),
            from: Some(name("x/y")),
        };
        let discovery = Begin::Mount {
            digest: digest(),
            from: None,
        };
        let listing = |artifact_type: Option<&str>, after| Route::Referrers {
            name: name("a/b"),
            subject: digest(),
            artifact_type: artifact_type.map(str::to_owned),
            after,
        };
        let begun = |begin| Route::BeginUpload {
            name: name("a/b"),
            begin,
        };
        let (get, head) = (Reading::Get, Reading::Head);
        for (method, target, expected) in [
            ("GET", "/v2/", Route::Ping),
            ("GET", "/v2", Route::Ping),
            (
                "GET",
                "/v2/a/b/blobs/DIGEST",
                Route::Blob {
                    name: name("a/b"),
                    digest: digest(),
                    reading: get,
                },
            ),
            (
                "HEAD",
                "/v2/a/b/manifests/v1",
                Route::Manifest {
                    name: name("a/b"),
                    at: tag.clone(),
                    reading: head,
                },
            ),
            (
                "PUT",
                "/v2/a/b/manifests/v1",
                Route::PutManifest {
                    name: name("a/b"),
                    at: tag.clone(),
                    tags: Vec::new(),
                },
            ),
            (
                "PUT",
                "/v2/a/b/manifests/DIGEST?tag=1.0&tag=latest&tag=1.0",
                Route::PutManifest {
                    name: name("a/b"),
                    at: Selector::Digest(digest()),
                    tags: vec!["1.0".parse().unwrap(), "latest".parse().unwrap()],
                },
            ),
            (
                "DELETE",
                "/v2/a/b/manifests/v1",
                Route::DeleteManifest {
                    name: name("a/b"),
                    at: tag,
                },
            ),
            (
                "DELETE",
                "/v2/a/b/blobs/DIGEST",
                Route::DeleteBlob {
                    name: name("a/b"),
                    digest: digest(),
                },
            ),
            ("GET", "/v2/a/b/referrers/DIGEST", listing(None, None)),
            (
                "GET",
                "/v2/a/b/referrers/DIGEST?artifactType=text%2Fplain%2Bx&last=DIGEST",
                listing(Some("text/plain+x"), Some(digest())),
            ),
            ("POST", "/v2/a/b/blobs/uploads/", begun(Begin::Session)),
            ("POST", "/v2/a/b/blobs/uploads", begun(Begin::Session)),
            (
                "POST",
                "/v2/a/b/blobs/uploads/?digest=DIGEST",
                begun(Begin::Whole(digest())),
            ),
            (
                "POST",
                "/v2/a/b/blobs/uploads/?mount=DIGEST",
                begun(discovery),
            ),
            (
                "POST",
                "/v2/a/b/blobs/uploads/?mount=DIGEST&from=x%2Fy",
                begun(mount),
            ),
            (
                "GET",
                "/v2/a/b/blobs/uploads/ID",
                Route::UploadStatus(session()),
            ),
            (
                "PATCH",
                "/v2/a/b/blobs/uploads/ID",
                Route::AppendUpload(session()),
            ),
            (
                "DELETE",
                "/v2/a/b/blobs/uploads/ID",
                Route::CancelUpload(session()),
            ),
            (
                "PUT",
                "/v2/a/b/blobs/uploads/ID?digest=DIGEST",
                Route::FinishUpload {
                    session: session(),
                    digest: digest(),
                },
            ),
            (
                "GET",
                "/v2/a/b/tags/list?n=2&last=v0",
                Route::Tags {
                    name: name("a/b"),
                    page,
                },
            ),
            (
                "GET",
                "/v2/_catalog?n=3",
                Route::Catalog(Page {
                    limit: 3,
                    after: None,
                }),
            ),
        ] {
            assert_eq!(ask(method, target), Ok(expected), "{method} {target}");
        }
    }

    #[test]
    fn an_escaped_digest_is_a_digest() {
        let found = route(&Method::HEAD, &format!("/v2/a/blobs/sha256%3A{HEX}"), "");
        let expected = Route::Blob {
            name: name("a"),
            digest: digest(),
            reading: Reading::Head,
        };
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn words_of_paths_may_be_parts_of_names() {
        let found = ask("GET", "/v2/blobs/uploads/manifests/tags/list").unwrap();
        assert!(
            matches!(found, Route::Tags { name: found, .. } if found == name("blobs/uploads/manifests"))
        );
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
