//! Which images are damaged.

mod quarantine;

use std::collections::BTreeSet;

use crate::admin::error::AdminError;
use crate::admin::sink::AnswerSink;
use crate::maintenance::DamageSurvey;
use crate::registry::{DAMAGED_LISTED_MAX, DamageState, Registry};

pub(crate) use quarantine::{QuarantineRequest, QuarantineTotals, QuarantinedFile};

/// How many damaged images are listed where all are asked for: they fit into a line of an answer.
const ALL_LISTED_MAX: usize = 4000;

/// Searches for damaged images, and has health checks and metrics say what was found.
pub(super) fn damage(
    registry: &Registry,
    all: bool,
    sink: &mut dyn AnswerSink,
) -> Result<DamageState, AdminError> {
    sink.progress("searching for damaged images", 0, 0);
    let (upkeep, wrong) = (registry.upkeep(), BTreeSet::new());
    let listed_max = if all { ALL_LISTED_MAX } else { DAMAGED_LISTED_MAX };
    let survey = DamageSurvey::new(upkeep.view(), upkeep.blobs(), &wrong, listed_max);
    let state = survey.run(&mut || sink.check_wanted())?;
    upkeep.note_damage(state.clone());
    Ok(state)
}
