//! What the declaration says to a reader: the flags of `--help`, `config/default.yml` and
//! `docs/configuration.md`.

use std::fmt::Write;

use super::declare::{About, Visitor};
use super::keys::Config;
use super::source::variable;
use super::value::Value;

/// The flags, each with its type, meaning and default.
pub fn flags_help() -> String {
    render(&mut Flags(String::new()), |flags| &mut flags.0)
}

/// A configuration file in which every key stands with its meaning and its default.
pub fn default_yml() -> String {
    let text = "# Every key of the server with its meaning, its unit and its default.\n\
                # Written by the server from core/src/config/keys.rs: UPDATE_REFERENCE=1 cargo test -p guildhall-core config\n";
    render(&mut Yaml(text.to_owned()), |yaml| &mut yaml.0)
}

/// The reference page, in Markdown.
pub fn page() -> String {
    render(&mut Page(INTRODUCTION.to_owned()), |page| &mut page.0)
}

const INTRODUCTION: &str = r#"# Configuration

<!-- Written by the server from core/src/config/keys.rs: UPDATE_REFERENCE=1 cargo test -p guildhall-core config -->

Each key below can be given in three ways. A flag wins over the environment, the environment over a
file, a file over the default.

| | for `socket.port` | lists |
| --- | --- | --- |
| flag | `--socket.port 7350` or `--socket.port=7350`; a switch such as `--dev` needs no value | repeat the flag |
| environment | `GUILDHALL_SOCKET_PORT=7350` | commas between the entries, or `["a", "b"]` |
| file | `socket:` and, indented below it, `port: 7350`; or `socket.port: 7350` on one line; named by `--config FILE`, which may be repeated | a YAML list |

Names and defaults are those of Nakama 3.40, so its files and flags can be used as they are. An unknown
key, a value of the wrong type and a value that cannot be used stop the start with one line that says
where it stands and what is allowed. *Not served yet* marks a key whose feature does not exist yet: it
is accepted, and named in a warning if it is set. A secret's value is never shown or logged.

## Keys and addresses

`socket.server_key`, `runtime.http_key`, `session.encryption_key` and `session.refresh_encryption_key`
have published defaults, so that a first try needs no set-up. While one of them is a default, the client
port listens on this machine only (127.0.0.1 and ::1); an address beyond it is refused. Before others
connect, make four keys, each by `openssl rand -hex 32`, and put them in a file for `--config`. The same
holds for the console's port with `console.password`, `console.signing_key`,
`mfa.storage_encryption_key` and `console.mfa.storage_encryption_key` (`openssl rand -hex 16`, since it
has 32 characters). With `--dev` an address beyond this machine is taken all the same.
"#;

/// Shows the whole tree to `visitor`, then takes its text.
fn render<V: Visitor>(visitor: &mut V, text: impl Fn(&mut V) -> &mut String) -> String {
    Config::default().visit("", false, visitor);
    std::mem::take(text(visitor))
}

/// What a key means, with what else there is to say of it.
fn meaning(about: &About) -> String {
    let mut meaning = about.doc.to_owned();
    if let Some(key) = about.renamed {
        meaning = format!("Old name of {key}.");
    } else if about.unserved {
        meaning.push_str(" Not served yet.");
    }
    meaning
}

struct Flags(String);

impl Visitor for Flags {
    fn key(&mut self, path: &str, about: &About, value: &mut dyn Value) {
        let (kind, default) = (value.kind(), value.yaml());
        let default =
            if matches!(default.as_str(), "[]" | "\"\"") { "empty".to_owned() } else { default };
        let _ =
            writeln!(self.0, "  --{path} {kind}\n        {} Default: {default}.", meaning(about));
    }
}

struct Yaml(String);

impl Yaml {
    /// A comment and the line it explains, indented to their depth.
    fn entry(&mut self, path: &str, about: &About, line: &str) {
        let depth = path.matches('.').count();
        let indent = "  ".repeat(depth);
        let blank = if depth == 0 { "\n" } else { "" };
        let _ = writeln!(self.0, "{blank}{indent}# {}\n{indent}{line}", meaning(about));
    }
}

impl Visitor for Yaml {
    fn key(&mut self, path: &str, about: &About, value: &mut dyn Value) {
        if !about.no_file {
            self.entry(path, about, &format!("{}: {}", last(path), value.yaml()));
        }
    }
    fn section(&mut self, path: &str, about: &About) {
        self.entry(path, about, &format!("{}:", last(path)));
    }
}

/// The last part of a path.
fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

struct Page(String);

const TABLE: &str = "\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n";

impl Visitor for Page {
    fn key(&mut self, path: &str, about: &About, value: &mut dyn Value) {
        if !self.0.contains("\n## Server\n") {
            let _ = write!(self.0, "\n## Server\n{TABLE}");
        }
        let _ = writeln!(
            self.0,
            "| `{path}` | {} | `{}` | {} |",
            value.kind(),
            value.yaml(),
            meaning(about).replace('|', "\\|"),
        );
    }
    fn section(&mut self, path: &str, about: &About) {
        // Sections within a section share its table.
        if !path.contains('.') {
            let _ = write!(
                self.0,
                "\n## {path}\n\n{} Environment: `{}_...`.\n{TABLE}",
                meaning(about),
                variable(path)
            );
        }
    }
}
