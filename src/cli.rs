//! The command line: a command, its own arguments, and the flags of the configuration.

use guildhall_core::config::{Problem, reference};

use crate::migrate;

/// What the operator asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run the server.
    Run,
    /// Change the database schema.
    Migrate {
        /// In which way.
        step: migrate::Command,
        /// Most migrations to apply or revert; 0 stands for all.
        limit: Option<u32>,
    },
    /// Load the modules without a database and list what they register.
    Check,
    /// Ask a running server on this machine whether it is well.
    Healthcheck {
        /// Its port, where it is not `socket.port`.
        port: Option<u16>,
    },
    /// Print the types that modules in TypeScript are written against.
    Types,
    /// Print the version.
    Version,
    /// Print how to use all this.
    Help,
}

/// A command and the flags of the configuration that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// Arguments for [`Config::load`](guildhall_core::config::Config::load).
    pub flags: Vec<String>,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// One line that says what was expected.
///
/// Source: commands and their arguments are Nakama's, and `run` and `--help` ours.
pub fn parse(args: &[String]) -> Result<Invocation, Problem> {
    if args.iter().any(|arg| matches!(arg.as_str(), "--help" | "-help" | "-h")) {
        return Ok(Invocation { command: Command::Help, flags: Vec::new() });
    }
    let (word, rest) = match args {
        [word, rest @ ..] if !word.starts_with('-') || is_version(word) => (word.as_str(), rest),
        flags => ("run", flags),
    };
    let (command, flags) = match word {
        "run" => (Command::Run, rest.to_vec()),
        "migrate" => migration(rest)?,
        "check" => (Command::Check, rest.to_vec()),
        "healthcheck" => healthcheck(rest)?,
        "types" => (Command::Types, rest.to_vec()),
        "help" => (Command::Help, Vec::new()),
        word if is_version(word) => (Command::Version, Vec::new()),
        other => {
            let line = format!(
                "unknown command {other:?}; expects run, migrate, check, healthcheck or types"
            );
            return Err(Problem::new(line));
        }
    };
    Ok(Invocation { command, flags })
}

fn is_version(word: &str) -> bool {
    matches!(word, "--version" | "-version" | "version")
}

fn migration(args: &[String]) -> Result<(Command, Vec<String>), Problem> {
    let (word, rest) = args.split_first().map_or(("", args), |(word, rest)| (word.as_str(), rest));
    let step = match word {
        "up" => migrate::Command::Up,
        "down" => migrate::Command::Down,
        "redo" => migrate::Command::Redo,
        "status" => migrate::Command::Status,
        other => {
            return Err(Problem::new(format!(
                "migrate {other:?}; expects up, down, redo or status"
            )));
        }
    };
    let mut limit = None;
    let mut flags = Vec::new();
    let mut rest = rest.iter();
    while let Some(arg) = rest.next() {
        let name = arg.trim_start_matches('-');
        let text = match name.strip_prefix("limit") {
            Some("") if name != arg => rest.next().map_or("", String::as_str),
            Some(value) if value.starts_with('=') => &value[1..],
            _ => {
                flags.push(arg.clone());
                continue;
            }
        };
        let expected =
            |_| Problem::new(format!("--limit is {text:?}, but expects a whole number, 0 or more"));
        limit = Some(text.parse().map_err(expected)?);
    }
    Ok((Command::Migrate { step, limit }, flags))
}

fn healthcheck(args: &[String]) -> Result<(Command, Vec<String>), Problem> {
    let (port, flags) = match args {
        [word, flags @ ..] if !word.starts_with('-') => {
            let expected = |_| {
                Problem::new(format!(
                    "healthcheck {word:?}; expects a port, a whole number from 0 to 65535"
                ))
            };
            (Some(word.parse().map_err(expected)?), flags)
        }
        flags => (None, flags),
    };
    Ok((Command::Healthcheck { port }, flags.to_vec()))
}

/// What `--version` prints.
pub fn version() -> String {
    format!("guildhall {} (API of Nakama 3.40)", env!("CARGO_PKG_VERSION"))
}

/// What `--help` prints.
pub fn help() -> String {
    format!("{}\n\n{USAGE}\n{}", version(), reference::flags_help())
}

const USAGE: &str = "\
Commands:
  guildhall [run] [flags]                  run the server
  guildhall migrate up|down|redo|status    change the database schema, or show its state
            [--limit N] [flags]            (up: all of it, down: the last change, unless limited)
  guildhall check [flags]                  load the modules without a database, list what they register
  guildhall healthcheck [port] [flags]     ask a running server whether it is well
  guildhall types                          print the types for modules in TypeScript
  guildhall --version | --help

Each flag can also be given by the environment (--socket.port as GUILDHALL_SOCKET_PORT) and in a
YAML file named by --config; a flag wins over the environment, the environment over a file.
docs/configuration.md is the same list as a page, config/default.yml as a file.

Flags:";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, command: Command, flags: &[&str]) {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        assert_eq!(parse(&args), Ok(Invocation { command, flags }), "{line}");
    }

    fn refuse(line: &str, expected: &str) {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(parse(&args).map_err(|problem| problem.to_string()), Err(expected.to_owned()));
    }

    #[test]
    fn the_server_runs_unless_a_command_says_otherwise() {
        check("", Command::Run, &[]);
        check("--socket.port 1", Command::Run, &["--socket.port", "1"]);
        check("run --dev", Command::Run, &["--dev"]);
        check("check --runtime.path x", Command::Check, &["--runtime.path", "x"]);
        check("--version", Command::Version, &[]);
        check("migrate up -h", Command::Help, &[]);
    }

    #[test]
    fn migrate_takes_a_step_and_a_limit_among_flags() {
        let migrate = |step, limit| Command::Migrate { step, limit };
        check("migrate up", migrate(migrate::Command::Up, None), &[]);
        check(
            "migrate down --limit 3 --name x",
            migrate(migrate::Command::Down, Some(3)),
            &["--name", "x"],
        );
        check("migrate redo -limit=0", migrate(migrate::Command::Redo, Some(0)), &[]);
        check(
            "migrate status --config a.yml",
            migrate(migrate::Command::Status, None),
            &["--config", "a.yml"],
        );
        refuse("migrate", "migrate \"\"; expects up, down, redo or status");
        refuse("migrate up --limit -1", "--limit is \"-1\", but expects a whole number, 0 or more");
        refuse("migrate up --limit", "--limit is \"\", but expects a whole number, 0 or more");
    }

    #[test]
    fn healthcheck_takes_a_port() {
        check("healthcheck", Command::Healthcheck { port: None }, &[]);
        check("healthcheck 80 --dev", Command::Healthcheck { port: Some(80) }, &["--dev"]);
        refuse(
            "healthcheck x",
            "healthcheck \"x\"; expects a port, a whole number from 0 to 65535",
        );
    }

    #[test]
    fn an_unknown_command_is_refused_with_the_known_ones() {
        refuse(
            "serve",
            "unknown command \"serve\"; expects run, migrate, check, healthcheck or types",
        );
    }

    #[test]
    fn help_names_every_command_and_flag() {
        for word in [
            "migrate up|down|redo|status",
            "healthcheck [port]",
            "--socket.port int",
            "Default: 7350.",
        ] {
            assert!(help().contains(word), "{word}");
        }
    }
}
