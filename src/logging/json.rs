//! One JSON object a line, flat: what the event says, where, and the fields of the spans around it.
//!
//! Source: member names and level words are those of Nakama's two log formats, so that what reads its
//! logs reads ours.

use std::fmt::{self, Write};

use chrono::{SecondsFormat, Utc};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormattedFields,
        format::{JsonFields, Writer},
    },
    registry::LookupSpan,
};

/// The names of a line's own members.
pub(super) struct JsonLine {
    level: &'static str,
    time: &'static str,
    message: &'static str,
    word: fn(&Level) -> &'static str,
}

impl JsonLine {
    /// `logger.format: json`.
    pub(super) const REFERENCE: Self = Self {
        level: "level",
        time: "ts",
        message: "msg",
        word: |level| match *level {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG | Level::TRACE => "debug",
        },
    };

    /// `logger.format: stackdriver`.
    pub(super) const STACKDRIVER: Self = Self {
        level: "severity",
        time: "time",
        message: "message",
        word: |level| match *level {
            Level::ERROR => "ERROR",
            Level::WARN => "WARNING",
            Level::INFO => "INFO",
            Level::DEBUG | Level::TRACE => "DEBUG",
        },
    };
}

impl<S> FormatEvent<S, JsonFields> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let about = event.metadata();
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        write!(
            writer,
            "{{\"{}\":\"{}\",\"{}\":\"{now}\"",
            self.level,
            (self.word)(about.level()),
            self.time
        )?;
        if let (Some(file), Some(line)) = (about.file(), about.line()) {
            writer.write_str(",\"caller\":\"")?;
            write!(Escaped(&mut writer), "{}:{line}", short(file))?;
            writer.write_char('"')?;
        }

        let mut members = Members { writer: &mut writer, message: self.message, result: Ok(()) };
        event.record(&mut members);
        members.result?;

        for span in ctx.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            // The fields of a span are an object of their own; here they are members of the line.
            let fields = fields.and_then(|fields| fields.strip_prefix('{')?.strip_suffix('}'));
            if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
                write!(writer, ",{fields}")?;
            }
        }
        writer.write_str("}\n")
    }
}

/// The last folder and the name of a source file.
fn short(file: &str) -> &str {
    file.rmatch_indices('/').nth(1).map_or(file, |(at, _)| &file[at + 1..])
}

/// Writes an event's fields as further members.
struct Members<'a, 'w> {
    writer: &'a mut Writer<'w>,
    message: &'static str,
    result: fmt::Result,
}

impl Members<'_, '_> {
    /// Writes the name of `field` and then what `value` writes, unless something failed before.
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let name = match field.name() {
            "message" => self.message,
            // A line of a library that logs without tracing names its module here.
            "log.target" => "logger",
            name if name.starts_with("log.") => return,
            name => name,
        };
        if self.result.is_ok() {
            self.result = write!(self.writer, ",\"{name}\":").and_then(|()| value(self.writer));
        }
    }
}

impl Visit for Members<'_, '_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no number.
        self.member(field, |writer| match value.is_finite() {
            true => write!(writer, "{value}"),
            false => write!(writer, "\"{value}\""),
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |writer| write!(writer, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field, |writer| {
            writer.write_char('"')?;
            write!(Escaped(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }
}

/// Passes text on as the inside of a JSON string.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            // All of these are single bytes in UTF-8, so the cuts fall between characters.
            if byte >= b' ' && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.0.write_str(&text[plain..at])?;
            plain = at + 1;
            match byte {
                b'"' => self.0.write_str("\\\"")?,
                b'\\' => self.0.write_str("\\\\")?,
                b'\n' => self.0.write_str("\\n")?,
                b'\r' => self.0.write_str("\\r")?,
                b'\t' => self.0.write_str("\\t")?,
                other => write!(self.0, "\\u{other:04x}")?,
            }
        }
        self.0.write_str(&text[plain..])
    }
}
