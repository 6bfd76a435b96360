//! The types that modules in TypeScript are written against: namespace `nkruntime`.
//!
//! The functions of `nk` come from the host functions themselves, by the schemas of their parameters
//! and results; the registration functions of `initializer` from its tables, and their messages from
//! the endpoints and from what goes over sockets. What interpreters give by hand (`ctx`, `logger`, the kinds of functions) is
//! described in `types/described.d.ts`. Names are those of the reference's `nkruntime`, so that a
//! module written for it compiles.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    iter,
};

use guildhall_core::config::Config;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

use super::initializer::{NAMED, SINGLE};
use crate::{
    endpoint::{Endpoint, EndpointVisitor, Message as _},
    host::{Bytes, HostFunction, Language, MakeSchema, Returns},
    registry::{
        Point,
        hooks::{REALTIME, REQUESTS},
    },
    runtime::{
        host::settings,
        script::{camel_case, javascript_name},
    },
    tables::{HOST_FUNCTIONS, each_endpoint},
};

const HEAD: &str = "\
// The functions that modules of this server can call and register, for TypeScript.
// Written by the server: `guildhall types`.

declare namespace nkruntime {
";

/// The words of the language that parameters have as names.
const RESERVED: &[&str] =
    &["default", "delete", "enum", "export", "function", "import", "in", "new", "this", "with"];

const DESCRIBED: &str = include_str!("types/described.d.ts");

/// The declaration file.
pub fn declaration() -> String {
    let mut types = Types::default();
    let nakama = types.nakama();
    let initializer = types.initializer();
    types.envelopes();
    let mut out = HEAD.to_owned();
    out.push_str(DESCRIBED);
    out.push_str(&nakama);
    out.push_str(&initializer);
    let realtime = REALTIME.map(|name| format!("'{name}'")).join(" | ");
    let _ = write!(
        out,
        "\n    /** The realtime messages that have hooks. */\n    type RtHookMessage = {realtime};\n"
    );
    for (name, named) in &types.named {
        let Named { doc, body } = named;
        let declared = match body.starts_with('{') {
            true => format!("interface {name} {body}"),
            false => format!("type {name} = {body};"),
        };
        let _ = write!(out, "\n{}    {declared}\n", comment(doc, 4));
    }
    let _ = write!(
        out,
        "\n    /** What modules see of the configuration. */\n    interface Config {}\n",
        shape(&settings::shown(&Config::default()), 8)
    );
    out.push_str("}\n");
    out
}

/// A named type.
#[derive(Clone, PartialEq)]
struct Named {
    doc: String,
    body: String,
}

/// Which way a value goes: optional fields and bytes differ.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// From the module.
    In,
    /// To the module.
    Out,
}

/// The named types so far.
#[derive(Default)]
struct Types {
    named: BTreeMap<String, Named>,
}

impl Types {
    /// The interface of `nk`.
    fn nakama(&mut self) -> String {
        let mut functions: Vec<&HostFunction> = HOST_FUNCTIONS
            .iter()
            .filter(|function| function.languages.contains(&Language::JavaScript))
            .collect();
        functions.sort_by_key(|function| function.name);
        let mut settings = [SchemaSettings::draft2020_12(), SchemaSettings::draft2020_12()];
        settings[1].contract = schemars::generate::Contract::Serialize;
        let [input, output] = settings.map(SchemaSettings::into_generator);
        let mut input = Schemas { generator: input, way: Way::In, renamed: BTreeSet::new() };
        let mut output = Schemas { generator: output, way: Way::Out, renamed: BTreeSet::new() };
        let made: Vec<_> = functions
            .iter()
            .map(|function| (input.make(function.parameters), output.make(function.output)))
            .collect();
        // Results have the name where a type of the same name is taken in another shape.
        self.named = output.definitions();
        for (name, named) in input.definitions() {
            if self.named.get(&name).is_some_and(|known| *known != named) {
                input.renamed.insert(name);
            }
        }
        self.named.extend(input.definitions());
        let mut out =
            "\n    /** The functions of the server. */\n    interface Nakama {\n".to_owned();
        for (function, (parameters, result)) in functions.iter().zip(made) {
            let doc = description(&parameters);
            let (parameters, result) =
                (input.parameters(function, &parameters), output.result(function, &result));
            let name = javascript_name(function.name);
            let _ = writeln!(
                out,
                "{}        {name}({parameters}): {result};",
                comment(&without_signature(&doc), 8)
            );
        }
        out.push_str("    }\n");
        out
    }

    /// The interface of `initializer`.
    fn initializer(&mut self) -> String {
        let mut messages = Messages { types: self, endpoints: BTreeMap::new() };
        each_endpoint(&mut messages);
        let endpoints = messages.endpoints;
        let mut lines = Vec::new();
        for (method, point) in NAMED {
            let (name, kind) = match point {
                Point::Rpc => ("id: string", "RpcFunction"),
                Point::RealtimeBefore => ("id: RtHookMessage", "RtBeforeHookFunction<T>"),
                Point::RealtimeAfter => ("id: RtHookMessage", "RtAfterHookFunction<T>"),
                Point::StorageIndexFilter => ("indexName: string", "StorageIndexFilterFunction"),
                _ => ("name: string", "(...args: any[]) => any"),
            };
            let of = if kind.ends_with("<T>") { "<T extends Envelope>" } else { "" };
            lines.push(format!("{method}{of}({name}, fn: {kind}): void;"));
        }
        for (method, _) in SINGLE {
            let kind = method.trim_start_matches("register");
            lines.push(format!("{method}(fn: {kind}Function): void;"));
        }
        lines.push(
            "registerMatch<State = MatchState>(name: string, handlers: MatchHandler<State>): void;"
                .to_owned(),
        );
        lines.push(
            "registerStorageIndex(indexName: string, collection: string, key: string | null | undefined, \
             fields: string[], sortableFields: string[] | null | undefined, maxEntries: number, \
             indexOnly?: boolean | null): void;"
                .to_owned(),
        );
        lines.push("getConfig(): Config;".to_owned());
        for request in REQUESTS {
            let any = || ("any".to_owned(), "any".to_owned());
            let (request_type, response) = endpoints.get(request).cloned().unwrap_or_else(any);
            lines.push(format!(
                "registerBefore{request}(fn: BeforeHookFunction<{request_type}>): void;"
            ));
            lines.push(format!(
                "registerAfter{request}(fn: AfterHookFunction<{response}, {request_type}>): void;"
            ));
        }
        let doc = "\n    /** Registers functions; `InitModule` is given it. */\n";
        format!("{doc}    interface Initializer {{\n        {}\n    }}\n", lines.join("\n        "))
    }
}

/// The answer to a message with hooks that the reference has a type for.
const ANSWERS: [&str; 1] = ["Channel"];

impl Types {
    /// The envelopes of the socket messages that have hooks, and what these hold.
    fn envelopes(&mut self) {
        let pool = guildhall_proto::descriptors();
        let Some(envelope) = pool.get_message_by_name("nakama.realtime.Envelope") else { return };
        let mut messages = Messages { types: self, endpoints: BTreeMap::new() };
        let mut all = Vec::new();
        for field in envelope.fields() {
            let Kind::Message(message) = field.kind() else { continue };
            let hooked = REALTIME.contains(&message.name()) || ANSWERS.contains(&message.name());
            if message.package_name() != SOCKET || !hooked {
                continue;
            }
            let text = messages.message(&message);
            // The reference has another name for this one.
            let suffix = if message.name() == "MatchCreate" { "Message" } else { "" };
            let name = format!("Envelope{}{suffix}", message.name());
            let field = field.json_name();
            let body = format!("{{\n        cid?: string;\n        {field}: {text};\n    }}");
            let doc = format!("A socket message, `{}`.", message.full_name());
            messages.types.named.insert(name.clone(), Named { doc, body });
            all.push(name);
        }
        all.sort();
        let doc = "What hooks of socket messages are given and give back.".to_owned();
        self.named.insert("Envelope".to_owned(), Named { doc, body: all.join(" | ") });
    }
}

/// The package of what goes over sockets.
const SOCKET: &str = "nakama.realtime";

/// The name of a type of [`SOCKET`], as the reference has it.
fn socket_name(name: &str) -> String {
    match name {
        "MatchDataSend" => "MatchDataMessageSend".to_owned(),
        name if REALTIME.contains(&name) && !name.starts_with("Channel") => {
            format!("{name}Message")
        }
        name => name.to_owned(),
    }
}

/// Schemas of one way, and what is written from them.
struct Schemas {
    generator: SchemaGenerator,
    way: Way,
    /// The types that have another shape the other way.
    renamed: BTreeSet<String>,
}

impl Schemas {
    fn make(&mut self, schema: MakeSchema) -> Value {
        schema(&mut self.generator).to_value()
    }

    fn definitions(&self) -> BTreeMap<String, Named> {
        let definitions = self.generator.definitions().iter();
        let named = definitions.filter(|(_, schema)| has_name(schema)).map(|(name, schema)| {
            let body = match schema["properties"].is_object() {
                true => self.object(schema, 8),
                false => self.text(schema, 4),
            };
            (self.name(name), Named { doc: description(schema), body })
        });
        named.collect()
    }

    fn name(&self, name: &str) -> String {
        if self.renamed.contains(name) { format!("{name}Input") } else { name.to_owned() }
    }

    /// The positional parameters.
    fn parameters(&self, function: &HostFunction, schema: &Value) -> String {
        let none = Map::new();
        let fields = schema["properties"].as_object().unwrap_or(&none);
        let order: Vec<&str> = match function.javascript_order {
            Some(order) => order.to_vec(),
            None => fields.keys().map(String::as_str).collect(),
        };
        // A function that is called back is always there.
        let calls_back = |name: &str| fields.get(name).is_some_and(|it| it["function"].is_object());
        let required = |name: &str| is_required(schema, name) || calls_back(name);
        let last = order.iter().rposition(|name| required(name));
        let parameters = order.iter().enumerate().map(|(at, field)| {
            let name = match RESERVED.contains(field) {
                true => format!("{field}Value"),
                false => camel_case(field),
            };
            let text = fields.get(*field).map_or_else(|| "any".to_owned(), |it| self.text(it, 8));
            match (required(field), last) {
                (true, _) => format!("{name}: {text}"),
                // Only what stands at the end can be left out.
                (false, Some(last)) if at < last => {
                    format!("{name}: {} | undefined", or_null(&text))
                }
                (false, _) => format!("{name}?: {}", or_null(&text)),
            }
        });
        parameters.collect::<Vec<_>>().join(", ")
    }

    fn result(&self, function: &HostFunction, schema: &Value) -> String {
        let text = self.text(schema, 8);
        match function.returns {
            Returns::Nothing => "void".to_owned(),
            Returns::Value | Returns::Each => text,
            Returns::Maybe if text == "any" => text,
            Returns::Maybe => format!("{} | undefined", text.trim_end_matches(" | null")),
        }
    }

    /// A schema as a type.
    fn text(&self, schema: &Value, indent: usize) -> String {
        if let Some(target) = schema["$ref"].as_str() {
            let name = target.rsplit('/').next().unwrap_or(target);
            return match self.generator.definitions().get(name) {
                Some(schema) if !has_name(schema) => self.text(schema, indent),
                _ => self.name(name),
            };
        }
        if let Some(function) = schema.get("function") {
            let takes = self.text(&function["takes"], indent);
            return format!("(given: {takes}) => {}", self.text(&function["gives"], indent));
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[key].as_array() {
                return union(choices.iter().map(|choice| self.text(choice, indent)));
            }
        }
        if let Some(values) = schema["enum"].as_array() {
            return union(values.iter().map(literal));
        }
        if let Some(value) = schema.get("const") {
            return literal(value);
        }
        match &schema["type"] {
            Value::String(kind) => self.of_kind(kind, schema, indent),
            Value::Array(kinds) => {
                let kinds = kinds.iter().filter_map(Value::as_str);
                union(kinds.map(|kind| self.of_kind(kind, schema, indent)))
            }
            _ => "any".to_owned(),
        }
    }

    fn of_kind(&self, kind: &str, schema: &Value, indent: usize) -> String {
        match kind {
            "string" if schema["format"] == Bytes::FORMAT => match self.way {
                Way::In => "Bytes".to_owned(),
                Way::Out => "ArrayBuffer".to_owned(),
            },
            "string" => "string".to_owned(),
            "integer" | "number" => "number".to_owned(),
            "boolean" => "boolean".to_owned(),
            "null" => "null".to_owned(),
            "array" => list(&self.text(&schema["items"], indent)),
            "object" if schema["properties"].is_object() => self.object(schema, indent + 4),
            "object" => match &schema["additionalProperties"] {
                value @ Value::Object(_) => map(&self.text(value, indent)),
                _ => map("any"),
            },
            _ => "any".to_owned(),
        }
    }

    /// The fields of a struct, each on a line.
    fn object(&self, schema: &Value, indent: usize) -> String {
        let mut out = "{\n".to_owned();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let text = self.text(field, indent);
            let (mark, text) = match (is_required(schema, name), self.way) {
                (true, _) => ("", text),
                (false, Way::In) => ("?", or_null(&text)),
                // Left out where there is none.
                (false, Way::Out) => ("?", text.trim_end_matches(" | null").to_owned()),
            };
            let _ = writeln!(
                out,
                "{}{}{}{mark}: {text};",
                comment(&description(field), indent),
                spaces(indent),
                camel_case(name)
            );
        }
        let _ = write!(out, "{}}}", spaces(indent - 4));
        out
    }
}

/// Whether a definition is a type of its own; a checked text or number is just that.
fn has_name(schema: &Value) -> bool {
    schema["properties"].is_object() || schema["enum"].is_array() || schema["oneOf"].is_array()
}

fn is_required(schema: &Value, field: &str) -> bool {
    schema["required"].as_array().is_some_and(|names| names.iter().any(|name| name == field))
}

/// The comment on a type or field, without links to our own code.
fn description(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.replace("[`", "`").replace("`]", "`")
}

/// The comment of a host function without the call that it begins with.
fn without_signature(doc: &str) -> String {
    let rest = match doc.strip_prefix("`nk.").and_then(|rest| rest.split_once(")`")) {
        Some((_, rest)) => rest.trim_start_matches([':', '.', ';', ',']).trim(),
        None => doc,
    };
    let mut letters = rest.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn union(choices: impl Iterator<Item = String>) -> String {
    let mut distinct: Vec<String> = Vec::new();
    for choice in choices {
        if !distinct.contains(&choice) {
            distinct.push(choice);
        }
    }
    if distinct.iter().any(|choice| choice == "any") {
        return "any".to_owned();
    }
    distinct.join(" | ")
}

fn or_null(text: &str) -> String {
    union(text.split(" | ").chain(iter::once("null")).map(str::to_owned))
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{text}'"),
        other => other.to_string(),
    }
}

fn list(of: &str) -> String {
    if of.contains(" | ") { format!("({of})[]") } else { format!("{of}[]") }
}

fn map(of: &str) -> String {
    format!("{{ [key: string]: {of} }}")
}

/// The type of a value such as this one.
fn shape(value: &Value, indent: usize) -> String {
    match value {
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Object(fields) if fields.is_empty() => map("string"),
        Value::Object(fields) => {
            let mut out = "{\n".to_owned();
            for (name, value) in fields {
                let _ = writeln!(out, "{}{name}: {};", spaces(indent), shape(value, indent + 4));
            }
            let _ = write!(out, "{}}}", spaces(indent - 4));
            out
        }
        Value::Null | Value::Array(_) => "any".to_owned(),
    }
}

fn spaces(indent: usize) -> String {
    " ".repeat(indent)
}

/// `doc` as a comment on lines of its own, filled to 100 columns; nothing for no doc.
fn comment(doc: &str, indent: usize) -> String {
    let margin = spaces(indent);
    let mut lines = vec![String::new()];
    for word in doc.split_whitespace() {
        if let Some(line) = lines.last_mut().filter(|line| line.len() + word.len() + indent < 94) {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    match lines.as_slice() {
        [line] if line.is_empty() => String::new(),
        [line] => format!("{margin}/** {line} */\n"),
        lines => format!(
            "{margin}/**\n{margin} * {}\n{margin} */\n",
            lines.join(&format!("\n{margin} * "))
        ),
    }
}

/// Collects what the endpoints that modules may hook are asked and answer.
struct Messages<'a> {
    types: &'a mut Types,
    /// By name: the types of request and response.
    endpoints: BTreeMap<&'static str, (String, String)>,
}

impl EndpointVisitor for Messages<'_> {
    fn visit<E: Endpoint>(&mut self) {
        if !E::HOOKS {
            return;
        }
        let request = match E::Request::descriptor().filter(|_| E::HAS_INPUT) {
            Some(request) => self.message(&request),
            None => "void".to_owned(),
        };
        let response = E::Response::descriptor();
        let response = response.map_or_else(|| "void".to_owned(), |it| self.message(&it));
        self.endpoints.insert(E::NAME, (request, response));
    }
}

impl Messages<'_> {
    /// A message as a type, declared with those it holds.
    fn message(&mut self, message: &MessageDescriptor) -> String {
        match message.full_name() {
            "google.protobuf.Empty" => return "void".to_owned(),
            "google.protobuf.Timestamp" => return "string".to_owned(),
            wrapper if wrapper.starts_with("google.protobuf.") => {
                let value = message.fields().next();
                return value.map_or_else(|| "any".to_owned(), |value| self.field(&value));
            }
            _ => {}
        }
        let package = message.package_name().len() + 1;
        let name = message.full_name().split_at(package).1.replace('.', "");
        let socket = message.package_name() == SOCKET;
        let name = self.name(if socket { socket_name(&name) } else { name });
        if self.types.named.contains_key(&name) {
            return name;
        }
        let doc = format!("Message `{}`.", message.full_name());
        let holder = Named { doc: doc.clone(), body: String::new() };
        self.types.named.insert(name.clone(), holder);
        let mut body = "{\n".to_owned();
        for field in message.fields() {
            let text = self.field(&field);
            let single = !field.is_list() && !field.is_map();
            let absent = single && field.supports_presence() && field.containing_oneof().is_none();
            let text = if absent { or_null(&text) } else { text };
            // Of socket messages the reference names what is always there.
            let mark = if socket && !(single && field.supports_presence()) { "" } else { "?" };
            let _ = writeln!(body, "        {}{mark}: {text};", field.json_name());
        }
        body.push_str("    }");
        self.types.named.insert(name.clone(), Named { doc, body });
        name
    }

    /// The name for message `name`, which `nk` may have for a type of its own.
    fn name(&self, name: String) -> String {
        let is_message = |named: &Named| named.doc.starts_with("Message `");
        match self.types.named.get(&name) {
            Some(named) if !is_message(named) => format!("Api{name}"),
            _ => name,
        }
    }

    fn field(&mut self, field: &FieldDescriptor) -> String {
        if field.is_map()
            && let Kind::Message(entry) = field.kind()
        {
            return map(&self.single(&entry.map_entry_value_field()));
        }
        let single = self.single(field);
        if field.is_list() { list(&single) } else { single }
    }

    fn single(&mut self, field: &FieldDescriptor) -> String {
        match field.kind() {
            Kind::Bool => "boolean".to_owned(),
            // Text, since numbers of 64 bits are more than JavaScript's hold.
            Kind::Int64
            | Kind::Uint64
            | Kind::Sint64
            | Kind::Fixed64
            | Kind::Sfixed64
            | Kind::String
            | Kind::Bytes => "string".to_owned(),
            Kind::Message(message) => self.message(&message),
            _ => "number".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;

    /// `UPDATE_REFERENCE=1` writes the file instead of comparing it.
    #[test]
    fn the_declaration_file_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/typescript/index.d.ts");
        let text = declaration();
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap_or_default() == text,
            "sdk/typescript/index.d.ts is old: UPDATE_REFERENCE=1 cargo test -p guildhall-actors declaration"
        );
    }

    #[test]
    fn every_hook_has_its_messages() {
        let text = declaration();
        assert!(text.contains("registerBeforeGetAccount(fn: BeforeHookFunction<void>)"));
        assert!(!text.contains("HookFunction<any"));
        for name in REALTIME {
            let field = format!("{}{}", name[..1].to_lowercase(), &name[1..]);
            let envelope = text.split(&format!("interface Envelope{name}")).nth(1).unwrap();
            let (_, carried) = envelope.split_once(&format!("        {field}: ")).unwrap();
            let (carried, _) = carried.split_once(";\n    }").unwrap();
            assert!(text.contains(&format!("interface {carried} {{")), "{name}: {carried}");
        }
    }

    #[test]
    fn comments_lose_the_call_that_they_begin_with() {
        assert_eq!(without_signature("`nk.uuid_v4()`"), "");
        assert_eq!(without_signature("`nk.a(b, c)`: does d."), "Does d.");
        assert_eq!(without_signature("Does `d`."), "Does `d`.");
    }

    #[test]
    fn unions_name_each_choice_once_and_anything_swallows_the_rest() {
        assert_eq!(or_null("string | null"), "string | null");
        assert_eq!(or_null("any"), "any");
        assert_eq!(list("string | null"), "(string | null)[]");
    }
}
