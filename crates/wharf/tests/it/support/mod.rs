//! Shared fixtures of the push path: images in memory, a recording observer, clients.

pub(crate) mod log;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf::copy::{
    CopyOptions, Destination, Event, NoObserver, Observer, RetryPolicy, Root, RootContent,
};
use wharf::layer::{Family, LayerInput, Packing, PendingLayer};
use wharf::oci::{Descriptor, Manifest, MediaType, Reference, Repository};
use wharf::remote::{Certificates, Client, RemoteRepository, Tls};
use wharf::store::{Memory, Names, Store};
use wharf::{Options, Wharf};
use wharf_testkit::{Authority, seeded_bytes};

pub(crate) use wire::{
    BASIC, BLOB, MANIFEST, SESSION, UPLOADS, count, counted_registry, lines, methods,
};

/// `Wharf-Takes` as the embedded registry sends it.
pub(crate) const TAKES: &str = "tags, post-blob, any-mount, conditions";

/// A source with an image of these layers, and the root to copy under the tag `v1`.
pub(crate) async fn image(layers: &[Vec<u8>]) -> (Memory, Root) {
    let memory = Memory::new();
    let layers: Vec<Descriptor> = layers
        .iter()
        .map(|layer| memory.add_blob(MediaType::OCI_LAYER_GZIP, layer.clone()))
        .collect();
    let root = finish(&memory, &layers, serde_json::json!({})).await;
    (memory, root)
}

/// Adds a manifest over `layers`, with `extra` fields, to `memory`.
pub(crate) async fn finish(
    memory: &Memory,
    layers: &[Descriptor],
    extra: serde_json::Value,
) -> Root {
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = memory.add_blob(MediaType::OCI_IMAGE_CONFIG, config.to_vec());
    let mut document = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE_MANIFEST,
        "config": config,
        "layers": layers,
    });
    let fields = extra.as_object().cloned().unwrap_or_default();
    document.as_object_mut().expect("an object").extend(fields);
    // Two spaces that no serialiser of ours would write.
    let bytes = document.to_string().replacen(':', ":  ", 1);
    add_manifest(memory, None, bytes).await
}

/// A source with an image for each of `linux/amd64` and `linux/arm64` and an index of both; the
/// images and the index.
pub(crate) async fn two_platforms() -> (Memory, [Descriptor; 2], Descriptor) {
    let (source, amd64) = image(&[b"amd64".to_vec()]).await;
    let layer = source.add_blob(MediaType::OCI_LAYER_GZIP, b"arm64".to_vec());
    let arm64 = finish(&source, &[layer], serde_json::json!({})).await;
    let images = [&amd64, &arm64].map(|root| descriptor(root).clone());
    let entry = |image: &Descriptor, architecture: &str| {
        serde_json::json!({
            "mediaType": image.media_type, "digest": image.digest, "size": image.size,
            "platform": { "os": "linux", "architecture": architecture },
        })
    };
    let document = serde_json::json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_IMAGE_INDEX,
        "manifests": [entry(&images[0], "amd64"), entry(&images[1], "arm64")],
    });
    let index = add_manifest(&source, None, document.to_string()).await;
    let index = descriptor(&index).clone();
    (source, images, index)
}

/// A front door that retries without waiting for long.
pub(crate) fn wharf() -> Wharf {
    Wharf::with_options(Client::builder().build().expect("a client"), options().0)
}

/// The same, for one platform.
pub(crate) fn wharf_for(platform: &str) -> Wharf {
    let mut all = Options::from(options().0);
    all.places.platform = platform.parse().expect("a platform");
    Wharf::with_options(Client::builder().build().expect("a client"), all)
}

/// Adds raw manifest bytes to `memory`.
pub(crate) async fn add_manifest(
    memory: &Memory,
    media_type: Option<&MediaType>,
    bytes: String,
) -> Root {
    let manifest = Manifest::parse(media_type, bytes.into()).expect("a manifest");
    memory
        .put_manifest(&manifest, Names::Child)
        .await
        .expect("memory takes everything");
    let content = RootContent::Manifest(manifest.descriptor().clone());
    Root {
        content,
        tags: vec!["v1".parse().expect("a tag")],
    }
}

pub(crate) fn descriptor(root: &Root) -> &Descriptor {
    match &root.content {
        RootContent::Manifest(descriptor) => descriptor,
        RootContent::Draft(_) | RootContent::Index(_) => panic!("a draft has no descriptor"),
    }
}

/// The repository `name` of the registry at `address`, which tries each request once.
pub(crate) fn repository(address: SocketAddr, name: &str) -> RemoteRepository {
    let client = Client::builder().build().expect("a client").single_tries();
    client.repository(&format!("{address}/{name}").parse().expect("a repository"))
}

pub(crate) fn repository_name(address: SocketAddr, name: &str) -> Repository {
    format!("{address}/{name}").parse().expect("a repository")
}

pub(crate) fn reference(address: SocketAddr, rest: &str) -> Reference {
    format!("{address}/{rest}").parse().expect("a reference")
}

/// A layer of a generated image. Its bytes are read from memory.
pub(crate) fn layer(seed: u64, len: usize) -> PendingLayer {
    let bytes = std::io::Cursor::new(seeded_bytes(seed, len));
    let input = LayerInput::reader("test", bytes);
    input.tar(&Packing::Plain, Family::Oci).expect("a layer")
}

/// TLS that trusts certificates of `authority`.
pub(crate) fn trusting(authority: &Authority) -> Tls {
    let text = authority.certificate().as_bytes();
    Tls {
        authorities: Certificates::from_pem(text).expect("certificates"),
        ..Tls::default()
    }
}

/// Destinations that all get `roots` and report to no observer.
pub(crate) fn destinations<'a>(
    stores: impl IntoIterator<Item = &'a RemoteRepository>,
    roots: &'a [Root],
) -> Vec<Destination<'a>> {
    let to = |store| Destination {
        store,
        roots,
        observer: Arc::new(NoObserver),
    };
    stores
        .into_iter()
        .map(|store| to(store as &dyn Store))
        .collect()
}

/// Options that retry after short waits, and the record of events.
pub(crate) fn options() -> (CopyOptions, Arc<Record>) {
    let record = Arc::new(Record::default());
    let retry = RetryPolicy {
        base: Duration::from_millis(1),
        ..RetryPolicy::default()
    };
    let observer: Arc<dyn Observer> = Arc::clone(&record) as _;
    (
        CopyOptions {
            retry,
            observer,
            ..CopyOptions::default()
        },
        record,
    )
}

/// Records the events of an observer.
#[derive(Debug, Default)]
pub(crate) struct Record {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    total: u64,
    started: u64,
    complete: u64,
    retried: u32,
    failed: bool,
    after_failure: bool,
}

impl Observer for Record {
    fn on(&self, event: Event<'_>) {
        let mut state = self.state.lock().expect("no test panics in here");
        state.after_failure |= state.failed;
        match event {
            Event::Planned { bytes, .. } => state.total = bytes,
            Event::Started(_) => state.started += 1,
            Event::Finished(_, descriptor, _) => state.complete += descriptor.size,
            Event::Joined(descriptor) => state.total += descriptor.size,
            Event::Retried(..) => state.retried += 1,
            Event::Failed(_) => state.failed = true,
            _ => {}
        }
    }
}

impl Record {
    pub(crate) fn total_and_complete(&self) -> (u64, u64) {
        let state = self.state.lock().expect("no test panics in here");
        (state.total, state.complete)
    }

    pub(crate) fn retried(&self) -> u32 {
        self.state.lock().expect("no test panics in here").retried
    }

    pub(crate) fn started(&self) -> u64 {
        self.state.lock().expect("no test panics in here").started
    }

    pub(crate) fn ended_with_failure(&self) -> bool {
        let state = self.state.lock().expect("no test panics in here");
        state.failed && !state.after_failure
    }
}
