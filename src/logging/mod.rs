//! The log: one subscriber for the process, made from `logger.*`.
//!
//! A line below the level costs its caller one load: the level is known to each call site.

mod json;
mod rotate;

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal},
    panic,
    path::Path,
    sync::Arc,
};

use guildhall_core::config::{LogFormat, LogLevel, Logger, Problem};
use tracing::{error, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::{self, MakeWriter, format::JsonFields, writer::MakeWriterExt},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use self::{json::JsonLine, rotate::RotatingFile};

/// Starts logging for the whole process.
///
/// # Errors
/// The log file cannot be written, or logging was started before.
pub fn start(logger: &Logger) -> Result<(), Problem> {
    let subscriber = tracing_subscriber::registry().with(layer(logger)?).with(filter(logger.level));
    subscriber
        .try_init()
        .map_err(|error| Problem::new(format!("the log cannot be started: {error}")))?;
    // A panic is caught where the work it ends was begun; where it arose only the hook knows.
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(location, reason = panic.payload_as_str().unwrap_or_default(), "panic");
    }));
    Ok(())
}

/// Our own lines and those of modules from `level` on; of the libraries below us only what an operator can act on.
fn filter(level: LogLevel) -> Targets {
    let (ours, theirs) = match level {
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
    };
    // Calls an error what any client can cause: bytes that are no request, or half of one.
    let requests = if level == LogLevel::Debug { theirs } else { LevelFilter::OFF };
    Targets::new().with_default(theirs).with_targets([
        ("guildhall", ours),
        // Native and JavaScript modules log under it.
        ("module", ours),
        ("actix_http::h1::dispatcher", requests),
        ("actix_http::h1::decoder", requests),
    ])
}

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Writes to where `logger` says: standard output, a file, or both; standard output if there is no file.
fn layer(logger: &Logger) -> Result<BoxedLayer, Problem> {
    if logger.file.is_empty() {
        return Ok(form(logger.format, io::stdout().is_terminal(), io::stdout));
    }
    let failed = |error: io::Error| {
        Problem::new(format!("logger.file is {:?}, but cannot be written: {error}", logger.file))
    };
    if logger.rotation {
        let file = RotatingFile::open(logger).map_err(failed)?;
        Ok(destinations(logger, file))
    } else {
        let file = append(Path::new(&logger.file)).map_err(failed)?;
        Ok(destinations(logger, Arc::new(file)))
    }
}

fn destinations(
    logger: &Logger,
    file: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> BoxedLayer {
    if logger.stdout {
        form(logger.format, false, file.and(io::stdout))
    } else {
        form(logger.format, false, file)
    }
}

/// A layer that writes lines of that format. One line is one write, so lines of several threads and
/// processes stay whole.
fn form(
    format: LogFormat,
    colours: bool,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> BoxedLayer {
    let layer = fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => {
            layer.fmt_fields(JsonFields::new()).event_format(JsonLine::REFERENCE).boxed()
        }
        LogFormat::Stackdriver => {
            layer.fmt_fields(JsonFields::new()).event_format(JsonLine::STACKDRIVER).boxed()
        }
        LogFormat::Console => layer.with_ansi(colours).with_target(false).compact().boxed(),
    }
}

/// Opens a log file for adding to it; it and its folder are made if need be.
fn append(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{io::Write, sync::Mutex};

    use serde_json::{Value, json};
    use tracing::{debug, info, info_span, subscriber::with_default};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What `work` logs at `level` in `format`.
    fn logged(level: LogLevel, format: LogFormat, work: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let layer = form(format, false, move || writer.clone());
        with_default(tracing_subscriber::registry().with(layer).with(filter(level)), work);
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_is_one_flat_object_with_the_reference_names() {
        let text = logged(LogLevel::Info, LogFormat::Json, || {
            let _request = info_span!("request", trace_id = "t1").entered();
            let _call = info_span!("call").entered();
            error!(count = 3, ratio = 0.5, missing = f64::NAN, ok = true, who = %"a \"b\"\n\u{1}ü", why = ?Some("x"), "it {}", "failed");
        });
        assert_eq!(text.lines().count(), 1);
        let mut line: Value = serde_json::from_str(&text).unwrap();
        let line = line.as_object_mut().unwrap();
        let time = line.remove("ts").unwrap();
        chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap();
        let caller = line.remove("caller").unwrap();
        assert!(caller.as_str().unwrap().starts_with("logging/mod.rs:"), "{caller}");
        let expected = json!({
            "level": "error", "msg": "it failed", "count": 3, "ratio": 0.5, "missing": "NaN", "ok": true,
            "who": "a \"b\"\n\u{1}ü", "why": "Some(\"x\")", "trace_id": "t1",
        });
        assert_eq!(Value::Object(line.clone()), expected);
    }

    #[test]
    fn a_stackdriver_line_has_its_names_and_words() {
        let text = logged(LogLevel::Warn, LogFormat::Stackdriver, || tracing::warn!("careful"));
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["severity"], &line["message"]), (&json!("WARNING"), &json!("careful")));
        assert!(line["time"].is_string());
    }

    #[test]
    fn a_console_line_reads_as_text() {
        let text = logged(LogLevel::Info, LogFormat::Console, || info!(port = 7350, "listening"));
        assert!(text.contains("INFO") && text.contains("listening port=7350"), "{text}");
    }

    #[test]
    fn the_level_holds_for_our_lines_and_others_say_less() {
        let all = || {
            debug!("ours at debug");
            info!("ours at info");
            debug!(target: "module", "a module's at debug");
            info!(target: "module", "a module's at info");
            info!(target: "tokio_postgres", "theirs at info");
            error!(target: "tokio_postgres", "theirs at error");
            error!(target: "actix_http::h1::dispatcher", "stream error");
        };
        let count = |level| logged(level, LogFormat::Console, all).lines().count();
        assert_eq!(
            [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error].map(count),
            [7, 3, 1, 1]
        );
    }

    #[test]
    fn a_log_file_that_cannot_be_written_is_named() {
        let mut logger = guildhall_core::Config::default().logger;
        logger.file = "/dev/null/server.log".to_owned();
        let problem = layer(&logger).map(|_| ()).unwrap_err().to_string();
        assert!(
            problem.starts_with("logger.file is \"/dev/null/server.log\", but cannot be written:"),
            "{problem}"
        );
    }
}
