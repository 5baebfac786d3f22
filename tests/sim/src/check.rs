//! Runs the same steps on model and engine, and compares.

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use vswitch::graph::DropReason;
use vswitch::{Dataplane, Family, SwIfIndex};

use crate::model::{Model, Report};
use crate::step::{Change, Step};
use crate::switch::{Observed, Switch};
use crate::wire::{Body, Frame, UDP, checksum};
use crate::world::If;

/// Runs `property` on generated values, in the same order each time unless `WEFT_SIM_SEED` says otherwise.
///
/// # Panics
/// When the property fails: with the seed, and the smallest value that fails.
pub fn cases<S: Strategy>(
    count: u32,
    strategy: &S,
    property: impl Fn(S::Value) -> Result<(), String>,
) where
    S::Value: Debug,
{
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed: u64 = number("WEFT_SIM_SEED").unwrap_or(1);
    let count =
        number("WEFT_SIM_CASES").map_or(count, |n: u64| u32::try_from(n).unwrap_or(u32::MAX));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: count,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let outcome = TestRunner::new_with_rng(config, rng).run(strategy, |value| {
        property(value).map_err(TestCaseError::fail)
    });
    if let Err(error) = outcome {
        panic!("WEFT_SIM_SEED={seed} WEFT_SIM_CASES={count}\n{error}");
    }
}

/// What happened in a run.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub frames_sent: usize,
    pub drops: BTreeMap<DropReason, u64>,
}

/// Runs the steps after `basis`; then deletes everything and looks for what is left.
///
/// # Errors
/// What differs, and at which step.
pub fn run(basis: &[Change], steps: &[Step], teardown: Teardown) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut model = Model::new();
    let mut switch = Switch::new().map_err(|e| format!("build the world: {e}"))?;
    for change in basis {
        both(&mut model, &mut switch, change)?;
    }
    for (at, step) in steps.iter().enumerate() {
        let known = match step {
            Step::Change(change) => both(&mut model, &mut switch, change).map(|()| true),
            Step::Receive(on, frame) => receive(&mut model, &mut switch, (*on, frame), &mut seen),
        };
        if !known.map_err(|text| format!("step {at}: {text}"))? {
            break;
        }
    }
    teardown.run(&mut switch.dataplane)?;
    nothing_left(&mut switch.dataplane)?;
    Ok(seen)
}

fn both(model: &mut Model, switch: &mut Switch, change: &Change) -> Result<(), String> {
    let expected = model.change(change);
    match (expected, switch.change(change)) {
        (true, Ok(())) | (false, Err(_)) => Ok(()),
        (true, Err(error)) => Err(format!("{change:?} was refused: {error}")),
        (false, Ok(())) => Err(format!("{change:?} was not refused")),
    }
}

/// Gives `false` when the model cannot go on: too many outcomes are right, or one of several has pieces that it does not know.
fn receive(
    model: &mut Model,
    switch: &mut Switch,
    (on, frame): (If, &Frame),
    seen: &mut Seen,
) -> Result<bool, String> {
    let Some(outcomes) = model.outcomes(on, frame) else {
        return Ok(false);
    };
    let observed = switch
        .receive(on, frame)
        .map_err(|e| format!("{frame:?} on {on}: {e}"))?;
    if outcomes.iter().any(|report| report.is_cut) {
        // What was learned does not depend on the fragments.
        if let [only] = outcomes.as_slice() {
            model.learn(only);
            return Ok(true);
        }
        return Ok(false);
    }
    let Some(right) = outcomes.iter().find(|report| is_same(report, &observed)) else {
        return Err(difference(on, frame, &outcomes, &observed));
    };
    model.learn(right);
    seen.frames_sent += observed.sent.len();
    for (why, count) in observed.drops {
        *seen.drops.entry(why).or_default() += count;
    }
    Ok(true)
}

fn is_same(expected: &Report, observed: &Observed) -> bool {
    if expected.drops != observed.drops
        || expected.counters != observed.counters
        || expected.sent.len() != observed.sent.len()
    {
        return false;
    }
    let mut left: Vec<_> = observed.sent.iter().collect();
    expected.sent.iter().all(|(on, frame)| {
        let at = left
            .iter()
            .position(|(to, bytes)| to == on && is_same_frame(frame, bytes));
        at.map(|at| left.swap_remove(at)).is_some()
    })
}

/// The source port of a tunnel and, over IPv6, the flow label are the engine's choice: any port from 49152 on.
fn is_same_frame(expected: &Frame, observed: &[u8]) -> bool {
    let mut bytes = expected.encode();
    if let Some(outer) = expected.tunnelled()
        && observed.len() == bytes.len()
    {
        let is_v4 = outer.dst.is_ipv4();
        let port = 14 + if is_v4 { 20 } else { 40 };
        if observed[port] < 0xc0 {
            return false;
        }
        bytes[port..port + 2].copy_from_slice(&observed[port..port + 2]);
        if !is_v4 {
            copy_label(&mut bytes, observed);
        }
    }
    if let Body::Other { kind, .. } = &expected.body
        && observed.len() == bytes.len()
    {
        fill_piece(*kind, &mut bytes, observed);
    }
    bytes == observed
}

fn copy_label(bytes: &mut [u8], observed: &[u8]) {
    bytes[15] = (bytes[15] & 0xf0) | (observed[15] & 0x0f);
    bytes[16..18].copy_from_slice(&observed[16..18]);
}

/// What the engine chooses in a piece of a packet of its own: its name, and what it chose in the tunnel's packet.
fn fill_piece(kind: u16, bytes: &mut [u8], observed: &[u8]) {
    fn copy(bytes: &mut [u8], observed: &[u8], from: usize, to: usize) {
        bytes[from..to].copy_from_slice(&observed[from..to]);
    }
    match kind {
        0x0800 if observed.len() > 34 && observed[18..20] != [0, 0] => {
            let has_port = bytes[23] == UDP && observed[20] & 0x1f == 0 && observed[21] == 0;
            if bytes[18..20] != [0, 0] {
                return;
            }
            copy(bytes, observed, 18, 20);
            if has_port {
                copy(bytes, observed, 34, 36);
            }
            bytes[24..26].fill(0);
            let sum = checksum(&[&bytes[14..34]]).to_be_bytes();
            bytes[24..26].copy_from_slice(&sum);
        }
        0x86dd if observed.len() > 64 && bytes[20] == 44 => {
            copy(bytes, observed, 58, 62);
            if bytes[54] == UDP && observed[56] == 0 && observed[57] & 0xf8 == 0 {
                copy(bytes, observed, 62, 64);
            }
            copy_label(bytes, observed);
        }
        _ => {}
    }
}

fn difference(on: If, frame: &Frame, outcomes: &[Report], observed: &Observed) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{frame:?} on interface {on}\nthe engine:\n");
    let mut list =
        |who: &str, sent: Vec<(If, Vec<u8>)>, drops: &dyn Debug, counters: &dyn Debug| {
            for (to, bytes) in sent {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "  {who} sends on {to}: {}", hex(&bytes));
            }
            let _ = writeln!(text, "  {who} drops {drops:?}, counts {counters:?}");
        };
    list(
        "engine",
        observed.sent.clone(),
        &observed.drops,
        &observed.counters,
    );
    for report in outcomes {
        let sent = report
            .sent
            .iter()
            .map(|(on, f)| (*on, f.encode()))
            .collect();
        list("model", sent, &report.drops, &report.counters);
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// In which order everything is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teardown {
    /// What refers to something goes before it.
    Orderly,
    /// Interfaces go first, with all that is configured on them.
    InterfacesFirst,
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl Teardown {
    fn run(self, dataplane: &mut Dataplane) -> Result<(), String> {
        if self == Self::InterfacesFirst {
            delete_interfaces(dataplane)?;
        }
        for attachment in dataplane.abf_attachments() {
            let (id, on) = (attachment.policy_id, attachment.sw_if_index);
            let (priority, family) = (attachment.priority, attachment.family);
            ok(
                "detach",
                dataplane.abf_itf_attach_add_del(id, on, priority, family, false),
            )?;
        }
        for policy in dataplane.abf_policies() {
            let (id, acl) = (policy.policy_id, policy.acl_index);
            if policy.paths.is_empty() {
                // Its paths went with their interfaces; any path names it.
                let any = [vswitch::route::RoutePath::default()];
                ok("policy", dataplane.abf_policy_add_del(id, acl, &any, false))?;
            } else {
                let gone = dataplane.abf_policy_add_del(id, acl, &policy.paths, false);
                ok("policy", gone)?;
            }
        }
        if self == Self::Orderly {
            clean_interfaces(dataplane)?;
        }
        let acls: Vec<_> = dataplane.acls().map(|acl| acl.acl_index).collect();
        for acl in acls {
            ok("access list", dataplane.acl_del(acl))?;
        }
        delete_routes(dataplane)?;
        if self == Self::Orderly {
            delete_interfaces(dataplane)?;
        }
        let bridges: Vec<_> = dataplane.bridge_domains().map(|b| b.bd_id).collect();
        for bd_id in bridges {
            ok("bridge", dataplane.bridge_domain_add_del(Some(bd_id), None))?;
        }
        for table in dataplane.ip_tables() {
            let gone = dataplane.ip_table_add_del(table.family, table.table_id, "", false);
            ok("table", gone)?;
        }
        Ok(())
    }
}

fn ok<T>(what: &str, result: Result<T, vswitch::ApiError>) -> Result<T, String> {
    result.map_err(|error| format!("delete {what}: {error}"))
}

fn delete_routes(dataplane: &mut Dataplane) -> Result<(), String> {
    for table in dataplane.ip_tables() {
        for route in dataplane.ip_routes(table.family, table.table_id) {
            let id = table.table_id;
            let gone = dataplane.ip_route_add_del(id, route.prefix, &[], false, false);
            ok("route", gone)?;
        }
    }
    Ok(())
}

fn clean_interfaces(dataplane: &mut Dataplane) -> Result<(), String> {
    for family in FAMILIES {
        dataplane.ip_neighbor_flush(family, None);
    }
    let all: Vec<_> = dataplane.interfaces().map(|i| i.sw_if_index).collect();
    for on in all {
        ok("lists", dataplane.acl_interface_set_acl_list(on, &[], &[]))?;
        ok("L2", dataplane.set_l2_xconnect(on, SwIfIndex::NONE, false))?;
        ok("loan", dataplane.set_unnumbered(on, None))?;
        ok("addresses", dataplane.del_all_addresses(on))?;
        for family in FAMILIES {
            ok("binding", dataplane.set_table(on, family, 0))?;
        }
    }
    Ok(())
}

fn delete_interfaces(dataplane: &mut Dataplane) -> Result<(), String> {
    let tunnels: Vec<_> = dataplane.vxlan_tunnels().map(|(_, spec)| *spec).collect();
    for spec in tunnels {
        ok("tunnel", dataplane.vxlan_add_del_tunnel_v3(false, spec))?;
    }
    let all: Vec<_> = dataplane.interfaces().map(|i| i.sw_if_index).collect();
    for on in all.into_iter().filter(|on| *on != SwIfIndex::LOCAL0) {
        let gone = dataplane
            .delete_loopback(on)
            .or_else(|_| dataplane.delete_interface(on));
        ok("interface", gone)?;
    }
    Ok(())
}

/// Compares with a dataplane on which nothing was ever done: dumps, and the objects behind them.
fn nothing_left(dataplane: &mut Dataplane) -> Result<(), String> {
    let mut fresh = Dataplane::new();
    for (what, left, expected) in [
        ("dump", dumps(dataplane), dumps(&fresh)),
        ("table", census(dataplane), census(&mut fresh)),
    ] {
        for (name, left) in left {
            if expected.get(name) != Some(&left) {
                return Err(format!("{what} `{name}` still has {left}"));
            }
        }
    }
    Ok(())
}

fn dumps(dataplane: &Dataplane) -> BTreeMap<&'static str, String> {
    let tables = dataplane.ip_tables();
    let routes: Vec<_> = tables
        .iter()
        .flat_map(|t| dataplane.ip_routes(t.family, t.table_id))
        .map(|route| (route.table_id, route.prefix))
        .collect();
    let neighbors: Vec<_> = FAMILIES
        .iter()
        .flat_map(|f| dataplane.ip_neighbors(*f, None))
        .collect();
    let mut all = BTreeMap::new();
    let mut dump = |name, value: &dyn Debug| all.insert(name, format!("{value:?}"));
    dump("interfaces", &dataplane.interfaces().collect::<Vec<_>>());
    dump("tables", &tables);
    dump("routes", &routes);
    dump("neighbors", &neighbors);
    dump("bridges", &dataplane.bridge_domains().collect::<Vec<_>>());
    dump("cross-connects", &dataplane.xconnects());
    dump("unnumbered", &dataplane.unnumbered_dump());
    dump("tunnels", &dataplane.vxlan_tunnels().collect::<Vec<_>>());
    dump("access lists", &dataplane.acls().collect::<Vec<_>>());
    dump("applied lists", &dataplane.acl_interface_lists());
    dump("policies", &dataplane.abf_policies());
    dump("attachments", &dataplane.abf_attachments());
    all
}

fn census(dataplane: &mut Dataplane) -> BTreeMap<&'static str, String> {
    let counts = dataplane.publish().census();
    counts
        .map(|(name, count)| (name, count.to_string()))
        .collect()
}
