//! Files beside the modules.

use std::{
    fs, io,
    path::{self, Component, Path, PathBuf},
};

use guildhall_core::{Code, Result, Status};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Text, invalid};
use crate::{
    cx::Cx,
    host::{HostFn, Origin},
};

/// `nk.file_read(rel_path)`: the contents of a file in the runtime path.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FileRead {
    /// Relative to the runtime path, and within it.
    rel_path: String,
}

impl HostFn for FileRead {
    const NAME: &'static str = "file_read";
    type Output = Text;
    async fn call(self, cx: &Cx, origin: Origin<'_>) -> Result<Text> {
        if self.rel_path.is_empty() {
            return Err(invalid("expects relative path string").into());
        }
        let (root, asked) = (cx.config.modules_path(), self.rel_path.clone());
        let read = cx.io.spawn_blocking(move || read(&root, &asked)).await;
        let read = read.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
        let refusal = |error: io::Error| {
            let code = match error.kind() {
                io::ErrorKind::NotFound => Code::NotFound,
                io::ErrorKind::PermissionDenied => Code::PermissionDenied,
                _ => Code::Internal,
            };
            Status::of(code, format!("failed to open file: {}: {error}", self.rel_path))
        };
        Ok(Text::of(origin, read.map_err(refusal)?))
    }
}

/// The contents of the file `asked` below `root`.
fn read(root: &Path, asked: &str) -> io::Result<Vec<u8>> {
    let outside = || io::Error::new(io::ErrorKind::PermissionDenied, "outside of the runtime path");
    let root = path::absolute(root)?;
    let file = below(&root, asked).ok_or_else(outside)?;
    // A link may lead outside.
    let file = file.canonicalize()?;
    if !file.starts_with(root.canonicalize()?) {
        return Err(outside());
    }
    if !file.is_file() {
        return Err(io::Error::other("not a file"));
    }
    fs::read(file)
}

/// Where `asked` leads from `root`, with `..` resolved by the text alone; `None` where that is
/// outside. What begins with a slash is relative as well.
fn below(root: &Path, asked: &str) -> Option<PathBuf> {
    let mut path = root.to_owned();
    for part in Path::new(asked).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path.starts_with(root).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_nowhere_but_below_the_root() {
        let check = |asked: &str, path: Option<&str>| {
            assert_eq!(below(Path::new("/srv/modules"), asked), path.map(PathBuf::from), "{asked}");
        };
        check("a.txt", Some("/srv/modules/a.txt"));
        check("sub/./a.txt", Some("/srv/modules/sub/a.txt"));
        check("sub/../a.txt", Some("/srv/modules/a.txt"));
        check("../modules/a.txt", Some("/srv/modules/a.txt"));
        check("/etc/passwd", Some("/srv/modules/etc/passwd"));
        check("..", None);
        check("../modules2/a.txt", None);
        check("a/../../keys", None);
        check("../../../../../etc/passwd", None);
    }

    #[test]
    #[allow(clippy::unwrap_used)]
    fn a_link_that_leads_outside_is_not_followed() {
        let folder = std::env::temp_dir().join(format!("guildhall-file-{}", std::process::id()));
        let root = folder.join("modules");
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("inside"), "yes").unwrap();
        fs::write(folder.join("outside"), "no").unwrap();
        std::os::unix::fs::symlink(root.join("inside"), root.join("good")).unwrap();
        std::os::unix::fs::symlink(folder.join("outside"), root.join("bad")).unwrap();
        let kinds = ["inside", "good", "bad", "none", "."]
            .map(|file| read(&root, file).map_err(|e| e.kind()));
        fs::remove_dir_all(&folder).unwrap();
        let yes = || Ok(b"yes".to_vec());
        assert_eq!(
            kinds,
            [
                yes(),
                yes(),
                Err(io::ErrorKind::PermissionDenied),
                Err(io::ErrorKind::NotFound),
                Err(io::ErrorKind::Other)
            ]
        );
    }
}
