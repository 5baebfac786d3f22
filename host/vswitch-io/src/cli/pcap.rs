//! `pcap trace`: captures to files.

use vswitch::SwIfIndex;

use crate::api::pcap::error_of;
use crate::engine::Engine;
use crate::pcap::{BYTES_PER_PACKET, CaptureSpec, PACKETS_MAX};

const USAGE: &str = "usage: pcap trace [rx] [tx] [drop] [max <n>] [intfc <interface>|any] [file <name>] \
     [max-bytes-per-pkt <n>] [error <node>.<error>] [filter] | off | status\n";

pub(super) fn run(engine: &mut Engine, words: &[&str]) -> String {
    match words {
        ["off"] => match engine.capture_stop() {
            Ok((path, 0)) => format!("No packets captured, `{}' is empty\n", path.display()),
            Ok((path, count)) => {
                format!(
                    "Write {count} packets to {}, and stop capture...\n",
                    path.display()
                )
            }
            Err(_) => "pcap tracing already off...\n".to_owned(),
        },
        ["status"] => status(engine),
        _ => match parse(engine, words) {
            None => USAGE.to_owned(),
            Some(spec) => match engine.capture_start(spec) {
                Ok(()) => String::new(),
                Err(_) if engine.capture().is_some() => "capture already on\n".to_owned(),
                Err(error) => format!("pcap trace: {error}\n"),
            },
        },
    }
}

fn status(engine: &Engine) -> String {
    let Some(running) = engine.capture() else {
        return "pcap dispatch capture disabled\n".to_owned();
    };
    let spec = &running.capture.spec;
    let (taken, lost) = running.progress();
    let all = [(spec.rx, "rx"), (spec.tx, "tx"), (spec.drop, "drop")];
    let on: Vec<_> = all
        .iter()
        .filter_map(|(on, name)| on.then_some(*name))
        .collect();
    format!(
        "pcap {} dispatch capture enabled: {taken} of {} pkts...\ncapture to file {}\n{lost} packets lost\n",
        on.join(" "),
        spec.packets_max,
        running.path.display()
    )
}

/// `None` when the words make no capture.
fn parse(engine: &Engine, words: &[&str]) -> Option<CaptureSpec> {
    let mut spec = CaptureSpec {
        packets_max: 1000,
        bytes_max: 512,
        ..CaptureSpec::default()
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "rx" => spec.rx = true,
            "tx" => spec.tx = true,
            "drop" => spec.drop = true,
            "filter" => spec.filter = engine.pcap_filter,
            "max" => spec.packets_max = words.next()?.parse().ok()?,
            "max-bytes-per-pkt" => spec.bytes_max = words.next()?.parse().ok()?,
            "file" => spec.file_name = (*words.next()?).to_owned(),
            "error" => spec.error = Some(error_of(words.next()?)?),
            "intfc" => {
                spec.only = match *words.next()? {
                    "any" => None,
                    name => Some(interface(engine, name)?),
                }
            }
            _ => return None,
        }
    }
    let is_legal = (spec.rx || spec.tx || spec.drop)
        && (1..=PACKETS_MAX).contains(&spec.packets_max)
        && BYTES_PER_PACKET.contains(&spec.bytes_max);
    is_legal.then_some(spec)
}

fn interface(engine: &Engine, name: &str) -> Option<SwIfIndex> {
    engine.dataplane.interface_by_name(name)
}
