//! Runs credential helpers: programs named `docker-credential-NAME` that store credentials.
//!
//! A helper runs once for a server, and its answer is remembered. Its time and the length of its
//! output are limited.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::process::Command;
use zeroize::Zeroizing;

use super::credential::Credential;
use super::exchange::{Ended, converse};
use super::failures::{CredentialsObserver, Failures};
use super::process_group::{ProcessGroup, lead};
use super::secret::Secret;
use wharf_core::sync::{Keyed, Lock};
use wharf_core::{Error, ErrorKind, Result};

/// How long a helper may run: some ask the user to unlock something.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs helpers and remembers their answers. Clones share the memory.
#[derive(Clone, Debug)]
pub struct Helpers {
    limit: Duration,
    directory: Option<PathBuf>,
    path: Vec<PathBuf>,
    answers: Arc<Answers>,
    failures: Failures,
}

#[derive(Debug, Default)]
struct Answers {
    known: Lock<HashMap<Question, Answer>>,
    /// Helpers that did not end in time, for any server.
    silent: Lock<HashMap<String, Failure>>,
    asking: Keyed<Question, ()>,
}

/// How long a failed helper is not run again: it may have prompted the user.
const REPEAT: Duration = Duration::from_secs(300);

/// Helper and server.
type Question = (String, String);
type Answer = std::result::Result<Option<Credential>, Failure>;

/// An error, and its time.
#[derive(Debug)]
struct Failure {
    error: Error,
    at: Instant,
}

impl Failure {
    fn of(error: Error) -> Self {
        Failure {
            // The error again, not transient.
            error: error.transient(false),
            at: Instant::now(),
        }
    }

    fn is_old(&self) -> bool {
        self.at.elapsed() >= REPEAT
    }
}

fn said(answer: &Answer) -> Result<Option<Credential>> {
    match answer {
        Ok(credential) => Ok(credential.clone()),
        Err(failure) => Err(failure.error.clone()),
    }
}

/// The commands of a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Get,
    Store,
    Erase,
}

impl Default for Helpers {
    fn default() -> Self {
        Helpers {
            limit: LIMIT,
            directory: None,
            path: Vec::new(),
            answers: Arc::default(),
            failures: Failures::default(),
        }
    }
}

impl Helpers {
    /// Sets how long a helper may run; a minute by default.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sets the directory of helpers, instead of the system's search path.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets the system's search path. It is used only to explain why a helper cannot be started.
    #[must_use]
    pub fn path(mut self, directories: Vec<PathBuf>) -> Self {
        self.path = directories;
        self
    }

    /// Sets the observer of helpers, and of files that name them, which could not be used.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn CredentialsObserver>) -> Self {
        self.failures = Failures::to(observer);
        self
    }

    /// Where failures are reported.
    pub(super) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// The credential that `helper` has for `server`; `file` is the file that named the helper.
    ///
    /// # Errors
    /// If the helper cannot be run, fails, takes too long or prints malformed output.
    pub(super) async fn find(
        &self,
        helper: &str,
        server: &str,
        file: &Path,
    ) -> Result<Option<Credential>> {
        let question = (helper.to_owned(), server.to_owned());
        let _held = self.answers.asking.hold(question.clone()).await;
        if let Some(answer) = self.known(&question) {
            return answer;
        }
        if let Some(error) = self.silence(helper) {
            return Err(error);
        }
        let answer = self.ask(helper, server, file).await;
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Timeout
        {
            let mut silent = self.answers.silent.lock();
            silent.insert(helper.to_owned(), Failure::of(error.clone()));
        }
        let answer = answer.map_err(Failure::of);
        let found = said(&answer);
        self.answers.known.lock().insert(question, answer);
        found
    }

    /// What the helper answered before, unless it failed a while ago.
    fn known(&self, question: &Question) -> Option<Result<Option<Credential>>> {
        let known = self.answers.known.lock();
        let answer = known.get(question);
        answer
            .filter(|answer| !matches!(answer, Err(failure) if failure.is_old()))
            .map(said)
    }

    /// The error of a helper that did not end in time a while ago. Waiting again, for another
    /// server, would not help.
    fn silence(&self, helper: &str) -> Option<Error> {
        let silent = self.answers.silent.lock();
        let failure = silent.get(helper).filter(|failure| !failure.is_old());
        failure.map(|failure| failure.error.clone())
    }

    async fn ask(&self, helper: &str, server: &str, file: &Path) -> Result<Option<Credential>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Printed {
            #[serde(default)]
            username: String,
            secret: Option<Secret>,
        }
        let output = match self.run(helper, Verb::Get, server, None, file).await? {
            Ended::Well(output) => output,
            Ended::Badly(why) if says_nothing(&why) => return Ok(None),
            Ended::Badly(why) | Ended::Killed(why) => {
                return Err(failed(helper, Verb::Get, server, why));
            }
        };
        let printed: Printed = serde_json::from_slice(&output).map_err(|_| {
            failed(
                helper,
                Verb::Get,
                server,
                "it printed no credential".to_owned(),
            )
        })?;
        let secret = printed.secret.filter(|secret| !secret.is_empty());
        Ok(secret.map(|secret| Credential::password(printed.username, secret)))
    }

    /// Stores a credential for `server` in `helper`.
    ///
    /// # Errors
    /// As [`Helpers::find`].
    pub(super) async fn store(
        &self,
        helper: &str,
        server: &str,
        username: &str,
        secret: &Secret,
        file: &Path,
    ) -> Result<()> {
        let quoted = |text: &str| Zeroizing::new(serde_json::Value::from(text).to_string());
        let input = Zeroizing::new(format!(
            r#"{{"ServerURL":{},"Username":{},"Secret":{}}}"#,
            *quoted(server),
            *quoted(username),
            *quoted(secret.expose())
        ));
        self.tell(helper, Verb::Store, &input, Some(secret), server, file)
            .await
    }

    /// Erases the credential for `server` from `helper`, if any.
    ///
    /// # Errors
    /// As [`Helpers::find`].
    pub(super) async fn erase(&self, helper: &str, server: &str, file: &Path) -> Result<()> {
        self.tell(helper, Verb::Erase, server, None, server, file)
            .await
    }

    /// Drops the cached result for the server.
    async fn tell(
        &self,
        helper: &str,
        verb: Verb,
        input: &str,
        secret: Option<&Secret>,
        server: &str,
        file: &Path,
    ) -> Result<()> {
        let ended = self.run(helper, verb, input, secret, file).await?;
        let question = (helper.to_owned(), server.to_owned());
        self.answers.known.lock().remove(&question);
        match ended {
            Ended::Well(_) => Ok(()),
            Ended::Badly(why) if verb == Verb::Erase && says_nothing(&why) => Ok(()),
            Ended::Badly(why) | Ended::Killed(why) => Err(failed(helper, verb, server, why)),
        }
    }

    /// Runs a helper with `input`, which may contain a `secret`, on its standard input. Unless it
    /// ends by itself, the processes that it started end too.
    ///
    /// # Errors
    /// If it cannot be run or does not end. Its own failure is not an error here.
    async fn run(
        &self,
        helper: &str,
        verb: Verb,
        input: &str,
        secret: Option<&Secret>,
        file: &Path,
    ) -> Result<Ended> {
        let program = self.program(helper, file)?;
        let mut command = Command::new(&program);
        command
            .arg(verb.word())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = lead(&mut command)
            .spawn()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => self.missing(&program, helper, file),
                _ => Error::io(program.display(), error).target(file.display()),
            })?;
        let group = ProcessGroup::of(&child);
        let ended =
            tokio::time::timeout(self.limit, Box::pin(converse(child, input, secret))).await;
        if let Ok(Ok(Ended::Well(_) | Ended::Badly(_))) = &ended {
            group.leave();
        }
        let ended = ended.map_err(|_| {
            let seconds = self.limit.as_secs_f64();
            let message = format!("did not end within {seconds} s");
            Error::new(ErrorKind::Timeout, message).transient(false)
        });
        ended
            .and_then(|ended| ended)
            .map_err(|error| error.target(program.display()))
    }

    /// The system reports a missing program and a missing interpreter with the same error.
    fn missing(&self, program: &Path, helper: &str, file: &Path) -> Error {
        let paths = self.path.iter().map(|directory| directory.join(program));
        let mut paths = std::iter::once(program.to_owned()).chain(paths);
        let there = paths.find(|path| path.is_absolute() && path.is_file());
        let why = match there {
            Some(path) => {
                let path = path.display();
                format!("cannot be started: {path} exists, but its interpreter does not")
            }
            None => "is not installed".to_owned(),
        };
        let message = format!(
            "docker-credential-{helper}, named in {}, {why}",
            file.display()
        );
        Error::new(ErrorKind::Io, message)
    }

    /// Refuses a name that is a path, which could run other programs.
    fn program(&self, helper: &str, file: &Path) -> Result<PathBuf> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if helper.is_empty() || !helper.bytes().all(plain) {
            let message = format!("{helper:?} is not the name of a credential helper");
            return Err(Error::new(ErrorKind::Invalid, message).target(file.display()));
        }
        let name = format!("docker-credential-{helper}");
        Ok(match &self.directory {
            Some(directory) => directory.join(name),
            None => PathBuf::from(name),
        })
    }
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Verb::Get => "get",
            Verb::Store => "store",
            Verb::Erase => "erase",
        }
    }
}

/// Whether a helper's error means that it has nothing for this server.
fn says_nothing(why: &str) -> bool {
    why.to_ascii_lowercase().contains("credentials not found")
}

fn failed(helper: &str, verb: Verb, server: &str, why: String) -> Error {
    let verb = verb.word();
    Error::new(ErrorKind::Io, why)
        .target(format_args!("docker-credential-{helper} {verb} {server}"))
}

#[cfg(test)]
mod tests {

    use wharf_testkit::process::executable;

    use super::*;

    fn helpers(directory: &Path, script: &str) -> Helpers {
        let path = directory.join("docker-credential-test");
        executable(&path, &format!("#!/bin/sh\n{script}\n"));
        Helpers::default().directory(directory)
    }

    async fn ask(script: &str) -> Result<Option<Credential>> {
        let directory = tempfile::tempdir().unwrap();
        let helpers = helpers(directory.path(), script).limit(Duration::from_secs(5));
        let file = Path::new("/home/config.json");
        helpers.find("test", "r.example", file).await
    }

    #[tokio::test]
    async fn a_helper_is_run_once_for_a_server_however_many_ask() {
        let directory = tempfile::tempdir().unwrap();
        let script = "read server; echo $1 $server >> $(dirname $0)/log
            echo '{\"ServerURL\":\"x\",\"Username\":\"u\",\"Secret\":\"s\"}'";
        let helpers = helpers(directory.path(), script);
        let file = Path::new("/home/config.json");
        let ask = || helpers.find("test", "r.example", file);
        let (one, two, three) = tokio::join!(ask(), ask(), ask());
        let expected = Some(Credential::password("u", "s".into()));
        for answer in [one, two, three] {
            assert_eq!(answer.unwrap(), expected);
        }
        helpers.find("test", "other.example", file).await.unwrap();
        let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
        assert_eq!(log, "get r.example\nget other.example\n");
    }

    #[tokio::test]
    async fn a_helper_that_failed_is_not_run_again_either() {
        let directory = tempfile::tempdir().unwrap();
        let script = "echo x >> $(dirname $0)/log; echo 'the vault is locked'; exit 1";
        let helpers = helpers(directory.path(), script);
        let file = Path::new("/home/config.json");
        for _ in 0..3 {
            let error = helpers.find("test", "r.example", file).await.unwrap_err();
            assert!(
                error.to_string().ends_with("the vault is locked"),
                "{error}"
            );
            assert!(!error.is_transient());
        }
        let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
        assert_eq!(log, "x\n");
    }

    #[tokio::test]
    async fn a_helper_that_has_nothing_is_no_failure() {
        let script = "echo 'credentials not found in native keychain'; exit 1";
        assert_eq!(ask(script).await.unwrap(), None);
        let empty = r#"echo '{"ServerURL":"","Username":"","Secret":""}'"#;
        assert_eq!(ask(empty).await.unwrap(), None);
        let token = r#"echo '{"Username":"<token>","Secret":"it"}'"#;
        let expected = Some(Credential::IdentityToken("it".into()));
        assert_eq!(ask(token).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_helper_that_fails_is_quoted() {
        let error = ask("echo 'the vault is locked'; exit 1").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "docker-credential-test get r.example: the vault is locked"
        );
        let error = ask("echo hello").await.unwrap_err();
        assert!(error.to_string().ends_with("it printed no credential"));
    }

    #[tokio::test]
    async fn what_a_helper_says_on_standard_error_is_quoted_in_one_line() {
        let said = async |script: &str| ask(script).await.unwrap_err().to_string();
        let why = "docker-credential-test get r.example: ";
        for (script, expected) in [
            ("echo; echo why >&2; echo more >&2; exit 1", "why"),
            (r"printf 'a\033[2Jb' >&2; exit 1", r"a\u{1b}[2Jb"),
            ("echo no >&2; echo why; exit 1", "why"),
            (
                r#"echo '{"Secret":"hidden"}' >&2; exit 1"#,
                "exit status: 1",
            ),
            ("exit 1", "exit status: 1"),
            // Truncated output is not quoted.
            ("yes why | head -c 70000 >&2; exit 1", "exit status: 1"),
        ] {
            assert_eq!(said(script).await, format!("{why}{expected}"), "{script}");
        }
        let talkative = "yes why | head -c 9000000 >&2; echo '{\"Secret\":\"s\"}'";
        assert!(ask(talkative).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_helper_cannot_have_the_secret_it_is_given_quoted() {
        let secret = Secret::from(r#"hid"den\"#);
        let file = Path::new("/home/config.json");
        for script in [
            "cat >&2",
            "cat",
            "cat | tee /dev/stderr",
            r#"printf 'no hid"den\\!'"#,
        ] {
            let directory = tempfile::tempdir().unwrap();
            let helpers = helpers(directory.path(), &format!("{script}; exit 1"));
            let stored = helpers.store("test", "r", "me", &secret, file).await;
            let line = stored.unwrap_err().to_string();
            assert!(
                line.starts_with("docker-credential-test store r: "),
                "{line}"
            );
            assert!(!line.contains("hid") && !line.contains("den\\"), "{line}");
        }
    }

    #[tokio::test]
    async fn a_helper_whose_interpreter_is_missing_is_not_called_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("docker-credential-test");
        executable(&path, "#!/nonexistent/python\n");
        let helpers = Helpers::default().directory(directory.path());
        let file = Path::new("/home/config.json");
        let error = helpers.find("test", "r.example", file).await.unwrap_err();
        let expected = format!(
            "docker-credential-test, named in /home/config.json, \
             cannot be started: {} exists, but its interpreter does not",
            path.display()
        );
        assert_eq!(error.to_string(), expected);
        // The program is on the system's search path.
        let helpers = Helpers::default().path(vec![directory.path().to_owned()]);
        let program = Path::new("docker-credential-test");
        let error = helpers.missing(program, "test", file);
        assert_eq!(error.to_string(), expected);
    }

    #[tokio::test]
    async fn a_helper_is_bounded_in_time_and_output() {
        let error = ask("yes 0123456789").await.unwrap_err();
        assert!(
            error.to_string().contains("more than 65536 bytes"),
            "{error}"
        );
        let directory = tempfile::tempdir().unwrap();
        let helpers = helpers(directory.path(), "exec sleep 100").limit(Duration::from_millis(50));
        let file = Path::new("/home/config.json");
        let error = helpers.find("test", "r.example", file).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().ends_with("did not end within 0.05 s"));
    }

    /// Whether the process with the number that is in `file` has ended.
    async fn has_ended(file: &Path) -> bool {
        let number = std::fs::read_to_string(file).unwrap();
        let place = format!("/proc/{}/stat", number.trim());
        for _ in 0..600 {
            let state = std::fs::read_to_string(&place).unwrap_or_default();
            // An ended process may wait for its parent.
            let rest = state.rsplit_once(") ").map_or("Z", |(_, rest)| rest);
            if rest.starts_with(['Z', 'X']) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn fault_b10_the_processes_of_a_helper_end_with_it() {
        for (script, limit) in [
            // Silent, and its child holds the pipes.
            ("sleep 1000 & echo $! > $(dirname $0)/child; wait", 1),
            ("sleep 1000 & echo $! > $(dirname $0)/child; kill -9 $$", 60),
            ("sleep 1000 & echo $! > $(dirname $0)/child; yes no", 60),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let helpers = helpers(directory.path(), script).limit(Duration::from_secs(limit));
            let file = Path::new("/home/config.json");
            helpers.find("test", "r.example", file).await.unwrap_err();
            assert!(has_ended(&directory.path().join("child")).await, "{script}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn fault_b10_a_helper_ends_with_the_work_that_asked_it() {
        let directory = tempfile::tempdir().unwrap();
        let child = directory.path().join("child");
        let script = "sleep 1000 & echo $! > $0.new; mv $0.new $(dirname $0)/child; wait";
        let helpers = helpers(directory.path(), script);
        let asking = tokio::spawn(async move {
            let file = Path::new("/home/config.json");
            drop(helpers.find("test", "r.example", file).await);
        });
        while !child.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        asking.abort();
        assert!(has_ended(&child).await);
    }

    #[tokio::test]
    async fn fault_b10_a_silent_helper_is_waited_for_once() {
        let directory = tempfile::tempdir().unwrap();
        let script = "echo x >> $(dirname $0)/log; exec sleep 1000";
        let helpers = helpers(directory.path(), script).limit(Duration::from_secs(1));
        let file = Path::new("/home/config.json");
        for server in ["a.example", "b.example", "a.example"] {
            let error = helpers.find("test", server, file).await.unwrap_err();
            assert!(error.to_string().ends_with("did not end within 1 s"));
        }
        let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
        assert_eq!(log, "x\n");
    }

    #[tokio::test]
    async fn what_a_helper_leaves_running_is_not_waited_for() {
        let script = r#"sleep 100 & echo '{"Username":"u","Secret":"s"}'"#;
        assert!(ask(script).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_missing_helper_is_named_with_who_wanted_it() {
        let helpers = Helpers::default().directory("/nonexistent");
        let file = Path::new("/home/config.json");
        let error = helpers.find("gone", "r.example", file).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "docker-credential-gone, named in /home/config.json, \
             is not installed"
        );
        let error = helpers.find("../sh", "r", file).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}
