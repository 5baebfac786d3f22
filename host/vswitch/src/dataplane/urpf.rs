//! Unicast reverse path forwarding.

use super::{Dataplane, Result};
use crate::error::ApiError;
use crate::id::{Family, SwIfIndex};
use crate::interface::{Urpf, UrpfInfo, UrpfSpec};

impl Dataplane {
    /// Sets (`Some`) or ends (`None`) the check of packets that an interface receives or sends.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::InvalidValue`] for an unknown table.
    pub fn urpf_update(
        &mut self,
        on: SwIfIndex,
        family: Family,
        is_input: bool,
        spec: Option<UrpfSpec>,
    ) -> Result<()> {
        self.interface(on)?;
        if let Some(table) = spec.and_then(|s| s.table_id) {
            self.fib_of(family, table)
                .map_err(|_| ApiError::InvalidValue)?;
        }
        let info = self.info_mut(on)?;
        info.urpf
            .retain(|u| (u.family, u.is_input) != (family, is_input));
        if let Some(spec) = spec {
            info.urpf.push(UrpfInfo {
                family,
                is_input,
                spec,
            });
            info.urpf.sort_by_key(|u| (u.family, !u.is_input));
        }
        self.refresh(on);
        Ok(())
    }

    /// The table that a check looks sources up in.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn urpf_table(&self, on: SwIfIndex, urpf: &UrpfInfo) -> Result<u32> {
        let info = self.interface(on)?;
        Ok(urpf.spec.table_id.unwrap_or(info.table(urpf.family)))
    }

    /// What the data path needs to know: by family, input and output.
    pub(super) fn urpf_of(&self, on: SwIfIndex) -> [[Option<Urpf>; 2]; 2] {
        let find = |family, is_input| {
            let info = self.interface(on).ok()?;
            let urpf = info
                .urpf
                .iter()
                .find(|u| (u.family, u.is_input) == (family, is_input))?;
            Some(Urpf {
                strict: urpf.spec.strict,
                fib: self.fib_index(family, self.urpf_table(on, urpf).ok()?),
            })
        };
        [Family::V4, Family::V6].map(|family| [true, false].map(|input| find(family, input)))
    }
}
