//! Interrupted uploads that resume: the library's client and this registry, with a proxy between
//! them that cuts connections and counts bytes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wharf::blob::Blob;
use wharf::copy::{
    CopyOptions, Destination, NoObserver, RetryPolicy, Root, RootContent, Summary, copy,
    copy_to_all, push_layer,
};
use wharf::file;
use wharf::intake::Intake;
use wharf::layer::{Family, LayerInput, NewImage, Packing, PendingLayer};
use wharf::oci::{Descriptor, Digest, Manifest, MediaType, Selector, Tag};
use wharf::remote::Client;
use wharf::store::{Memory, Names, Source, Store};
use wharf_registry::storage::Storage;
use wharf_registry::{Registry, Server};
use wharf_testkit::{RecordingProxy, files_below, seeded_bytes};

const MIB: u64 = 1 << 20;

struct Served {
    directory: tempfile::TempDir,
    proxy: RecordingProxy,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Served {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::on_disk(directory.path()).await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(address, Registry::new(storage)).await.unwrap();
        let proxy = RecordingProxy::start(server.local_addr());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(async { drop(stopped.await) }));
        Served {
            directory,
            proxy,
            stop,
            serving,
        }
    }

    fn store(&self, client: &Client) -> wharf::remote::RemoteRepository {
        let repository = format!("{}/app", self.proxy.address());
        client
            .repository(&repository.parse().unwrap())
            .single_tries()
    }

    /// Bytes of upload bodies that reached the registry.
    fn uploaded(&self) -> u64 {
        let requests = self.proxy.requests();
        let uploads = requests.iter().filter(|r| r.path().contains("/uploads/"));
        uploads.map(|request| request.request_bytes).sum()
    }

    fn lines(&self, start: &str) -> usize {
        let lines = self.proxy.lines();
        lines.iter().filter(|line| line.starts_with(start)).count()
    }

    /// Waits until the registry has no session. It ends one only after the request that wrote to it
    /// notices that the client is gone.
    async fn is_rid_of_sessions(&self) {
        let gone = async {
            while sessions(self.directory.path()) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), gone).await;
        waited.expect("no session stays");
    }

    async fn end(self) {
        drop(self.stop);
        self.serving.await.unwrap();
    }
}

fn sessions(directory: &Path) -> usize {
    let files = files_below(directory).into_keys();
    let session = |file: &PathBuf| file.iter().any(|part| part == "uploads");
    files.filter(session).count()
}

async fn image(layer: Vec<u8>) -> (Memory, Root, Descriptor) {
    let source = Memory::new();
    let layer = source.add_blob(MediaType::OCI_LAYER_GZIP, layer);
    let config = source.add_blob(MediaType::OCI_IMAGE_CONFIG, b"{}".to_vec());
    let document = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_IMAGE_MANIFEST,
        "config": config,
        "layers": [layer],
    });
    let manifest = Manifest::parse(None, Bytes::from(document.to_string())).unwrap();
    source.put_manifest(&manifest, Names::Child).await.unwrap();
    let root = Root {
        content: RootContent::Manifest(manifest.descriptor().clone()),
        tags: vec!["v1".parse().unwrap()],
    };
    (source, root, layer)
}

fn options(tries: u32) -> CopyOptions {
    CopyOptions {
        retry: RetryPolicy {
            tries,
            base: Duration::from_millis(20),
            ..RetryPolicy::default()
        },
        ..CopyOptions::default()
    }
}

async fn push(
    served: &Served,
    client: &Client,
    source: &dyn Source,
    root: &Root,
    tries: u32,
) -> wharf::Result<Summary> {
    let store = served.store(client);
    copy(source, &store, std::slice::from_ref(root), &options(tries)).await
}

async fn is_whole(served: &Served, root: &Root, layer: &Descriptor) {
    let client = Client::builder().build().unwrap();
    let store = served.store(&client);
    let RootContent::Manifest(manifest) = &root.content else {
        return;
    };
    let tag = Selector::Tag("v1".parse().unwrap());
    assert_eq!(store.resolve(&tag).await.unwrap().digest, manifest.digest);
    let bytes = store.blob(layer).read_all(layer.size).await.unwrap();
    assert_eq!(Digest::of(&bytes), layer.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn u5_a_blob_cut_off_five_times_is_sent_about_once() {
    let served = Served::start().await;
    let (source, root, layer) = image(seeded_bytes(1, 64 << 20)).await;
    for cut in [10, 11, 12, 9, 8] {
        served.proxy.fail_connection_after(cut * MIB + 77);
    }
    let client = Client::builder().build().unwrap();
    let summary = push(&served, &client, &source, &root, 5).await.unwrap();
    assert_eq!(summary.written, 2);
    // Everything that passed the proxy was acknowledged: at most one buffer per cut is sent again.
    let again = served.uploaded() - layer.size;
    assert!(again <= 5 * MIB, "{again} bytes were sent again");
    assert_eq!(served.lines("GET /v2/app/blobs/uploads/"), 5);
    is_whole(&served, &root, &layer).await;
    client.tidy(Duration::from_secs(5)).await;
    served.is_rid_of_sessions().await;
    served.end().await;
}

/// An input that makes `bytes`, each time from the beginning.
fn maker(bytes: Vec<u8>) -> LayerInput {
    LayerInput::again("a maker", move || {
        let stream = file::reader(std::io::Cursor::new(bytes.clone()), "a maker");
        async move { Ok(stream) }.boxed()
    })
}

/// Sends 64 MiB of unknown digest over a connection that is cut five times, the first time before
/// it is sent in chunks. Returns the bytes that were sent again.
async fn cut_off_five_times(layer: &PendingLayer, content: Option<&[u8]>) -> u64 {
    let served = Served::start().await;
    for cut in [30, 5, 6, 7, 3] {
        served.proxy.fail_connection_after(cut * MIB + 77);
    }
    let client = Client::builder().build().unwrap();
    let store = served.store(&client);
    let made = push_layer(&store, layer, &options(5)).await.unwrap();
    if let Some(content) = content {
        assert_eq!(made.diff_id, Some(Digest::of(content)));
    }
    let size = made.descriptor.size;
    // Checked against its digest.
    let stored = store.blob(&made.descriptor).read_all(size).await.unwrap();
    assert_eq!(stored.len() as u64, size);
    assert_eq!(served.lines("GET /v2/app/blobs/uploads/"), 5);
    client.tidy(Duration::from_secs(5)).await;
    served.is_rid_of_sessions().await;
    let again = served.uploaded() - size;
    served.end().await;
    again
}

#[tokio::test(flavor = "multi_thread")]
async fn u5_a_layer_made_while_it_is_sent_and_cut_off_five_times_is_sent_about_once() {
    let tar = seeded_bytes(6, 64 << 20);
    let layer = maker(tar.clone()).tar(&Packing::default(), Family::Oci);
    let again = cut_off_five_times(&layer.unwrap(), Some(&tar)).await;
    assert!(again <= 5 * MIB, "{again} bytes were sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn u5_a_pipe_cut_off_five_times_goes_on_from_what_is_still_at_hand() {
    let bytes = std::io::Cursor::new(seeded_bytes(7, 64 << 20));
    let layer = LayerInput::reader("a pipe", bytes).blob(MediaType::OCTET_STREAM);
    let again = cut_off_five_times(&layer, None).await;
    assert!(again <= 5 * MIB, "{again} bytes were sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn u5_of_two_destinations_the_one_that_was_cut_off_goes_on_alone() {
    let (whole, cut) = (Served::start().await, Served::start().await);
    cut.proxy.fail_connection_after(20 * MIB);
    let client = Client::builder().build().unwrap();
    let stores = [whole.store(&client), cut.store(&client)];
    let layer = maker(seeded_bytes(8, 32 << 20)).tar(&Packing::default(), Family::Oci);
    let image = NewImage {
        layers: vec![layer.unwrap()],
        ..NewImage::default()
    };
    let root = Root {
        content: RootContent::Draft(image.into_draft()),
        tags: vec!["v1".parse().unwrap()],
    };
    let destinations = stores.each_ref().map(|store| Destination {
        store,
        roots: std::slice::from_ref(&root),
        observer: Arc::new(NoObserver),
    });
    let copied = copy_to_all(&Memory::new(), &destinations, &options(5)).await;
    let roots = copied.into_iter().map(|one| one.unwrap().roots);
    let roots: Vec<_> = roots.map(|roots| roots[0].digest.clone()).collect();
    assert_eq!(roots[0], roots[1]);
    let again = cut.uploaded() - whole.uploaded();
    assert!(again <= MIB, "{again} bytes were sent again");
    assert_eq!(cut.lines("GET /v2/app/blobs/uploads/"), 1);
    whole.end().await;
    cut.end().await;
}

/// Content that a process began to send before it was killed.
struct Begun {
    bytes: Bytes,
    identity: Digest,
}

#[async_trait::async_trait]
impl Intake for Begun {
    fn key(&self) -> Option<&Digest> {
        Some(&self.identity)
    }

    fn identity(&self) -> Option<&Digest> {
        Some(&self.identity)
    }

    async fn open(&self, offset: u64) -> wharf::Result<wharf::blob::ByteStream> {
        let rest = self.bytes.slice(usize::try_from(offset).unwrap()..);
        Ok(file::reader(std::io::Cursor::new(rest), "begun"))
    }

    fn learned(&self) -> wharf::Result<(Digest, u64)> {
        Ok((Digest::of(&self.bytes), self.bytes.len() as u64))
    }
}

/// One process begins to send `begun` and is killed after 20 MiB. Another sends `content`, with the
/// same identity. Returns the bytes that the second one sent.
async fn sent_after_kill(begun: Vec<u8>, content: Vec<u8>) -> u64 {
    let served = Served::start().await;
    let notes = tempfile::tempdir().unwrap();
    let client = || {
        let builder = Client::builder().sessions(notes.path().join("sessions"));
        builder.build().unwrap()
    };
    let identity = Digest::of(b"what the layer is made of, and how");
    served.proxy.fail_connection_after(20 * MIB);
    let killed = client();
    let store = served.store(&killed);
    let begun = Begun {
        bytes: begun.into(),
        identity: identity.clone(),
    };
    let ingested = store.ingest(&MediaType::OCI_LAYER, Arc::new(begun)).await;
    assert!(ingested.unwrap_err().is_transient());
    assert_eq!(files_below(notes.path()).len(), 1);
    drop((store, killed));

    served.proxy.forget();
    let (next, size) = (client(), content.len() as u64);
    let store = served.store(&next);
    let made = content.clone();
    let layer = PendingLayer::new(Digest::of(b"tar"), size, MediaType::OCI_LAYER, move || {
        let stream = file::reader(std::io::Cursor::new(made.clone()), "made");
        async move { Ok(stream) }.boxed()
    });
    let layer = layer.with_identity(identity);
    let made = push_layer(&store, &layer, &options(1)).await.unwrap();
    assert_eq!(made.descriptor.digest, Digest::of(&content));
    store.blob(&made.descriptor).read_all(size).await.unwrap();
    next.tidy(Duration::from_secs(5)).await;
    served.is_rid_of_sessions().await;
    assert_eq!(files_below(notes.path()).len(), 0);
    let sent = served.uploaded();
    served.end().await;
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn u6_a_layer_that_a_killed_process_was_making_is_gone_on_with() {
    let content = seeded_bytes(9, 32 << 20);
    let sent = sent_after_kill(content.clone(), content).await;
    assert!(is_rest(sent, 12 * MIB), "{sent}");
}

/// Whether `sent` is the `missing` bytes, plus at most what was on its way when the connection
/// broke.
fn is_rest(sent: u64, missing: u64) -> bool {
    (missing..=missing + MIB).contains(&sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn u6_a_layer_whose_session_has_other_bytes_is_sent_afresh() {
    let content = seeded_bytes(10, 32 << 20);
    let sent = sent_after_kill(seeded_bytes(11, 32 << 20), content.clone()).await;
    assert!(is_rest(sent, 12 * MIB + 32 * MIB), "{sent}");
    // A session that has more than the content.
    let short = content[..8 << 20].to_vec();
    assert_eq!(sent_after_kill(content, short).await, 8 * MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn u6_what_a_killed_process_began_is_gone_on_with() {
    let served = Served::start().await;
    let (source, root, layer) = image(seeded_bytes(2, 32 << 20)).await;
    let notes = tempfile::tempdir().unwrap();
    let client = || {
        let builder = Client::builder().sessions(notes.path().join("sessions"));
        builder.build().unwrap()
    };
    served.proxy.fail_connection_after(20 * MIB);
    // A killed process cancels nothing: its session stays.
    let killed = client();
    let store = served.store(&killed);
    let error = store.put_blob(&source.blob(&layer)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!(files_below(notes.path()).len(), 1);
    drop((store, killed));

    served.proxy.forget();
    let next = client();
    let summary = push(&served, &next, &source, &root, 1).await.unwrap();
    assert_eq!(summary.written, 2);
    let sent = served.uploaded();
    assert!(sent <= 13 * MIB, "{sent} bytes instead of 12 MiB");
    is_whole(&served, &root, &layer).await;
    assert_eq!(files_below(notes.path()).len(), 0);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u6_a_session_that_somebody_else_goes_on_with_is_left_alone() {
    let served = Served::start().await;
    let (source, root, layer) = image(seeded_bytes(3, 8 << 20)).await;
    let notes = tempfile::tempdir().unwrap();
    let client = || {
        let builder = Client::builder().sessions(notes.path().to_owned());
        builder.build().unwrap()
    };
    served.proxy.fail_connection_after(5 * MIB);
    let waiting = client();
    let store = served.store(&waiting);
    store.put_blob(&source.blob(&layer)).await.unwrap_err();
    // The first is still alive, and will continue.
    push(&served, &client(), &source, &root, 1).await.unwrap();
    assert_eq!(served.lines("GET /v2/app/blobs/uploads/"), 0);
    is_whole(&served, &root, &layer).await;
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u8_a_push_that_fails_leaves_no_session() {
    let served = Served::start().await;
    let (source, root, _) = image(seeded_bytes(4, 8 << 20)).await;
    let client = Client::builder().build().unwrap();
    served.proxy.fail_connection_after(5 * MIB);
    let error = push(&served, &client, &source, &root, 1).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    client.tidy(Duration::from_secs(5)).await;
    assert!(served.lines("DELETE /v2/app/blobs/uploads/") > 0);
    served.is_rid_of_sessions().await;
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn u8_a_push_that_is_dropped_leaves_no_session() {
    let served = Served::start().await;
    let (source, root, layer) = image(seeded_bytes(5, 8 << 20)).await;
    let client = Client::builder().build().unwrap();
    let store = served.store(&client);
    let (half, mut stalled) = stalling(&source, &layer, 4 << 20);
    let options = options(5);
    let roots = [root];
    let pushing = copy(&half, &store, &roots, &options);
    tokio::select! {
        outcome = pushing => panic!("{outcome:?}"),
        stalled = stalled.recv() => stalled.unwrap(),
    }
    client.tidy(Duration::from_secs(5)).await;
    assert!(served.lines("DELETE /v2/app/blobs/uploads/") > 0);
    served.is_rid_of_sessions().await;
    served.end().await;
}

/// Drops a push that stalls after `bytes` of a large blob, with a client that pauses. Returns the
/// sessions that stay, and the bytes that the next process sends.
async fn dropped_in_a_pause(bytes: usize) -> (usize, u64) {
    let served = Served::start().await;
    let (source, root, layer) = image(seeded_bytes(6, 32 << 20)).await;
    let notes = tempfile::tempdir().unwrap();
    let client = || {
        let builder = Client::builder().sessions(notes.path().to_owned());
        builder.build().unwrap()
    };
    let paused = client();
    let store = served.store(&paused);
    let (half, mut stalled) = stalling(&source, &layer, bytes);
    let (options, roots) = (options(5), [root.clone()]);
    {
        let mut pushing = Box::pin(copy(&half, &store, &roots, &options));
        tokio::select! {
            outcome = &mut pushing => panic!("{outcome:?}"),
            stalled = stalled.recv() => stalled.unwrap(),
        }
        paused.pause();
    }
    let left = paused.paused_uploads();
    paused.tidy(Duration::from_secs(5)).await;
    assert_eq!(files_below(notes.path()).len(), left);
    if left == 0 {
        served.is_rid_of_sessions().await;
    }
    served.proxy.forget();
    push(&served, &client(), &source, &root, 1).await.unwrap();
    is_whole(&served, &root, &layer).await;
    served.is_rid_of_sessions().await;
    assert_eq!(files_below(notes.path()).len(), 0);
    let sent = served.uploaded();
    served.end().await;
    (left, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_b13_a_push_that_is_dropped_in_a_pause_goes_on_in_the_next_process() {
    let (left, sent) = dropped_in_a_pause(20 << 20).await;
    assert_eq!(left, 1);
    // The last bytes may not have arrived.
    assert!(sent < 32 * MIB - 16 * MIB, "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_b13_a_session_with_few_bytes_is_ended_in_a_pause_too() {
    let (left, sent) = dropped_in_a_pause(1 << 20).await;
    assert_eq!(left, 0);
    assert!(sent >= 32 * MIB, "{sent}");
}

/// The blob of `source` with a stream that stalls for ever after `bytes`, and a signal for when it
/// does.
fn stalling(
    source: &Memory,
    layer: &Descriptor,
    bytes: usize,
) -> (Half, tokio::sync::mpsc::Receiver<()>) {
    let (reached, stalled) = tokio::sync::mpsc::channel(8);
    let half = Half {
        source: source.clone(),
        layer: layer.digest.clone(),
        bytes,
        reached,
    };
    (half, stalled)
}

/// A source with one blob that never ends.
#[derive(Debug)]
struct Half {
    source: Memory,
    layer: Digest,
    bytes: usize,
    reached: tokio::sync::mpsc::Sender<()>,
}

#[async_trait::async_trait]
impl Source for Half {
    async fn resolve(&self, at: &Selector) -> wharf::Result<Descriptor> {
        self.source.resolve(at).await
    }

    async fn manifest(&self, descriptor: &Descriptor) -> wharf::Result<Manifest> {
        self.source.manifest(descriptor).await
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let blob = self.source.blob(descriptor);
        if descriptor.digest != self.layer {
            return blob;
        }
        let (bytes, reached) = (self.bytes, self.reached.clone());
        blob.mapped(move |_, stream| {
            let reached = reached.clone();
            let rest = stream::once(async move {
                reached.send(()).await.unwrap();
                std::future::pending().await
            });
            let first = stream.map_ok(move |chunk| chunk.slice(..bytes));
            first.chain(rest).boxed()
        })
    }

    async fn blob_size(&self, digest: &Digest) -> wharf::Result<u64> {
        self.source.blob_size(digest).await
    }

    async fn precheck(&self, descriptor: &Descriptor) -> wharf::Result<()> {
        self.source.precheck(descriptor).await
    }

    async fn tags(&self, after: Option<&Tag>, limit: usize) -> wharf::Result<Vec<Tag>> {
        self.source.tags(after, limit).await
    }
}
