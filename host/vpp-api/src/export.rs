//! Modules in the form of VPP's `*.api.json` files, as API tools read them.

use std::fmt::Write;

use crate::describe::{
    AliasInfo, EnumInfo, Field, Header, Item, Length, MessageInfo, Module, Service, TypeInfo,
};
use crate::modules::MODULES;
use crate::table::messages;

/// Writes the description of one module, with the types it imports.
#[must_use]
pub fn module(module: &Module) -> String {
    let mut scope = Scope::default();
    scope.import(module);
    let join = |items: Vec<String>| items.join(",\n");
    let messages: Vec<_> = messages(module).collect();
    let list = |name: &str, items: Vec<String>| format!("\"{name}\": [\n{}\n]", join(items));
    let object = |name: &str, items: Vec<String>| format!("\"{name}\": {{\n{}\n}}", join(items));
    let parts = [
        format!("\"module\": \"{}\"", module.name),
        list("types", scope.structs),
        list("messages", messages.iter().map(message).collect()),
        list("unions", scope.unions),
        list("enums", scope.enums),
        list("enumflags", scope.enumflags),
        object("services", messages.iter().filter_map(service).collect()),
        format!("\"options\": {{\"version\": \"{}\"}}", module.version),
        object("aliases", scope.aliases),
        format!("\"vl_api_version\": \"{:#x}\"", module.crc),
        list(
            "imports",
            module
                .imports
                .iter()
                .map(|path| format!("\"{path}\""))
                .collect(),
        ),
        list("counters", Vec::new()),
        list("paths", Vec::new()),
    ];
    format!("{{\n{}\n}}\n", parts.join(",\n"))
}

/// Writes the descriptions of several modules as one array, the answer to `get_api_json`.
#[must_use]
pub fn modules<'a>(modules: impl IntoIterator<Item = &'a Module>) -> String {
    let all: Vec<_> = modules.into_iter().map(module).collect();
    format!("[\n{}]\n", all.join(","))
}

/// The types a module's file lists: those it imports, then its own.
#[derive(Default)]
struct Scope {
    seen: Vec<&'static str>,
    structs: Vec<String>,
    unions: Vec<String>,
    enums: Vec<String>,
    enumflags: Vec<String>,
    aliases: Vec<String>,
}

impl Scope {
    fn import(&mut self, module: &Module) {
        if self.seen.contains(&module.name) {
            return;
        }
        self.seen.push(module.name);
        for path in module.imports {
            let stem = path
                .rsplit('/')
                .next()
                .and_then(|file| file.strip_suffix(".api"));
            if let Some(imported) = MODULES.iter().find(|other| Some(other.name) == stem) {
                self.import(imported);
            }
        }
        for item in module.items {
            match item {
                Item::Struct(info) => self.structs.push(structure(info)),
                Item::Union(info) => self.unions.push(structure(info)),
                Item::Enum(info) if info.is_enumflag => self.enumflags.push(enumeration(info)),
                Item::Enum(info) => self.enums.push(enumeration(info)),
                Item::Alias(info) => self.aliases.push(alias(info)),
                Item::Message(_) => {}
            }
        }
    }
}

fn structure(info: &TypeInfo) -> String {
    let mut text = format!("[\"{}\"", info.name);
    info.fields.iter().for_each(|each| field(&mut text, each));
    text + "]"
}

fn enumeration(info: &EnumInfo) -> String {
    let mut text = format!("[\"{}\"", info.name);
    for (name, value) in info.members {
        let _ = write!(text, ", [\"{name}\", {value}]");
    }
    let _ = write!(text, ", {{\"enumtype\": \"{}\"}}]", info.storage);
    text
}

fn alias(info: &AliasInfo) -> String {
    let AliasInfo { name, base } = info;
    match base.length {
        Length::Fixed(count) => {
            format!(
                "\"{name}\": {{\"type\": \"{}\", \"length\": {count}}}",
                base.ty
            )
        }
        Length::One | Length::CountedBy(_) => format!("\"{name}\": {{\"type\": \"{}\"}}", base.ty),
    }
}

fn message(info: &MessageInfo) -> String {
    let mut text = format!("[\"{}\", [\"u16\", \"_vl_msg_id\"]", info.name);
    text += match info.header {
        Header::ClientContext => ", [\"u32\", \"client_index\"], [\"u32\", \"context\"]",
        Header::Context => ", [\"u32\", \"context\"]",
        Header::Client => ", [\"u32\", \"client_index\"]",
    };
    info.fields.iter().for_each(|each| field(&mut text, each));
    let _ = write!(
        text,
        ", {{\"crc\": \"{:#010x}\", \"options\": {{}}}}]",
        info.crc
    );
    text
}

fn field(text: &mut String, field: &Field) {
    let _ = write!(text, ", [\"{}\", \"{}\"", field.shape.ty, field.wire_name());
    let _ = match field.shape.length {
        Length::One => Ok(()),
        Length::Fixed(count) => write!(text, ", {count}"),
        Length::CountedBy(count) => write!(text, ", 0, \"{count}\""),
    };
    if let Some(default) = field.default {
        let _ = write!(text, ", {{\"default\": {}}}", default());
    }
    text.push(']');
}

fn service(request: &MessageInfo) -> Option<String> {
    let (reply, rest) = match request.service? {
        Service::Ack { reply, events } | Service::Reply { reply, events } => {
            let events: Vec<_> = events.iter().map(|event| format!("\"{event}\"")).collect();
            let list = format!(", \"events\": [{}]", events.join(", "));
            (
                reply,
                if events.is_empty() {
                    String::new()
                } else {
                    list
                },
            )
        }
        Service::Dump { details } => (details, ", \"stream\": true".into()),
        Service::Stream { details, reply } => (
            reply,
            format!(", \"stream\": true, \"stream_msg\": \"{details}\""),
        ),
    };
    Some(format!(
        "\"{}\": {{\"reply\": \"{reply}\"{rest}}}",
        request.name
    ))
}

#[cfg(test)]
mod tests;
