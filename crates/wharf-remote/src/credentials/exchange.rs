//! One run of a credential helper: its input, its output, and its end.

use std::process::ExitStatus;
use std::time::Duration;

use futures::future::Either;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use wharf_oci::Printable;
use zeroize::Zeroizing;

use super::secret::Secret;
use wharf_core::{Error, ErrorKind, Result};

/// The most bytes that a helper may print.
const OUTPUT: usize = 64 * 1024;

/// Characters of an error text that are quoted.
const WORDS: usize = 200;

/// How long to wait for output if its writer outlives the helper.
const REST: Duration = Duration::from_millis(500);

/// How a helper ended, with what it printed.
pub(super) enum Ended {
    Well(Zeroizing<Vec<u8>>),
    Badly(String),
    /// By a signal, so that it could not end what it started.
    Killed(String),
}

/// Sends a helper `input`, which may contain a `secret`, and reads its output to the end.
///
/// # Errors
/// If it prints too much, or on a system error.
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
        // Read in parallel, so that the helper never blocks on it.
        let mut listen = std::pin::pin!(listen(stderr, &mut errors));
        match futures::future::select(talk, &mut listen).await {
            Either::Left((ended, _)) => {
                let failed = matches!(&ended, Ok(Some(status)) if !status.success());
                if failed {
                    // A child of the helper may hold this pipe open too.
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
        Some(status) if status.code().is_none() => Ok(Ended::Killed(status.to_string())),
        Some(status) => {
            let said = words(&output, secret).or_else(|| words(&errors, secret));
            Ok(Ended::Badly(said.unwrap_or_else(|| status.to_string())))
        }
        None => Err(closed()),
    }
}

/// Allocated at full size: growing would leave copies of secrets behind.
fn buffer() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(OUTPUT + 1))
}

/// Sends a helper `input` and reads its output until it ends; `None` if it prints too much.
async fn talk(
    child: &mut Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    input: &str,
    output: &mut Vec<u8>,
) -> Result<Option<ExitStatus>> {
    let write = async {
        if let Some(mut stdin) = stdin {
            // A helper that does not read its input fails with its exit status.
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
            // A child of the helper may hold the pipe open for ever.
            drop(tokio::time::timeout(REST, talk).await);
            Ok(Some(status?))
        }
    }
}

/// Reads a helper's error output to its end, and keeps the beginning.
async fn listen(stderr: Option<ChildStderr>, errors: &mut Vec<u8>) {
    let Some(stderr) = stderr else { return };
    let mut bounded = stderr.take(OUTPUT as u64 + 1);
    drop(bounded.read_to_end(errors).await);
    drop(tokio::io::copy(&mut bounded.into_inner(), &mut tokio::io::sink()).await);
}

/// The first line of a failed helper's output, which by the protocol is the reason, without the
/// secret that it got.
fn words(output: &[u8], secret: Option<&Secret>) -> Option<String> {
    // If it was cut off, part of a secret might not be recognised.
    if output.len() > OUTPUT {
        return None;
    }
    let output = match secret {
        Some(secret) => secret.struck_from(output),
        None => Zeroizing::new(output.to_vec()),
    };
    let text = Zeroizing::new(String::from_utf8_lossy(&output).into_owned());
    let mut lines = text.lines().map(str::trim);
    // A line that looks like a credential is not an error text.
    let line = lines.find(|line| !line.is_empty() && !line.contains("\"Secret\""))?;
    Some(Printable(line, WORDS).to_string())
}

fn closed() -> Error {
    Error::new(ErrorKind::Io, "its output could not be read")
}
