//! The wire types: the messages of the client API, their protobuf and their JSON form.
//!
//! The `.proto` files are our own sources with the published package, names and numbers. JSON
//! follows the protobuf mapping as the reference's REST gateway configures it: see [`json`].

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
    use prost::Name;

    use super::*;

    #[test]
    fn every_published_message_has_a_descriptor() {
        let own = descriptors()
            .all_messages()
            .filter(|message| message.package_name() == "nakama.api" && !message.is_map_entry());
        assert_eq!(own.count(), 122);
        for name in [api::Account::full_name(), Empty::full_name(), Timestamp::full_name()] {
            assert!(descriptors().get_message_by_name(&name).is_some(), "{name}");
        }
    }
}
