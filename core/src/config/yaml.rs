//! YAML files as a flat list of settings, each with its line.
//!
//! Read from the parser's events rather than through serde: only the events say where a value stands
//! and whether it was quoted.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::declare::join;
use super::problem::Problem;
use super::source::{Origin, Setting};
use super::value::Given;

/// The keys of a file with their values. An empty value leaves its key as it is.
///
/// # Errors
/// `text` is not one YAML mapping, or names a key twice.
pub(super) fn settings(path: &str, text: &str) -> Result<Vec<Setting>, Problem> {
    let root = Reader::new(path, text).document()?;
    let mut settings = Vec::new();
    match root.content {
        Content::Mapping(_) => flatten(path, "", root, &mut settings)?,
        Content::Empty => {}
        Content::Text { .. } | Content::List(_) => {
            return Err(Problem::new(format!(
                "{path}:{}: expects a mapping of keys to values",
                root.line
            )));
        }
    }
    Ok(settings)
}

/// A list in brackets, as the environment variable `name` may hold.
///
/// # Errors
/// `text` is not a YAML list of texts; `text` is not shown, since it may be secret.
pub(super) fn flow_list(name: &str, text: &str) -> Result<Given, Problem> {
    let node = Reader::new(name, text).document()?;
    match given(node.content) {
        list @ Given::List(_) => Ok(list),
        Given::Text { .. } | Given::Mapping | Given::Nothing => {
            Err(Problem::new(format!("{name} expects texts in its brackets, [\"like\", \"this\"]")))
        }
    }
}

/// A value with the line of its first character.
#[derive(Clone)]
struct Node {
    line: usize,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Empty,
    Text { text: String, quoted: bool },
    List(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// Walks down sections; what is not a mapping is a setting.
fn flatten(file: &str, path: &str, node: Node, settings: &mut Vec<Setting>) -> Result<(), Problem> {
    let Content::Mapping(members) = node.content else { return Ok(()) };
    let mut seen = BTreeSet::new();
    for (key, value) in members {
        let line = key.line;
        let Content::Text { text: name, .. } = key.content else {
            return Err(Problem::new(format!("{file}:{line}: expects the name of a key")));
        };
        let key = join(path, &name);
        if !seen.insert(name) {
            return Err(Problem::new(format!("{file}:{line}: {key} stands twice in this file")));
        }
        match value.content {
            Content::Mapping(ref members) if !members.is_empty() => {
                flatten(file, &key, value, settings)?
            }
            content => {
                let origin = Origin::File { path: file.to_owned(), line };
                settings.push(Setting { key, given: given(content), origin });
            }
        }
    }
    Ok(())
}

fn given(content: Content) -> Given {
    let entries = match content {
        Content::Empty => return Given::Nothing,
        Content::Text { text, quoted } => return Given::Text { text, quoted },
        Content::Mapping(_) => return Given::Mapping,
        Content::List(entries) => entries,
    };
    let texts = entries.into_iter().map(|entry| match entry.content {
        Content::Text { text, .. } => Some(text),
        Content::Empty | Content::List(_) | Content::Mapping(_) => None,
    });
    texts.collect::<Option<Vec<String>>>().map_or(Given::Mapping, Given::List)
}

struct Reader<'a> {
    file: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
}

impl<'a> Reader<'a> {
    fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, parser: Parser::new_from_str(text), anchors: BTreeMap::new() }
    }

    /// The first document, which must be the only one.
    fn document(mut self) -> Result<Node, Problem> {
        let mut root = Node { line: 1, content: Content::Empty };
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(_) if documents == 1 => {
                    let (file, line) = (self.file, span.start.line());
                    return Err(Problem::new(format!(
                        "{file}:{line}: expects one YAML document, not several"
                    )));
                }
                Event::DocumentStart(_) => {
                    documents += 1;
                    let (event, span) = self.next()?;
                    root = self.node(event, span)?;
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Problem> {
        let line = span.start.line();
        let (anchor, content) = match event {
            Event::Scalar(text, style, anchor, _) => (anchor, scalar(&text, style)),
            Event::SequenceStart(anchor, _) => {
                let mut entries = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break (anchor, Content::List(entries)),
                        (event, span) => entries.push(self.node(event, span)?),
                    }
                }
            }
            Event::MappingStart(anchor, _) => {
                let mut members = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MappingEnd, _) => break (anchor, Content::Mapping(members)),
                        (event, span) => {
                            let key = self.node(event, span)?;
                            let (event, span) = self.next()?;
                            members.push((key, self.node(event, span)?));
                        }
                    }
                }
            }
            Event::Alias(anchor) => {
                let unknown =
                    || Problem::new(format!("{}:{line}: alias of an unknown anchor", self.file));
                return self.anchors.get(&anchor).cloned().ok_or_else(unknown);
            }
            _ => (0, Content::Empty),
        };
        let node = Node { line, content };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        let file = self.file;
        let invalid = |error: ScanError| {
            let mark = error.marker();
            Problem::new(format!(
                "{file}:{}:{}: not YAML: {}",
                mark.line(),
                mark.col() + 1,
                error.info()
            ))
        };
        match self.parser.next_event() {
            Some(event) => event.map_err(invalid),
            None => Err(Problem::new(format!("{file}: not YAML: it ends too early"))),
        }
    }
}

/// Plain words for nothing are nothing; every other scalar is kept as text until its key looks at it.
fn scalar(text: &str, style: ScalarStyle) -> Content {
    let quoted = style != ScalarStyle::Plain;
    if !quoted && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Content::Empty;
    }
    Content::Text { text: text.to_owned(), quoted }
}
