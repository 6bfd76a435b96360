//! Our source files, and what they name.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folders that hold our sources; beside them, the files of the root itself.
const OURS: &[&str] = &[
    "actors",
    "bench",
    "core",
    "data/modules",
    "migrations",
    "proto",
    "scripts",
    "sdk",
    "src",
    "tests",
];

/// Folders within them that hold what others wrote or machines made.
const NOT_OURS: &[&str] = &["target", "node_modules"];

/// A file of ours: its path from the root, and its text.
pub struct File {
    pub path: String,
    pub text: String,
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Our files whose names end in `ending`, by path.
pub fn files(ending: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = OURS.iter().map(|folder| root().join(folder)).collect();
    folders.retain(|folder| folder.exists());
    look(root(), ending, &mut found);
    while let Some(folder) = folders.pop() {
        folders.extend(look(&folder, ending, &mut found));
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Adds the files of one folder to `found`, and gives back the folders in it.
fn look(folder: &Path, ending: &str, found: &mut Vec<File>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_symlink() || NOT_OURS.contains(&name) {
            continue;
        } else if path.is_dir() {
            folders.push(path);
        } else if name.ends_with(ending) {
            found.push(File { path: relative(&path), text: fs::read_to_string(&path).unwrap() });
        }
    }
    folders
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

impl File {
    /// Whether all of the file is tests.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs")
    }

    /// The text without its module of tests, which stands last.
    pub fn shipped(&self) -> &str {
        self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(&self.text)
    }

    /// What is shipped, without comments and the contents of strings.
    pub fn code(&self) -> String {
        code(self.shipped())
    }

    /// The paths that what is shipped names, imports written out: `crate::runtime::seat::Seat`.
    pub fn names(&self) -> Vec<String> {
        if self.is_test() {
            return Vec::new();
        }
        let code = self.code();
        let mut names = Vec::new();
        for part in code.split(';') {
            let at = part.rfind("use ").filter(|at| !part[..*at].ends_with(char::is_alphanumeric));
            if let Some(at) = at {
                let tree: String = part[at + 4..].split_whitespace().collect();
                expand("", &tree, &mut names);
            }
        }
        let path = |c: char| !(c.is_alphanumeric() || c == '_' || c == ':');
        names.extend(code.split(path).filter(|name| !name.is_empty()).map(str::to_owned));
        names
    }
}

/// Writes out the tree of a `use`: `a::{b, c::{self, d}}` is `a::b`, `a::c` and `a::c::d`.
fn expand(prefix: &str, tree: &str, out: &mut Vec<String>) {
    let mut depth = 0;
    let mut start = 0;
    for (at, c) in tree.char_indices().chain([(tree.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let branch = &tree[start..at];
                start = at + 1;
                match branch.split_once('{') {
                    Some((stem, rest)) => {
                        let inner = rest.strip_suffix('}').unwrap_or(rest);
                        expand(&format!("{prefix}{stem}"), inner, out);
                    }
                    None => out.push(format!("{prefix}{branch}").replace("::self", "")),
                }
            }
            _ => {}
        }
    }
}

/// Whether `name` holds all of `path`, segment by segment.
pub fn holds(name: &str, path: &str) -> bool {
    format!("::{name}::").contains(&format!("::{path}::"))
}

/// The words of `code`.
pub fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// `text` without comments and the contents of strings. Knows as much of Rust as our files need.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.find("\"#").map_or(rest.len(), |end| end + 5)
        } else if c == '"' {
            string(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find('\'').map_or(rest.len(), |end| end + 2)
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[skipped..];
    }
    out
}

/// The length of the string that `text` begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
