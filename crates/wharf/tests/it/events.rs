//! The events of a copy (wire.md section 8), against registries that misbehave.

use std::sync::{Arc, Mutex};

use wharf::copy::{CopyOptions, Event, Observer, Subject, Tally, copy};
use wharf::oci::{Digest, MediaType};
use wharf::store::{Memory, Source};
use wharf_testkit::{Answer, FaultServer, RecordedRequest, push_registry, seeded_bytes};

use crate::support::{descriptor, finish, image, options, repository};

const SESSION: &str = "/v2/a/blobs/uploads/*";

/// Sums up all events, and records those of one blob.
#[derive(Debug, Default)]
struct Listener {
    followed: Option<Digest>,
    state: Mutex<Heard>,
}

#[derive(Clone, Debug, Default)]
struct Heard {
    tally: Tally,
    /// The least that was complete after a failed try.
    complete_after_retry: Option<u64>,
    most_before_retry: u64,
    names: Vec<String>,
}

impl Observer for Listener {
    fn on(&self, event: Event<'_>) {
        let mut heard = self.state.lock().unwrap();
        heard.tally.on(&event);
        let complete = heard.tally.complete();
        assert!(complete <= heard.tally.total());
        let name = match &event {
            Event::Checked(blob) => Some((*blob, "checked".to_owned())),
            Event::Started(Subject::Content(blob)) => Some((*blob, "started".to_owned())),
            Event::Retried(Subject::Content(blob), again) => {
                heard.complete_after_retry = Some(complete);
                Some((*blob, format!("retried after {}", again.tries)))
            }
            Event::Mounted(blob, from) => Some((*blob, format!("mounted from {}", from.name()))),
            Event::Finished(Subject::Content(_), blob, outcome) => {
                Some((*blob, format!("{outcome:?}")))
            }
            Event::Advanced(..) => {
                heard.most_before_retry = heard.most_before_retry.max(complete);
                None
            }
            _ => None,
        };
        heard.names.extend(
            name.filter(|(blob, _)| self.followed.as_ref() == Some(&blob.digest))
                .map(|(_, name)| name),
        );
    }
}

fn listening(followed: Option<Digest>) -> (CopyOptions, Arc<Listener>) {
    let listener = Arc::new(Listener {
        followed,
        ..Listener::default()
    });
    let observer: Arc<dyn Observer> = Arc::clone(&listener) as _;
    let options = CopyOptions {
        observer,
        ..options().0
    };
    (options, listener)
}

#[tokio::test]
async fn p1_a_try_that_was_cut_off_is_taken_back_and_the_end_is_exact() {
    let cut = [Answer::close_after(3_000_000), Answer::fall_through()];
    let layer = Digest::of(&seeded_bytes(1, 5 << 20));
    let hex = layer.hex().to_owned();
    let is_layer = move |request: &RecordedRequest| request.target.contains(&hex);
    let server = FaultServer::start(push_registry().on_when("PUT", SESSION, is_layer, cut));
    let (source, root) = image(&[seeded_bytes(1, 5 << 20)]).await;
    let (options, listener) = listening(Some(layer));
    let store = repository(server.address(), "a");
    // One at a time, so that only the large layer counts when it is cut off.
    let options = CopyOptions { jobs: 1, ..options };
    copy(&source, &store, &[root], &options).await.unwrap();
    let heard = listener.state.lock().unwrap().clone();
    assert_eq!(heard.tally.complete(), heard.tally.total());
    assert!(heard.tally.total() > 5 << 20);
    assert!(heard.most_before_retry >= 1 << 20, "{heard:?}");
    // Nothing of the layer counts; the config, of a few bytes, may have been sent before.
    let after = heard.complete_after_retry;
    assert!(after.is_some_and(|bytes| bytes < 1000), "{heard:?}");
    assert_eq!(
        heard.names,
        [
            "checked",
            "started",
            "retried after 1",
            "checked",
            "started",
            "Written"
        ]
    );
}

#[tokio::test]
async fn p1_what_is_there_completes_without_a_byte() {
    let (source, root) = image(&[seeded_bytes(1, 1000)]).await;
    let store = Memory::new();
    let layer = store.add_blob(MediaType::OCI_LAYER_GZIP, seeded_bytes(1, 1000));
    let (options, listener) = listening(Some(layer.digest));
    copy(&source, &store, std::slice::from_ref(&root), &options)
        .await
        .unwrap();
    let heard = listener.state.lock().unwrap().clone();
    assert_eq!(heard.tally.complete(), heard.tally.total());
    assert_eq!(heard.names, ["checked", "Existed"]);

    let (options, listener) = listening(Some(descriptor(&root).digest.clone()));
    copy(&source, &store, &[root], &options).await.unwrap();
    let heard = listener.state.lock().unwrap().clone();
    assert_eq!(heard.tally.complete(), heard.tally.total());
    assert_eq!(heard.names, ["Existed"]);
}

#[tokio::test]
async fn p2_a_mounted_blob_says_where_it_came_from() {
    let (memory, root) = image(&[seeded_bytes(1, 1000)]).await;
    let manifest = memory.manifest(descriptor(&root)).await.unwrap();
    let read = Answer::status(200)
        .header("Content-Type", manifest.media_type().as_str())
        .body(manifest.bytes().clone());
    let script = push_registry()
        .on("GET", "/v2/from/manifests/*", [read])
        .on("POST", "/v2/a/blobs/uploads/", [Answer::status(201)]);
    let server = FaultServer::start(script);
    let from = repository(server.address(), "from");
    let layer = Digest::of(&seeded_bytes(1, 1000));
    let (options, listener) = listening(Some(layer));
    let store = repository(server.address(), "a");
    let summary = copy(&from, &store, &[root], &options).await.unwrap();
    let heard = listener.state.lock().unwrap().clone();
    assert_eq!(heard.tally.complete(), heard.tally.total());
    assert_eq!(summary.mounted, 2, "{summary:?} {heard:?}");
    assert_eq!(
        heard.names,
        ["checked", "started", "mounted from from", "Mounted"]
    );
}

#[tokio::test]
async fn p1_an_error_is_the_last_update_of_many_transfers() {
    #[derive(Debug, Default)]
    struct Last(Mutex<(bool, u32)>);

    impl Observer for Last {
        fn on(&self, event: Event<'_>) {
            let mut state = self.0.lock().unwrap();
            state.1 += u32::from(state.0);
            state.0 |= matches!(event, Event::Failed(_));
        }
    }

    let refused = Answer::error(403, "DENIED", "no").without_reading();
    let script = push_registry().on("POST", "/v2/a/blobs/uploads/", [refused]);
    let server = FaultServer::start(script);
    let source = Memory::new();
    let layers: Vec<_> = (0..8)
        .map(|seed| source.add_blob(MediaType::OCI_LAYER_GZIP, seeded_bytes(seed, 2 << 20)))
        .collect();
    let root = finish(&source, &layers, serde_json::json!({})).await;
    let last = Arc::new(Last::default());
    let observer: Arc<dyn Observer> = Arc::clone(&last) as _;
    let options = CopyOptions {
        jobs: 8,
        large: 8,
        observer,
        ..options().0
    };
    let store = repository(server.address(), "a");
    copy(&source, &store, &[root], &options).await.unwrap_err();
    assert_eq!(*last.0.lock().unwrap(), (true, 0));
}
