//! Bridge domains and cross-connects.

use vpp_api::ApiError;
use vpp_api::interface::DeleteLoopback;
use vpp_api::l2::{
    BridgeDomainAddDelV2, BridgeDomainDump, BridgeDomainSetDefaultLearnLimit,
    BridgeDomainSetLearnLimit, L2PortType, L2XconnectDump, L2fibSetScanDelay,
    SwInterfaceSetL2Bridge, SwInterfaceSetL2Xconnect,
};

use crate::target::{BRIDGE, Target};

#[tokio::test]
async fn a_bridge_domain_holds_members_and_one_bvi() {
    for target in Target::all().await {
        let (bvi, second) = (target.loopback().await, target.loopback().await);
        let create = BridgeDomainAddDelV2 {
            bd_id: BRIDGE,
            flood: true,
            learn: true,
            forward: true,
            ..Default::default()
        };
        target.ok(&create).await;
        target.refuses(&create, &[ApiError::BdAlreadyExists]).await;
        let join = SwInterfaceSetL2Bridge {
            rx_sw_if_index: bvi,
            bd_id: BRIDGE,
            port_type: L2PortType::Bvi,
            enable: true,
            ..Default::default()
        };
        target.ok(&join).await;
        let another = SwInterfaceSetL2Bridge {
            rx_sw_if_index: second,
            ..join.clone()
        };
        target.refuses(&another, &[ApiError::BdAlreadyHasBvi]).await;
        let delete = BridgeDomainAddDelV2 {
            is_add: false,
            ..create.clone()
        };
        target.refuses(&delete, &[ApiError::BdInUse]).await;
        let dump = BridgeDomainDump {
            bd_id: BRIDGE,
            ..Default::default()
        };
        let domains = target.api.dump(&dump).await.unwrap();
        assert_eq!((domains.len(), domains[0].bvi_sw_if_index), (1, bvi));
        assert_eq!(domains[0].sw_if_details.len(), 1);
        target
            .ok(&SwInterfaceSetL2Bridge {
                enable: false,
                ..join
            })
            .await;
        target.ok(&delete).await;
        target.refuses(&delete, &[ApiError::NoSuchEntry]).await;
        for sw_if_index in [bvi, second] {
            target.ok(&DeleteLoopback { sw_if_index }).await;
        }
    }
}

#[tokio::test]
async fn a_cross_connect_has_one_direction() {
    for target in Target::all().await {
        let (rx, tx) = (target.loopback().await, target.loopback().await);
        let request = SwInterfaceSetL2Xconnect {
            rx_sw_if_index: rx,
            tx_sw_if_index: tx,
            enable: true,
        };
        target.ok(&request).await;
        let pairs = target.api.dump(&L2XconnectDump::default()).await.unwrap();
        let pairs: Vec<_> = pairs
            .iter()
            .map(|pair| (pair.rx_sw_if_index, pair.tx_sw_if_index))
            .collect();
        assert!(
            pairs.contains(&(rx, tx)) && !pairs.contains(&(tx, rx)),
            "{pairs:?}"
        );
        target
            .ok(&SwInterfaceSetL2Xconnect {
                enable: false,
                ..request
            })
            .await;
        for sw_if_index in [rx, tx] {
            target.ok(&DeleteLoopback { sw_if_index }).await;
        }
    }
}

#[tokio::test]
async fn limits_of_learning_are_taken_where_there_is_a_bridge_domain() {
    for target in Target::all().await {
        let learn_limit = 16_777_216;
        target
            .ok(&BridgeDomainSetDefaultLearnLimit { learn_limit })
            .await;
        for (bd_id, error) in [
            (0, ApiError::BdNotModifiable),
            (BRIDGE, ApiError::NoSuchEntry),
        ] {
            let request = BridgeDomainSetLearnLimit { bd_id, learn_limit };
            target.refuses(&request, &[error]).await;
        }
        target.ok(&L2fibSetScanDelay { scan_delay: 10 }).await;
        let never = L2fibSetScanDelay { scan_delay: 0 };
        target.refuses(&never, &[ApiError::InvalidValue]).await;
    }
}
