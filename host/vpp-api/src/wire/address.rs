//! The standard library's addresses stand for VPP's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{CodecError, Fault, Reader, Wire, Writer};
use crate::describe::Shape;

const FAMILY_IP4: u8 = 0;
const FAMILY_IP6: u8 = 1;

impl Wire for Ipv4Addr {
    const SHAPE: Shape = Shape::scalar("vl_api_ip4_address_t");
    const MIN_SIZE: usize = 4;

    fn zero() -> Self {
        Self::UNSPECIFIED
    }

    fn put(&self, out: &mut Writer) -> Result<(), CodecError> {
        out.bytes(&self.octets());
        Ok(())
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        input.array::<4>().map(Self::from)
    }
}

impl Wire for Ipv6Addr {
    const SHAPE: Shape = Shape::scalar("vl_api_ip6_address_t");
    const MIN_SIZE: usize = 16;

    fn zero() -> Self {
        Self::UNSPECIFIED
    }

    fn put(&self, out: &mut Writer) -> Result<(), CodecError> {
        out.bytes(&self.octets());
        Ok(())
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        input.array::<16>().map(Self::from)
    }
}

impl Wire for IpAddr {
    const SHAPE: Shape = Shape::scalar("vl_api_address_t");
    const MIN_SIZE: usize = 17;

    fn zero() -> Self {
        Self::V4(Ipv4Addr::UNSPECIFIED)
    }

    fn put(&self, out: &mut Writer) -> Result<(), CodecError> {
        match self {
            Self::V4(ip) => {
                FAMILY_IP4.put(out)?;
                ip.put(out)?;
                [0_u8; 12].put(out)
            }
            Self::V6(ip) => {
                FAMILY_IP6.put(out)?;
                ip.put(out)
            }
        }
    }

    /// The twelve bytes behind an IPv4 address may be garbage and are skipped.
    fn take(input: &mut Reader<'_>) -> Result<Self, CodecError> {
        let family = u8::take(input)?;
        let [a, b, c, d, ..] = input.clone().array::<16>()?;
        let octets = input.array::<16>()?;
        match family {
            FAMILY_IP4 => Ok(Self::from([a, b, c, d])),
            FAMILY_IP6 => Ok(Self::from(octets)),
            other => Err(Fault::AddressFamily(other).into()),
        }
    }
}
