//! The program: reads the command line and hands over to what it names.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

use guildhall::{
    cli::{self, Command},
    healthcheck, logging, server,
};
use guildhall_actors::runtime::javascript::types;
use guildhall_core::config::{Config, Loaded};
use tracing::warn;

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("guildhall: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let invocation = cli::parse(&args)?;
    match invocation.command {
        Command::Help => {
            say(&cli::help());
            return Ok(());
        }
        Command::Version => {
            say(&cli::version());
            return Ok(());
        }
        Command::Types => {
            say(types::declaration().trim_end());
            return Ok(());
        }
        _ => {}
    }

    let Loaded { config, warnings } = Config::load(&invocation.flags, variables())?;
    if let Command::Healthcheck { port } = invocation.command {
        healthcheck::ask(&config, port)?;
        say("the server is well");
        return Ok(());
    }
    logging::start(&config.logger)?;
    for line in warnings {
        warn!("{line}");
    }
    match invocation.command {
        Command::Run => server::run(config),
        Command::Check => server::check(config).map(|listed| say(listed.trim_end())),
        Command::Migrate { step, limit } => {
            server::migrate(&config, step, limit).map(|report| say(report.trim_end()))
        }
        Command::Help | Command::Version | Command::Types | Command::Healthcheck { .. } => Ok(()),
    }
}

/// Prints for the operator, who may have stopped reading.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// The environment; what is not UTF-8 belongs to no key, or is refused as that key's value.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    })
}
