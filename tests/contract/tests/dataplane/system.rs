//! Who serves, how it ends, and what abuse does.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use vpp_api::interface::SwInterfaceSetFlags;
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::memclnt::ControlPing;
use vpp_api::vlib::{CliInband, ShowThreads};
use vpp_api::vpe::ShowVersion;
use vpp_api_client::stats::StatsSegment;

use crate::target::{PATIENCE, Target, binary};

#[tokio::test]
async fn a_client_learns_who_serves_it() {
    for target in Target::all().await {
        let version = target.api.request(&ShowVersion::default()).await.unwrap();
        assert!(!version.program.is_empty(), "{}", target.name);
        let threads = target.api.request(&ShowThreads::default()).await.unwrap();
        assert!(!threads.thread_data.is_empty(), "{}", target.name);
        let shown = target
            .api
            .request(&CliInband {
                cmd: "show version".into(),
            })
            .await
            .unwrap();
        assert!(!shown.reply.is_empty(), "{}", target.name);
    }
}

#[tokio::test]
async fn the_statistics_segment_names_every_interface() {
    // Where the segment of a running VPP is nobody said.
    for target in Target::all()
        .await
        .into_iter()
        .filter(|t| t.child.is_some())
    {
        let sw_if_index = target.loopback().await;
        let name = target.interface(sw_if_index).await.interface_name;
        let segment = StatsSegment::connect(&target.dir.path().join("stats.sock"), PATIENCE)
            .await
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let read = segment
                .read(|entry| entry == "/if/names" || entry == "/if/rx")
                .await
                .unwrap();
            let shown = format!("{read:?}");
            if shown.contains(name.as_str()) && shown.contains("/if/rx") {
                break;
            }
            assert!(Instant::now() < deadline, "{name:?} in {shown}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn garbage_and_oversized_frames_cost_only_the_client_that_sent_them() {
    let target = Target::vswitch().await;
    let frame = |len: u32, body: &[u8]| {
        let mut bytes = vec![0; 8];
        bytes.extend(len.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes
    };
    let oversized = frame(u32::MAX, &[0; 64]);
    let endless_name = frame(3, &[0xff, 0xff, 0xff]);
    let noise: Vec<u8> = (0..4096_u32)
        .map(|at| u8::try_from(at * 37 % 251).unwrap())
        .collect();
    for bytes in [oversized, endless_name, noise] {
        let mut stream = UnixStream::connect(&target.socket).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        // The server may hang up before it has read everything.
        let _ = stream.write_all(&bytes);
        let _ = stream.read(&mut [0; 64]);
        target.ok(&ControlPing::default()).await;
    }
    target
        .ok(&SwInterfaceSetFlags {
            sw_if_index: InterfaceIndex(0),
            ..Default::default()
        })
        .await;
}

#[tokio::test]
async fn a_second_process_on_the_same_socket_refuses_to_start() {
    let target = Target::vswitch().await;
    let output = Command::new(binary())
        .arg("--api-socket")
        .arg(&target.socket)
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("another process"),
        "{output:?}"
    );
    assert!(output.stdout.is_empty());
    target.ok(&ControlPing::default()).await;
}

#[tokio::test]
async fn a_terminated_process_ends_cleanly_and_leaves_no_socket() {
    let mut target = Target::vswitch().await;
    let child = target.child.as_mut().unwrap();
    let kill = Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(kill.success());
    assert!(child.wait().unwrap().success());
    assert!(!target.socket.exists());
}
