//! `wharf auth login HOST`.

use wharf::credentials::{Credential, Credentials, Secret};
use wharf::remote::Checked;
use wharf::{Error, ErrorKind, Result};

use super::{input, prompt};
use crate::arguments::Host;
use crate::command::Run;
use crate::context::Context;
use crate::env;
use crate::flags::Hidden;
use crate::printer::Printer;

/// Check credentials with a registry, and store them
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Login {
    /// Registry, such as ghcr.io or localhost:5000
    host: Host,
    /// User name
    #[arg(short, long, value_name = "USER")]
    username: Option<String>,
    /// Password; other users see it in the list of processes
    #[arg(short, long, value_name = "PASSWORD")]
    password: Option<Hidden>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password", requires = "username")]
    password_stdin: bool,
}

const HELP: &str = "\
On a terminal, asks for the user name and the password that are not given.
Stores them where `docker login` does: in a credential helper, or in the file of Docker's
configuration.

Examples:
  wharf auth login ghcr.io
  wharf auth login -u me --password-stdin ghcr.io < token";

impl Run for Login {
    /// Checks the credentials before it stores them.
    async fn run(self, context: &Context) -> Result<()> {
        let Host(registry) = &self.host;
        let username = self.username(&context.printer).await?;
        let password = self.password(&context.printer).await?;
        let credential = Credential::password(username, password);
        let before = context.logins.given()?.find(registry, None).await?;
        let file = context.logins.first()?;
        let wharf = context.wharf_without_credentials()?;
        let login = wharf.login(registry, &credential, &file).await?;
        let say = |line: &str| context.printer.say(line);
        say(&format!("logged in via {}", login.kept_in));
        if login.checked == Checked::NotAsked {
            say(&format!(
                "{registry} did not ask for credentials, so they could not be checked"
            ));
        }
        if let Some(other) = before.filter(|other| other.credential != credential) {
            say(&format!(
                "{} has other credentials for {registry}, which are used first",
                other.source
            ));
        }
        Ok(())
    }
}

impl Login {
    async fn username(&self, printer: &Printer) -> Result<String> {
        match &self.username {
            Some(username) => Ok(username.clone()),
            None if env::can_ask() => prompt::line(printer, "Username").await,
            None => {
                let message = "no user name, and no terminal to ask for it: -u USER";
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }

    async fn password(&self, printer: &Printer) -> Result<Secret> {
        match &self.password {
            Some(Hidden(password)) => Ok(password.clone()),
            None if self.password_stdin => input::read("the password").await,
            None if env::can_ask() => prompt::secret(printer, "Password").await,
            None => {
                let message = "no password, and no terminal to ask for it: \
                               --password-stdin reads it from standard input";
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }
}
