//! What the main thread publishes to the workers.

use std::sync::Arc;

use vswitch::{SwIfIndex, Tables};

use crate::device::port::Port;

/// Ports by interface index.
pub type Ports = Vec<Option<Arc<Port>>>;

/// An immutable view of the whole dataplane.
#[derive(Debug)]
pub struct View {
    /// Forwarding tables.
    pub tables: Arc<Tables>,
    /// Where frames leave.
    pub ports: Arc<Ports>,
}

impl View {
    /// Finds the transmit side of an interface.
    pub fn port(&self, sw_if_index: SwIfIndex) -> Option<&Port> {
        self.ports.get(sw_if_index.0 as usize)?.as_deref()
    }
}
