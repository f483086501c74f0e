//! Logs the steps of a copy, at the level that users see first.

use tracing::info;

use super::event::{Event, Subject};
use crate::layer::PendingLayer;
use crate::store::Outcome;

/// Logs a step at the destination named `to`. How far a blob has moved is no step.
pub(super) fn step(to: &str, event: &Event<'_>) {
    match *event {
        Event::Planned { bytes, nodes } => info!(to, bytes, nodes, "planned"),
        Event::Mounted(blob, from) => info!(to, digest = %blob.digest, %from, "mounted"),
        Event::Started(Subject::Content(blob)) => {
            info!(to, digest = %blob.digest, size = blob.size, "sending");
        }
        Event::Started(Subject::Layer(layer)) => {
            info!(to, layer = name(layer), "compressing and sending");
        }
        Event::Resumed(subject, position) => {
            info!(to, content = ?subject.key(), position, "continuing");
        }
        Event::Retried(subject, again) => {
            let (error, wait) = (again.error, again.wait);
            info!(to, content = ?subject.key(), %error, ?wait, "trying again");
        }
        Event::Finished(_, content, outcome) => {
            let done = match outcome {
                Outcome::Existed => "exists",
                Outcome::Mounted => "linked",
                Outcome::Written => "written",
            };
            info!(to, digest = %content.digest, size = content.size, "{done}");
        }
        Event::Failed(error) => info!(to, %error, "failed"),
        _ => {}
    }
}

fn name(layer: &PendingLayer) -> &str {
    layer.name()
}
