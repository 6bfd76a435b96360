//! Fills a [`Config`] from its sources: a flag over the environment over a file over the default.

use super::check;
use super::declare::{About, Visitor};
use super::keys::Config;
use super::problem::{Known, Problem};
use super::source::{self, Origin, Setting};
use super::value::{Given, Value};

/// A configuration that can be used, and what an operator should hear about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, checked.
    pub config: Config,
    /// Lines to log once logging works: old names, keys without effect.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads `args` (flags only), `variables` and the files that they name.
    ///
    /// # Errors
    /// One line: the file, flag or variable, the key, its value, what is allowed.
    pub fn load(
        args: &[String],
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Loaded, Problem> {
        let known = known();
        let flags = source::flags(args, &known)?;
        let environment = source::environment(variables, &known)?;

        let mut config = Self::default();
        for setting in environment.iter().chain(&flags).filter(|setting| setting.key == "config") {
            apply(&mut config, setting, &known)?;
        }
        let mut warnings = Vec::new();
        let files = config.config.clone();
        for path in files.iter() {
            for setting in source::file(path)? {
                if known.iter().any(|key| key.about.no_file && key.path == setting.key) {
                    warnings.push(format!("{path}: {} has no effect in a file", setting.key));
                } else {
                    apply(&mut config, &setting, &known)?;
                }
            }
        }
        for setting in environment.iter().chain(&flags) {
            apply(&mut config, setting, &known)?;
        }

        warnings.extend(carry_renamed(&mut config, &known)?);
        check::check(&config)?;
        warnings.extend(without_effect(&config, &known));
        Ok(Loaded { config, warnings })
    }
}

/// Every key of the tree with its default, in the order of its declaration.
pub(super) fn known() -> Vec<Known> {
    keys(&mut Config::default())
}

/// Every key with the value it has in `config`.
fn keys(config: &mut Config) -> Vec<Known> {
    struct Gather(Vec<Known>);
    impl Visitor for Gather {
        fn key(&mut self, path: &str, about: &About, value: &mut dyn Value) {
            self.0.push(Known {
                path: path.to_owned(),
                about: *about,
                secret: value.secret(),
                list: value.list(),
                kind: value.kind(),
                value: value.yaml(),
                allowed: value.allowed(&about.rule),
            });
        }
    }
    let mut gather = Gather(Vec::new());
    config.visit("", false, &mut gather);
    gather.0
}

/// Gives one key its value.
fn apply(config: &mut Config, setting: &Setting, known: &[Known]) -> Result<(), Problem> {
    struct Set<'a> {
        setting: &'a Setting,
        outcome: Option<Result<(), Problem>>,
    }
    impl Visitor for Set<'_> {
        fn key(&mut self, path: &str, about: &About, value: &mut dyn Value) {
            if path == self.setting.key {
                let outcome = match self.setting.given.clone() {
                    Given::Nothing => Ok(()),
                    given => value.set(given, &about.rule),
                };
                let secret = value.secret();
                self.outcome = Some(
                    outcome.map_err(|allowed| Problem::unusable(self.setting, secret, &allowed)),
                );
            }
        }
        fn section(&mut self, path: &str, _: &About) {
            if path == self.setting.key {
                self.outcome = Some(match self.setting.given {
                    Given::Nothing | Given::Mapping => Ok(()),
                    _ => Err(Problem::unusable(self.setting, false, "a mapping of keys to values")),
                });
            }
        }
    }
    let mut set = Set { setting, outcome: None };
    config.visit("", false, &mut set);
    if let Some(outcome) = set.outcome {
        return outcome;
    }
    // A mapping where a key holds a plain value: the key above is known, what stands below it is not.
    let above = known
        .iter()
        .find(|key| setting.key.strip_prefix(&key.path).is_some_and(|rest| rest.starts_with('.')));
    match above {
        Some(key) => {
            let setting = Setting {
                key: key.path.clone(),
                given: Given::Mapping,
                origin: setting.origin.clone(),
            };
            Err(Problem::unusable(&setting, key.secret, &key.allowed))
        }
        None => Err(source::unknown(setting, known)),
    }
}

/// The keys whose values differ from their defaults.
fn changed(config: &Config, known: &[Known]) -> Vec<Known> {
    let keys = keys(&mut config.clone());
    keys.into_iter()
        .zip(known)
        .filter(|(key, default)| key.value != default.value)
        .map(|(key, _)| key)
        .collect()
}

/// Gives the values of old names to the keys that took their place. An old name wins over the new one,
/// as in the reference.
fn carry_renamed(config: &mut Config, known: &[Known]) -> Result<Vec<String>, Problem> {
    let mut warnings = Vec::new();
    for old in changed(config, known) {
        let Some(key) = old.about.renamed else { continue };
        let given = Given::text(old.value);
        let setting = Setting { key: key.to_owned(), given, origin: Origin::Derived };
        apply(config, &setting, known)?;
        warnings.push(format!("{} is an old name: use {key}", old.path));
    }
    Ok(warnings)
}

/// The keys that are set although nothing reads them, in a line for each reason.
fn without_effect(config: &Config, known: &[Known]) -> Vec<String> {
    let changed = changed(config, known);
    let named = |why: &str, unread: fn(&Known) -> bool| {
        let keys: Vec<&str> =
            changed.iter().filter(|key| unread(key)).map(|key| key.path.as_str()).collect();
        (!keys.is_empty()).then(|| format!("{why}: {}", keys.join(", ")))
    };
    let lines = [
        named("not served yet, so without effect", |key| key.about.unserved),
        named("without effect", |key| key.about.retired && !key.about.unserved),
    ];
    lines.into_iter().flatten().collect()
}
