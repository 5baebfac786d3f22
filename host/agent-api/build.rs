//! Compiles the protocol definitions without an external `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "proto/weft/agent/v1/cni.proto",
        "proto/weft/agent/v1/node.proto",
        "proto/weft/cnf/v1/runner.proto",
    ];
    for file in files {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure()
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
