//! Places that make something durable, and what a power cut may leave if one is left out.

use std::collections::BTreeSet;

use super::picks::telling_picks;
use crate::disk::simulated::{Choice, Medium, Place, Step};

/// Returns the places that made something durable.
pub(crate) fn places(steps: &[Step]) -> BTreeSet<Place> {
    let place = |step: &Step| match step {
        Step::Sync { place, .. } | Step::SyncFolder { place, .. } | Step::SyncFilesystem { place, .. } => {
            Some(*place)
        }
        _ => None,
    };
    steps.iter().filter_map(place).collect()
}

/// Tells whether a power cut may leave other states if a place is left out.
pub(crate) fn may_differ(ignoring: &Medium, otherwise: &Medium) -> bool {
    let outcomes = |medium: &Medium| medium.choices().iter().map(Choice::outcomes).collect::<Vec<_>>();
    outcomes(ignoring) != outcomes(otherwise)
}

/// Returns the first state that fails `check` when the syncs of a place have no effect, and why it does.
/// `check` gets the number of steps that had been done, and what the power cut left.
pub(crate) fn missed(
    name: &str,
    (base, steps): (&Medium, &[Step]),
    place: Place,
    check: impl Fn(usize, Medium) -> Result<(), String>,
) -> Option<String> {
    if !places(steps).contains(&place) {
        return None;
    }
    let (mut ignoring, mut otherwise) = (base.clone().ignoring(Some(place)), base.clone());
    for (at, step) in (1..).zip(steps) {
        ignoring.replay(step);
        otherwise.replay(step);
        if !may_differ(&ignoring, &otherwise) {
            continue;
        }
        let choices = ignoring.choices();
        let failure = telling_picks(&choices)
            .iter()
            .find_map(|picked| check(at, ignoring.after_power_cut(&choices, picked)).err());
        if let Some(why) = failure {
            return Some(format!("`{name}`, step {at}: {why:.100}"));
        }
    }
    None
}
