//! Compiles the messages between server and native modules, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["proto/native.proto"], ["proto"])?;
    prost_build::Config::new()
        .btree_map(["."])
        .bytes([".guildhall.native.v1.MatchMessage.data"])
        .compile_fds(files)?;
    Ok(())
}
