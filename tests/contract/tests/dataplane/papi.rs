//! VPP's own Python client.

use std::process::Command;
use std::time::{Duration, Instant};

use vpp_api_client::stats::{StatsSegment, Value};

use crate::target::{PATIENCE, Target};

/// A Python with VPP's client; a loud line when there is none.
fn python() -> Option<String> {
    let python = std::env::var("WEFT_PYTHON").unwrap_or_else(|_| "python3".into());
    let probe = Command::new(&python)
        .args(["-c", "import vpp_papi"])
        .output();
    if probe.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!("SKIPPED: `{python}` cannot import vpp_papi (pip install vpp_papi==2.4.2)");
    None
}

/// The statistics as VPP's own client reads them are those that ours reads.
#[tokio::test]
async fn the_python_client_of_vpp_reads_the_statistics() {
    let Some(python) = python() else { return };
    let target = Target::vswitch().await;
    let index = target.loopback().await;
    let name = target.interface(index).await.interface_name;
    let socket = target.dir.path().join("stats.sock");
    let segment = StatsSegment::connect(&socket, PATIENCE).await.unwrap();
    let is_there = |read: &std::collections::BTreeMap<String, Value>| {
        format!("{:?}", read.get("/if/names")).contains(name.as_str())
    };
    let deadline = Instant::now() + PATIENCE;
    let ours = loop {
        let read = segment.read(|_| true).await.unwrap();
        if is_there(&read) {
            break read;
        }
        assert!(Instant::now() < deadline, "{name} is not published");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let mut command = Command::new(python);
    command
        .args(["-c", STATS])
        .arg(&socket)
        .arg(name.as_str())
        .arg(index.0.to_string());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let theirs = String::from_utf8_lossy(&output.stdout).into_owned();
    let theirs: std::collections::BTreeSet<_> = theirs.lines().collect();
    let ours: std::collections::BTreeSet<_> = ours.keys().map(String::as_str).collect();
    assert_eq!(theirs, ours, "names in the directory");
}

const STATS: &str = r#"
import sys
from vpp_papi.vpp_stats import VPPStats
socket, name, index = sys.argv[1], sys.argv[2], int(sys.argv[3])
stats = VPPStats(socket)
stats.connect()
assert stats.version == 2, stats.version
assert name in stats["/if/names"], stats["/if/names"]
workers = stats["/sys/num_worker_threads"]
for column in ["rx", "tx", "rx-unicast", "rx-multicast", "rx-broadcast", "tx-unicast", "tx-multicast", "tx-broadcast"]:
    table = stats["/if/" + column]
    assert len(table) == workers + 1, (column, table)
    assert table[:, index].sum_packets() == 0, (column, table)
    assert stats["/interfaces/%s/%s" % (name, column)].sum_packets() == 0
for column in ["drops", "rx-error", "tx-error", "ip4", "ip6", "rx-no-buf", "rx-miss", "punt", "mpls"]:
    assert stats["/if/" + column][:, index].sum() == 0, column
    assert stats["/interfaces/%s/%s" % (name, column)].sum() == 0
nodes = stats["/sys/node/names"]
assert nodes[0] == "ethernet-input" and "ip4-lookup" in nodes, nodes
for column in ["calls", "vectors"]:
    table = stats["/sys/node/" + column]
    assert len(table) == workers + 1 and all(len(row) == len(nodes) for row in table), table
    assert stats["/nodes/ip4-lookup/" + column].sum() == 0
assert len(stats["/node/errors"]) == workers + 1
assert stats.set_errors() == {}
assert stats["/sys/boottime"] > 1600000000
names = stats.ls(".*")
stats.disconnect()
print("\n".join(names))
"#;

#[tokio::test]
async fn the_python_client_of_vpp_drives_it() {
    let Some(python) = python() else { return };
    let target = Target::vswitch().await;
    let folder = tempfile::tempdir().unwrap();
    for module in vpp_api::MODULES {
        let path = folder.path().join(format!("{}.api.json", module.name));
        std::fs::write(path, vpp_api::export::module(module)).unwrap();
    }
    let mut command = Command::new(python);
    command
        .args(["-c", PAPI])
        .arg(&target.socket)
        .arg(folder.path());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    assert!(
        output.status.success() && output.stdout.ends_with(b"ok\n"),
        "{output:?}"
    );
}

const PAPI: &str = r#"
import glob, sys
from vpp_papi import VPPApiClient
socket, folder = sys.argv[1:]
vpp = VPPApiClient(apifiles=glob.glob(folder + "/*.api.json"), server_address=socket)
vpp.connect("contract")
assert vpp.api.show_version().program == "weft-vswitch"
made = vpp.api.memif_create_v2(role=0, mode=0, id=3, socket_id=0, ring_size=1024, buffer_size=2048)
assert made.retval == 0, made
index = made.sw_if_index
dump = [m for m in vpp.api.memif_dump() if m.sw_if_index == index]
assert len(dump) == 1 and dump[0].if_name == "memif0/3" and dump[0].id == 3, dump
vpp.api.sw_interface_set_flags(sw_if_index=index, flags=1)
vpp.api.sw_interface_add_del_address(sw_if_index=index, is_add=True, prefix="10.88.0.1/24")
addresses = vpp.api.ip_address_dump(sw_if_index=index, is_ipv6=False)
assert [str(a.prefix) for a in addresses] == ["10.88.0.1/24"], addresses
path = {"sw_if_index": index, "weight": 1, "proto": 0, "nh": {"address": {"ip4": "10.88.0.2"}},
        "label_stack": [{}] * 16}
route = {"table_id": 0, "prefix": "10.89.0.0/16", "n_paths": 1, "paths": [path]}
vpp.api.ip_route_add_del(is_add=True, is_multipath=False, route=route)
routes = {str(r.route.prefix): r.route for r in vpp.api.ip_route_dump(table={"table_id": 0, "is_ip6": False})}
assert routes["10.89.0.0/16"].paths[0].sw_if_index == index, routes
vpp.api.ip_route_add_del(is_add=False, is_multipath=False, route=route)
vpp.api.memif_delete(sw_if_index=index)
assert index not in [i.sw_if_index for i in vpp.api.sw_interface_dump()]
vpp.disconnect()
print("ok")
"#;
