//! From bytes to a module that may run: everything that can be refused is refused here.

use std::fmt::Display;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store, Trap};

use crate::fault::{LoadError, ModuleFault};
use crate::grants::Grants;
use crate::limits::{Limits, MODULE_BYTES_MAX};
use crate::state::HostState;

pub(crate) fn load(
    engine: &Engine,
    bytes: &[u8],
    grants: &Grants,
    world: &'static str,
) -> Result<InstancePre<HostState>, LoadError> {
    if bytes.len() > MODULE_BYTES_MAX {
        return Err(LoadError::TooLarge {
            bytes: bytes.len(),
            max: MODULE_BYTES_MAX,
        });
    }
    let component = Component::from_binary(engine, bytes)
        .map_err(|error| LoadError::NotAModule(format!("{error:#}")))?;
    check_imports(engine, &component, grants)?;
    let mut linker = Linker::new(engine);
    grants
        .link(&mut linker)
        .map_err(|error| LoadError::Host(format!("{error:#}")))?;
    linker
        .instantiate_pre(&component)
        .map_err(|error| wrong_world(world, &error))
}

pub(crate) fn wrong_world(world: &'static str, error: &wasmtime::Error) -> LoadError {
    LoadError::WrongWorld {
        world,
        reason: format!("{error:#}"),
    }
}

fn check_imports(engine: &Engine, component: &Component, grants: &Grants) -> Result<(), LoadError> {
    for (name, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(interface) = item.ty else {
            return Err(LoadError::Unknown(name.to_owned()));
        };
        // An interface of types alone carries no authority.
        let types_alone = interface
            .exports(engine)
            .all(|(_, item)| matches!(item.ty, ComponentItem::Type(_)));
        match grants.allows(name) {
            Some(true) => {}
            Some(false) => return Err(LoadError::NotGranted(name.to_owned())),
            None if types_alone => {}
            None => return Err(LoadError::Unknown(name.to_owned())),
        }
    }
    Ok(())
}

/// Makes the room in which one instance lives.
pub(crate) fn store(
    engine: &Engine,
    grants: &Grants,
    limits: &Limits,
    mapped: usize,
) -> Store<HostState> {
    let mut store = Store::new(engine, HostState::new(grants, limits, mapped));
    store.limiter(|state| &mut state.ceiling);
    store.set_hostcall_fuel(limits.output_bytes);
    store.set_epoch_deadline(limits.deadline_ticks());
    store
}

/// Tells what stopped a call.
pub(crate) fn judge(error: &wasmtime::Error, state: &HostState, limits: &Limits) -> ModuleFault {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => ModuleFault::Deadline(limits.deadline),
        _ if state.ceiling.refused => ModuleFault::OutOfMemory(limits.memory_bytes),
        _ => ModuleFault::Trap(one_line(error)),
    }
}

fn one_line(error: impl Display) -> String {
    let text = format!("{error:#}");
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}
