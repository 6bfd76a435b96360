//! The wire types: the messages of the client API and of the socket, their protobuf and their JSON form.
//!
//! The `.proto` files are our own sources with the published package, names and numbers. JSON
//! follows the protobuf mapping as the reference configures it: see [`json`] and, for the socket,
//! [`realtime`].

mod envelope;
pub mod json;
mod wkt;

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

pub use wkt::{Empty, Timestamp};

/// The messages of package `nakama.api`.
#[allow(missing_docs, clippy::all)]
pub mod api {
    include!(concat!(env!("OUT_DIR"), "/nakama.api.rs"));

    mod mapping {
        use super::*;
        include!(concat!(env!("OUT_DIR"), "/nakama.api.json.rs"));
    }
}

/// The messages of package `nakama.realtime`: what goes over a socket, one [`Envelope`] at a time.
///
/// The binary form is prost's. Decoded from [`bytes::Bytes`], an envelope shares the data that it
/// carries with its input. The JSON form is [`Envelope::to_json`] and [`Envelope::from_json`].
///
/// [`Envelope`]: realtime::Envelope
/// [`Envelope::to_json`]: realtime::Envelope::to_json
/// [`Envelope::from_json`]: realtime::Envelope::from_json
#[allow(missing_docs, clippy::all)]
pub mod realtime {
    include!(concat!(env!("OUT_DIR"), "/nakama.realtime.rs"));

    mod mapping {
        use super::*;
        include!(concat!(env!("OUT_DIR"), "/nakama.realtime.json.rs"));
    }
}

/// The descriptors of every message, for work by field name: query binding and hooks.
///
/// Decoded at the first use, from the set that the build compiled.
pub fn descriptors() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        let set: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
        DescriptorPool::decode(set).unwrap_or_default()
    });
    &POOL
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use prost::Name;
    use prost_reflect::{FieldDescriptor, Kind};

    use super::*;

    #[test]
    fn every_published_message_has_a_descriptor() {
        for (package, count) in [("nakama.api", 122), ("nakama.realtime", 52)] {
            let own = descriptors()
                .all_messages()
                .filter(|message| message.package_name() == package && !message.is_map_entry());
            assert_eq!(own.count(), count, "{package}");
        }
        for name in [
            api::Account::full_name(),
            realtime::Envelope::full_name(),
            Empty::full_name(),
            Timestamp::full_name(),
        ] {
            assert!(descriptors().get_message_by_name(&name).is_some(), "{name}");
        }
    }

    /// A field as the published list has it.
    fn published(field: &FieldDescriptor) -> String {
        let kind = |field: &FieldDescriptor| match field.kind() {
            Kind::Message(message) => message.full_name().to_owned(),
            Kind::Enum(own) => own.full_name().to_owned(),
            scalar => format!("{scalar:?}").to_lowercase(),
        };
        let what = match field.kind() {
            Kind::Message(entry) if field.is_map() => format!(
                "map<{}, {}>",
                kind(&entry.map_entry_key_field()),
                kind(&entry.map_entry_value_field())
            ),
            _ if field.is_list() => format!("repeated {}", kind(field)),
            _ => kind(field),
        };
        let oneof = field.containing_oneof().map(|oneof| format!("oneof {} ", oneof.name()));
        let oneof = oneof.unwrap_or_default();
        format!("{} {} {} {oneof}{what}", field.number(), field.name(), field.json_name())
    }

    #[test]
    fn every_field_is_as_published() {
        let list: BTreeMap<String, Vec<String>> =
            serde_json::from_str(include_str!("../../tests/published/messages.json")).unwrap();
        let ours = |package: &str| package.starts_with("nakama.");
        let messages = descriptors()
            .all_messages()
            .filter(|message| ours(message.package_name()) && !message.is_map_entry())
            .map(|message| {
                let fields = message.fields().map(|field| published(&field)).collect();
                (message.full_name().to_owned(), fields)
            });
        let enums = descriptors().all_enums().filter(|own| ours(own.package_name())).map(|own| {
            let values = own.values().map(|value| format!("{} {}", value.number(), value.name()));
            (own.full_name().to_owned(), values.collect())
        });
        let mut declared: BTreeMap<String, Vec<String>> = messages.chain(enums).collect();
        let mut wrong = Vec::new();
        for (name, mut fields) in list {
            let mut declared = declared.remove(&name).unwrap_or_default();
            fields.sort();
            declared.sort();
            if fields != declared {
                wrong.push(format!("{name}: published {fields:?}, declared {declared:?}"));
            }
        }
        wrong.extend(declared.into_keys().map(|name| format!("{name}: not published")));
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
