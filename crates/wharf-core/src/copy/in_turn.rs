//! Delivers events to their observer one at a time, and none after the last.
//!
//! Bytes are counted on the thread of their connection, which may take one more chunk while the
//! copy is being cancelled.

use std::sync::Arc;

use crate::copy::{CopyOptions, Event, Observer};
use crate::sync::Lock;

/// The same options, with `observer` called one event at a time.
pub(super) fn options(options: &CopyOptions, observer: &Arc<dyn Observer>) -> CopyOptions {
    CopyOptions {
        observer: Arc::new(InTurn {
            observer: Arc::clone(observer),
            state: Lock::new(State::Open),
        }),
        ..options.clone()
    }
}

#[derive(Debug)]
struct InTurn {
    observer: Arc<dyn Observer>,
    state: Lock<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Failed,
}

impl Observer for InTurn {
    fn on(&self, event: Event<'_>) {
        let mut state = self.state.lock();
        if *state == State::Failed {
            return;
        }
        if matches!(event, Event::Failed(_)) {
            *state = State::Failed;
        }
        self.observer.on(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind};

    #[derive(Debug, Default)]
    struct Names(Lock<Vec<String>>);

    impl Observer for Names {
        fn on(&self, event: Event<'_>) {
            let name = format!("{event:?}");
            let name = name.split([' ', '(']).next().unwrap_or_default().to_owned();
            self.0.lock().push(name);
        }
    }

    #[test]
    fn p1_an_error_is_the_last_update() {
        let names = Arc::new(Names::default());
        let observer: Arc<dyn Observer> = Arc::clone(&names) as _;
        let options = options(&CopyOptions::default(), &observer);
        let planned = || Event::Planned { bytes: 1, nodes: 1 };
        options.observer.on(planned());
        let error = Error::new(ErrorKind::Invalid, "no");
        options.observer.on(Event::Failed(&error));
        options.observer.on(planned());
        assert_eq!(*names.0.lock(), ["Planned", "Failed"]);
    }
}
