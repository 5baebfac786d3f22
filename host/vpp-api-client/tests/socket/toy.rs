//! A small service on the server framework, and what tests need to reach it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vpp_api::interface::{
    CreateLoopback, CreateLoopbackInstance, CreateLoopbackInstanceReply, CreateLoopbackReply,
    DeleteLoopback, SwInterfaceDetails, SwInterfaceDump, SwInterfaceEvent, SwInterfaceSetFlags,
    SwInterfaceTxPlacementDetails, SwInterfaceTxPlacementGet, SwInterfaceTxPlacementGetReply,
    WantInterfaceEvents,
};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::vlib::{CliInband, CliInbandReply};
use vpp_api::vpe::{ShowVersion, ShowVersionReply};
use vpp_api::{ApiError, FixedString};
use vpp_api_client::server::{Handle, Limits, Router, ServeError, Server};
use vpp_api_client::{Client, Options};

/// Longer than any answer takes; no test waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Instance of a loopback whose creation takes long and panics.
pub(crate) const FATAL: u32 = 666;

/// Interfaces by index, and their flags.
#[derive(Debug, Default)]
pub(crate) struct Toy {
    pub(crate) interfaces: Vec<IfStatusFlags>,
}

/// A running server.
pub(crate) struct Running {
    folder: TempDir,
    pub(crate) handle: Handle<Toy>,
    /// Lets one request that takes long come to its end.
    pub(crate) gate: Sender<()>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Toy, ServeError>>,
}

impl Running {
    pub(crate) fn start(limits: Limits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (gate, opened) = channel();
        let server = Server::bind(&folder.path().join("api.sock"), router(opened), limits);
        let server = server.expect("the path is free");
        let handle = server.handle();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(server.run(Toy::default(), shutdown));
        Self {
            folder,
            handle,
            gate,
            stop,
            task,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("api.sock")
    }

    pub(crate) async fn client(&self) -> Client {
        connect(&self.path()).await
    }

    pub(crate) async fn stop(self) -> Toy {
        self.stop.send(()).expect("it runs");
        self.task.await.expect("no panic").expect("a clean end")
    }
}

pub(crate) async fn connect(path: &Path) -> Client {
    let options = Options {
        name: "test".into(),
        request_timeout: PATIENCE,
        ..Options::default()
    };
    Client::connect(path, options)
        .await
        .expect("the server is there")
}

fn router(opened: Receiver<()>) -> Router<Toy> {
    let mut router = Router::new();
    router.on::<ShowVersion, _>(|_, _, _| {
        let version = FixedString::truncated("26.10-toy");
        Ok(ShowVersionReply {
            version,
            ..Default::default()
        })
    });
    router.on::<CreateLoopback, _>(|toy: &mut Toy, _, _| {
        toy.interfaces.push(IfStatusFlags::EMPTY);
        let sw_if_index = InterfaceIndex(u32::try_from(toy.interfaces.len()).expect("few"));
        Ok(CreateLoopbackReply {
            sw_if_index,
            ..Default::default()
        })
    });
    router.on::<DeleteLoopback, ()>(|_, _, _| Err(ApiError::Unimplemented));
    router.on::<SwInterfaceSetFlags, _>(|toy, request, caller| {
        let index = request.sw_if_index;
        let slot = (index.0 as usize)
            .checked_sub(1)
            .and_then(|slot| toy.interfaces.get_mut(slot));
        *slot.ok_or(ApiError::InvalidSwIfIndex)? = request.flags;
        caller.publish(|pid| SwInterfaceEvent {
            pid,
            sw_if_index: index,
            flags: request.flags,
            deleted: false,
        });
        Ok(())
    });
    router.on_dump::<SwInterfaceDump>(|toy, _, out| {
        for (flags, index) in toy.interfaces.iter().zip(1..) {
            out.send(&SwInterfaceDetails {
                sw_if_index: InterfaceIndex(index),
                flags: *flags,
                interface_name: FixedString::truncated(&format!("loop{}", index - 1)),
                ..Default::default()
            });
        }
    });
    router.on_stream::<SwInterfaceTxPlacementGet>(|toy, request, out| {
        let last = u32::try_from(toy.interfaces.len()).expect("few");
        let sw_if_index = InterfaceIndex(request.cursor + 1);
        if sw_if_index.0 > last {
            return Ok(SwInterfaceTxPlacementGetReply::default());
        }
        let threads = vec![0, 1];
        out.send(&SwInterfaceTxPlacementDetails {
            sw_if_index,
            threads,
            ..Default::default()
        });
        let (retval, cursor) = (ApiError::Again.into(), sw_if_index.0);
        Ok(SwInterfaceTxPlacementGetReply { retval, cursor })
    });
    router.on::<WantInterfaceEvents, _>(|_, request, caller| {
        caller.want::<SwInterfaceEvent>(request.enable_disable != 0, request.pid)
    });
    router.on::<CliInband, _>(|_, request, _| {
        let reply = request.cmd.repeat(2);
        Ok(CliInbandReply {
            reply,
            ..Default::default()
        })
    });
    add_slow(&mut router, opened);
    router
}

/// A message whose work takes until the test opens the gate.
fn add_slow(router: &mut Router<Toy>, opened: Receiver<()>) {
    router.on_slow::<CreateLoopbackInstance, _, _>(
        |_, request| match request.is_specified {
            true => Ok(request.user_instance),
            false => Err(ApiError::InvalidValue),
        },
        move |instance| {
            opened.recv().expect("the test opens the gate");
            assert_ne!(instance, FATAL, "as the test wants it");
        },
        |toy: &mut Toy, (), _| {
            toy.interfaces.push(IfStatusFlags::ADMIN_UP);
            let sw_if_index = InterfaceIndex(u32::try_from(toy.interfaces.len()).expect("few"));
            Ok(CreateLoopbackInstanceReply {
                sw_if_index,
                ..Default::default()
            })
        },
    );
}
