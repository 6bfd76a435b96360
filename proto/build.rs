//! Compiles the `.proto` files without protoc: prost makes the types, and one
//! `json::message!` line for each message gives it the mapping of `src/json.rs`.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorProto};
use protox::prost::Message as _;

/// Our packages; of the others the build takes only the descriptors.
const PACKAGES: [&str; 2] = ["nakama.api", "nakama.realtime"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=nakama");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let files = protox::compile(
        ["nakama/api.proto", "nakama/realtime.proto", "google/protobuf/empty.proto"],
        ["."],
    )?;

    fs::write(out.join("descriptors.bin"), files.encode_to_vec())?;
    for file in files.file.iter().filter(|file| PACKAGES.contains(&file.package())) {
        fs::write(out.join(format!("{}.json.rs", file.package())), json_of(file))?;
    }

    prost_build::Config::new()
        .enable_type_names()
        .btree_map(["."])
        // What is relayed to many sockets is shared and not copied.
        .bytes([".nakama.realtime"])
        .extern_path(".google.protobuf.Timestamp", "crate::Timestamp")
        .compile_fds(files)?;
    Ok(())
}

/// The `json::message!` lines of a file.
fn json_of(file: &FileDescriptorProto) -> String {
    let mut text = String::new();
    for message in &file.message_type {
        json_of_message(&mut text, file.package(), file.package(), Path::new(""), message);
    }
    text
}

fn json_of_message(
    text: &mut String,
    package: &str,
    scope: &str,
    module: &Path,
    message: &DescriptorProto,
) {
    if message.options.as_ref().is_some_and(|options| options.map_entry()) {
        return;
    }
    let full_name = format!("{scope}.{}", message.name());
    let rust = rust_path(&module.join(message.name()));
    let _ = writeln!(text, "crate::json::message! {{ {rust}, {full_name:?},");
    for (index, field) in message.field.iter().enumerate() {
        assert!(!field.proto3_optional(), "{full_name}: optional has no JSON mapping yet");
        let name = field.name();
        let oneof = field
            .oneof_index
            .and_then(|oneof| message.oneof_decl.get(usize::try_from(oneof).ok()?))
            .map(|oneof| oneof.name());
        let _ = write!(text, "    {index} {}", rust_field(oneof.unwrap_or(name)));
        if let Some(oneof) = oneof {
            let type_of_oneof = rust_path(&module.join(message.name()).join(camel(oneof)));
            let _ = write!(text, "({type_of_oneof}::{})", camel(name));
        }
        let _ = write!(text, " {name:?} {:?}", field.json_name());
        if field.r#type() == Type::Enum {
            assert!(oneof.is_none(), "{full_name}: an enum in a oneof has no JSON mapping yet");
            let enumeration = field.type_name().trim_start_matches(&format!(".{package}."));
            let _ = write!(text, " {}", rust_path(Path::new(&enumeration.replace('.', "/"))));
        }
        let _ = writeln!(text, ";");
    }
    let _ = writeln!(text, "}}");
    for nested in &message.nested_type {
        json_of_message(text, package, &full_name, &module.join(message.name()), nested);
    }
}

/// `self` -> `self_`, `type` -> `r#type`, as prost names fields.
fn rust_field(name: &str) -> String {
    if name == "self" { "self_".to_owned() } else { format!("r#{name}") }
}

/// `match_id` -> `MatchId`, as prost names oneofs and their members.
fn camel(name: &str) -> String {
    name.split('_')
        .flat_map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            [first.to_ascii_uppercase(), rest.to_owned()]
        })
        .collect()
}

/// `FriendList/FriendOfFriend` -> `friend_list::FriendOfFriend`, as prost places nested types.
fn rust_path(path: &Path) -> String {
    let mut parts: Vec<String> =
        path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let last = parts.pop().unwrap_or_default();
    let mut rust = String::new();
    for part in parts {
        for (index, letter) in part.chars().enumerate() {
            if letter.is_uppercase() && index > 0 {
                rust.push('_');
            }
            rust.extend(letter.to_lowercase());
        }
        rust.push_str("::");
    }
    rust + &last
}
