//! The rule of admission.
//!
//! While a place is free, anyone gets it. When all are taken, a newcomer displaces a holder of the address
//! that has most places. Where no holder of that address can go, the address that has next most is asked. An
//! address that has no more than the newcomer's own loses nothing to it, so that an address with most places
//! displaces only itself.

use std::collections::HashMap;
use std::hash::Hash;

/// What one address has.
struct Holding<K, R> {
    places: usize,
    /// Its holder that goes first, if any can go.
    first: Option<(R, K)>,
}

/// Returns the holder that a newcomer displaces when all places are taken, or `None` when it displaces none.
///
/// Each holder is its address, its key and its rank, if it can go. Of one address, greater ranks go first.
pub(crate) fn displaced<A, K, R>(holders: impl Iterator<Item = (A, K, Option<R>)>, newcomer: &A) -> Option<K>
where
    A: Eq + Hash,
    K: Copy,
    R: Copy + Ord,
{
    let mut by_address: HashMap<A, Holding<K, R>> = HashMap::new();
    for (address, key, rank) in holders {
        let holding = by_address.entry(address).or_insert(Holding { places: 0, first: None });
        holding.places += 1;
        let Some(rank) = rank else { continue };
        if holding.first.is_none_or(|(first, _)| first < rank) {
            holding.first = Some((rank, key));
        }
    }
    let own = by_address.get(newcomer).map_or(0, |holding| holding.places);
    by_address
        .into_iter()
        .filter(|(address, holding)| address == newcomer || holding.places > own)
        .filter_map(|(_, holding)| holding.first.map(|(rank, key)| (holding.places, rank, key)))
        .max_by_key(|(places, rank, _)| (*places, *rank))
        .map(|(_, _, key)| key)
}
