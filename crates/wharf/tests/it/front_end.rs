//! Registries behind `nginx`, as is common: TLS, its limits, and the protocol.

use std::collections::HashSet;

use wharf::copy::{Root, copy};
use wharf::remote::Client;
use wharf::store::{Memory, Source};
use wharf_testkit::{Authority, DockerRegistry, Nginx, PassedRequest, seeded_bytes};

use crate::support::{Record, descriptor, image, options, repository, trusting};

/// A registry and its front end.
struct Scene {
    authority: Authority,
    registry: DockerRegistry,
    nginx: Nginx,
}

impl Scene {
    /// With `nginx` configured by `settings`; `None` if one of both is not installed.
    fn new(settings: &str) -> Option<Self> {
        let registry = DockerRegistry::start()?;
        let authority = Authority::new();
        let nginx = Nginx::start(registry.address(), &authority.server(), settings)?;
        Some(Scene {
            authority,
            registry,
            nginx,
        })
    }

    /// Pushes through `nginx`, and checks that the registry has everything.
    async fn pushed(&self, source: &Memory, root: &Root) -> std::sync::Arc<Record> {
        let client = Client::builder().tls(trusting(&self.authority));
        let client = client.build().unwrap();
        let store = client.repository(&format!("{}/app", self.nginx.address()).parse().unwrap());
        let (settings, record) = options();
        let roots = std::slice::from_ref(root);
        copy(source, &store, roots, &settings).await.unwrap();

        let (behind, read) = (repository(self.registry.address(), "app"), Memory::new());
        copy(&behind, &read, roots, &options().0).await.unwrap();
        read.manifest(descriptor(root)).await.unwrap();
        record
    }

    fn count(&self, condition: impl Fn(&PassedRequest) -> bool) -> usize {
        self.nginx
            .requests()
            .iter()
            .filter(|one| condition(one))
            .count()
    }
}

#[tokio::test]
async fn u4_what_is_too_large_for_nginx_goes_in_pieces() {
    let Some(scene) = Scene::new("client_max_body_size 1m;") else {
        return;
    };
    let (source, root) = image(&[seeded_bytes(1, 2_500_000), seeded_bytes(2, 1000)]).await;
    let record = scene.pushed(&source, &root).await;
    assert_eq!(record.retried(), 0);
    assert!(scene.count(|one| one.status == 413) >= 1);
    assert!(scene.count(|one| one.method == "PATCH" && one.status == 202) >= 3);
}

#[tokio::test]
async fn r1_connections_that_end_after_few_requests_are_made_anew() {
    let Some(scene) = Scene::new("keepalive_requests 2;") else {
        return;
    };
    let layers: Vec<_> = (0..20).map(|seed| seeded_bytes(seed, 1000)).collect();
    let (source, root) = image(&layers).await;
    let record = scene.pushed(&source, &root).await;
    assert_eq!(record.retried(), 0);
    let requests = scene.nginx.requests();
    let connections: HashSet<u64> = requests.iter().map(|one| one.connection).collect();
    assert!(requests.len() >= 60, "{requests:?}");
    assert!(connections.len() >= requests.len() / 2, "{requests:?}");
}

/// ARCHITECTURE.md says why.
#[tokio::test]
async fn http2_is_not_spoken_where_it_is_offered() {
    let Some(scene) = Scene::new("") else {
        return;
    };
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    scene.pushed(&source, &root).await;
    assert!(scene.count(|one| one.method == "HEAD") >= 2);
    assert_eq!(scene.count(|one| one.protocol != "HTTP/1.1"), 0);
}
