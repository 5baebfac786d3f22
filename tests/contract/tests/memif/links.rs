//! How links come up, are refused, and come back.

use memif_rs::{DisconnectReason, ProtocolError, Secret};

use crate::lab::{Lab, ROLES, Role, Wanted};
use crate::traffic::bounce;

#[test]
fn abstract_sockets_meet() {
    let Some(mut lab) = Lab::new() else { return };
    lab.abstract_name = Some(format!("weft-contract-{}", std::process::id()));
    for role in ROLES {
        let mut end = lab.end(role);
        let _peer = lab.testpmd(role.other(), "", &["--forward-mode=macswap"]);
        let (mut rx, mut tx) = end.link().into_copy().unwrap();
        bounce(&mut rx[0], &mut tx[0]);
    }
}

#[test]
fn secrets_open_and_close_the_door_on_both_sides() {
    let Some(lab) = Lab::new() else { return };
    let secret = |text: &str| Wanted {
        secret: Some(Secret::new(text).unwrap()),
        ..Wanted::default()
    };
    let forward = ["--forward-mode=macswap"];
    for role in ROLES {
        let mut end = lab.end_with(role, secret("sesame"));
        let _peer = lab.testpmd(role.other(), ",secret=sesame", &forward);
        let (mut rx, mut tx) = end.link().into_copy().unwrap();
        bounce(&mut rx[0], &mut tx[0]);
    }

    for (ours, text) in [
        (secret("wrong"), "Incorrect secret"),
        (Wanted::default(), "Secret required"),
    ] {
        let mut end = lab.end_with(Role::Client, ours);
        let _peer = lab.testpmd(Role::Server, ",secret=sesame", &forward);
        let reason = end.refusal();
        assert_eq!(
            reason,
            DisconnectReason::PeerDisconnected {
                code: 0,
                text: text.into()
            }
        );
    }

    let refusals = [
        (",secret=wrong", ProtocolError::SecretIncorrect),
        ("", ProtocolError::SecretRequired),
    ];
    for (theirs, error) in refusals {
        let mut end = lab.end_with(Role::Server, secret("sesame"));
        let _peer = lab.testpmd(Role::Client, theirs, &forward);
        assert_eq!(end.refusal(), error.into());
    }
}

#[test]
fn link_comes_back_when_dpdk_is_killed_and_started_again() {
    let Some(lab) = Lab::new() else { return };
    for role in ROLES {
        let mut end = lab.end(role);
        for _life in 0..2 {
            let peer = lab.testpmd(role.other(), "", &["--forward-mode=macswap"]);
            let (mut rx, mut tx) = end.link().into_copy().unwrap();
            bounce(&mut rx[0], &mut tx[0]);
            peer.kill();
            assert_eq!(end.disconnection(), DisconnectReason::PeerClosed);
            assert!(!rx[0].is_up());
        }
    }
}
