//! Finds the modules in the runtime path.
//!
//! Source: Nakama, `GetRuntimePaths`, `openLuaModules`, `cacheJavascriptModules`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::host::Language;

/// The JavaScript file that is loaded alone where no other is named.
const JAVASCRIPT_ENTRY: &str = "index.js";

/// A file of the runtime path that holds a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleFile {
    /// By its ending: `.so`, `.lua` or `.js`, in any case.
    pub language: Language,
    /// The file, relative to the runtime path, with `/` between folders: as messages name it.
    pub path: String,
    /// The file, ready to be opened.
    pub file: PathBuf,
    /// The module's name: the relative path without its ending, in Lua with dots between folders;
    /// for JavaScript the relative path as it is.
    pub name: String,
    /// The text; empty for a native module, whose file is opened by the system.
    pub source: Vec<u8>,
}

/// The runtime path cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ModulesError {
    /// A file or folder that cannot be read, or made.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `runtime.js_entrypoint` names a file that is not there.
    #[error(
        "runtime.js_entrypoint: {} is not there (the path is relative to runtime.path, {})",
        .file.display(), .folder.display()
    )]
    NoEntrypoint {
        /// The file that is missing.
        file: PathBuf,
        /// The runtime path.
        folder: PathBuf,
    },
}

/// Reads the modules in `folder` and all folders below it, in the order in which they are loaded:
/// native by path, then Lua by name, then JavaScript.
///
/// Of JavaScript only the entry point is a module: `js_entrypoint` (relative to `folder`), or where
/// that is empty `index.js`. Where there is no `index.js` every `.js` file is a module. `folder` is
/// made if it is not there.
///
/// # Errors
/// A file or folder that cannot be read; an entry point that is named but not there.
pub fn scan(folder: &Path, js_entrypoint: &str) -> Result<Vec<ModuleFile>, ModulesError> {
    fs::create_dir_all(folder).map_err(|source| unreadable(folder, source))?;
    let mut files = Vec::new();
    walk(folder, &mut files)?;

    let entry = match js_entrypoint {
        "" => Some(folder.join(JAVASCRIPT_ENTRY)).filter(|entry| entry.is_file()),
        named => {
            let file = folder.join(named);
            if !file.is_file() {
                return Err(ModulesError::NoEntrypoint { file, folder: folder.to_owned() });
            }
            Some(file)
        }
    };
    if let Some(entry) = entry {
        files.retain(|file| language_of(file) != Some(Language::JavaScript));
        // Whatever its ending, it is JavaScript.
        files.retain(|file| *file != entry);
        let mut modules = read_all(folder, files)?;
        modules.push(read(folder, entry, Language::JavaScript)?);
        return Ok(modules);
    }
    read_all(folder, files)
}

fn read_all(folder: &Path, files: Vec<PathBuf>) -> Result<Vec<ModuleFile>, ModulesError> {
    let mut modules = Vec::new();
    for file in files {
        if let Some(language) = language_of(&file) {
            modules.push(read(folder, file, language)?);
        }
    }
    // The sort is stable: native modules keep the order of the folders.
    modules.sort_by(|a, b| {
        a.language.cmp(&b.language).then_with(|| match a.language {
            Language::Native => std::cmp::Ordering::Equal,
            Language::Lua | Language::JavaScript => a.name.cmp(&b.name),
        })
    });
    Ok(modules)
}

/// All files below `folder`, the entries of each folder in the order of their names.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), ModulesError> {
    let entries = fs::read_dir(folder).map_err(|source| unreadable(folder, source))?;
    let mut entries: Vec<_> =
        entries.collect::<Result<_, _>>().map_err(|source| unreadable(folder, source))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Links to folders are not followed, so that none leads round in a circle.
        let kind = entry.file_type().map_err(|source| unreadable(&path, source))?;
        if kind.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn language_of(file: &Path) -> Option<Language> {
    let ending = file.extension()?.to_str()?.to_ascii_lowercase();
    match ending.as_str() {
        "so" => Some(Language::Native),
        "lua" => Some(Language::Lua),
        "js" => Some(Language::JavaScript),
        _ => None,
    }
}

fn read(folder: &Path, file: PathBuf, language: Language) -> Result<ModuleFile, ModulesError> {
    let relative = file.strip_prefix(folder).unwrap_or(&file);
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    let path = parts.join("/");
    let stem = path.rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
    let name = match language {
        Language::Native => stem.to_owned(),
        Language::Lua => stem.replace('/', "."),
        Language::JavaScript => path.clone(),
    };
    let source = match language {
        Language::Native => Vec::new(),
        Language::Lua | Language::JavaScript => {
            fs::read(&file).map_err(|source| unreadable(&file, source))?
        }
    };
    Ok(ModuleFile { language, path, file, name, source })
}

fn unreadable(path: &Path, source: io::Error) -> ModulesError {
    ModulesError::Unreadable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    /// A folder of its own with these files, which goes away with it.
    struct Folder(PathBuf);

    impl Folder {
        fn with(files: &[&str]) -> Self {
            let folder = std::env::temp_dir().join(format!("modules-{}", uuid::Uuid::new_v4()));
            for file in files {
                let file = folder.join(file);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, file.to_string_lossy().as_bytes()).unwrap();
            }
            Self(folder)
        }

        fn names(&self, js_entrypoint: &str) -> Vec<String> {
            let modules = scan(&self.0, js_entrypoint).unwrap();
            modules.iter().map(|module| module.name.clone()).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn languages_come_by_precedence_and_lua_by_name() {
        let folder =
            Folder::with(&["z.so", "b.lua", "a/c.LUA", "a.b.lua", "a/a.so", "x.txt", "q.js"]);
        assert_eq!(folder.names(""), ["a/a", "z", "a.b", "a.c", "b", "q.js"]);
        let modules = scan(&folder.0, "").unwrap();
        assert_eq!(modules[3].path, "a/c.LUA");
        assert_eq!(modules[3].source, folder.0.join("a/c.LUA").to_string_lossy().as_bytes());
        assert!(modules[0].source.is_empty());
    }

    #[test]
    fn javascript_entry_point_is_loaded_alone() {
        let folder = Folder::with(&["index.js", "other.js", "build/out.mjs", "a.lua"]);
        assert_eq!(folder.names(""), ["a", "index.js"]);
        assert_eq!(folder.names("other.js"), ["a", "other.js"]);
        assert_eq!(folder.names("build/out.mjs"), ["a", "build/out.mjs"]);
    }

    #[test]
    fn without_an_entry_point_every_javascript_file_is_a_module() {
        // An index.js further down is none.
        let folder = Folder::with(&["sub/index.js", "b.js", "a.js"]);
        assert_eq!(folder.names(""), ["a.js", "b.js", "sub/index.js"]);
    }

    #[test]
    fn missing_entry_point_is_an_error_that_names_key_and_file() {
        let folder = Folder::with(&["index.js"]);
        let error = scan(&folder.0, "dist/main.js").unwrap_err().to_string();
        assert!(error.starts_with("runtime.js_entrypoint: "), "{error}");
        assert!(error.contains("dist/main.js"), "{error}");
    }

    #[test]
    fn missing_folder_is_made() {
        let folder = Folder::with(&[]);
        assert_eq!(scan(&folder.0, "").unwrap(), []);
        assert!(folder.0.is_dir());
    }
}
