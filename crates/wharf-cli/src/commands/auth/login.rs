//! `wharf auth login HOST`.

use std::sync::Arc;

use wharf::credentials::{Credential, Credentials, Given, Secret};
use wharf::remote::Checked;
use wharf::{Error, ErrorKind, Result};

use super::input;
use crate::arguments::Host;
use crate::command::Run;
use crate::context::Context;
use crate::flags::{Hidden, THIS_LOGIN};

/// Check credentials with a registry, and store them
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Login {
    /// Registry, such as ghcr.io or localhost:5000
    host: Host,
    /// User name
    #[arg(short, long, value_name = "USER")]
    username: String,
    /// Password; other users see it in the list of processes
    #[arg(short, long, value_name = "PASSWORD")]
    password: Option<Hidden>,
    /// Read the password from standard input
    #[arg(long, conflicts_with = "password")]
    password_stdin: bool,
}

const HELP: &str = "\
Stores them where `docker login` does: in a credential helper, or in the file of Docker's
configuration.

Example:
  wharf auth login -u me --password-stdin ghcr.io < token";

impl Run for Login {
    /// Checks the credentials before it stores them.
    async fn run(self, context: &Context) -> Result<()> {
        let credential = self.credential().await?;
        let Host(registry) = &self.host;
        let before = context.logins.given()?.find(registry, None).await?;
        let file = context.logins.first()?;
        let given = Given::new(registry.clone(), credential.clone(), THIS_LOGIN);
        let client = context.client_showing(Arc::new(given))?;
        let checked = client.check_credentials(registry).await?;
        let place = file.keep(registry, &credential).await?;
        let say = |line: &str| context.printer.say(line);
        say(&format!("logged in to {registry} via {place}"));
        if checked == Checked::NotAsked {
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
    async fn credential(&self) -> Result<Credential> {
        // RFC 7617: the first colon ends the name.
        if self.username.contains(':') {
            return Err(invalid("a user name has no colon"));
        }
        let password = self.password().await?;
        if self.username.is_empty() || password.is_empty() {
            return Err(invalid("user name and password must not be empty"));
        }
        Ok(Credential::password(self.username.as_str(), password))
    }

    async fn password(&self) -> Result<Secret> {
        match &self.password {
            Some(Hidden(password)) => Ok(password.clone()),
            None if self.password_stdin => input::read("the password").await,
            None => Err(invalid(
                "no password: --password-stdin reads it from standard input",
            )),
        }
    }
}

fn invalid(why: &str) -> Error {
    Error::new(ErrorKind::Invalid, why)
}
