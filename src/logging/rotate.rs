//! A log file that is set aside when it has grown: `logger.rotation` and the keys around it.
//!
//! Source: sizes, names and clean-up follow lumberjack, which the reference uses: `server.log` becomes
//! `server-2026-01-02T15-04-05.000.log`, with `.gz` if it is compressed.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use chrono::{Local, Utc};
use flate2::{Compression, write::GzEncoder};
use guildhall_core::config::Logger;
use tracing_subscriber::fmt::MakeWriter;

use super::append;

/// A log file with its rules.
pub(super) struct RotatingFile {
    rules: Arc<Rules>,
    open: Mutex<Open>,
}

struct Open {
    file: File,
    size: u64,
}

struct Rules {
    path: PathBuf,
    max_bytes: u64,
    max_age: Option<Duration>,
    max_backups: usize,
    local_time: bool,
    compress: bool,
    /// Held while files are deleted and packed, which two threads must not do at once.
    cleaning: Mutex<()>,
}

impl RotatingFile {
    /// Opens `logger.file`, going on where it ends.
    ///
    /// # Errors
    /// The file or its folder cannot be written.
    pub(super) fn open(logger: &Logger) -> io::Result<Self> {
        let path = PathBuf::from(&logger.file);
        let file = append(&path)?;
        let size = file.metadata()?.len();
        let rules = Rules {
            path,
            max_bytes: logger.max_size.saturating_mul(1024 * 1024),
            max_age: (logger.max_age > 0)
                .then(|| Duration::from_secs(logger.max_age.saturating_mul(86_400))),
            max_backups: logger.max_backups,
            local_time: logger.local_time,
            compress: logger.compress,
            cleaning: Mutex::new(()),
        };
        Ok(Self { rules: Arc::new(rules), open: Mutex::new(Open { file, size }) })
    }
}

impl<'a> MakeWriter<'a> for RotatingFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        // A panic while writing leaves at worst a broken line.
        Line { rules: &self.rules, open: self.open.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// The right to write one line.
pub(super) struct Line<'a> {
    rules: &'a Arc<Rules>,
    open: MutexGuard<'a, Open>,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.open.size > 0 && self.open.size + line.len() as u64 > self.rules.max_bytes {
            // A log that grows too large is better than lines that are lost.
            let _ = self.rotate();
        }
        let written = self.open.file.write(line)?;
        self.open.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.file.flush()
    }
}

impl Line<'_> {
    /// Sets the file aside and begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        fs::rename(&self.rules.path, self.rules.aside())?;
        *self.open = Open { file: append(&self.rules.path)?, size: 0 };
        let rules = Arc::clone(self.rules);
        // Packing a large file takes longer than a line may wait.
        thread::Builder::new().name("log-rotation".to_owned()).spawn(move || rules.clean_up())?;
        Ok(())
    }
}

impl Rules {
    /// The name under which the file is set aside now.
    fn aside(&self) -> PathBuf {
        const TIME: &str = "%Y-%m-%dT%H-%M-%S%.3f";
        let time = match self.local_time {
            true => Local::now().format(TIME),
            false => Utc::now().format(TIME),
        };
        let (stem, extension) = self.parts();
        self.path.with_file_name(format!("{stem}-{time}{extension}"))
    }

    /// The file's name up to its extension, and the extension with its dot.
    fn parts(&self) -> (String, String) {
        let part = |part: Option<&std::ffi::OsStr>| {
            part.unwrap_or_default().to_string_lossy().into_owned()
        };
        let extension = part(self.path.extension());
        let dot = if extension.is_empty() { "" } else { "." };
        (part(self.path.file_stem()), format!("{dot}{extension}"))
    }

    /// Deletes what is too old or too many, and packs the rest. What cannot be deleted or packed stays:
    /// the log has no better place to complain.
    fn clean_up(&self) {
        let _cleaning = self.cleaning.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = self.set_aside();
        // The time in the names sorts them; the newest come first.
        files.sort_by(|a, b| b.cmp(a));
        for (rank, file) in files.iter().enumerate() {
            let too_many = self.max_backups > 0 && rank >= self.max_backups;
            let too_old = self.max_age.is_some_and(|limit| age(file) > limit);
            if too_many || too_old {
                let _ = fs::remove_file(file);
            } else if self.compress && file.extension().is_none_or(|extension| extension != "gz") {
                let _ = pack(file);
            }
        }
    }

    /// The files that were set aside before.
    fn set_aside(&self) -> Vec<PathBuf> {
        let (stem, extension) = self.parts();
        let packed = format!("{extension}.gz");
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let time = name.strip_prefix(&format!("{stem}-"));
            let time = time.and_then(|rest| {
                rest.strip_suffix(&packed).or_else(|| rest.strip_suffix(&extension))
            });
            time.is_some_and(|time| {
                chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H-%M-%S%.3f").is_ok()
            })
        };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(is_ours).collect()
    }
}

/// Time since the last line of `file`; none if it lies in the future or cannot be told.
fn age(file: &Path) -> Duration {
    let written = fs::metadata(file).and_then(|about| about.modified());
    written.ok().and_then(|time| SystemTime::now().duration_since(time).ok()).unwrap_or_default()
}

/// Replaces `file` by its gzip form, whole or not at all.
fn pack(file: &Path) -> io::Result<()> {
    let packed = PathBuf::from(format!("{}.gz", file.display()));
    let unfinished = PathBuf::from(format!("{}.gz.part", file.display()));
    let mut encoder = GzEncoder::new(File::create(&unfinished)?, Compression::default());
    io::copy(&mut File::open(file)?, &mut encoder)?;
    let done = encoder.finish()?;
    done.set_modified(fs::metadata(file)?.modified()?)?;
    done.sync_all()?;
    fs::rename(unfinished, packed)?;
    fs::remove_file(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read;

    use flate2::read::GzDecoder;
    use guildhall_core::Config;

    use super::*;

    /// A log in a folder of its own, set by `change`, of which every file holds at most ten bytes.
    fn log(name: &str, change: impl FnOnce(&mut Logger)) -> (PathBuf, RotatingFile) {
        let folder =
            std::env::temp_dir().join(format!("guildhall-log-{}-{name}", std::process::id()));
        let mut logger = Config::default().logger;
        logger.file = folder.join("server.log").display().to_string();
        change(&mut logger);
        let mut file = RotatingFile::open(&logger).unwrap();
        Arc::get_mut(&mut file.rules).unwrap().max_bytes = 10;
        (folder, file)
    }

    fn write(file: &RotatingFile, line: &str) {
        file.make_writer().write_all(line.as_bytes()).unwrap();
        // Names differ by the millisecond.
        thread::sleep(Duration::from_millis(2));
    }

    /// The contents of the files set aside, oldest first, once all of them are cleaned up.
    fn aside(file: &RotatingFile) -> Vec<String> {
        file.rules.clean_up();
        let mut files = file.rules.set_aside();
        files.sort();
        let text = |path: PathBuf| {
            let mut text = String::new();
            let mut file = File::open(&path).unwrap();
            match path.extension().unwrap().to_str() {
                Some("gz") => GzDecoder::new(file).read_to_string(&mut text).unwrap(),
                _ => file.read_to_string(&mut text).unwrap(),
            };
            text
        };
        files.into_iter().map(text).collect()
    }

    #[test]
    fn a_full_file_is_set_aside_before_the_line_that_does_not_fit() {
        let (folder, file) = log("full", |_| ());
        for line in ["first\n", "two\n", "third\n", "a line longer than a file\n", "end\n"] {
            write(&file, line);
        }
        assert_eq!(aside(&file), ["first\ntwo\n", "third\n", "a line longer than a file\n"]);
        assert_eq!(fs::read_to_string(folder.join("server.log")).unwrap(), "end\n");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn old_files_are_packed_and_all_but_the_newest_deleted() {
        let (folder, file) = log("packed", |logger| {
            logger.compress = true;
            logger.max_backups = 2;
            logger.local_time = true;
        });
        fs::write(folder.join("server-notes.log"), "mine").unwrap();
        for line in ["line one\n", "line two\n", "line 3\n", "line 4\n"] {
            write(&file, line);
        }
        assert_eq!(aside(&file), ["line two\n", "line 3\n"]);
        assert!(file.rules.set_aside().iter().all(|path| path.extension().unwrap() == "gz"));
        assert!(folder.join("server-notes.log").exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn files_beyond_the_age_are_deleted() {
        let (folder, file) = log("age", |logger| logger.max_age = 1);
        let old = folder.join("server-2020-01-02T15-04-05.000.log");
        fs::write(&old, "old").unwrap();
        let day_before = SystemTime::now() - Duration::from_secs(2 * 86_400);
        File::options().append(true).open(&old).unwrap().set_modified(day_before).unwrap();
        write(&file, "line one\n");
        write(&file, "line two\n");
        assert_eq!(aside(&file), ["line one\n"]);
        fs::remove_dir_all(folder).unwrap();
    }
}
