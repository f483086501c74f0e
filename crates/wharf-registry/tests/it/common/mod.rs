//! A registry for a test, on a port of its own, used over HTTP.

pub(crate) mod stepped;

use std::net::SocketAddr;
use std::path::Path;

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wharf::oci::Digest;
use wharf_registry::storage::Storage;
use wharf_registry::{Registry, Server};

pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry that runs until it is stopped, or its runtime ends.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    pub(crate) storage: Storage,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn over(storage: Storage) -> Self {
        Self::start(Registry::new(storage.clone()), storage).await
    }

    pub(crate) async fn start(registry: Registry, storage: Storage) -> Self {
        let address = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(address, registry).await.unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        let client = Client::builder().no_proxy().build().unwrap();
        Running {
            address,
            client,
            storage,
            stop,
            server,
        }
    }

    pub(crate) async fn stop(self) {
        drop(self.client);
        drop(self.stop);
        self.server.await.unwrap();
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Response {
        let method: Method = method.parse().unwrap();
        let url = format!("http://{}{path}", self.address);
        let mut request = self.client.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn status(&self, method: &str, path: &str) -> u16 {
        self.send(method, path, &[], "").await.status().as_u16()
    }

    /// Opens a session and returns its path.
    pub(crate) async fn begin(&self, repository: &str) -> String {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let answer = self.send("POST", &path, &[], "").await;
        assert_eq!(answer.status(), 202);
        header(&answer, "location")
    }

    pub(crate) async fn put_blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let put = self.send("POST", &path, &[], content.to_vec()).await;
        assert_eq!(put.status(), 201);
        digest
    }

    /// Puts a manifest, which must succeed, and returns its digest.
    pub(crate) async fn put(&self, path: &str, document: &Value) -> Digest {
        let answer = self.put_with(path, &[], document).await;
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        Digest::of(document.to_string().as_bytes())
    }

    pub(crate) async fn put_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        document: &Value,
    ) -> Response {
        let media_type = document["mediaType"].as_str().unwrap();
        let mut all = vec![("content-type", media_type)];
        all.extend_from_slice(headers);
        self.send("PUT", path, &all, document.to_string()).await
    }
}

/// A registry on each storage; the directory of the one on disk lives as long as they do.
pub(crate) async fn both() -> (tempfile::TempDir, Vec<Running>) {
    let directory = tempfile::tempdir().unwrap();
    let running = vec![
        Running::over(Storage::in_memory()).await,
        Running::over(disk(directory.path()).await).await,
    ];
    (directory, running)
}

pub(crate) async fn disk(directory: &Path) -> Storage {
    Storage::on_disk(directory).await.unwrap()
}

pub(crate) fn header(answer: &Response, name: &str) -> String {
    let value = answer
        .headers()
        .get(name)
        .unwrap_or_else(|| panic!("no {name} in {answer:?}"));
    value.to_str().unwrap().to_owned()
}

/// The status, and the first code of the envelope.
pub(crate) async fn code(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body = document(answer).await;
    let code = body["errors"][0]["code"].as_str().unwrap();
    (status, code.to_owned())
}

pub(crate) async fn document(answer: Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// An index without entries, distinguished by its note.
pub(crate) fn index(note: &str) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [],
        "annotations": { "note": note },
    })
}
