//! Plays a scenario: each step acts, waits on conditions and compares counters.

use std::fs;
use std::time::Duration;

use agent_api::cnf::ReloadRequest;
use anyhow::Context;
use model::HopState;
use tokio::time::{Instant, interval};

use super::report::Report;
use super::traffic::{Scene, finish};
use super::{Answered, Fail, Flow, Scenario, Step, Swap, Traffic};
use crate::lab::client::signal_one;
use crate::lab::control::Action;
use crate::lab::place::Record;
use crate::probe::SendReport;

/// The longest that the cluster may take to notice something.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Plays all steps. A step that fails does not stop the others.
pub(crate) async fn play(
    lab: Record,
    lab_name: &str,
    scenario: &Scenario,
    report: &mut Report,
) -> anyhow::Result<()> {
    let scene = Scene {
        lab,
        lab_name: lab_name.to_owned(),
        namespace: scenario.namespace.clone(),
        chain: scenario.chain.clone(),
        client: scenario.client.clone(),
        server: scenario.server.clone(),
    };
    for step in &scenario.steps {
        let result = match step {
            Step::Flow(flow) => {
                report.begin(&flow.title)?;
                play_flow(&scene, flow, report).await
            }
            Step::Fail(fail) => {
                report.begin(&fail.title)?;
                play_fail(&scene, fail, report).await
            }
            Step::Swap(swap) => {
                report.begin(&swap.title)?;
                play_swap(&scene, swap, report).await
            }
        };
        if let Err(error) = result {
            report.check(false, "the step ran to its end", format!("{error:#}"))?;
        }
    }
    Ok(())
}

async fn play_flow(scene: &Scene, flow: &Flow, report: &mut Report) -> anyhow::Result<()> {
    let hops = || flow.through.iter().chain(&flow.beside);
    let before = scene.seen(hops()).await?;
    let server_before = scene.server_count(&flow.traffic).await?;
    report.doing("sending");
    let sent = scene.send(&flow.traffic).await?;
    let after = settled(scene, flow, &before, &sent).await?;
    answered(report, flow.answered, &sent)?;
    let arrived = server_settled(scene, &flow.traffic, server_before, flow.answered, &sent).await?;
    let expected = if flow.answered == Answered::All {
        sent.sent
    } else {
        0
    };
    report.check(
        arrived == expected,
        "the server counted the same",
        format!("{arrived} arrived of {} sent", sent.sent),
    )?;
    for (hop, after) in after {
        let grown = after - before.get(&hop).copied().unwrap_or(0);
        if flow.through.contains(&hop) {
            let least = sent.sent + sent.received;
            let name = format!("`{hop}` saw every packet, both ways");
            report.check(
                grown >= least,
                &name,
                format!("{grown} packets, at least {least} expected"),
            )?;
        } else {
            let name = format!("`{hop}` saw none of it");
            report.check(grown == 0, &name, format!("{grown} packets"))?;
        }
    }
    Ok(())
}

/// The hops' counters, when those that must grow have; they are published a moment after the packets.
async fn settled(
    scene: &Scene,
    flow: &Flow,
    before: &std::collections::BTreeMap<String, u64>,
    sent: &SendReport,
) -> anyhow::Result<std::collections::BTreeMap<String, u64>> {
    let deadline = Instant::now() + Duration::from_secs(3);
    let mut tick = interval(POLL);
    loop {
        tick.tick().await;
        let after = scene.seen(before.keys()).await?;
        let grown = |hop: &String| {
            let (then, now) = (before.get(hop).copied(), after.get(hop).copied());
            now.unwrap_or(0) - then.unwrap_or(0)
        };
        let complete = flow
            .through
            .iter()
            .all(|hop| grown(hop) >= sent.sent + sent.received);
        if complete || Instant::now() > deadline {
            return Ok(after);
        }
    }
}

/// What the server counted since `before`; its report follows its counters by a moment.
async fn server_settled(
    scene: &Scene,
    traffic: &Traffic,
    before: u64,
    expected: Answered,
    sent: &SendReport,
) -> anyhow::Result<u64> {
    let deadline = Instant::now() + Duration::from_secs(3);
    let mut tick = interval(POLL);
    loop {
        tick.tick().await;
        let arrived = scene.server_count(traffic).await?.saturating_sub(before);
        let complete = expected == Answered::None || arrived >= sent.sent;
        if complete || Instant::now() > deadline {
            return Ok(arrived);
        }
    }
}

fn answered(report: &mut Report, expected: Answered, sent: &SendReport) -> anyhow::Result<()> {
    let observed = format!(
        "sent {}, answered {}, lost {}, twice {}, out of order {}, median {} us",
        sent.sent,
        sent.received,
        sent.lost,
        sent.duplicated,
        sent.reordered,
        sent.latency.median_us
    );
    match expected {
        Answered::All => {
            let ok = sent.sent > 0 && sent.lost == 0 && sent.duplicated == 0;
            report.check(ok, "every request is answered once", observed)
        }
        Answered::None => report.check(
            sent.sent > 0 && sent.received == 0,
            "no request is answered",
            observed,
        ),
    }
}

async fn play_fail(scene: &Scene, fail: &Fail, report: &mut Report) -> anyhow::Result<()> {
    let pod = scene.pod_of(&fail.hop).await?;
    signal_one(&scene.lab, &pod, Action::Hold).await?;
    report.doing("waiting until the node notices");
    let began = Instant::now();
    let down = hop_state(scene, &fail.hop, |s| match fail.answered {
        Answered::All => s.bypassed,
        Answered::None => !s.is_up() && !s.bypassed,
    });
    let (known, state) = down.await?;
    let declared = match fail.answered {
        Answered::All => "the hop is down and bypassed (FailOpen)",
        Answered::None => "the hop is down and not bypassed (FailClosed)",
    };
    report.check(
        known,
        declared,
        format!("{state} after {} ms", began.elapsed().as_millis()),
    )?;
    report.doing("sending while it is down");
    let sent = scene.send(&fail.traffic).await?;
    answered(report, fail.answered, &sent)?;
    signal_one(&scene.lab, &pod, Action::Start).await?;
    report.doing("waiting until it is back");
    let began = Instant::now();
    let (up, state) = hop_state(scene, &fail.hop, |s| s.is_up() && !s.bypassed).await?;
    report.check(
        up,
        "the hop is back",
        format!("{state} after {} ms", began.elapsed().as_millis()),
    )?;
    let again = Flow {
        title: String::new(),
        traffic: fail.traffic.clone(),
        answered: Answered::All,
        through: vec![fail.hop.clone()],
        beside: Vec::new(),
    };
    play_flow(scene, &again, report).await
}

/// Waits for a state of a hop; false and the last state when it does not come.
async fn hop_state(
    scene: &Scene,
    hop: &str,
    wanted: impl Fn(&HopState) -> bool,
) -> anyhow::Result<(bool, String)> {
    let deadline = Instant::now() + PATIENCE;
    let mut tick = interval(POLL);
    loop {
        tick.tick().await;
        let status = scene.status().await?;
        let chain = status.chains.get(&scene.full_name(&scene.chain));
        let state = chain.and_then(|c| c.hops.get(hop)).copied();
        let found = state.as_ref().is_some_and(&wanted);
        if found || Instant::now() > deadline {
            let text = state.map_or_else(|| "state not known".to_owned(), |s| describe(&s));
            return Ok((found, text));
        }
    }
}

fn describe(state: &HopState) -> String {
    let word = |up| if up { "up" } else { "down" };
    let bypass = if state.bypassed { ", bypassed" } else { "" };
    format!(
        "input {}, output {}{bypass}",
        word(state.input_up),
        word(state.output_up)
    )
}

async fn play_swap(scene: &Scene, swap: &Swap, report: &mut Report) -> anyhow::Result<()> {
    let old = scene.stats(&swap.hop).await?.function.unwrap_or_default();
    let new_module = new_build(scene, swap).await?;
    let before = scene.server_count(&swap.traffic).await?;
    let sender = scene.start(&swap.traffic).await?;
    report.doing("waiting for the middle of the traffic");
    let mut tick = interval(POLL);
    let deadline = Instant::now() + PATIENCE;
    while scene.server_count(&swap.traffic).await? < before + swap.traffic.count / 3 {
        anyhow::ensure!(Instant::now() < deadline, "the traffic does not arrive");
        tick.tick().await;
    }
    let request = ReloadRequest {
        module_path: new_module,
        config_path: swap.config.clone(),
    };
    let reply = scene.runner(&swap.hop).await?.reload(request).await;
    let reply = reply
        .map_err(|s| crate::command::cnf::refused(&s))?
        .into_inner();
    let at = scene.server_count(&swap.traffic).await? - before;
    report.doing("sending the rest");
    let sent = finish(sender).await?;
    let new = scene.stats(&swap.hop).await?.function.unwrap_or_default();
    let during = at < swap.traffic.count;
    report.check(
        during,
        "the swap came in the middle",
        format!("after {at} of {} requests", sent.sent),
    )?;
    let changed =
        new.digest != old.digest && new.digest == reply.new_digest && new.swaps > old.swaps;
    let (from, to) = (short(&old.digest), short(&new.digest));
    report.check(
        changed,
        "another module runs",
        format!("{from} -> {to}, gap {} us", reply.gap_us),
    )?;
    answered(report, Answered::All, &sent)
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// A build of the same source that differs in a build mark: a custom section, which WebAssembly leaves
/// to everybody. It has another digest and is another module to the runner.
async fn new_build(scene: &Scene, swap: &Swap) -> anyhow::Result<String> {
    let pod = scene.pod_of(&swap.hop).await?;
    let status = scene.status().await?;
    let pid = status
        .pod(&pod)?
        .process
        .pid
        .context("the CNF does not run")?;
    let inside = scene.lab.inside(format!("/proc/{pid}/root{}", swap.module));
    let mut bytes = fs::read(&inside).with_context(|| format!("read `{}`", swap.module))?;
    let mark = b"\x0aweft-build2";
    bytes.extend_from_slice(&[0, u8::try_from(mark.len())?]);
    bytes.extend_from_slice(mark);
    let name = swap.module.trim_end_matches(".wasm").to_owned() + "-next.wasm";
    let file = std::path::Path::new(&name)
        .file_name()
        .context("the module has no file name")?;
    let target = scene
        .lab
        .inside(std::path::Path::new(crate::lab::layout::MODULES).join(file));
    fs::write(&target, bytes).with_context(|| format!("write `{}`", target.display()))?;
    Ok(name)
}
