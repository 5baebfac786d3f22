//! Core module to component, and what a component says about itself.

use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use crate::BuildError;

/// The contract a module fulfils.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// `weft:control/classifier-module`.
    Classifier,
    /// `weft:control/steering-module`.
    Steering,
    /// `weft:packet/packet-function`.
    PacketFunction,
}

impl World {
    /// The export that only modules of this world have, without its version.
    const fn mark(self) -> &'static str {
        match self {
            Self::Classifier => "weft:control/classifier@",
            Self::Steering => "weft:control/steering@",
            Self::PacketFunction => "weft:packet/hot@",
        }
    }

    /// Name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classifier => "classifier",
            Self::Steering => "steering",
            Self::PacketFunction => "packet function",
        }
    }
}

/// What a component asks for and offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Interfaces it needs, sorted: its capabilities.
    pub imports: Vec<String>,
    /// Interfaces it offers, sorted.
    pub exports: Vec<String>,
}

impl Inspection {
    /// The world it belongs to, if it is one of ours.
    #[must_use]
    pub fn world(&self) -> Option<World> {
        let offers = |world: World| {
            self.exports
                .iter()
                .any(|export| export.starts_with(world.mark()))
        };
        [World::Classifier, World::Steering, World::PacketFunction]
            .into_iter()
            .find(|world| offers(*world))
    }
}

/// Reads the imports and exports of a component without running it.
///
/// # Errors
/// The parser's reason, if the bytes are no component.
pub fn inspect(component: &[u8]) -> Result<Inspection, String> {
    if !Parser::is_component(component) {
        return Err("not a WebAssembly component".to_owned());
    }
    let text = |error: wasmparser::BinaryReaderError| error.to_string();
    let mut found = Inspection {
        imports: Vec::new(),
        exports: Vec::new(),
    };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only these sections matter")]
        match payload.map_err(text)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    found
                        .imports
                        .push(import.map_err(text)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    found
                        .exports
                        .push(export.map_err(text)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    found.imports.sort();
    found.exports.sort();
    Ok(found)
}

/// Wraps a core module into a component and checks that it is one of ours.
pub(crate) fn encode(package: &str, core: &[u8]) -> Result<(Vec<u8>, Inspection), BuildError> {
    let refuse = |reason: String| BuildError::Encode {
        package: package.to_owned(),
        reason,
    };
    // The encoder would complain about a missing export first.
    if let Some(import) = foreign_import(core).map_err(refuse)? {
        let package = package.to_owned();
        return Err(BuildError::ForeignImport { package, import });
    }
    let component = ComponentEncoder::default()
        .validate(true)
        .module(core)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| refuse(format!("{error:#}")))?;
    let inspection = inspect(&component).map_err(refuse)?;
    if let Some(import) = inspection.imports.iter().find(|name| !is_ours(name)) {
        let (package, import) = (package.to_owned(), import.clone());
        return Err(BuildError::ForeignImport { package, import });
    }
    if inspection.world().is_none() {
        return Err(refuse(
            "it exports no classifier, no steering and no packet function".to_owned(),
        ));
    }
    Ok((component, inspection))
}

/// The first function that a core module wants from somebody else than a Weft host.
fn foreign_import(core: &[u8]) -> Result<Option<String>, String> {
    let text = |error: wasmparser::BinaryReaderError| error.to_string();
    for payload in Parser::new(0).parse_all(core) {
        let Payload::ImportSection(section) = payload.map_err(text)? else {
            continue;
        };
        for import in section.into_imports() {
            let import = import.map_err(text)?;
            if !is_ours(import.module) {
                return Ok(Some(format!("{}::{}", import.module, import.name)));
            }
        }
    }
    Ok(None)
}

/// Type-only interfaces count as ours: they carry no authority.
fn is_ours(import: &str) -> bool {
    ["weft:host/", "weft:types/", "weft:control/"]
        .iter()
        .any(|ours| import.starts_with(ours))
}
