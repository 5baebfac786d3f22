//! The members of one store, and which of them is asked next.
//!
//! One client per member instead of one balanced client: a balanced one keeps sending every second
//! call to a member that is down, because failing is fast and looks like being idle.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{Channel, Client};
use tokio::sync::OnceCell;
use tonic::transport::Endpoint;

use super::StoreError;

/// A dead peer is noticed within the sum of these two. Servers refuse pings more often than every 5 s.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Endpoints {
    members: Vec<Member>,
    current: AtomicUsize,
}

struct Member {
    url: String,
    channel: tonic::transport::Channel,
    /// Made at the first use, because its constructor is async.
    client: OnceCell<Client>,
}

/// Which member was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn(usize);

impl Endpoints {
    pub(super) fn new<E: AsRef<str>>(urls: &[E], deadline: Duration) -> Result<Self, StoreError> {
        let count = u32::try_from(urls.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return Err(StoreError::NoEndpoint);
        }
        let members = urls
            .iter()
            .map(|url| Member::new(url.as_ref(), deadline / count))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            members,
            current: AtomicUsize::new(0),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) async fn current(&self) -> Result<(Turn, Client), etcd_client::Error> {
        let turn = self.current.load(Ordering::Relaxed) % self.members.len();
        let member = &self.members[turn];
        let connect = || Client::from_channel(Channel::Tonic(member.channel.clone()), None);
        let client = member.client.get_or_try_init(connect).await?;
        Ok((Turn(turn), client.clone()))
    }

    /// Asks the next member from now on, unless somebody else has already decided so.
    pub(super) fn pass_over(&self, turn: Turn) {
        let next = (turn.0 + 1) % self.members.len();
        let _ = self
            .current
            .compare_exchange(turn.0, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.members.iter().map(|member| &member.url))
            .finish()
    }
}

impl Member {
    fn new(url: &str, connect_timeout: Duration) -> Result<Self, StoreError> {
        let invalid = || StoreError::Endpoint {
            endpoint: url.to_owned(),
        };
        if !url.starts_with("http://") {
            return Err(invalid());
        }
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| invalid())?;
        let authority = endpoint.uri().authority();
        if authority.is_none_or(|authority| authority.port_u16().is_none()) {
            return Err(invalid());
        }
        let channel = endpoint
            .connect_timeout(connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(false)
            .connect_lazy();
        Ok(Self {
            url: url.to_owned(),
            channel,
            client: OnceCell::new(),
        })
    }
}
