//! Sends web traffic through a chain and lets everything else pass beside it.
//!
//! Configuration: `{"tcpPorts": [80], "udpPorts": [443]}`; both default to the ports shown.

use serde::Deserialize;
use weft_sdk::prelude::*;

/// Classifies by destination port.
#[derive(Debug, Default)]
pub struct WebClassifier {
    ports: WebPorts,
}

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct WebPorts {
    tcp_ports: Vec<u16>,
    udp_ports: Vec<u16>,
}

impl Default for WebPorts {
    fn default() -> Self {
        Self {
            tcp_ports: vec![80],
            udp_ports: vec![443],
        }
    }
}

impl Classifier for WebClassifier {
    fn configure(&mut self, config: &str) -> Result<(), Fault> {
        let ports: WebPorts = config::parse(config)?;
        for (field, list) in [
            ("tcpPorts", &ports.tcp_ports),
            ("udpPorts", &ports.udp_ports),
        ] {
            if let Some(index) = list.iter().position(|port| *port == 0) {
                return Err(Fault::invalid(
                    format!("{field}[{index}]"),
                    "port 0 cannot be matched",
                ));
            }
        }
        if ports.tcp_ports.is_empty() && ports.udp_ports.is_empty() {
            return Err(Fault::invalid(
                "tcpPorts",
                "no port at all: the chain would stay empty",
            ));
        }
        self.ports = ports;
        Ok(())
    }

    fn compile(&self, view: &View) -> Result<RuleSet, Fault> {
        let anywhere = view.destinations.is_none();
        let servers = view.destinations.iter().flatten().flat_map(|pod| {
            let name = format!("{}/{}", pod.namespace, pod.name);
            pod.addresses
                .iter()
                .map(move |address| (name.clone(), Some(IpPrefix::host(*address))))
        });
        let targets = anywhere
            .then(|| ("any".to_owned(), None))
            .into_iter()
            .chain(servers);
        let rules = targets
            .flat_map(|(name, dst)| self.rules(&name, dst))
            .collect();
        Ok(RuleSet {
            rules,
            default_action: Action::Bypass,
        })
    }
}

impl WebClassifier {
    fn rules(&self, target: &str, dst: Option<IpPrefix>) -> Vec<Rule> {
        let tcp = self
            .ports
            .tcp_ports
            .iter()
            .map(|port| ("tcp", IpProtocol::Tcp, *port));
        let udp = self
            .ports
            .udp_ports
            .iter()
            .map(|port| ("udp", IpProtocol::Udp, *port));
        let rule = |(name, protocol, port)| Rule {
            id: match dst {
                Some(prefix) => format!("{target}:{}:{name}:{port}", prefix.address),
                None => format!("{target}:{name}:{port}"),
            },
            when: MatchSpec {
                dst,
                protocol,
                dst_ports: Some(PortRange::one(port)),
                ..MatchSpec::default()
            },
            action: Action::EnterChain,
        };
        tcp.chain(udp).map(rule).collect()
    }
}

weft_sdk::export_classifier!(WebClassifier);

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, addresses: &[&str]) -> Endpoint {
        Endpoint {
            namespace: "default".into(),
            name: name.into(),
            addresses: addresses
                .iter()
                .map(|a| a.parse().expect("an address"))
                .collect(),
            ..Endpoint::default()
        }
    }

    fn check(config: &str, destinations: Option<Vec<Endpoint>>, expect: &[&str]) {
        let mut classifier = WebClassifier::default();
        classifier.configure(config).expect("a good configuration");
        let view = View {
            destinations,
            rules_max: 100,
            ..View::default()
        };
        let set = classifier.compile(&view).expect("an answer");
        let ids: Vec<&str> = set.rules.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!(ids, expect);
        assert_eq!(set.default_action, Action::Bypass);
        assert!(
            set.rules
                .iter()
                .all(|rule| rule.action == Action::EnterChain)
        );
    }

    #[test]
    fn without_destinations_the_ports_alone_decide() {
        check("", None, &["any:tcp:80", "any:udp:443"]);
        check(
            r#"{"tcpPorts":[8080,443],"udpPorts":[]}"#,
            None,
            &["any:tcp:8080", "any:tcp:443"],
        );
    }

    #[test]
    fn every_address_of_every_destination_is_matched() {
        let servers = vec![pod("a", &["10.1.1.2", "fd00::2"]), pod("new", &[])];
        let expect = [
            "default/a:10.1.1.2:tcp:80",
            "default/a:10.1.1.2:udp:443",
            "default/a:fd00::2:tcp:80",
            "default/a:fd00::2:udp:443",
        ];
        check("{}", Some(servers), &expect);
    }

    #[test]
    fn destinations_that_do_not_exist_yet_match_nothing() {
        check("{}", Some(Vec::new()), &[]);
    }

    #[test]
    fn a_bad_configuration_names_the_field() {
        for (config, field) in [
            (r#"{"tcpPorts":[80,0]}"#, Some("tcpPorts[1]")),
            (r#"{"tcpPorts":[],"udpPorts":[]}"#, Some("tcpPorts")),
            (r#"{"ports":[80]}"#, None),
        ] {
            let fault = WebClassifier::default()
                .configure(config)
                .expect_err("refused");
            assert_eq!(fault.kind, FaultKind::InvalidConfig);
            assert_eq!(fault.field.as_deref(), field, "{config}");
        }
    }
}
