//! The tags of a repository and the repositories of a registry: page by page, from registries that
//! behave and from those that do not.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use wharf::credentials::{Credential, Given};
use wharf::oci::{Registry, RepositoryName, Tag};
use wharf::remote::Page;
use wharf::{Client, ErrorKind, Result, Wharf};
use wharf_testkit::{
    Answer, DockerRegistry, FaultServer, Script, TokenServer, push_registry, seeded_bytes,
};

use crate::support::{descriptor, image, options, reference, repository_name, wharf};

const TAGS: &str = "/v2/app/tags/list";

const CATALOG: &str = "/v2/_catalog";

/// A page of tags.
fn page(tags: &[&str]) -> Answer {
    let tags = serde_json::json!({ "name": "app", "tags": tags });
    Answer::status(200).body(tags.to_string())
}

/// A page of repositories.
fn names(names: &[&str]) -> Answer {
    let names = serde_json::json!({ "repositories": names });
    Answer::status(200).body(names.to_string())
}

fn next(page: Answer, to: &str) -> Answer {
    page.header("Link", &format!("<{to}>; rel=\"next\""))
}

fn serving(rules: impl FnOnce(Script) -> Script) -> FaultServer {
    FaultServer::start(rules(Script::new().on(
        "GET",
        "/v2/",
        [Answer::status(200)],
    )))
}

fn registry(server: &FaultServer) -> Registry {
    server.address().to_string().parse().unwrap()
}

async fn tags(server: &FaultServer) -> Result<Vec<String>> {
    let tags = wharf().tags(&repository_name(server.address(), "app"));
    let tags: Vec<Tag> = tags.try_collect().await?;
    Ok(tags.iter().map(ToString::to_string).collect())
}

/// The requests but those that only find out whether there is a registry.
fn asked(server: &FaultServer) -> Vec<String> {
    let mut lines = server.lines();
    lines.retain(|line| line != "GET /v2/");
    lines
}

#[tokio::test]
async fn p4_a_page_of_tags_or_repositories_costs_one_request() {
    let Some(docker) = DockerRegistry::start() else {
        return;
    };
    let (source, root) = image(&[seeded_bytes(1, 100)]).await;
    let at = docker.address();
    for to in ["app:1", "app:2", "team/other:1"] {
        let (to, content) = (reference(at, to), descriptor(&root).clone());
        wharf().push(&source, content, &to).await.unwrap();
    }
    let proxy = wharf_testkit::RecordingProxy::start(at);
    let wharf = wharf();
    let app = repository_name(proxy.address(), "app");
    let mut tags: Vec<Tag> = wharf.tags(&app).try_collect().await.unwrap();
    // This registry has an order of its own.
    tags.sort();
    assert_eq!(tags, ["1", "2"].map(|tag| tag.parse().unwrap()));
    let registry = proxy.address().to_string().parse().unwrap();
    let names: Vec<RepositoryName> = wharf.catalog(&registry).try_collect().await.unwrap();
    assert_eq!(
        names,
        ["app", "team/other"].map(|name| name.parse().unwrap())
    );
    let expected = [
        format!("GET {TAGS}?n=1000"),
        format!("GET {CATALOG}?n=1000"),
    ];
    assert_eq!(proxy.lines(), expected);
    let absent = repository_name(proxy.address(), "absent");
    let error = wharf.tags(&absent).try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_link_to_the_next_page_is_followed_as_it_is() {
    let second = format!("{TAGS}?next_page=AbC%2f~&n=2");
    let server = serving(|script| {
        script
            .on("GET", TAGS, [next(page(&["1", "2"]), &second)])
            .on("GET", &second, [next(page(&[]), "/odd/path")])
            .on("GET", "/odd/path", [page(&["3"])])
    });
    assert_eq!(tags(&server).await.unwrap(), ["1", "2", "3"]);
    let first = format!("GET {TAGS}?n=1000");
    let expected = [first, format!("GET {second}"), "GET /odd/path".to_owned()];
    assert_eq!(asked(&server), expected);
}

#[tokio::test]
async fn a_page_is_not_asked_for_before_it_is_wanted() {
    let server = serving(|script| script.on("GET", TAGS, [next(page(&["1", "2"]), "?last={n}")]));
    let stream = wharf().tags(&repository_name(server.address(), "app"));
    let first: Vec<Result<Tag>> = stream.take(2).collect().await;
    assert_eq!(first.len(), 2);
    assert_eq!(asked(&server).len(), 1);
}

#[tokio::test]
async fn a_repository_without_tags_has_none() {
    let nothing = Answer::status(200).body(r#"{"name":"app","tags":null}"#);
    let server = serving(|script| script.on("GET", TAGS, [nothing]));
    assert_eq!(tags(&server).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_list_that_names_itself_as_its_next_page_ends() {
    let itself = format!("{TAGS}?n=1000");
    let server = serving(|script| script.on("GET", TAGS, [next(page(&["1"]), &itself)]));
    assert_eq!(tags(&server).await.unwrap(), ["1"]);
}

#[tokio::test]
async fn answers_that_are_no_list_are_refused() {
    let elsewhere = FaultServer::start(push_registry());
    let away = format!("{}/v2/app/tags/list", elsewhere.base());
    let text = |text: &str| Answer::status(200).body(text.to_owned());
    for (answer, kind) in [
        (text("[]"), ErrorKind::Invalid),
        (
            text("<html><title>Sign in</title></html>"),
            ErrorKind::Rejected,
        ),
        (next(page(&["1"]), &away), ErrorKind::Invalid),
        (
            next(page(&["1"]), "file:///etc/passwd"),
            ErrorKind::Rejected,
        ),
        (text(&" ".repeat((8 << 20) + 1)), ErrorKind::Invalid),
    ] {
        let answer = answer.header("Content-Type", "text/html");
        let server = serving(|script| script.on("GET", TAGS, [answer]));
        let error = tags(&server).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let at = format!("{}/app: ", server.address());
        assert!(error.to_string().starts_with(&at), "{error}");
    }
    assert!(elsewhere.lines().is_empty());
}

#[tokio::test]
async fn r1_a_page_is_tried_again() {
    let second = format!("{TAGS}?last=1");
    let server = serving(|script| {
        script.on("GET", TAGS, [next(page(&["1"]), &second)]).on(
            "GET",
            &second,
            [Answer::status(503), page(&["2"])],
        )
    });
    assert_eq!(tags(&server).await.unwrap(), ["1", "2"]);
    assert_eq!(asked(&server).len(), 3);
}

#[tokio::test]
async fn repositories_come_in_pages_too_and_what_is_no_name_is_told_apart() {
    let second = format!("{CATALOG}?last=b");
    let server = serving(|script| {
        script
            .on("GET", CATALOG, [next(names(&["a", "b"]), &second)])
            .on("GET", &second, [names(&["c/d", "Not A Name"])])
    });
    let listed = wharf().catalog(&registry(&server)).try_collect().await;
    let listed: Vec<RepositoryName> = listed.unwrap();
    let listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
    assert_eq!(listed, ["a", "b", "c/d"]);
    let pages = wharf()
        .catalog_pages(&registry(&server))
        .try_collect()
        .await;
    let pages: Vec<Page<RepositoryName>> = pages.unwrap();
    let unfit: Vec<&[String]> = pages.iter().map(|page| page.unfit.as_slice()).collect();
    assert_eq!(unfit, [&[][..], &["Not A Name".to_owned()]]);
}

#[tokio::test]
async fn what_is_no_tag_is_told_apart() {
    let server = serving(|script| script.on("GET", TAGS, [page(&["1", "not:a:tag", "2"])]));
    assert_eq!(tags(&server).await.unwrap(), ["1", "2"]);
    let repository = repository_name(server.address(), "app");
    let pages = wharf().tag_pages(&repository).try_collect().await;
    let pages: Vec<Page<Tag>> = pages.unwrap();
    assert_eq!(pages.len(), 1);
    assert_eq!(pages[0].unfit, ["not:a:tag"]);
}

#[tokio::test]
async fn a_registry_that_lists_no_repositories_says_so() {
    let server = FaultServer::start(push_registry());
    let error = wharf().catalog(&registry(&server)).try_next().await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("does not list its repositories"));
}

#[tokio::test]
async fn m3_the_repositories_are_asked_for_with_their_own_scope() {
    let tokens = TokenServer::start(Duration::from_secs(60));
    let Some(docker) = DockerRegistry::start_with(&tokens.auth()) else {
        return;
    };
    let registry: Registry = docker.address().to_string().parse().unwrap();
    let given = Given::new(
        registry.clone(),
        Credential::password("me", "hidden".into()),
        "test",
    );
    let client = Client::builder().credentials(std::sync::Arc::new(given));
    let wharf = Wharf::with_options(client.build().unwrap(), options().0);
    for _ in 0..2 {
        let names: Vec<RepositoryName> = wharf.catalog(&registry).try_collect().await.unwrap();
        assert_eq!(names, []);
    }
    let requests = tokens.requests();
    assert_eq!(requests.len(), 1, "one token for both lists");
    let scope = requests[0].query("scope").unwrap();
    assert_eq!(scope, "registry:catalog:*");
}
