//! Client addresses as limits see them.

use std::net::{IpAddr, Ipv6Addr};

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
    /// Returns the client that an address belongs to.
    pub fn of(address: IpAddr) -> Self {
        // A listener on `[::]` sees IPv4 clients at mapped addresses.
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::of_v6(address),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> ClientAddress {
        ClientAddress::of(address.parse().unwrap())
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one() {
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
    }

    #[test]
    fn neighbours_on_a_link_are_different() {
        assert_ne!(of("fe80::1"), of("fe80::2"));
    }

    #[test]
    fn an_ipv4_client_is_the_same_however_it_is_seen() {
        assert_eq!(of("64:ff9b::192.0.2.1"), of("192.0.2.1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("64:ff9b::192.0.2.1"), of("64:ff9b::192.0.2.2"));
        assert_ne!(of("64:ff9b:1::192.0.2.1"), of("192.0.2.1"));
    }
}
