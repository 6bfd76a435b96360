//! Finds the PostgreSQL runtime that is built into the binary.
//!
//! It is one file of a crate on crates.io, which `Cargo.toml` names as a dependency of the one
//! platform it is for. So cargo downloads it and checks it against `Cargo.lock`; of the crate
//! itself nothing is run (see `links` override in `.cargo/config.toml`) or linked. The file is
//! checked once more here, against a hash that changes only by hand.

use std::{env, error::Error, fs, path::PathBuf, process::Command};

use sha2::{Digest, Sha256};

const CRATE: &str = "pglite-rs-lib-x86_64-unknown-linux-gnu";
const FILE: &str = "lib/pglite-runtime.tar.zst";
const SHA256: &str = "e3fb68210df2e40e534a5db9886a4af5d56d4ef9ca30adeefd437069bda95073";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rustc-check-cfg=cfg(bundled_postgres)");
    let target = env::var("TARGET")?;
    if target != "x86_64-unknown-linux-gnu" {
        return Ok(());
    }
    let file = folder_of_crate(&target)?.join(FILE);
    let hash = Sha256::digest(fs::read(&file)?);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    if hash != SHA256 {
        return Err(format!("{} has SHA-256 {hash}, expected {SHA256}", file.display()).into());
    }
    println!("cargo::rustc-cfg=bundled_postgres");
    // Not named GUILDHALL_…: cargo sets these for `cargo run` too, where such a name is a key.
    println!("cargo::rustc-env=BUNDLED_POSTGRES={}", file.display());
    println!("cargo::rustc-env=BUNDLED_POSTGRES_SHA256={SHA256}");
    Ok(())
}

/// Where cargo has unpacked the crate: in its registry, or in a vendor folder.
fn folder_of_crate(target: &str) -> Result<PathBuf, Box<dyn Error>> {
    // Without network first; where test dependencies were not fetched yet that fails.
    let text = metadata(target, &["--offline"]).or_else(|_| metadata(target, &[]))?;
    let metadata: serde_json::Value = serde_json::from_slice(&text)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let found = packages.iter().find(|package| package["name"] == CRATE);
    let manifest = found.and_then(|package| package["manifest_path"].as_str());
    let manifest = manifest.ok_or_else(|| format!("cargo metadata does not list {CRATE}"))?;
    Ok(PathBuf::from(manifest).parent().ok_or("a manifest without folder")?.to_owned())
}

fn metadata(target: &str, arguments: &[&str]) -> Result<Vec<u8>, Box<dyn Error>> {
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", target])
        .args(arguments)
        .current_dir(env::var("CARGO_MANIFEST_DIR")?)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(output.stdout)
}
