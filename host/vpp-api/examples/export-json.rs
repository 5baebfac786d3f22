//! Writes our modules as `*.api.json` files, for tools that read VPP's:
//! `cargo run -p vpp-api --example export-json -- DIR`.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("usage: export-json DIR"))?;
    fs::create_dir_all(&folder)?;
    for module in vpp_api::MODULES {
        let text = vpp_api::export::module(module);
        fs::write(folder.join(format!("{}.api.json", module.name)), text)?;
    }
    Ok(())
}
