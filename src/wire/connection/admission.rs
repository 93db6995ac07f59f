//! Which connections are served, and which are refused.

use std::net::IpAddr;

use crate::base::ClientAddress;
use crate::wire::admission::{Place, Places, Terms};
use crate::wire::limits::WireLimits;
use crate::wire::rejection::Rejection;

/// How many connections over the limit are answered at once; further ones are closed unanswered.
const REFUSALS_AT_ONCE_MAX: usize = 64;

/// How many displaced connections may be on their way out at once.
const LEAVING_MAX: usize = 32;

/// How fast a client must be to keep its connection when all are taken. Slower lines hardly exist, and a
/// client that takes all connections by slow requests has to move a lot.
const LEAST_BYTES_PER_SECOND: u64 = 2 * 1024;

/// What becomes of a new connection.
#[derive(Debug)]
pub(super) enum Admitted {
    /// It is served, and holds its place until this is dropped.
    Served(Place<ClientAddress>),
    /// It gets the reason, and holds one of the places for refusals.
    Refused(Place<ClientAddress>, Rejection),
    /// It is closed.
    Closed,
}

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Admission {
    served: Places<ClientAddress>,
    refused: Places<ClientAddress>,
}

impl Admission {
    pub(super) fn new(limits: &WireLimits) -> Self {
        let served = Terms {
            places: limits.connections_max,
            leaving_max: LEAVING_MAX,
            idle_min: limits.displaced_idle_min,
            slow_time: limits.slow_time_max,
            least_bytes_per_second: LEAST_BYTES_PER_SECOND,
        };
        let refused = Terms { places: REFUSALS_AT_ONCE_MAX, ..served };
        Self { served: Places::new(served), refused: Places::new(refused) }
    }

    /// Admits a connection: to a free place, or to that of another one.
    pub(super) fn admit(&self, address: IpAddr) -> Admitted {
        let address = ClientAddress::of(address);
        let full = match self.served.take(address) {
            Ok(place) => return Admitted::Served(place),
            Err(full) => full,
        };
        let rejection =
            if full.of_address { Rejection::TooManyOfAddress } else { Rejection::TooManyConnections };
        match self.refused.take(address) {
            Ok(place) => Admitted::Refused(place, rejection),
            Err(_) => Admitted::Closed,
        }
    }

    /// Returns how many connections are served.
    pub(super) fn served(&self) -> usize {
        self.served.taken()
    }

    /// Cuts off all connections.
    pub(super) fn cut_off_all(&self) {
        self.served.cut_off_all();
        self.refused.cut_off_all();
    }

    /// Waits until none is served.
    pub(super) async fn none_served(&self) {
        self.served.all_left().await;
    }

    /// Waits until none is served and none is being refused.
    pub(super) async fn none(&self) {
        self.served.all_left().await;
        self.refused.all_left().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn admission(connections_max: usize) -> Admission {
        let displaced_idle_min = Duration::ZERO;
        Admission::new(&WireLimits { connections_max, displaced_idle_min, ..WireLimits::default() })
    }

    fn served(admitted: Admitted) -> Place<ClientAddress> {
        match admitted {
            Admitted::Served(place) => place,
            other => panic!("not served: {other:?}"),
        }
    }

    fn busy(admitted: Admitted) -> Place<ClientAddress> {
        let place = served(admitted);
        place.holder().activity.busy();
        place
    }

    fn rejection(admitted: &Admitted) -> Option<Rejection> {
        if let Admitted::Refused(_, rejection) = admitted { Some(*rejection) } else { None }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_may_have_all_places_while_no_other_wants_one() {
        let admission = admission(3);
        let places = ["192.0.2.1"; 3].map(|text| served(admission.admit(address(text))));
        let _other = served(admission.admit(address("192.0.2.2")));
        let displaced = places.iter().filter(|place| place.holder().is_displaced());
        assert_eq!((displaced.count(), admission.served()), (1, 4), "it is on its way out");
        drop(places);
        assert_eq!(admission.served(), 1);
    }

    #[test]
    fn an_address_that_has_most_and_is_busy_gets_429_and_others_get_503() {
        let admission = admission(2);
        let _places =
            ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2"].map(|text| busy(admission.admit(address(text))));
        let same = admission.admit(address("2001:db8:0:1::3"));
        assert_eq!(rejection(&same), Some(Rejection::TooManyOfAddress));
        let other = admission.admit(address("127.0.0.1"));
        assert_eq!(rejection(&other), Some(Rejection::TooManyConnections));
    }

    #[test]
    fn a_refused_connection_that_sends_nothing_gives_its_place_to_the_next_one() {
        let admission = admission(0);
        let answered: Vec<_> =
            (0..REFUSALS_AT_ONCE_MAX).map(|_| admission.admit(address("192.0.2.1"))).collect();
        assert!(answered.iter().all(|one| rejection(one).is_some()));
        let next = admission.admit(address("192.0.2.1"));
        let Admitted::Refused(place, _) = &next else { panic!("not answered: {next:?}") };
        place.holder().activity.busy();
        for admitted in &answered {
            let Admitted::Refused(place, _) = admitted else { panic!("not answered: {admitted:?}") };
            place.holder().activity.busy();
        }
        assert!(matches!(admission.admit(address("192.0.2.1")), Admitted::Closed));
        drop((answered, next));
        smol::block_on(admission.none());
    }
}
