//! The context and the messages of a call, as Lua tables.

use guildhall_core::{Error, Fault};
use prost_reflect::{
    DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions, prost::Message,
};
use uuid::Uuid;

use super::{super::surroundings::Surroundings, give::Give, raw::Stack, take::Take};
use crate::runtime::call::{Context, ExecutionMode, Output, Wire};

/// Names as in the API's files, enums as numbers, 64-bit integers as text, defaults left out: what
/// the reference's modules see.
const SHOWN: SerializeOptions = SerializeOptions::new()
    .use_proto_field_name(true)
    .use_enum_numbers(true)
    .stringify_64_bit_integers(true)
    .skip_default_fields(true);

/// A key that the message does not have is a mistake.
const READ: DeserializeOptions = DeserializeOptions::new().deny_unknown_fields(true);

const COULD_NOT_RUN: &str = "Could not run runtime Before function.";

/// Adds a text to the table at `table`.
pub(super) fn set_text(stack: &mut Stack<'_>, table: i32, name: &str, value: &str) {
    stack.push_bytes(value.as_bytes());
    stack.set_name(table, name.as_bytes());
}

/// Adds a table of texts.
pub(super) fn push_texts<'a, T>(stack: &mut Stack<'_>, texts: T)
where
    T: IntoIterator<Item = (&'a String, &'a String), IntoIter: ExactSizeIterator>,
{
    let texts = texts.into_iter();
    stack.push_table(0, texts.len());
    let table = stack.top();
    for (name, value) in texts {
        set_text(stack, table, name, value);
    }
}

/// Adds a table of lists of text; empty where there is none.
fn push_lists(stack: &mut Stack<'_>, lists: Option<&[(String, Vec<String>)]>) {
    let lists = lists.unwrap_or_default();
    stack.push_table(0, lists.len());
    let table = stack.top();
    for (name, values) in lists {
        stack.push_table(values.len(), 0);
        let list = stack.top();
        for (index, value) in values.iter().enumerate() {
            stack.push_bytes(value.as_bytes());
            stack.set_index(list, index + 1);
        }
        stack.set_name(table, name.as_bytes());
    }
}

/// Adds what a function sees as its context. Made anew for each call, so that no call sees what
/// another wrote into it.
///
/// Source: Nakama, `server/runtime_lua_context.go`.
pub(super) fn push_context(stack: &mut Stack<'_>, context: &Context, surroundings: &Surroundings) {
    stack.push_table(0, 16);
    let table = stack.top();
    push_texts(stack, &surroundings.env);
    stack.set_name(table, b"env");
    set_text(stack, table, "execution_mode", context.mode.name());
    set_text(stack, table, "node", &surroundings.node);
    set_text(stack, table, "version", &surroundings.version);
    push_lists(stack, context.headers.as_deref());
    stack.set_name(table, b"headers");
    push_lists(stack, context.query_params.as_deref());
    stack.set_name(table, b"query_params");

    let caller = &context.caller;
    if let Some(user) = &caller.user {
        let mut id = Uuid::encode_buffer();
        set_text(stack, table, "user_id", user.id.hyphenated().encode_lower(&mut id));
        set_text(stack, table, "username", &user.username);
        if !user.vars.is_empty() {
            push_texts(stack, &user.vars);
            stack.set_name(table, b"vars");
        }
        #[allow(clippy::cast_precision_loss, reason = "seconds stay far below 2^53")]
        stack.push_number(user.expires_s as f64);
        stack.set_name(table, b"user_session_exp");
        if let Some(session_id) = &context.session_id {
            set_text(stack, table, "session_id", session_id);
            set_text(stack, table, "lang", context.lang.as_deref().unwrap_or_default());
        }
    }
    if let Some(ip) = caller.client_ip {
        set_text(stack, table, "client_ip", &ip.to_string());
    }
    // The reference does not know the port in hooks of HTTP requests.
    let hook = matches!(context.mode, ExecutionMode::Before | ExecutionMode::After);
    if caller.client_port != 0 && !(hook && context.session_id.is_none()) {
        set_text(stack, table, "client_port", &caller.client_port.to_string());
    }
    if caller.trace_id.0 != 0 {
        let mut id = Uuid::encode_buffer();
        let text = Uuid::from_u128(caller.trace_id.0).hyphenated().encode_lower(&mut id);
        stack.push_bytes(text.as_bytes());
        stack.set_name(table, b"trace_id");
    }
}

/// Adds a message as a table; an empty one where there is none, as in the reference.
pub(super) fn push_wire(stack: &mut Stack<'_>, wire: Option<&Wire>) -> Result<(), Error> {
    let Some(wire) = wire else {
        stack.push_table(0, 0);
        return Ok(());
    };
    let message = DynamicMessage::decode(wire.descriptor.clone(), wire.bytes.as_slice())
        .map_err(|error| Error::from(Fault::new(COULD_NOT_RUN, error)))?;
    message
        .serialize_with_options(Give(stack), &SHOWN)
        .map_err(|error| Fault::new(COULD_NOT_RUN, error.to_string()).into())
}

/// What a before hook gave back, as the message that it was given.
pub(super) fn message(descriptor: MessageDescriptor, object: bool, value: Take<'_, '_>) -> Output {
    match DynamicMessage::deserialize_with_options(descriptor, value, &READ) {
        Ok(message) => Output::Message(message.encode_to_vec()),
        Err(error) => Output::Unreadable { object, cause: error.to_string() },
    }
}
