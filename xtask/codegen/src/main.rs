//! Makes Rust of `.proto` files, without protoc and without the network: `cargo xtask codegen`.
//!
//! It is a workspace of its own, so that nobody else builds what it needs. What it writes is committed.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use prost::Message;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(protos), Some(out)) = (arguments.next(), arguments.next()) else {
        bail!("codegen PROTO_FOLDER OUT_FOLDER");
    };
    let (protos, out) = (PathBuf::from(protos), PathBuf::from(out));
    let mut files: Vec<PathBuf> = std::fs::read_dir(&protos)
        .with_context(|| format!("cannot read {}", protos.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "proto"))
        .collect();
    files.sort();
    generate(&protos, &files, &out)
}

fn generate(protos: &Path, files: &[PathBuf], out: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)?;
    let descriptors = protox::compile(files, [protos])?;
    let mut prost = prost_build::Config::new();
    prost.bytes(["."]).out_dir(out);
    tonic_prost_build::configure()
        .build_client(true)
        .build_transport(false)
        .out_dir(out)
        .compile_fds_with_config(descriptors.clone(), prost)?;
    pbjson_build::Builder::new()
        .register_descriptors(&descriptors.encode_to_vec())?
        .preserve_proto_field_names()
        .ignore_unknown_fields()
        .out_dir(out)
        .build(&["."])?;
    Ok(())
}
