//! `serve`, `migrate`, `healthcheck` and `config`: the command line that every service has.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{BootError, Listeners, Service, run_until};
use crate::settings::Settings;
use crate::{database, shutdown, telemetry};

/// Machines with more processors than this get a thread for each.
const PROCESSORS_OF_ONE_THREAD: usize = 2;
/// What blocks a thread of its own may take so long once everything else has ended.
const LEFTOVERS_TIMEOUT: Duration = Duration::from_secs(1);
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// What a process is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Serve,
    Migrate,
    Healthcheck,
    Config,
    Help,
}

#[derive(Debug, PartialEq, Eq)]
struct CommandLine {
    verb: Verb,
    migrate: bool,
    config: Option<PathBuf>,
}

/// The `main` of a service: reads the command line and the settings, and does what they say until it is told to end.
#[must_use]
pub fn run<S: Service>() -> ExitCode {
    let line = match parse(std::env::args().skip(1)) {
        Ok(line) => line,
        Err(mistake) => {
            eprintln!("{mistake}\n\n{}", usage(S::NAME));
            return ExitCode::from(2);
        }
    };
    if line.verb == Verb::Help {
        println!("{}", usage(S::NAME));
        return ExitCode::SUCCESS;
    }
    match start::<S>(&line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {}", S::NAME, chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn usage(name: &str) -> String {
    let prefix = name.to_uppercase().replace('-', "_");
    format!(
        "{name} [serve] [--migrate] [--config FILE]   serve until SIGTERM\n\
         {name} migrate [--config FILE]               bring the schema up to date\n\
         {name} healthcheck [--config FILE]           succeed if a running {name} is ready\n\
         {name} config [--config FILE]                check the settings and print them without secrets\n\n\
         Settings: a TOML file (--config or {prefix}_CONFIG), then a directory with one file per setting, such as\n\
         `database.url` ({prefix}_SECRETS), then variables such as {prefix}__DATABASE__URL."
    )
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<CommandLine, String> {
    let mut line = CommandLine { verb: Verb::Serve, migrate: false, config: None };
    let mut verb_given = false;
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let verb = match argument.as_str() {
            "--migrate" => {
                line.migrate = true;
                continue;
            }
            "--config" => {
                line.config = Some(arguments.next().ok_or("--config needs a file")?.into());
                continue;
            }
            "serve" => Verb::Serve,
            "migrate" => Verb::Migrate,
            "healthcheck" => Verb::Healthcheck,
            "config" => Verb::Config,
            "help" | "--help" | "-h" => Verb::Help,
            other => return Err(format!("`{other}` is not understood")),
        };
        if verb_given {
            return Err("one command at a time".to_owned());
        }
        (line.verb, verb_given) = (verb, true);
    }
    Ok(line)
}

fn start<S: Service>(line: &CommandLine) -> Result<(), BootError> {
    let mut settings = Settings::load(S::NAME, line.config.as_deref())?;
    settings.database.migrate_on_start |= line.migrate;
    if line.verb == Verb::Config {
        println!("{settings:?}");
        return Ok(());
    }
    let runtime = runtime(settings.threads)?;
    let ended = runtime.block_on(async {
        telemetry::init(&settings.telemetry);
        match line.verb {
            Verb::Serve | Verb::Config | Verb::Help => {
                tracing::info!("starting {} with {settings:?}", S::NAME);
                let shutdown = shutdown::on_signal();
                let listeners = Listeners::bind(&settings).await?;
                run_until::<S>(settings, listeners, shutdown).await
            }
            Verb::Migrate => {
                let migrator = database::migrator(&S::migrations());
                database::migrate(&settings.database.url, &migrator).await.map_err(BootError::from)
            }
            Verb::Healthcheck => healthcheck(&settings).await,
        }
    });
    // What still blocks a thread, such as a name that nobody resolves, must not keep the process.
    runtime.shutdown_timeout(LEFTOVERS_TIMEOUT);
    ended
}

/// The runtime of a process of so many threads, or of as many as suit this machine: one thread wins on small ones, for
/// the database takes the rest, and nothing has to move between threads.
///
/// # Errors
/// What the system says.
pub fn runtime(threads: Option<usize>) -> std::io::Result<tokio::runtime::Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.unwrap_or(if processors <= PROCESSORS_OF_ONE_THREAD { 1 } else { processors });
    let mut builder = if threads <= 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads);
        builder
    };
    builder.enable_all().build()
}

/// Asks the ops listener of a service on this machine whether it is ready.
async fn healthcheck(settings: &Settings) -> Result<(), BootError> {
    let mut address = settings.listen.ops;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let asked = tokio::time::timeout(HEALTHCHECK_TIMEOUT, async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    });
    let answer = asked.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))?;
    if answer.split_whitespace().nth(1) == Some("200") {
        Ok(())
    } else {
        Err(BootError::service("it is not ready"))
    }
}

fn chain(error: &BootError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_read() {
        let read = |text: &str| parse(text.split_whitespace().map(str::to_owned));
        let line = |verb, migrate, config: Option<&str>| {
            Ok(CommandLine { verb, migrate, config: config.map(PathBuf::from) })
        };
        assert_eq!(read(""), line(Verb::Serve, false, None));
        assert_eq!(read("serve --migrate"), line(Verb::Serve, true, None));
        assert_eq!(read("--config a.toml migrate"), line(Verb::Migrate, false, Some("a.toml")));
        assert_eq!(read("healthcheck"), line(Verb::Healthcheck, false, None));
        assert_eq!(read("config --config a.toml"), line(Verb::Config, false, Some("a.toml")));
        for wrong in ["serve migrate", "--config", "--verbose", "stop"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
