//! `weft-cni`: the CNI plugin. All of it is in the library, where tests and fuzz targets reach it.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    weft_cni::main()
}
