//! Packet functions in the graph, beside plain forwarding and beside the same module in a pod.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use vpp_api::FixedString;
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::weft_function::{WeftFunctionAddReplace, WeftFunctionInterfaceSet};

use super::Setting;
use super::forward::pump;
use crate::contest::{Contender, interleave};
use crate::dataplane::{Dataplane, Engine};
use crate::process::{Daemon, Place};
use crate::report::{Better, CaseReport, Metric, Skip};
use crate::traffic::{Side, Size, Traffic};

const PLAIN: &str = "no function";
const GRAPH: &str = "in the graph";
const POD: &str = "in a pod, by weft-cnf";
/// The module, beside the programs.
const MODULE: &str = "header-counter.wasm";
/// What the function does, and how it is told.
const WORKS: [(&str, bool); 2] = [("passes", false), ("counts headers", true)];
const SIZES: [Size; 2] = [Size::Bytes(64), Size::Bytes(1500)];

/// What all samples need.
struct Parts<'a> {
    setting: &'a Setting,
    engine: Engine,
    runner: PathBuf,
    module: PathBuf,
}

pub(super) fn run(setting: &Setting) -> CaseReport {
    let mut report = CaseReport {
        title: "IPv4 forwarding with a packet function, memif to memif, both directions together".into(),
        method: vec![
            "As the case `forward`, connected subnets; each packet meets the function once, where it comes in. The module is the example `header-counter`, a component.".into(),
            "The pod has two more memifs: what comes in on the left goes to it by a cross-connect, and is routed behind it. It runs on core 2, or shares the worker's where there is none.".into(),
        ],
        ..CaseReport::default()
    };
    let skipped = &mut report.skipped;
    let engine = setting.programs.get("vswitch-io", "weft-vswitch", skipped);
    let runner = setting.programs.get("cnf-runner", "weft-cnf", skipped);
    let module = setting.programs.modules.join(MODULE);
    if !module.is_file() {
        let why = format!(
            "`{}` does not exist; hint: `cargo xtask bench` builds it",
            module.display()
        );
        skipped.push(Skip::new("packet functions", why));
        return report;
    }
    if let (Some(engine), Some(runner)) = (engine, runner) {
        let engine = Engine::Weft(engine);
        let parts = Parts {
            setting,
            engine,
            runner,
            module,
        };
        for (work, is_counting) in WORKS {
            for size in SIZES {
                parts.measure(work, is_counting, size, &mut report);
            }
        }
    }
    report
}

impl Parts<'_> {
    fn measure(&self, work: &str, is_counting: bool, size: Size, report: &mut CaseReport) {
        let label = format!("a function that {work}, {}", size.name());
        let metric = Metric::new(label, "Mpps", Better::Higher);
        let config = json!({ "count": is_counting }).to_string();
        let seen = RefCell::new(String::new());
        let contenders = vec![
            Contender::new(GRAPH, || Ok(vec![self.in_graph(&config, size, &seen)?])).beside(PLAIN),
            Contender::new(POD, || Ok(vec![self.in_pod(&config, size)?])).beside(PLAIN),
            Contender::new(PLAIN, || Ok(vec![self.plain(size)?])),
        ];
        let groups = interleave(
            self.setting.run.rounds,
            std::slice::from_ref(&metric),
            contenders,
            &mut report.skipped,
        );
        report.groups.extend(groups);
        let seen = seen.into_inner();
        report.notes.push(format!("{}: {seen}", metric.label));
    }

    fn plain(&self, size: Size) -> anyhow::Result<f64> {
        let dataplane = Dataplane::start(&self.engine, Place::core(1))?;
        dataplane.route(dataplane.memifs()?)?;
        self.pumped(&dataplane, size)
    }

    fn in_graph(&self, config: &str, size: Size, seen: &RefCell<String>) -> anyhow::Result<f64> {
        let dataplane = Dataplane::start(&self.engine, Place::core(1))?;
        let memifs = dataplane.memifs()?;
        dataplane.route(memifs)?;
        let function_index = dataplane
            .ask(&WeftFunctionAddReplace {
                name: FixedString::new("bench")?,
                module: FixedString::new(&self.module.to_string_lossy())?,
                config: config.to_owned(),
                ..WeftFunctionAddReplace::default()
            })?
            .function_index;
        for sw_if_index in memifs {
            dataplane.ask(&WeftFunctionInterfaceSet {
                sw_if_index,
                is_input: true,
                function_index,
            })?;
        }
        let mpps = self.pumped(&dataplane, size)?;
        // The last sample's stands for all: that the function was met is seen, not believed.
        *seen.borrow_mut() = summary(&dataplane.cli("show function bench")?);
        Ok(mpps)
    }

    fn in_pod(&self, config: &str, size: Size) -> anyhow::Result<f64> {
        let dataplane = Dataplane::start(&self.engine, Place::core(1))?;
        let [left, right] = dataplane.memifs()?;
        let pod = [
            dataplane.memif(2, Side::RIGHT.gateway_mac)?,
            dataplane.memif(3, Side::LEFT.gateway_mac)?,
        ];
        dataplane.cross_connect([left, pod[0]])?;
        dataplane.route([pod[1], right])?;
        let _runner = self.start_runner(&dataplane, pod, config)?;
        self.pumped(&dataplane, size)
    }

    /// Starts `weft-cnf` on memifs 2 and 3, and waits until they are up.
    fn start_runner(
        &self,
        dataplane: &Dataplane,
        pod: [InterfaceIndex; 2],
        config: &str,
    ) -> anyhow::Result<Daemon> {
        let dir = dataplane.dir.path();
        let socket = dataplane.memif_socket();
        let interface = |name: &str, id: u32| {
            json!({
                "name": name, "type": "memif", "mtu": 9000,
                "memif": {"socket": socket, "id": id, "mode": "ethernet", "role": "slave"}
            })
        };
        let interfaces = json!({
            "version": 1,
            "interfaces": [interface("left", 2), interface("right", 3)]
        });
        write(&dir.join("interfaces.json"), &interfaces.to_string())?;
        write(&dir.join("function.json"), config)?;
        let mut command = Place::core(2).command(None, &self.runner);
        command.arg("--module").arg(&self.module);
        command.arg("--config").arg(dir.join("function.json"));
        command.arg("--interfaces").arg(dir.join("interfaces.json"));
        command.arg("--admin").arg(dir.join("cnf.sock"));
        let mut runner = Daemon::start(&mut command, &dir.join("cnf.log"))?;
        runner.until("links of the pod", || {
            let are_up = pod.map(|memif| dataplane.is_link_up(memif).unwrap_or(false));
            (are_up == [true; 2]).then_some(())
        })?;
        Ok(runner)
    }

    fn pumped(&self, dataplane: &Dataplane, size: Size) -> anyhow::Result<f64> {
        Ok(pump(self.setting, dataplane, Traffic::Ip4, size, 0)?.mpps())
    }
}

/// What `show function` counted, but zeroes, on one line.
fn summary(shown: &str) -> String {
    let counted = shown.lines().filter_map(|line| {
        let (name, count) = line.trim().rsplit_once("  ")?;
        let count: u64 = count.trim().parse().ok()?;
        (count > 0).then(|| format!("{} {count}", name.trim()))
    });
    counted.collect::<Vec<_>>().join(", ")
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_up_without_zeroes() {
        let shown = "function 0 `x` fail-closed\n  memory 64 MiB\n  packets      7\n  drops      0\n\
                     worker 0: a 0.1.0\n    not-ip     3\n";
        assert_eq!(summary(shown), "packets 7, not-ip 3");
    }
}
