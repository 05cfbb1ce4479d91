//! Free ports.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::bail;

/// Below the range that the kernel gives to outgoing connections (32768 and up on Linux), so that no connection takes
/// a port between the choice and the bind.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port on loopback that nobody listens on and that this process has not given out before.
pub fn free() -> anyhow::Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let size = RANGE.end - RANGE.start;
    // Test processes that run at the same time begin at different places.
    let begin = (process::id() as u16).wrapping_mul(97) % size;
    for _ in 0..size {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.start + (begin.wrapping_add(step)) % size;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port in {RANGE:?}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_port_is_given_twice() {
        let mut ports: Vec<_> = (0..50).map(|_| super::free().unwrap().port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
    }
}
