//! One run of a credential helper: what it is told, what it prints, and how it ends.

use std::process::ExitStatus;
use std::time::Duration;

use futures::future::Either;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use wharf_oci::Printable;
use zeroize::Zeroizing;

use super::secret::Secret;
use wharf_core::{Error, ErrorKind, Result};

/// Bytes that a helper may print.
const OUTPUT: usize = 64 * 1024;

/// Characters of a complaint that are quoted.
const WORDS: usize = 200;

/// How long output is waited for whose writer outlives the helper.
const REST: Duration = Duration::from_millis(500);

/// How a helper ended, with what it printed.
pub(super) enum Ended {
    Well(Zeroizing<Vec<u8>>),
    Badly(String),
}

/// Tells a helper `input`, which may hold a `secret`, and hears it out.
///
/// # Errors
/// Where it prints too much, or the system fails.
pub(super) async fn converse(
    mut child: Child,
    input: &str,
    secret: Option<&Secret>,
) -> Result<Ended> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let stdout = child.stdout.take().ok_or_else(closed)?;
    let (mut output, mut errors) = (buffer(), buffer());
    let ended = {
        let talk = std::pin::pin!(talk(&mut child, stdin, stdout, input, &mut output));
        // It must not have to wait for somebody who listens.
        let mut listen = std::pin::pin!(listen(stderr, &mut errors));
        match futures::future::select(talk, &mut listen).await {
            Either::Left((ended, _)) => {
                let failed = matches!(&ended, Ok(Some(status)) if !status.success());
                if failed {
                    // What it started may hold this open too.
                    drop(tokio::time::timeout(REST, listen).await);
                }
                ended
            }
            Either::Right(((), talk)) => talk.await,
        }
    };
    match ended? {
        _ if output.len() > OUTPUT => {
            let message = format!("printed more than {OUTPUT} bytes");
            Err(Error::new(ErrorKind::Invalid, message))
        }
        Some(status) if status.success() => Ok(Ended::Well(output)),
        Some(status) => {
            let said = words(&output, secret).or_else(|| words(&errors, secret));
            Ok(Ended::Badly(said.unwrap_or_else(|| status.to_string())))
        }
        None => Err(closed()),
    }
}

/// As much as there may be at once: growing would leave copies behind.
fn buffer() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(OUTPUT + 1))
}

/// Tells a helper `input` and hears what it prints, until it ends; `None` where it prints too much.
async fn talk(
    child: &mut Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    input: &str,
    output: &mut Vec<u8>,
) -> Result<Option<ExitStatus>> {
    let write = async {
        if let Some(mut stdin) = stdin {
            // One that does not want to read says so by how it ends.
            drop(stdin.write_all(input.as_bytes()).await);
        }
    };
    let mut bounded = stdout.take(OUTPUT as u64 + 1);
    let mut talk = std::pin::pin!(async { tokio::join!(write, bounded.read_to_end(output)).1 });
    tokio::select! {
        read = &mut talk => match read? {
            length if length > OUTPUT => Ok(None),
            _ => Ok(Some(child.wait().await?)),
        },
        status = child.wait() => {
            // What it started may hold the pipe open for ever.
            drop(tokio::time::timeout(REST, talk).await);
            Ok(Some(status?))
        }
    }
}

/// Hears what a helper complains of, to its end; the beginning is kept.
async fn listen(stderr: Option<ChildStderr>, errors: &mut Vec<u8>) {
    let Some(stderr) = stderr else { return };
    let mut bounded = stderr.take(OUTPUT as u64 + 1);
    drop(bounded.read_to_end(errors).await);
    drop(tokio::io::copy(&mut bounded.into_inner(), &mut tokio::io::sink()).await);
}

/// The first line of what a helper that fails printed, which by the protocol says why, without the
/// secret that it was given.
fn words(output: &[u8], secret: Option<&Secret>) -> Option<String> {
    // Where it was cut off, part of the secret might not be recognized.
    if output.len() > OUTPUT {
        return None;
    }
    let output = match secret {
        Some(secret) => secret.struck_from(output),
        None => Zeroizing::new(output.to_vec()),
    };
    let text = Zeroizing::new(String::from_utf8_lossy(&output).into_owned());
    let mut lines = text.lines().map(str::trim);
    // What looks like a credential is none of a complaint.
    let line = lines.find(|line| !line.is_empty() && !line.contains("\"Secret\""))?;
    Some(Printable(line, WORDS).to_string())
}

fn closed() -> Error {
    Error::new(ErrorKind::Io, "its output could not be read")
}
