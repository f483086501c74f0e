//! The context of a command, from its start to its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wharf::copy::CopyOptions;
use wharf::credentials::Chain;
use wharf::memory::RegistryMemory;
use wharf::place::{OpenedSource, PathOrStdin, Place, PlaceOptions};
use wharf::remote::{Client, ClientBuilder};
use wharf::{Options, Result, Wharf};

use crate::arguments::Anywhere;
use crate::embedded::{self, Running};
use crate::env;
use crate::flags::{self, Effect, Global, Logins, Memories, Moving};
use crate::notices::{self, Notices};
use crate::printer::Printer;
use crate::standing::Standing;

/// The flags of a command, and the resources it opened.
#[derive(Debug)]
pub(crate) struct Context {
    /// The output.
    pub(crate) printer: Printer,
    /// The flags of all commands.
    pub(crate) flags: Global,
    /// The whole command line, as it is defined.
    pub(crate) definition: fn() -> clap::Command,
    /// The sources of credentials.
    pub(crate) logins: Logins,
    /// How far it got.
    pub(crate) standing: Standing,
    /// Shared by all clients of a command, and written at its end unless the command changes
    /// nothing.
    memories: Memories,
    effect: Effect,
    opened: Mutex<Opened>,
}

/// The resources to close in order when a command ends, in any way.
#[derive(Debug, Default)]
struct Opened {
    /// The client of the command, once it was used.
    client: Option<Client>,
    /// All clients, including that one.
    clients: Vec<Client>,
    servers: Vec<Running>,
}

/// How long a cancelled command waits until registries know about it.
const TIDYING: Duration = Duration::from_millis(700);

impl Context {
    /// The context of a command with this `effect`.
    pub(crate) fn new(
        flags: Global,
        printer: Printer,
        effect: Effect,
        definition: fn() -> clap::Command,
    ) -> Self {
        let cache = match flags.keeps_cache() {
            true => env::cache_directory(),
            false => None,
        };
        let registries = match &cache {
            Some(cache) => RegistryMemory::open(&cache.join("registries")),
            None => RegistryMemory::in_process(),
        };
        let notices = Arc::new(Notices::new(printer.clone()));
        Context {
            printer,
            logins: flags.logins(notices),
            flags,
            definition,
            standing: Standing::default(),
            memories: Memories { registries, cache },
            effect,
            opened: Mutex::default(),
        }
    }

    /// The library's front door. All its copies share the one client of the command, and what that
    /// learns.
    ///
    /// # Errors
    /// If files of certificates or credentials cannot be used.
    pub(crate) fn wharf(&self) -> Result<Wharf> {
        Ok(self.front(self.client()?, self.flags.copy_options()))
    }

    /// The front door, for copies as `moving` says.
    ///
    /// # Errors
    /// As [`Context::wharf`].
    pub(crate) fn wharf_for(&self, moving: &Moving) -> Result<Wharf> {
        Ok(self.front(self.client()?, moving.options(&self.flags)))
    }

    /// A front door for a registry inside this process. It learns nothing for later runs, as the
    /// registry has another port each time.
    ///
    /// # Errors
    /// As [`Context::wharf`].
    pub(crate) fn wharf_inside(&self, moving: &Moving) -> Result<Wharf> {
        let memories = Memories {
            registries: RegistryMemory::in_process(),
            cache: self.memories.cache.clone(),
        };
        // Interrupted uploads are found again though the port differs.
        let builder = flags::builder(&self.flags, memories)?.sessions_under(embedded::inside());
        let client = self.build(builder, Chain::default())?;
        Ok(self.front(client, moving.options(&self.flags)))
    }

    /// A front door without credentials, for a login.
    ///
    /// # Errors
    /// Where files of certificates cannot be used.
    pub(crate) fn wharf_without_credentials(&self) -> Result<Wharf> {
        let client = self.open(self.memories.clone(), Chain::default())?;
        Ok(self.front(client, self.flags.copy_options()))
    }

    fn front(&self, client: Client, copy: CopyOptions) -> Wharf {
        let cache = self.memories.cache.as_ref();
        let places = PlaceOptions {
            platform: self.flags.platform(),
            spool_dir: env::temporary_directory(),
            layer_memory: cache.map(|cache| cache.join("layers")),
        };
        Wharf::with_options(client, Options { copy, places })
    }

    fn client(&self) -> Result<Client> {
        if let Some(client) = &self.opened().client {
            return Ok(client.clone());
        }
        let client = self.open(self.memories.clone(), self.logins.credentials()?)?;
        self.opened().client = Some(client.clone());
        Ok(client)
    }

    fn open(&self, memories: Memories, credentials: Chain) -> Result<Client> {
        self.build(flags::builder(&self.flags, memories)?, credentials)
    }

    fn build(&self, builder: ClientBuilder, credentials: Chain) -> Result<Client> {
        let notices = Arc::new(Notices::new(self.printer.clone()));
        let client = builder
            .credentials(Arc::new(credentials))
            .pause_observer(notices.clone())
            .leniency_observer(notices)
            .build()?;
        self.opened().clients.push(client.clone());
        Ok(client)
    }

    /// Says that standard input is read, if it is a terminal, where nothing else shows that.
    pub(crate) fn reads_input(&self, what: &str) {
        if env::types_input() {
            self.printer
                .say(&format!("reading {what} from standard input"));
        }
    }

    /// Opens the image of an argument to read it.
    ///
    /// # Errors
    /// As [`Wharf::read`]; it also names a file that may be meant.
    pub(crate) async fn read(&self, wharf: &Wharf, from: &Anywhere) -> Result<OpenedSource> {
        self.reads(from);
        let opened = wharf.read(&from.place).await;
        opened.map_err(|error| from.hinted(error))
    }

    /// Says that an archive is read from standard input, if that is what `from` means.
    pub(crate) fn reads(&self, from: &Anywhere) {
        if let Place::Local(local) = &from.place
            && local.at == PathOrStdin::Stdin
        {
            self.reads_input("an archive");
        }
    }

    /// Keeps a server running until everything else has ended.
    pub(crate) fn keep_running(&self, server: Running) {
        self.opened().servers.push(server);
    }

    /// From now on, uploads that are dropped stay for the next run, as far as it can continue them.
    pub(crate) fn pause(&self) {
        self.opened().clients.iter().for_each(Client::pause);
    }

    /// How many uploads stayed.
    pub(crate) fn paused_uploads(&self) -> usize {
        self.opened()
            .clients
            .iter()
            .map(Client::paused_uploads)
            .sum()
    }

    /// Closes what the command opened, however it ended: cancels unfinished uploads at registries,
    /// stops servers, and saves what was learned.
    pub(crate) async fn end(&self) {
        let Opened {
            clients, servers, ..
        } = std::mem::take(&mut *self.opened());
        for client in &clients {
            client.tidy(TIDYING).await;
        }
        notices::registry_warnings(&self.printer, clients.iter().flat_map(Client::warnings));
        for server in servers {
            server.stop().await;
        }
        if self.effect == Effect::Lasting {
            self.memories.registries.save();
        }
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
