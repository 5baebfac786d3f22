//! Packet functions: instances for all workers, put in service together.

use std::sync::mpsc::{Receiver, sync_channel};

use vpp_api::ApiError;

use super::{Engine, WORKER_ANSWER_MAX, code};
use crate::function::{FunctionSpec, Instance, Report};
use crate::worker::mailbox::Command;

impl Engine {
    /// Whether there may be a function of this name.
    pub fn function_may_be(&self, name: &str) -> Result<(), ApiError> {
        self.dataplane.function_may_be(name).map_err(code)
    }

    /// Puts a function in service, in the place of the one with its name. Workers have it when this returns.
    pub fn function_add_replace(
        &mut self,
        spec: FunctionSpec,
        instances: Vec<Instance>,
    ) -> Result<u32, ApiError> {
        let index = self
            .dataplane
            .function_add_replace(&spec.name, spec.fail_open)
            .map_err(code)?;
        let waits: Vec<_> = instances
            .into_iter()
            .enumerate()
            .map(|(worker, instance)| self.hand_over(worker, index, Some(Box::new(instance))))
            .collect();
        wait(index, waits);
        self.functions.insert(index, spec);
        Ok(index)
    }

    /// Ends a function that no interface uses.
    pub fn function_del(&mut self, index: u32) -> Result<(), ApiError> {
        self.dataplane.function_del(index).map_err(code)?;
        self.functions.remove(&index);
        self.commit();
        let waits = (0..self.workers.len())
            .map(|worker| self.hand_over(worker, index, None))
            .collect();
        wait(index, waits);
        Ok(())
    }

    /// What the instances of a function say about themselves, by worker.
    pub fn function_reports(&self, index: u32) -> Vec<Report> {
        let ask = |worker| {
            let (reply, answer) = sync_channel(1);
            self.tell(
                worker,
                Command::FunctionReport {
                    function: index,
                    reply,
                },
            );
            answer
        };
        let asked: Vec<_> = (0..self.workers.len()).map(ask).collect();
        let answers = asked.into_iter();
        answers
            .map(|answer| answer.recv_timeout(WORKER_ANSWER_MAX).unwrap_or_default())
            .collect()
    }

    fn hand_over(
        &self,
        worker: usize,
        function: u32,
        instance: Option<Box<Instance>>,
    ) -> Receiver<()> {
        let (done, answer) = sync_channel(1);
        self.tell(
            worker,
            Command::Function {
                function,
                instance,
                done,
            },
        );
        answer
    }
}

/// Waits until all workers have taken what they were handed.
fn wait(function: u32, waits: Vec<Receiver<()>>) {
    for wait in waits {
        if wait.recv_timeout(WORKER_ANSWER_MAX).is_err() {
            tracing::error!(function, "worker does not take a packet function");
        }
    }
}
