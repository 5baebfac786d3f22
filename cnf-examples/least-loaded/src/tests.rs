use weft_sdk::test::Host;
use weft_sdk::{Chain, Hop};

use super::*;

fn candidate(id: &str, node: &str, health: Health, hops_served: u32) -> Candidate {
    Candidate {
        id: id.into(),
        node: node.into(),
        health,
        hops_served,
        ..Candidate::default()
    }
}

/// The hop of a chain whose client runs on `n1`.
fn view(current: Option<&str>, candidates: Vec<Candidate>) -> HopView {
    let hop = Hop {
        name: "firewall".into(),
        ..Hop::default()
    };
    HopView {
        chain: Chain {
            hops: vec![hop],
            ..Chain::default()
        },
        sources: vec![Endpoint {
            node: "n1".into(),
            ..Endpoint::default()
        }],
        candidates,
        current: current.map(str::to_owned),
        ..HopView::default()
    }
}

fn check(config: &str, view: &HopView, expect: Option<&str>) {
    let mut module = LeastLoaded::default();
    module.configure(config).expect("a good configuration");
    let expect = expect.map_or(Choice::NoOpinion, |id| Choice::One(id.to_owned()));
    let choice = Host::new().grant_metrics().run(|| module.choose(view));
    assert_eq!(choice, Ok(expect), "{view:?}");
}

#[test]
fn a_new_hop_goes_near_then_to_the_one_with_the_least_to_do() {
    let busy_near = || {
        vec![
            candidate("a", "n2", Health::Up, 0),
            candidate("b", "n1", Health::Up, 5),
            candidate("c", "n2", Health::Unknown, 0),
        ]
    };
    check("", &view(None, busy_near()), Some("b"));
    check(r#"{"near":false}"#, &view(None, busy_near()), Some("a"));
    let mut two_near = busy_near();
    two_near.push(candidate("d", "n1", Health::Unknown, 4));
    check("", &view(None, two_near), Some("d"));
}

#[test]
fn a_hop_leaves_an_instance_that_is_down() {
    let down = |other| {
        vec![
            candidate("a", "n1", Health::Down, 0),
            candidate("b", "n2", other, 9),
        ]
    };
    check("", &view(Some("a"), down(Health::Unknown)), Some("b"));
    check("", &view(Some("a"), down(Health::Down)), None);
}

#[test]
fn a_hop_stays_until_moving_is_worth_it() {
    let lighter_by = |n| {
        vec![
            candidate("a", "n1", Health::Up, n),
            candidate("b", "n1", Health::Up, 0),
        ]
    };
    check("", &view(Some("a"), lighter_by(1)), Some("a"));
    check("", &view(Some("a"), lighter_by(2)), Some("b"));
    check(
        r#"{"moveAt":9}"#,
        &view(Some("a"), lighter_by(2)),
        Some("a"),
    );
    // Far and idle does not tempt a hop away from near and busy.
    let far = vec![
        candidate("a", "n1", Health::Up, 7),
        candidate("b", "n2", Health::Up, 0),
    ];
    check("", &view(Some("a"), far.clone()), Some("a"));
    check("", &view(Some("b"), far), Some("a"));
}

#[test]
fn picks_are_counted_and_staying_is_none() {
    let mut module = LeastLoaded::default();
    module.configure("").expect("a good configuration");
    let mut host = Host::new().grant_metrics();
    let two = || {
        vec![
            candidate("a", "n1", Health::Up, 0),
            candidate("b", "n1", Health::Up, 0),
        ]
    };
    for current in [None, Some("a"), Some("a")] {
        let choice = host.run(|| module.choose(&view(current, two())));
        assert_eq!(choice, Ok(Choice::One("a".into())));
    }
    let labels = [("hop", "firewall"), ("kind", "placed")];
    assert_eq!(host.counter("picks_total", &labels), Some(1));
    assert_eq!(host.figures().len(), 1, "{:?}", host.figures());
    assert_eq!(host.lines().len(), 1);
}

#[test]
fn a_bad_configuration_names_the_field() {
    for (config, field) in [
        (r#"{"moveAt":0}"#, Some("moveAt")),
        (r#"{"close":true}"#, None),
    ] {
        let fault = LeastLoaded::default()
            .configure(config)
            .expect_err("refused");
        assert_eq!(fault.kind, FaultKind::InvalidConfig);
        assert_eq!(fault.field.as_deref(), field, "{config}");
    }
}
