//! Modules for tests: the examples from source, hostile and tiny ones from text.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot have its module fails"
)]
#![expect(clippy::panic, reason = "as above")]

use std::path::{Path, PathBuf};

use weft_build::{BuildError, BuildRequest, build};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where a module keeps its descriptors; each has 16 bytes.
const TABLE: u32 = 1024;

/// Forwards every packet to the other port.
pub const FORWARD: &str = "(call $each (local.get $window) (local.get $count))";

/// The same, and writes `Z` over the last byte of packets with more than 500 bytes, and makes those with more than 900
/// ten bytes longer, of which IP knows nothing.
pub const STAMP: &str = "(global.set $stamp (i32.const 1))
    (call $each (local.get $window) (local.get $count))";

/// Builds an example; `None`, and loud about it, where no compiler reaches wasm32.
#[expect(clippy::print_stderr, reason = "a skipped test is loud")]
pub fn example(name: &str) -> Option<PathBuf> {
    let folder = folder("../../cnf-examples").join(name);
    match build(&BuildRequest::new(folder), &mut |_| {}) {
        Ok(artifact) => Some(artifact.path),
        Err(error @ BuildError::NoToolchain { .. }) => {
            eprintln!("SKIPPED: {error}");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Writes a packet function that does `process` with `$window`, `$count` and `$now`.
pub fn function(dir: &Path, name: &str, process: &str) -> PathBuf {
    let text = format!(
        r#"(module
            (memory (export "memory") 1)
            (global $stamp (mut i32) (i32.const 0))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 40960))
            (func (export "weft:packet/lifecycle@0.1.0-alpha.2#describe") (result i32)
                (i32.const 0))
            (func (export "weft:packet/lifecycle@0.1.0-alpha.2#configure")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (i32.store16 (i32.const 516) (i32.const 1))
                (i32.store (i32.const 520) (i32.const {TABLE}))
                (i32.const 512))
            (func (export "weft:packet/lifecycle@0.1.0-alpha.2#save") (param i32) (result i32)
                (i32.const 0))
            (func (export "weft:packet/lifecycle@0.1.0-alpha.2#restore")
                (param i32 i32 i32 i32) (result i32) (i32.const 0))
            (func $each (param $window i32) (param $count i32) (local $at i32) (local $length i32)
                (local.set $at (i32.const {TABLE}))
                (block $done (loop $next
                    (br_if $done (i32.eqz (local.get $count)))
                    (i32.store8 offset=6 (local.get $at)
                        (i32.xor (i32.load8_u offset=6 (local.get $at)) (i32.const 1)))
                    (i32.store8 offset=8 (local.get $at) (i32.const 1))
                    (local.set $length (i32.load16_u offset=4 (local.get $at)))
                    (if (i32.and (global.get $stamp)
                            (i32.gt_u (local.get $length) (i32.const 500)))
                        (then
                            (i32.store8 offset=7 (local.get $at) (i32.const 1))
                            (i32.store8
                                (i32.sub
                                    (i32.add (local.get $length)
                                        (i32.add (local.get $window)
                                            (i32.load (local.get $at))))
                                    (i32.const 1))
                                (i32.const 90))))
                    (if (i32.and (global.get $stamp)
                            (i32.gt_u (local.get $length) (i32.const 900)))
                        (then (i32.store16 offset=4 (local.get $at)
                            (i32.add (local.get $length) (i32.const 10)))))
                    (local.set $at (i32.add (local.get $at) (i32.const 16)))
                    (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                    (br $next))))
            (func (export "weft:packet/hot@0.1.0-alpha.2#process")
                (param $window i32) (param $count i32) (param $now i64) {process})
            (func (export "weft:packet/hot@0.1.0-alpha.2#tick") (param i64))
            (func (export "weft:packet/stats@0.1.0-alpha.2#read") (result i32) (i32.const 0)))"#
    );
    let path = dir.join(name).with_extension("wasm");
    std::fs::write(&path, component("packet", "packet-function", &text)).unwrap();
    path
}

/// Makes a component of a core module in text form, for a world of a package of the contract.
pub fn component(package: &str, world: &str, text: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let mut last = None;
    for name in ["types", "host", package] {
        let folder = folder("../../sdk/wit").join(name);
        last = Some(resolve.push_path(folder).unwrap().0);
    }
    let world = resolve.select_world(&[last.unwrap()], Some(world)).unwrap();
    let mut core = wat::parse_str(text).unwrap();
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8, false).unwrap();
    let mut encoder = ComponentEncoder::default();
    let encoder = encoder.validate(true).module(&core).unwrap();
    encoder.encode().unwrap()
}

fn folder(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}
