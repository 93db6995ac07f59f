//! Counts connections, in all and by address, and admits new ones.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use event_listener::Event;

use crate::wire::limits::WireLimits;
use crate::wire::rejection::Rejection;
use crate::wire::{AddressCounts, AddressPermit, ClientAddress};

/// How many connections over a limit get an answer at once; further ones are closed without one.
const REFUSALS_AT_ONCE_MAX: usize = 64;

/// What becomes of a new connection.
#[derive(Debug)]
pub(super) enum Admitted {
    /// It is served, and counted until the permit is dropped.
    Served(ConnectionPermit),
    /// It gets the rejection, and is counted until the permit is dropped.
    Refused(ConnectionPermit, Rejection),
    /// It is closed without an answer.
    Closed,
}

/// Counts the connections of one listener.
#[derive(Debug, Default)]
pub(super) struct Admission {
    open: Arc<OpenCount>,
    refused: Arc<OpenCount>,
    of_source: AddressCounts,
}

/// One counted connection, until this is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    count: Arc<OpenCount>,
    _of_source: Option<AddressPermit>,
}

impl Admission {
    /// Admits a connection, unless a limit is reached. Only the accepting task calls it.
    pub(super) fn admit(&self, address: IpAddr, limits: &WireLimits) -> Admitted {
        if self.open.now() >= limits.connections_max {
            return self.refuse(Rejection::TooManyConnections);
        }
        let source = ClientAddress::of(address, limits.loopback_counts);
        let Some(of_source) = self.of_source.take(source, limits.connections_per_address_max) else {
            return self.refuse(Rejection::TooManyOfAddress);
        };
        Admitted::Served(ConnectionPermit::new(&self.open, Some(of_source)))
    }

    fn refuse(&self, rejection: Rejection) -> Admitted {
        if self.refused.now() >= REFUSALS_AT_ONCE_MAX {
            return Admitted::Closed;
        }
        Admitted::Refused(ConnectionPermit::new(&self.refused, None), rejection)
    }

    /// Returns how many connections are served.
    pub(super) fn now(&self) -> usize {
        self.open.now()
    }

    /// Waits until none is served.
    pub(super) async fn none_served(&self) {
        self.open.none().await;
    }

    /// Waits until none is served and none is being refused.
    pub(super) async fn none(&self) {
        self.open.none().await;
        self.refused.none().await;
    }
}

#[derive(Debug, Default)]
struct OpenCount {
    now: AtomicUsize,
    less: Event,
}

impl OpenCount {
    fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }

    async fn none(&self) {
        while self.now() > 0 {
            let listener = self.less.listen();
            if self.now() > 0 {
                listener.await;
            }
        }
    }
}

impl ConnectionPermit {
    fn new(count: &Arc<OpenCount>, of_source: Option<AddressPermit>) -> Self {
        count.now.fetch_add(1, Ordering::SeqCst);
        Self { count: Arc::clone(count), _of_source: of_source }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.count.now.fetch_sub(1, Ordering::SeqCst);
        self.count.less.notify(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(connections_max: usize, connections_per_address_max: usize) -> WireLimits {
        WireLimits { connections_max, connections_per_address_max, ..WireLimits::default() }
    }

    fn served(admitted: Admitted) -> ConnectionPermit {
        match admitted {
            Admitted::Served(counted) => counted,
            other => panic!("not served: {other:?}"),
        }
    }

    fn rejection(admitted: &Admitted) -> Option<Rejection> {
        if let Admitted::Refused(_, rejection) = admitted { Some(*rejection) } else { None }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_gets_no_more_than_its_share() {
        let (admission, limits) = (Admission::default(), limits(4, 2));
        let first = served(admission.admit(address("192.0.2.1"), &limits));
        let _second = served(admission.admit(address("::ffff:192.0.2.1"), &limits));
        let third = admission.admit(address("192.0.2.1"), &limits);
        assert_eq!(rejection(&third), Some(Rejection::TooManyOfAddress));
        let _other = served(admission.admit(address("192.0.2.2"), &limits));
        drop(first);
        let _again = served(admission.admit(address("192.0.2.1"), &limits));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_share_what_one_may_have() {
        let (admission, limits) = (Admission::default(), limits(4, 1));
        let _first = served(admission.admit(address("2001:db8:0:1::1"), &limits));
        let second = admission.admit(address("2001:db8:0:1:ffff::2"), &limits);
        assert_eq!(rejection(&second), Some(Rejection::TooManyOfAddress));
        let _other = served(admission.admit(address("2001:db8:0:2::1"), &limits));
    }

    #[test]
    fn the_limit_by_address_excludes_loopback_unless_configured() {
        let (admission, mut limits) = (Admission::default(), limits(3, 1));
        let _served: Vec<ConnectionPermit> = ["127.0.0.1", "::1", "127.0.0.1"]
            .map(|text| served(admission.admit(address(text), &limits)))
            .into();
        let fourth = admission.admit(address("127.0.0.1"), &limits);
        assert_eq!(rejection(&fourth), Some(Rejection::TooManyConnections));
        limits.connections_max = 9;
        limits.loopback_counts = true;
        let _first = served(admission.admit(address("127.0.0.1"), &limits));
        assert_eq!(
            rejection(&admission.admit(address("127.0.0.1"), &limits)),
            Some(Rejection::TooManyOfAddress)
        );
    }

    #[test]
    fn a_source_without_connections_leaves_no_trace() {
        let (admission, limits) = (Admission::default(), limits(4, 1));
        let counted: Vec<ConnectionPermit> =
            (1..=3).map(|last| served(admission.admit(IpAddr::from([192, 0, 2, last]), &limits))).collect();
        let refused = admission.admit(address("192.0.2.1"), &limits);
        assert_eq!((admission.of_source.len(), admission.now()), (3, 3));
        drop((counted, refused));
        assert_eq!((admission.of_source.len(), admission.now()), (0, 0));
        smol::block_on(admission.none());
    }

    #[test]
    fn the_number_of_rejections_at_once_is_limited() {
        let (admission, limits) = (Admission::default(), limits(0, 1));
        let refused: Vec<Admitted> =
            (0..REFUSALS_AT_ONCE_MAX).map(|_| admission.admit(address("192.0.2.1"), &limits)).collect();
        assert!(refused.iter().all(|one| rejection(one).is_some()));
        assert!(matches!(admission.admit(address("192.0.2.1"), &limits), Admitted::Closed));
    }
}
