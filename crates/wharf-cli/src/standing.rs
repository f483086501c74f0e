//! How far a command got, for the line that says that it was interrupted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wharf::copy::{Event, Observer};
use wharf_oci::Tag;

use crate::signals::OnSignal;

/// The tags that a command has moved so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing(Arc<Mutex<Tags>>);

#[derive(Debug, Default)]
struct Tags {
    moving: BTreeSet<String>,
    moved: BTreeSet<String>,
}

impl Standing {
    /// Passes the events of a copy to `destination` on to `observer`, and notes the tags in them.
    pub(crate) fn watch(
        &self,
        destination: &str,
        observer: Arc<dyn Observer>,
    ) -> Arc<dyn Observer> {
        Arc::new(Watch {
            standing: self.clone(),
            destination: destination.to_owned(),
            observer,
        })
    }

    /// The line for a command that was stopped. `paused` uploads stay at registries.
    pub(crate) fn line(&self, stopped: OnSignal, paused: usize) -> String {
        let rest = match (stopped, paused) {
            (OnSignal::Pause, _) => format!("{}; run it again to go on", self.tags().line()),
            (OnSignal::PauseBlob, 1..) => "run it again to go on".to_owned(),
            (OnSignal::PauseBlob, 0) => "nothing was kept; run it again to start over".to_owned(),
            (OnSignal::Doubt, _) => "some of it may have been done".to_owned(),
            (OnSignal::Abandon | OnSignal::End, _) => "nothing was changed".to_owned(),
        };
        format!("interrupted; {rest}")
    }

    fn tags(&self) -> MutexGuard<'_, Tags> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tags {
    fn line(&self) -> String {
        let list = |names: &BTreeSet<String>| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.join(", ")
        };
        match (self.moved.len(), self.moving.len()) {
            (0, 0) => "no tag was moved".to_owned(),
            (0, _) => format!("{} may have been moved", list(&self.moving)),
            (1, 0) => format!("{} was moved", list(&self.moved)),
            (_, 0) => format!("{} were moved", list(&self.moved)),
            (_, _) => {
                let (moved, moving) = (list(&self.moved), list(&self.moving));
                format!("moved: {moved}; may have been moved: {moving}")
            }
        }
    }
}

#[derive(Debug)]
struct Watch {
    standing: Standing,
    destination: String,
    observer: Arc<dyn Observer>,
}

impl Observer for Watch {
    fn on(&self, event: Event<'_>) {
        let names = |tags: &[Tag]| -> Vec<String> {
            let name = |tag| format!("{}:{tag}", self.destination);
            tags.iter().map(name).collect()
        };
        match &event {
            Event::Tagging(_, tags) => self.standing.tags().moving.extend(names(tags)),
            Event::Tagged(_, tags) => {
                let mut state = self.standing.tags();
                for name in names(tags) {
                    state.moving.remove(&name);
                    state.moved.insert(name);
                }
            }
            _ => {}
        }
        self.observer.on(event);
    }
}

#[cfg(test)]
mod tests {
    use wharf::copy::NoObserver;
    use wharf_oci::{Descriptor, Digest, MediaType};

    use super::*;

    #[test]
    fn fault_b13_the_line_says_what_was_moved_and_what_a_further_run_does() {
        let (standing, tags) = (Standing::default(), ["1".parse().unwrap()]);
        let root = Descriptor::new(MediaType::OCI_IMAGE_MANIFEST, Digest::of(b""), 0);
        let (one, two) = ("r.example/a", "r.example/b");
        let tell = |to, event| standing.watch(to, Arc::new(NoObserver)).on(event);
        let line = || standing.line(OnSignal::Pause, 0);
        let go_on = "run it again to go on";
        assert_eq!(line(), format!("interrupted; no tag was moved; {go_on}"));
        tell(one, Event::Tagging(&root, &tags));
        let doubt = format!("interrupted; {one}:1 may have been moved; {go_on}");
        assert_eq!(line(), doubt);
        tell(one, Event::Tagged(&root, &tags));
        assert_eq!(line(), format!("interrupted; {one}:1 was moved; {go_on}"));
        tell(two, Event::Tagging(&root, &tags));
        let both = format!("moved: {one}:1; may have been moved: {two}:1");
        assert_eq!(line(), format!("interrupted; {both}; {go_on}"));
        tell(two, Event::Tagged(&root, &tags));
        let all = format!("interrupted; {one}:1, {two}:1 were moved; {go_on}");
        assert_eq!(line(), all);
    }

    #[test]
    fn fault_b13_a_blob_goes_on_only_where_something_was_kept() {
        let line = |paused| Standing::default().line(OnSignal::PauseBlob, paused);
        assert_eq!(line(1), "interrupted; run it again to go on");
        assert!(line(0).contains("nothing was kept"), "{}", line(0));
    }
}
