//! System calls of the devices that no safe crate wraps: tun ioctls, packet socket options, batched datagrams.
//!
//! # Charter
//! Memory: only buffers borrowed from the caller for the length of one call, and zeroed C structures on the stack; no
//! pointer outlives the call that made it. Other writers: none, the kernel writes only while the call runs.
//! Invariant: every length given to the kernel is the length of the slice behind the pointer next to it.
//! Tests: the namespace tests in `tests/` move real packets through every function here.
#![expect(
    unsafe_code,
    reason = "ioctl, setsockopt and recvmmsg on file descriptors owned by the caller"
)]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Messages moved by one batched call.
pub const BURST_MAX: usize = 32;
/// Slices of one message: virtio-net header, head, tail.
pub const PARTS: usize = 3;

const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETPERSIST: libc::c_ulong = 0x4004_54cb;
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
const TUNSETVNETHDRSZ: libc::c_ulong = 0x4004_54d8;

const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID: u32 = 1 << 6;
const ETHERTYPE_VLAN: u16 = 0x8100;

/// A VLAN tag that the kernel took out of a received frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// Tag protocol identifier, 0x8100 or 0x88a8.
    pub tpid: u16,
    /// Priority and VLAN identifier.
    pub tci: u16,
}

/// One received message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Received {
    /// Bytes written to the message's slices.
    pub len: usize,
    /// Whether the frame was longer than the slices.
    pub truncated: bool,
    /// The tag that belongs between the MAC addresses and the EtherType.
    pub vlan: Option<VlanTag>,
}

/// Binds a `/dev/net/tun` descriptor to the interface called `name` and returns the name the kernel chose.
pub(super) fn tun_attach(fd: BorrowedFd<'_>, name: &str, flags: libc::c_int) -> io::Result<String> {
    // SAFETY: `ifreq` is plain old data for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).unwrap_or_default();
    // SAFETY: TUNSETIFF reads and writes one `ifreq`, which lives across the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), TUNSETIFF as _, &raw mut request) })?;
    let chosen = request
        .ifr_name
        .iter()
        .take_while(|byte| **byte != 0)
        .map(|byte| byte.cast_unsigned());
    Ok(String::from_utf8_lossy(&chosen.collect::<Vec<u8>>()).into_owned())
}

/// Makes the interface outlive its descriptors, or not.
pub(super) fn tun_set_persist(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    // SAFETY: TUNSETPERSIST takes its argument by value.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), TUNSETPERSIST as _, libc::c_ulong::from(on)) })
}

/// Tells the kernel which offloads this side understands.
pub(super) fn tun_set_offload(fd: BorrowedFd<'_>, offload: u32) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    check(unsafe {
        libc::ioctl(
            fd.as_raw_fd(),
            TUNSETOFFLOAD as _,
            libc::c_ulong::from(offload),
        )
    })
}

/// Sets the size of the virtio-net header in front of every frame.
pub(super) fn tun_set_vnet_header_len(fd: BorrowedFd<'_>, len: libc::c_int) -> io::Result<()> {
    // SAFETY: TUNSETVNETHDRSZ reads one `int`, which lives across the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), TUNSETVNETHDRSZ as _, &raw const len) })
}

/// Sets one plain-data socket option.
pub(super) fn set_option<T: Copy>(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let len = libc::socklen_t::try_from(mem::size_of::<T>()).unwrap_or_default();
    // SAFETY: the pointer and the length describe the borrowed `value`, which the kernel only reads.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            len,
        )
    })
}

/// Sets an integer option of a packet socket.
pub(super) fn packet_set_option(
    fd: BorrowedFd<'_>,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    set_option(fd, libc::SOL_PACKET, name, &value)
}

/// Sets the kernel receive buffer, beyond the system maximum when privileged.
pub(super) fn set_receive_buffer(fd: BorrowedFd<'_>, bytes: libc::c_int) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
        .or_else(|_| set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes))
}

/// Sets the kernel send buffer, beyond the system maximum when privileged.
pub(super) fn set_send_buffer(fd: BorrowedFd<'_>, bytes: libc::c_int) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &bytes)
        .or_else(|_| set_option(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, &bytes))
}

/// Puts the interface behind a packet socket into promiscuous mode for the life of the socket.
pub(super) fn packet_promiscuous(fd: BorrowedFd<'_>, ifindex: libc::c_int) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: ifindex,
        mr_type: libc::c_ushort::try_from(libc::PACKET_MR_PROMISC).unwrap_or_default(),
        mr_alen: 0,
        mr_address: [0; 8],
    };
    set_option(fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
}

/// Binds a packet socket to all protocols of one interface.
pub(super) fn packet_bind(fd: BorrowedFd<'_>, ifindex: libc::c_int) -> io::Result<()> {
    // SAFETY: `sockaddr_ll` is plain old data for which all zeroes is a valid value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::c_ushort::try_from(libc::AF_PACKET).unwrap_or_default();
    address.sll_protocol = u16::try_from(libc::ETH_P_ALL).unwrap_or_default().to_be();
    address.sll_ifindex = ifindex;
    let len = libc::socklen_t::try_from(mem::size_of::<libc::sockaddr_ll>()).unwrap_or_default();
    // SAFETY: the pointer and the length describe `address`, which the kernel only reads.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) })
}

/// Control data of one message: a header and the kernel's `tpacket_auxdata`.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control {
    header: libc::cmsghdr,
    aux: libc::tpacket_auxdata,
    padding: [u8; 12],
}

/// Receives up to [`BURST_MAX`] messages without waiting; returns how many entries of `out` were filled.
pub(super) fn recv_burst(
    fd: BorrowedFd<'_>,
    messages: &mut [[IoSliceMut<'_>; PARTS]],
    out: &mut [Received; BURST_MAX],
) -> io::Result<usize> {
    // SAFETY: all three are arrays of plain old data for which all zeroes is a valid value.
    let (mut headers, mut controls): ([libc::mmsghdr; BURST_MAX], [Control; BURST_MAX]) =
        unsafe { mem::zeroed() };
    for ((header, control), parts) in headers
        .iter_mut()
        .zip(&mut controls)
        .zip(messages.iter_mut())
    {
        // `IoSliceMut` is guaranteed to have the layout of `iovec`.
        header.msg_hdr.msg_iov = parts.as_mut_ptr().cast();
        header.msg_hdr.msg_iovlen = PARTS;
        header.msg_hdr.msg_control = std::ptr::from_mut(control).cast();
        header.msg_hdr.msg_controllen = mem::size_of::<Control>();
    }
    let count = libc::c_uint::try_from(messages.len().min(BURST_MAX)).unwrap_or_default();
    // SAFETY: the first `count` headers point to slices and control blocks that are borrowed across the call.
    let received = unsafe {
        libc::recvmmsg(
            fd.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
        )
    };
    check(received)?;
    let received = usize::try_from(received).unwrap_or_default();
    for (slot, (header, control)) in out
        .iter_mut()
        .zip(headers.iter().zip(&controls))
        .take(received)
    {
        *slot = Received {
            len: header.msg_len as usize,
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            vlan: vlan_of(control, header.msg_hdr.msg_controllen),
        };
    }
    Ok(received)
}

/// Sends messages without waiting; returns how many left.
pub(super) fn send_burst(
    fd: BorrowedFd<'_>,
    messages: &[[IoSlice<'_>; PARTS]],
) -> io::Result<usize> {
    // SAFETY: `mmsghdr` is plain old data for which all zeroes is a valid value.
    let mut headers: [libc::mmsghdr; BURST_MAX] = unsafe { mem::zeroed() };
    for (header, parts) in headers.iter_mut().zip(messages) {
        // `IoSlice` is guaranteed to have the layout of `iovec`; the kernel only reads through it here.
        header.msg_hdr.msg_iov = parts.as_ptr().cast_mut().cast();
        header.msg_hdr.msg_iovlen = PARTS;
    }
    let count = libc::c_uint::try_from(messages.len().min(BURST_MAX)).unwrap_or_default();
    // SAFETY: the first `count` headers point to slices that are borrowed across the call.
    let sent = unsafe {
        libc::sendmmsg(
            fd.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT,
        )
    };
    check(sent)?;
    Ok(usize::try_from(sent).unwrap_or_default())
}

fn vlan_of(control: &Control, control_len: usize) -> Option<VlanTag> {
    let complete =
        control_len >= mem::size_of::<libc::cmsghdr>() + mem::size_of::<libc::tpacket_auxdata>();
    let is_aux = control.header.cmsg_level == libc::SOL_PACKET
        && control.header.cmsg_type == libc::PACKET_AUXDATA;
    if !complete || !is_aux || control.aux.tp_status & TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let has_tpid = control.aux.tp_status & TP_STATUS_VLAN_TPID_VALID != 0;
    let tpid = if has_tpid {
        control.aux.tp_vlan_tpid
    } else {
        ETHERTYPE_VLAN
    };
    Some(VlanTag {
        tpid,
        tci: control.aux.tp_vlan_tci,
    })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
