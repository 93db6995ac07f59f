//! What a clock is believed, told by readings.

use super::*;

const MINUTE: u64 = 60 * 1000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Some day of 2026.
const TODAY: u64 = PLAUSIBLE_MIN_MS + 500 * DAY;

fn at(wall_ms: u64, steady_ms: u64) -> Reading {
    Reading { wall_ms, steady_ms }
}

fn believed(state: &mut State, reading: Reading) -> bool {
    state.now(reading, HOUR).is_ok()
}

#[test]
fn a_clock_that_runs_is_believed_from_its_start() {
    let mut state = State::beginning(at(TODAY, 0));
    assert_eq!(state.stamp(at(TODAY, 0)), Some(TODAY));
    // It runs a little fast, and is corrected little by little.
    for minutes in 1..200 {
        let wall = TODAY + minutes * (MINUTE + 100) - (minutes % 3) * 4 * MINUTE / 3;
        assert!(believed(&mut state, at(wall, minutes * MINUTE)), "{minutes}");
    }
    assert_eq!(state.corrected(Some(TODAY)), Some(TODAY));
}

#[test]
fn a_clock_that_was_never_set_notes_no_time_and_tells_no_age() {
    let mut state = State::beginning(at(5000, 0));
    assert_eq!(state.stamp(at(6000, 1000)), None);
    assert!(!believed(&mut state, at(DAY * 9000, 2000)));
    assert_eq!(state.corrected(Some(6000)), None);
    assert_eq!(state.corrected(None), None);
    assert_eq!(state.latest_ms, 0);
}

#[test]
fn a_clock_that_is_behind_what_the_store_has_seen_notes_no_time() {
    let mut state = State::beginning(at(TODAY, 0));
    state.latest_ms = TODAY + STEP_MIN_MS - 1;
    assert_eq!(state.stamp(at(TODAY, 0)), Some(TODAY));
    state.latest_ms = TODAY + STEP_MIN_MS;
    assert_eq!(state.stamp(at(TODAY, 0)), None);
    assert!(!believed(&mut state, at(TODAY, 0)));
    // Somebody sets it: it counts again, and one that goes on for hours does as well.
    assert_eq!(state.stamp(at(TODAY - DAY, 1000)), Some(TODAY - DAY));
    let mut state = State::beginning(at(TODAY, 0));
    state.latest_ms = TODAY * 2;
    assert_eq!(state.stamp(at(TODAY + BELIEVED_AFTER_MS - 1, BELIEVED_AFTER_MS - 1)), None);
    assert!(state.stamp(at(TODAY + BELIEVED_AFTER_MS, BELIEVED_AFTER_MS)).is_some());
}

#[test]
fn no_age_is_told_for_a_while_after_the_clock_was_set() {
    for (wall, is_set) in [
        (TODAY + MINUTE + STEP_MIN_MS, true),
        (TODAY + MINUTE + STEP_MIN_MS - 1, false),
        (TODAY + MINUTE - STEP_MIN_MS, true),
        (TODAY + MINUTE - STEP_MIN_MS + 1, false),
        (TODAY * 2, true),
    ] {
        let mut state = State::beginning(at(TODAY, 0));
        assert_eq!(believed(&mut state, at(wall, MINUTE)), !is_set, "{wall}");
        assert_eq!(believed(&mut state, at(wall + HOUR - 1, MINUTE + HOUR - 1)), !is_set, "{wall}");
        assert!(believed(&mut state, at(wall + HOUR, MINUTE + HOUR)), "{wall}");
    }
}

#[test]
fn what_was_noted_before_the_clock_was_set_forward_is_later_by_as_much() {
    let mut state = State::beginning(at(TODAY - 90 * DAY, 0));
    let noted = state.stamp(at(TODAY - 90 * DAY + 1000, 1000));
    let later = state.stamp(at(TODAY, 2000));
    let step = 90 * DAY - 2000;
    assert_eq!(state.corrected(noted), noted.map(|noted| noted + step));
    assert_eq!(state.corrected(later), later);
    // What others noted before this start was noted by a clock that nobody knows anything of.
    for other in [TODAY - 91 * DAY, TODAY - 89 * DAY, TODAY + 1] {
        assert_eq!(state.corrected(Some(other)), Some(other));
    }
}

#[test]
fn what_is_noted_rightly_by_now_is_not_corrected_again_unless_the_clock_was_set_meanwhile() {
    let mut state = State::beginning(at(TODAY, 0));
    let noted = state.stamp(at(TODAY, 0));
    state.observe(at(TODAY + DAY, 1000));
    let steps = state.steps;
    state.observe(at(TODAY + 2 * DAY, 2000));
    state.noted_rightly(steps);
    assert_eq!(state.corrected(noted), noted.map(|noted| noted + 2 * DAY - 2000));
    state.noted_rightly(state.steps);
    assert_eq!(state.corrected(noted), noted);
}

#[test]
fn a_clock_that_was_set_forward_by_mistake_corrects_nothing_once_it_is_set_back() {
    let mut state = State::beginning(at(TODAY, 0));
    let noted = state.stamp(at(TODAY, 0));
    state.observe(at(TODAY + 9000 * DAY, 1000));
    assert_eq!(state.corrected(noted), Some(TODAY + 9000 * DAY - 1000));
    state.observe(at(TODAY + 2000, 2000));
    assert_eq!(state.corrected(noted), noted);
    assert_eq!(state.stamp(at(TODAY + 3000, 3000)), Some(TODAY + 3000));
}

#[test]
fn many_corrections_keep_what_they_are_for() {
    let mut state = State::beginning(at(TODAY, 0));
    let mut noted = Vec::new();
    for count in 0..3 * CORRECTIONS_MAX as u64 {
        noted.push(state.stamp(at(TODAY + count * DAY, count * 1000)).unwrap());
    }
    assert_eq!(state.corrections.len(), CORRECTIONS_MAX);
    let (last, before) = noted.split_last().unwrap();
    for one in before {
        // Each was noted within the minute before the last one.
        assert!(state.corrected(Some(*one)).unwrap() >= last - MINUTE, "{one}");
    }
    assert_eq!(state.corrected(Some(*last)), Some(*last));
}

#[test]
fn the_clock_of_the_system_runs_in_step() {
    let clock = Clock::default();
    assert!(clock.stamp().is_some_and(|now| now > PLAUSIBLE_MIN_MS));
    assert!(clock.now(Duration::ZERO).is_ok());
}
