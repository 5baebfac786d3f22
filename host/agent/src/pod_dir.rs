//! The directory that a pod sees as `/run/weft`: its memif socket and the list of its interfaces.

use std::path::{Path, PathBuf};

use model::InterfaceKind;
use render::LocalPod;
use serde_json::{Value, json};

use crate::journal::{JournalError, write};

/// The directory of a container.
pub(crate) fn path(root: &Path, container_id: &str) -> PathBuf {
    root.join(container_id)
}

/// The memif control socket in it.
pub(crate) fn socket(root: &Path, container_id: &str) -> String {
    path(root, container_id)
        .join("memif.sock")
        .to_string_lossy()
        .into_owned()
}

/// Writes `interfaces.json`, by which a CNF finds its links.
pub(crate) fn write_interfaces(root: &Path, pod: &LocalPod, mtu: u16) -> Result<(), JournalError> {
    let file = path(root, &pod.container_id).join("interfaces.json");
    write(&file, &interfaces(pod, mtu))
}

fn interfaces(pod: &LocalPod, mtu: u16) -> Value {
    let links = pod
        .interfaces
        .iter()
        .filter(|i| i.kind == InterfaceKind::Memif);
    let links: Vec<Value> = links
        .map(|i| {
            json!({
                "name": i.name,
                "type": "memif",
                "memif": {
                    "socket": "memif.sock",
                    "id": i.memif_id,
                    "mode": "ethernet",
                    "role": "slave",
                    "secret": null,
                    "queues": 1,
                    "ringSize": 1024,
                },
                "mac": i.mac,
                "mtu": mtu,
            })
        })
        .collect();
    json!({ "version": 1, "interfaces": links })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use model::NetworkRef;
    use render::PodInterface;

    use super::*;

    #[test]
    fn a_cnf_finds_its_memif_links_in_the_file() {
        let interface = |name: &str, kind, memif_id| PodInterface {
            name: name.to_owned(),
            kind,
            network: NetworkRef::Stub,
            mac: "02:00:00:00:00:01".parse().unwrap(),
            gateway_mac: "02:00:00:00:00:02".parse().unwrap(),
            addresses: Vec::new(),
            memif_id,
            attached_by: "eth0".to_owned(),
        };
        let pod = LocalPod {
            container_id: "c".to_owned(),
            pod: None,
            labels: None,
            netns: "/run/netns/c".to_owned(),
            socket: 1,
            socket_path: socket(Path::new("/run/weft/pods"), "c"),
            interfaces: vec![
                interface("eth0", InterfaceKind::Tap, 0),
                interface("left", InterfaceKind::Memif, 0),
                interface("right", InterfaceKind::Memif, 1),
            ],
        };
        assert_eq!(pod.socket_path, "/run/weft/pods/c/memif.sock");
        expect![[r#"{"interfaces":[{"mac":"02:00:00:00:00:01","memif":{"id":0,"mode":"ethernet","queues":1,"ringSize":1024,"role":"slave","secret":null,"socket":"memif.sock"},"mtu":1450,"name":"left","type":"memif"},{"mac":"02:00:00:00:00:01","memif":{"id":1,"mode":"ethernet","queues":1,"ringSize":1024,"role":"slave","secret":null,"socket":"memif.sock"},"mtu":1450,"name":"right","type":"memif"}],"version":1}"#]]
            .assert_eq(&interfaces(&pod, 1450).to_string());
    }
}
