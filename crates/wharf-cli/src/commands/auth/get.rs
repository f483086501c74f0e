//! `wharf auth get [HOST]`: the protocol of credential helpers.

use wharf::credentials::{Credential, Credentials, registry_of};
use wharf::{Error, ErrorKind, Result};

use super::input;
use crate::command::{OnSignal, Run};
use crate::context::Context;

/// Print the credentials of a registry, as a credential helper does
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Get {
    /// Registry; without it, standard input names the registry
    host: Option<String>,
}

const HELP: &str = "\
Example:
  wharf auth get ghcr.io";

/// The output of a helper without credentials for a registry; other programs search for this text.
const NOTHING: &str = "credentials not found in native keychain";

impl Run for Get {
    fn on_signal(&self) -> OnSignal {
        OnSignal::Abandon
    }

    /// Prints one line of JSON.
    async fn run(self, context: &Context) -> Result<()> {
        let host = match self.host {
            Some(host) => host,
            None => input::read("the registry").await?.expose().to_owned(),
        };
        if host.trim().is_empty() {
            let message = "no host given: name it, or write it to standard input";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let registry = registry_of(&host).map_err(|error| error.target("HOST"))?;
        let credentials = context.logins.credentials()?;
        let Some(found) = credentials.find(&registry, None).await? else {
            context.printer.data(NOTHING)?;
            let message = format!("no credentials in {}", credentials.places().join(", "));
            return Err(Error::new(ErrorKind::NotFound, message).target(&registry));
        };
        let (username, secret) = match &found.credential {
            Credential::Password { username, password } => (username.as_str(), password),
            Credential::IdentityToken(token) => ("<token>", token),
            _ => {
                let message = "its credentials are a token of a kind that helpers cannot print";
                return Err(Error::new(ErrorKind::Unsupported, message).target(&registry));
            }
        };
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let (username, secret) = (quoted(username), quoted(secret.expose()));
        let line = format!(r#"{{"Username":{username},"Secret":{secret}}}"#);
        context.printer.data(&line)
    }
}
