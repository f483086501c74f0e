//! How far a request got on a connection that broke (wire.md R8).

use std::io::ErrorKind as Io;
use std::net::SocketAddr;

use hyper_util::client::legacy::Error as ClientError;
use hyper_util::client::legacy::connect::{Connected, HttpInfo};

use super::causes::causes;
use wharf_core::Error;

/// Why there is no answer.
pub(super) enum Failed {
    /// The body's source failed.
    Source(Error),
    /// The exchange did.
    Exchange(Error),
    /// The connection ended before the host acted on the request, or the request may be sent twice.
    Stale(Error),
}

/// How far a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// It was not written.
    Unwritten,
    /// It was, or may have been, and no answer arrived. The connection, if it is known.
    Unanswered(Option<Ends>),
}

/// Our end of a connection, and the other one.
pub(super) type Ends = (SocketAddr, SocketAddr);

/// How far the request of an error got; `None`: its connection did not break.
pub(super) fn broken(error: &reqwest::Error) -> Option<Broken> {
    let client = causes(error).find_map(|cause| cause.downcast_ref::<ClientError>())?;
    let http = causes(client).filter_map(|cause| cause.downcast_ref::<hyper::Error>());
    let http = http.last()?;
    if http.is_canceled() {
        return Some(Broken::Unwritten);
    }
    let io = causes(http).find_map(|cause| cause.downcast_ref::<std::io::Error>());
    let is_cut = match io.map(std::io::Error::kind) {
        Some(kind) => matches!(
            kind,
            Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe | Io::UnexpectedEof
        ),
        None => http.is_incomplete_message(),
    };
    let ends = || client.connect_info().and_then(of_connection);
    is_cut.then(|| Broken::Unanswered(ends()))
}

/// The connection that an answer arrived on.
pub(super) fn ends(response: &reqwest::Response) -> Option<Ends> {
    response.extensions().get().map(both)
}

fn of_connection(connected: &Connected) -> Option<Ends> {
    let mut extensions = http::Extensions::new();
    connected.get_extras(&mut extensions);
    extensions.get().map(both)
}

fn both(info: &HttpInfo) -> Ends {
    (info.local_addr(), info.remote_addr())
}
