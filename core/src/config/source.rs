//! The three places that values come from, each read into the same list of settings.

use super::problem::{Known, Problem, nearest};
use super::value::Given;
use super::yaml;

/// One key with the value that a source gives it.
#[derive(Debug)]
pub(super) struct Setting {
    /// The key's path, as `socket.port`.
    pub(super) key: String,
    /// What the source wrote.
    pub(super) given: Given,
    /// Where it wrote it.
    pub(super) origin: Origin,
}

/// Where a setting stands.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// A line of a YAML file.
    File {
        /// The file, as `--config` named it.
        path: String,
        /// Counted from 1.
        line: usize,
    },
    /// The command line.
    Flag,
    /// The environment.
    Environment,
    /// The value of another key, under its old name.
    Derived,
}

/// What every environment variable of the server begins with.
pub(super) const PREFIX: &str = "GUILDHALL_";

/// The environment variable of a key: `GUILDHALL_SOCKET_PORT` for `socket.port`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

/// Reads flags: `--socket.port 7350`, `--socket.port=7350`, `--dev`, `--dev=false`; one dash will do.
/// A flag that holds a list may be repeated.
///
/// # Errors
/// An argument that is no flag, an unknown flag, a flag without its value.
///
/// Source: the syntax is that of Go's package `flag`, which the reference uses.
pub(super) fn flags(args: &[String], known: &[Known]) -> Result<Vec<Setting>, Problem> {
    let mut settings: Vec<Setting> = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let Some(flag) = arg
            .strip_prefix("--")
            .or_else(|| arg.strip_prefix('-'))
            .filter(|flag| !flag.is_empty())
        else {
            return Err(Problem::new(format!(
                "unexpected argument {arg:?}; flags are written --key value or --key=value"
            )));
        };
        let (name, attached) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (flag, None),
        };
        let mut setting = Setting {
            key: name.to_owned(),
            given: Given::text(attached.unwrap_or_default()),
            origin: Origin::Flag,
        };
        let Some(key) = known.iter().find(|key| key.path == name) else {
            let next = args.next().filter(|next| attached.is_none() && !next.starts_with('-'));
            if let Some(value) = next {
                setting.given = Given::text(value);
            }
            return Err(unknown(&setting, known));
        };
        let value = match attached {
            Some(value) => value.to_owned(),
            None if key.kind == "bool" => "true".to_owned(),
            None => match args.next() {
                Some(value) => value.clone(),
                None => {
                    return Err(Problem::new(format!(
                        "--{name} has no value; it expects {}",
                        key.allowed
                    )));
                }
            },
        };
        if !key.list {
            setting.given = Given::text(value);
            settings.push(setting);
            continue;
        }
        match settings.iter_mut().find(|earlier| earlier.key == name) {
            Some(Setting { given: Given::List(entries), .. }) => entries.push(value),
            _ => settings.push(Setting { given: Given::List(vec![value]), ..setting }),
        }
    }
    Ok(settings)
}

/// Reads the variables that begin with [`PREFIX`]. A list is written with commas between its entries,
/// or in brackets as YAML has it, for entries that hold a comma.
///
/// # Errors
/// A variable that belongs to no key, unless Kubernetes sets it for a service of such a name.
pub(super) fn environment(
    variables: impl Iterator<Item = (String, String)>,
    known: &[Known],
) -> Result<Vec<Setting>, Problem> {
    let mut settings = Vec::new();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        match known.iter().find(|key| variable(&key.path) == name) {
            Some(key) => {
                let given = if key.list { list(&name, &value)? } else { Given::text(value) };
                settings.push(Setting {
                    key: key.path.clone(),
                    given,
                    origin: Origin::Environment,
                });
            }
            None if of_a_service(rest, &value) => {}
            None => {
                let key = rest.to_ascii_lowercase().replace('_', ".");
                let setting =
                    Setting { key, given: Given::text(value), origin: Origin::Environment };
                return Err(unknown(&setting, known));
            }
        }
    }
    Ok(settings)
}

fn list(name: &str, value: &str) -> Result<Given, Problem> {
    if value.starts_with('[') {
        return yaml::flow_list(name, value);
    }
    Ok(Given::List(
        value
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(str::to_owned)
            .collect(),
    ))
}

/// Whether Kubernetes sets a variable of this name and value into every container of a namespace that
/// has a service called `guildhall` or `guildhall-...`.
fn of_a_service(rest: &str, value: &str) -> bool {
    let words: Vec<&str> = rest.split('_').collect();
    let has = |sought: &[&str]| words.windows(sought.len()).any(|found| found == sought);
    let is_port = |found: &[&str]| {
        found[0] == "PORT" && found[1].parse::<u16>().is_ok() && ["TCP", "UDP"].contains(&found[2])
    };
    has(&["SERVICE", "HOST"])
        || has(&["SERVICE", "PORT"])
        || words.windows(3).any(is_port)
        || (words.last() == Some(&"PORT") && value.contains("://"))
}

/// Reads a YAML file.
///
/// # Errors
/// The file cannot be read, is not YAML, or names a key twice.
pub(super) fn file(path: &str) -> Result<Vec<Setting>, Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problem::new(format!("{path}: the configuration file cannot be read: {error}"))
    })?;
    yaml::settings(path, &text)
}

/// The problem of a setting whose key is not known.
pub(super) fn unknown(setting: &Setting, known: &[Known]) -> Problem {
    match nearest(&setting.key, known) {
        Some(key) => Problem::unknown(setting, key),
        None => Problem::new(format!("unknown key {}", setting.key)),
    }
}
