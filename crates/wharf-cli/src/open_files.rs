//! The number of files that the process may have open.

/// Enough for every connection of the embedded registry.
#[cfg(unix)]
const ENOUGH: u64 = 16_384;

/// Raises the limit of this process, as far as the system allows. The usual limit suits programs that
/// wait with `select`; a server with many clients needs more.
#[cfg(unix)]
pub(crate) fn raise() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(ENOUGH, |most| most.min(ENOUGH));
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    // Without it the registry serves fewer connections.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub(crate) fn raise() {}
