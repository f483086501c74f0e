//! `wharf auth`: logging in and out, and credentials for other programs.

use std::io::{self, Read};
use std::sync::Arc;

use wharf::credentials::{Credential, Credentials, Given, Secret, registry_of, whole_registry};
use wharf::remote::{Access, Checked};
use wharf::{Error, ErrorKind, Result};
use wharf_oci::{Registry, Repository, RepositoryName};

use crate::args::{Auth, Login, Token};
use crate::context::Context;
use crate::logins::{Hidden, THIS_LOGIN};

/// What helpers print that keep nothing for a server; others look for these words.
const NOTHING: &str = "credentials not found in native keychain";

/// Longer than any password or name of a registry.
const INPUT: u64 = 64 * 1024;

/// Does what was typed.
///
/// # Errors
/// What the registry, the file of credentials or a helper says.
pub(crate) async fn run(args: &Auth, context: &Context) -> Result<()> {
    match args {
        Auth::Login(login) => Box::pin(log_in(login, context)).await,
        Auth::Logout { host } => log_out(&whole(host)?, context).await,
        Auth::Get { host } => get(host.as_deref(), context).await,
        Auth::Token(token) => print_token(token, context).await,
    }
}

async fn log_in(args: &Login, context: &Context) -> Result<()> {
    let registry = whole(&args.host)?;
    let invalid = |why: &str| Err(Error::new(ErrorKind::Invalid, why));
    // RFC 7617: the first one ends the name.
    if args.username.contains(':') {
        return invalid("a user name has no colon");
    }
    let password = match &args.password {
        Some(Hidden(password)) => password.clone(),
        None if args.password_stdin => input("the password").await?,
        None => return invalid("no password: --password-stdin reads it from standard input"),
    };
    if args.username.is_empty() || password.is_empty() {
        return invalid("user name and password must not be empty");
    }
    let before = context.logins.given()?.find(&registry, None).await?;
    let file = context.logins.first()?;
    let credential = Credential::password(args.username.as_str(), password);
    let given = Given::new(registry.clone(), credential.clone(), THIS_LOGIN);
    let client = context.client_showing(Arc::new(given))?;
    let checked = client.check_credentials(&registry).await?;
    let place = file.keep(&registry, &credential).await?;
    let say = |line: &str| context.printer.say(line);
    say(&format!("logged in to {registry} via {place}"));
    if checked == Checked::NotAsked {
        say(&format!(
            "{registry} asked for no credentials: whether these are right is not known"
        ));
    }
    if let Some(other) = before.filter(|other| other.credential != credential) {
        say(&format!(
            "{} has other credentials for {registry}, which come first",
            other.source
        ));
    }
    Ok(())
}

async fn log_out(registry: &Registry, context: &Context) -> Result<()> {
    let places = &context.logins;
    let file = places.first()?;
    let forgotten = file.forget(registry).await?;
    let place = &forgotten.place;
    context.printer.say(&match forgotten.known {
        true => format!("logged out of {registry} via {place}"),
        false => format!("there were no credentials for {registry} in {place}"),
    });
    if !forgotten.below.is_empty() {
        context.printer.say(&format!(
            "{} still has credentials for {}",
            file.path().display(),
            forgotten.below.join(", ")
        ));
    }
    if let Some(left) = places.credentials()?.find(registry, None).await? {
        context.printer.say(&format!(
            "there are still credentials for it in {}",
            left.source
        ));
    }
    Ok(())
}

async fn get(host: Option<&str>, context: &Context) -> Result<()> {
    let registry = match host {
        Some(host) => registry(host)?,
        None => registry(input("the registry").await?.expose())?,
    };
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
            let message = "what is kept for it is a token that helpers cannot give";
            return Err(Error::new(ErrorKind::Unsupported, message).target(&registry));
        }
    };
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let (username, secret) = (quoted(username), quoted(secret.expose()));
    context
        .printer
        .data(&format!(r#"{{"Username":{username},"Secret":{secret}}}"#))
}

async fn print_token(args: &Token, context: &Context) -> Result<()> {
    let repository = repository(&args.repository)?;
    let sources: Result<Vec<RepositoryName>> = args
        .mount
        .iter()
        .map(|source| {
            let source = self::repository(source)?;
            if source.registry() == repository.registry() {
                return Ok(source.name().clone());
            }
            let message = format!(
                "not in {}, where it is to be mounted",
                repository.registry()
            );
            Err(Error::new(ErrorKind::Invalid, message).target(source))
        })
        .collect();
    let access = if args.push {
        Access::Write
    } else {
        Access::Read
    };
    let value = context
        .client()?
        .authorization(&repository, access, &sources?)
        .await?;
    if args.header {
        return context
            .printer
            .data(&format!("Authorization: {}", value.expose()));
    }
    let token = value.expose().strip_prefix("Bearer ").ok_or_else(|| {
        let message = "the registry takes a password and no token; --header prints what it takes";
        Error::new(ErrorKind::Unsupported, message).target(&repository)
    })?;
    let token = serde_json::Value::from(token);
    context.printer.data(&format!(r#"{{"token":{token}}}"#))
}

fn registry(text: &str) -> Result<Registry> {
    registry_of(text).map_err(|error| error.target("HOST"))
}

/// A registry to log in to.
fn whole(text: &str) -> Result<Registry> {
    whole_registry(text).map_err(|error| error.target("HOST"))
}

fn repository(text: &str) -> Result<Repository> {
    text.parse().map_err(|error: wharf_oci::ReferenceError| {
        // What looks like a tag is a port.
        let why = match text.parse::<Registry>() {
            Ok(_) => format!("{text} names no repository, as {text}/team/app does"),
            Err(_) => error.to_string(),
        };
        Error::new(ErrorKind::Invalid, why)
    })
}

/// Standard input to its end, without the end of its line.
async fn input(what: &'static str) -> Result<Secret> {
    let read = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        let read = io::stdin().take(INPUT + 1).read_to_string(&mut text);
        let text = Secret::new(text);
        read.map_err(|error| Error::io("standard input", error))?;
        if text.expose().len() as u64 > INPUT {
            let message = format!("longer than {INPUT} bytes: not {what}");
            return Err(Error::new(ErrorKind::Invalid, message).target("standard input"));
        }
        let line = text.expose();
        let line = line.strip_suffix('\n').unwrap_or(line);
        Ok(Secret::from(line.strip_suffix('\r').unwrap_or(line)))
    });
    let gone = |error| Error::new(ErrorKind::Cancelled, "reading was given up").source(error);
    read.await.map_err(gone)?
}
