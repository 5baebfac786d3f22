//! Types shared by all that name Ethernet addresses.

use std::fmt;

use crate::dsl::api;

api! {
    module ethernet_types("1.0.0" 0xf24103d6) imports [];

    /// An Ethernet address.
    #[derive(Eq, Hash, PartialOrd, Ord)]
    alias MacAddress("mac_address" [u8; 6]) {}
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
