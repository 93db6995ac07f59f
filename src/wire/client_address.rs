//! Client addresses as limits see them, and a count of what each address holds.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use crate::base::lock;

/// One address may hold one in `SHARES` of a resource.
pub(crate) const SHARES: usize = 4;

/// The network of 96 bits (RFC 6052) in which a translator shows IPv4 clients.
const TRANSLATED: u128 = 0x0064_ff9b << 96;

/// A client as limits see it: an IPv4 address, or the /64 network of an IPv6 address, since one client can
/// use every address of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    /// An IPv4 address.
    V4(u32),
    /// The upper half of an IPv6 address.
    V6Network(u64),
    /// A link-local address: all clients of a link share its network.
    V6Link(u128),
}

impl ClientAddress {
    /// Returns what an address is for limits: `None` for the loopback address, unless `loopback_counts`.
    pub fn of(address: IpAddr, loopback_counts: bool) -> Option<Self> {
        // A listener on `[::]` sees IPv4 clients at mapped addresses.
        let address = address.to_canonical();
        if address.is_loopback() && !loopback_counts {
            return None;
        }
        Some(match address {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::of_v6(address),
        })
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let bits = address.to_bits();
        if address.is_unicast_link_local() {
            Self::V6Link(bits)
        } else if bits >> 32 == TRANSLATED >> 32 {
            Self::V4(bits as u32)
        } else {
            Self::V6Network((bits >> 64) as u64)
        }
    }
}

/// Counts what each address holds of one resource.
#[derive(Debug, Default)]
pub struct AddressCounts(Arc<Mutex<HashMap<ClientAddress, usize>>>);

/// One unit held by its address, until this is dropped.
#[derive(Debug)]
pub struct AddressPermit {
    source: Option<ClientAddress>,
    counts: Arc<Mutex<HashMap<ClientAddress, usize>>>,
}

impl AddressCounts {
    /// Counts one more for an address, unless it holds `max` already. `None` is not limited.
    pub fn take(&self, source: Option<ClientAddress>, max: usize) -> Option<AddressPermit> {
        if let Some(source) = source {
            let mut counts = lock(&self.0);
            let count = counts.get(&source).copied().unwrap_or(0);
            if count >= max {
                return None;
            }
            counts.insert(source, count + 1);
        }
        Some(AddressPermit { source, counts: Arc::clone(&self.0) })
    }

    /// Returns how many addresses hold anything.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let Some(source) = self.source else { return };
        let mut counts = lock(&self.counts);
        // Remove addresses that hold nothing: clients must not make the table grow.
        match counts.get_mut(&source) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Option<ClientAddress> {
        ClientAddress::of(address.parse().unwrap(), false)
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
    }

    #[test]
    fn neighbours_on_a_link_are_sources_of_their_own() {
        assert_ne!(of("fe80::1"), of("fe80::2"));
        assert_ne!(of("fe80::1"), None);
    }

    #[test]
    fn an_ipv4_client_is_the_same_source_however_it_is_seen() {
        assert_eq!(of("64:ff9b::192.0.2.1"), of("192.0.2.1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("64:ff9b::192.0.2.1"), of("64:ff9b::192.0.2.2"));
        assert_ne!(of("64:ff9b:1::192.0.2.1"), of("192.0.2.1"));
    }

    #[test]
    fn the_loopback_address_is_no_source_unless_it_counts() {
        for address in ["127.0.0.1", "::1"] {
            assert_eq!(of(address), None);
            assert!(ClientAddress::of(address.parse().unwrap(), true).is_some());
        }
    }

    #[test]
    fn a_source_has_no_more_than_its_share_and_leaves_no_trace() {
        let (sources, source) = (AddressCounts::default(), of("192.0.2.1"));
        let first = sources.take(source, 2).unwrap();
        let second = sources.take(source, 2).unwrap();
        assert!(sources.take(source, 2).is_none());
        let other = sources.take(of("192.0.2.2"), 2).unwrap();
        drop(first);
        let third = sources.take(source, 2).unwrap();
        assert_eq!(sources.len(), 2);
        drop((second, third, other));
        assert_eq!(sources.len(), 0);
        assert!(sources.take(None, 0).is_some());
    }
}
