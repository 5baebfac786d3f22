//! Modules for tests: hostile ones from text, the examples from source.

use std::sync::OnceLock;

use guests::component;

use crate::EngineSet;

pub(super) fn engines() -> EngineSet {
    static ENGINES: OnceLock<EngineSet> = OnceLock::new();
    ENGINES
        .get_or_init(|| EngineSet::new().expect("this machine runs modules"))
        .clone()
}

/// The bytes of an example; `None` where no compiler reaches wasm32.
pub(super) fn example(name: &str) -> Option<Vec<u8>> {
    guests::example(name).map(|path| std::fs::read(path).expect("the module"))
}

/// A classifier that does `body` when asked for rules and otherwise answers with zeroes at address 0.
pub(super) fn classifier(imports: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {imports}
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
            (func (export "weft:control/lifecycle@0.1.0-alpha.1#configure") (param i32 i32)
                (result i32) (i32.const 0))
            (func $compile (export "weft:control/classifier@0.1.0-alpha.1#compile")
                (param i64 i32 i32 i32 i32 i64 i32 i32 i32 i32 i32 i32 i32 i32 i32)
                (result i32) {body}))"#
    );
    component("control", "classifier-module", &text)
}

/// A steering module that does `body` when asked for a choice; `configure` has `$length` and traps if it likes.
pub(super) fn steering(imports: &str, configure: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {imports}
            (memory (export "memory") 1)
            (global $length (mut i32) (i32.const 0))
            (data (i32.const 2048) "default/bstranger")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
            (func (export "weft:control/lifecycle@0.1.0-alpha.1#configure") (param i32 i32)
                (result i32) (global.set $length (local.get 1)) {configure} (i32.const 0))
            (func $choose (export "weft:control/steering@0.1.0-alpha.1#choose")
                (param $view i32) (result i32) {body}))"#
    );
    component("control", "steering-module", &text)
}

/// Where a packet fixture keeps its descriptors.
pub(super) const TABLE: u32 = 1024;

/// A packet function that does `process` with `$window`, `$count` and `$now`.
pub(super) fn packet_function(table: u32, process: &str) -> Vec<u8> {
    packet_function_that_saves(table, process, "(i32.const 0)")
}

/// The same, with the code of `save`; its result is the address of a list.
pub(super) fn packet_function_that_saves(table: u32, process: &str, save: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 40960))
            (func (export "weft:packet/lifecycle@0.1.0-alpha.2#describe") (result i32)
                (i32.const 0))
            (func (export "weft:packet/lifecycle@0.1.0-alpha.2#configure")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (i32.store16 (i32.const 516) (i32.const 1))
                (i32.store (i32.const 520) (i32.const {table}))
                (i32.const 512))
            (func (export "weft:packet/lifecycle@0.1.0-alpha.2#save") (param $most i32) (result i32) {save})
            (func (export "weft:packet/lifecycle@0.1.0-alpha.2#restore")
                (param i32 i32 i32 i32) (result i32) (i32.const 0))
            (func (export "weft:packet/hot@0.1.0-alpha.2#process")
                (param $window i32) (param $count i32) (param $now i64) {process})
            (func (export "weft:packet/hot@0.1.0-alpha.2#tick") (param i64))
            (func (export "weft:packet/stats@0.1.0-alpha.2#read") (result i32) (i32.const 0)))"#
    );
    component("packet", "packet-function", &text)
}
