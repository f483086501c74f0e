//! The processes of a credential helper: itself, and those that it starts.

use tokio::process::{Child, Command};

/// Starts `command` in a process group of its own.
pub(super) fn lead(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    command.process_group(0);
    command
}

/// Ends all processes of the group when it is dropped, unless they are left alone.
#[derive(Debug)]
pub(super) struct ProcessGroup {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

impl ProcessGroup {
    /// The group that `child` leads.
    pub(super) fn of(child: &Child) -> Self {
        #[cfg(not(unix))]
        let _ = child;
        ProcessGroup {
            #[cfg(unix)]
            leader: child
                .id()
                .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())),
        }
    }

    /// Lets the processes run on, such as an agent that the helper started.
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no groups"))]
    pub(super) fn leave(mut self) {
        #[cfg(unix)]
        {
            self.leader = None;
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(leader) = self.leader {
            // There may be none left.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}
