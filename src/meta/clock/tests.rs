//! Store time, downtimes and ages, told by readings.

use proptest::prelude::*;

use super::store_time::DOWNTIMES_MAX;
use super::*;

const MINUTE: u64 = 60 * 1000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Some day of 2026.
const TODAY: u64 = PLAUSIBLE_MIN_MS + 500 * DAY;

/// A machine with a store, which may be open.
struct Machine {
    now: Reading,
    /// What the disk has.
    kept: StoreTime,
    state: ClockState,
}

impl Machine {
    /// Starts one with an empty store, and opens the store.
    fn at(wall_ms: u64) -> Self {
        let now = Reading { wall_ms, steady_ms: 0 };
        let kept = StoreTime::default();
        let mut machine = Self { now, kept, state: ClockState::new(now) };
        machine.open();
        machine
    }

    fn open(&mut self) {
        self.state = ClockState::new(self.now);
        self.state.resume(self.now, &self.kept, 0);
    }

    fn pass(&mut self, ms: u64) {
        self.now.wall_ms += ms;
        self.now.steady_ms += ms;
    }

    /// Starts again after a power cut, as a machine whose wall clock is at this time then.
    fn boot(&mut self, wall_ms: u64) {
        self.now = Reading { wall_ms, steady_ms: 0 };
        self.open();
    }

    fn stop(&mut self) {
        self.state.observe(self.now);
        self.kept = self.state.time(self.now, true);
    }

    /// Writes a line, and returns the store time that its rows note.
    fn note(&mut self) -> u64 {
        self.state.observe(self.now);
        let line = self.state.time(self.now, self.state.written_ms.is_none());
        self.kept.learn(&line);
        self.state.written_ms = Some(line.open_ms);
        self.state.open_ms(self.now)
    }

    fn age(&mut self, noted: u64) -> u64 {
        self.state.observe(self.now);
        let StoreTime { open_ms, downtimes, .. } = self.state.time(self.now, true);
        Ages { now_ms: open_ms, downtimes }.of(noted)
    }

    fn doubt(&mut self) -> String {
        self.state.observe(self.now);
        self.state.uncounted(self.now).unwrap_or_default()
    }
}

/// Tells whether an age is as expected: store time goes on by a millisecond with each start.
fn is_about(age: u64, expected: u64) -> bool {
    age.abs_diff(expected) < 1000
}

#[test]
fn ages_of_a_dry_run_make_the_store_trust_no_clock() {
    let set = SetClock::new(TODAY);
    let clock = set.clock();
    set.pass(2 * HOUR);
    let (noted, known) = (clock.store_time().0, clock.known());
    set.pass(DAY);
    let clock = set.clock();
    clock.resume(&known, Duration::ZERO);
    assert!(is_about(clock.ages_without_rest().of(noted), DAY));
    assert!(is_about(clock.ages().of(noted), 0));
    assert_eq!(clock.known().downtimes, []);
}

#[test]
fn the_wall_clock_changes_no_age_while_the_store_is_open() {
    let mut machine = Machine::at(1000);
    let noted = machine.note();
    for wall in [TODAY, TODAY * 2, 5, u64::MAX / 2, TODAY - 90 * DAY] {
        machine.pass(DAY);
        machine.now.wall_ms = wall;
        assert_eq!(machine.note() - noted, machine.age(noted));
    }
    assert_eq!(machine.age(noted), 5 * DAY);
}

#[test]
fn a_downtime_counts_when_the_clock_has_run_for_an_hour() {
    let mut machine = Machine::at(TODAY);
    machine.pass(2 * HOUR);
    let noted = machine.note();
    machine.boot(TODAY + 2 * HOUR + 30 * DAY);
    assert!(machine.doubt().ends_with("only 0 s ago"), "{}", machine.doubt());
    machine.pass(HOUR - 1);
    assert!(is_about(machine.age(noted), HOUR));
    machine.pass(1);
    assert!(is_about(machine.age(noted), HOUR + 30 * DAY));
    machine.note();
    assert_eq!(machine.doubt(), "");
}

/// The process starts again, on a machine that has run for long.
#[test]
fn a_downtime_counts_an_hour_after_the_start_or_at_once_without_a_server() {
    let mut machine = Machine::at(TODAY);
    machine.pass(2 * HOUR);
    let noted = machine.note();
    machine.stop();
    machine.pass(30 * DAY);
    machine.open();
    assert!(is_about(machine.age(noted), 0));
    assert_eq!(machine.doubt(), "pulk started only 0 s ago");
    machine.state.skips_rest = true;
    assert!(is_about(machine.age(noted), 30 * DAY));
    assert_eq!(machine.doubt(), "");
    machine.open();
    machine.pass(HOUR);
    assert!(is_about(machine.age(noted), 30 * DAY + HOUR));
}

#[test]
fn a_downtime_is_counted_once_over_stops_and_power_cuts() {
    for ways in 0..64_u64 {
        let mut machine = Machine::at(TODAY);
        machine.pass(2 * HOUR);
        let noted = machine.note();
        for round in 0..3 {
            let (stops, writes) = (ways >> (2 * round) & 1 == 0, ways >> (2 * round + 1) & 1 == 0);
            machine.pass(2 * HOUR);
            if writes {
                machine.note();
            }
            if stops {
                machine.stop();
            }
            machine.boot(machine.now.wall_ms + DAY);
        }
        machine.pass(2 * HOUR);
        assert!(
            is_about(machine.age(noted), 3 * (2 * HOUR + DAY) + 2 * HOUR),
            "{ways}: {}",
            machine.age(noted)
        );
    }
}

#[test]
fn a_machine_that_is_off_half_of_the_time_ages_things_by_both() {
    let mut machine = Machine::at(TODAY);
    let mut noted = Vec::new();
    for _ in 0..60 {
        // One within the hour in which the clock is not trusted, and one after it.
        machine.pass(HOUR / 2);
        noted.push((machine.now.wall_ms, machine.note()));
        machine.pass(2 * HOUR);
        noted.push((machine.now.wall_ms, machine.note()));
        machine.pass(10 * HOUR);
        machine.stop();
        machine.boot(machine.now.wall_ms + 12 * HOUR);
    }
    machine.pass(2 * HOUR);
    for (wall, noted) in noted {
        assert!(is_about(machine.age(noted), machine.now.wall_ms - wall), "{noted}");
    }
}

#[test]
fn a_store_that_is_started_every_minute_ages_by_the_time_that_it_is_open() {
    for wall in [1000, TODAY] {
        let mut machine = Machine::at(wall);
        let noted = machine.note();
        for _ in 0..2000 {
            machine.pass(MINUTE);
            machine.stop();
            machine.boot(machine.now.wall_ms + MINUTE);
        }
        assert!((2000 * MINUTE..2001 * MINUTE).contains(&machine.age(noted)));
    }
}

/// A machine without a battery for its clock starts with the time of its last stop; a time server sets it.
#[test]
fn what_is_pushed_before_the_time_server_sets_the_clock_is_no_older_for_that() {
    for cut in [false, true] {
        let mut machine = Machine::at(TODAY);
        machine.pass(2 * HOUR);
        let old = machine.note();
        machine.stop();
        machine.boot(TODAY + 2 * HOUR);
        let new = machine.note();
        machine.pass(5 * MINUTE);
        machine.now.wall_ms += 30 * DAY;
        if cut {
            machine.boot(machine.now.wall_ms);
        } else {
            machine.pass(1);
            machine.stop();
            machine.open();
        }
        machine.pass(2 * HOUR);
        machine.note();
        assert!(machine.age(new) < 3 * HOUR, "{}", machine.age(new));
        assert!((30 * DAY..30 * DAY + 3 * HOUR).contains(&machine.age(old)), "{}", machine.age(old));
    }
}

#[test]
fn a_clock_that_is_set_forward_late_makes_no_downtime() {
    let mut machine = Machine::at(TODAY);
    machine.pass(3 * HOUR);
    let noted = machine.note();
    machine.now.wall_ms += 30 * DAY;
    machine.pass(MINUTE);
    machine.note();
    machine.boot(machine.now.wall_ms + DAY);
    machine.pass(2 * HOUR);
    assert!(is_about(machine.age(noted), DAY + 2 * HOUR + MINUTE), "{}", machine.age(noted));
}

#[test]
fn a_clock_that_was_behind_or_ahead_for_a_while_makes_no_downtime() {
    for wrong in [TODAY - 90 * DAY, TODAY + 90 * DAY, 1000] {
        // Some set it right, and some start the machine again for that.
        for (minutes, sets) in [(1, false), (59, true), (61, false), (61, true), (600, false), (600, true)] {
            let mut machine = Machine::at(TODAY);
            machine.pass(2 * HOUR);
            let noted = machine.note();
            machine.now.wall_ms = wrong;
            machine.note();
            machine.pass(minutes * MINUTE);
            machine.note();
            if sets {
                machine.now.wall_ms = TODAY + 2 * HOUR + minutes * MINUTE;
                machine.note();
                machine.pass(2 * HOUR);
                machine.note();
            }
            machine.stop();
            machine.boot(TODAY + DAY);
            machine.pass(2 * HOUR);
            let (age, truth) = (machine.age(noted), DAY);
            assert!(age <= truth + 1000, "{wrong} {minutes} {sets}: {age}");
            // One that was ahead for an hour is trusted no more until it has come as far.
            if wrong < TODAY || minutes < 60 && sets {
                assert!(is_about(age, truth), "{wrong} {minutes} {sets}: {age}");
            }
        }
    }
}

#[test]
fn a_clock_that_was_ahead_for_a_minute_before_a_stop_is_trusted_in_the_next_run() {
    let mut machine = Machine::at(TODAY);
    machine.pass(2 * HOUR);
    let before = machine.note();
    machine.now.wall_ms += 90 * DAY;
    machine.pass(MINUTE);
    machine.stop();
    machine.boot(TODAY + DAY);
    machine.pass(2 * HOUR);
    assert_eq!(machine.doubt(), "");
    // The clock may have been right for that minute: then there was no downtime.
    assert!(is_about(machine.age(before), 2 * HOUR + MINUTE));
    let between = machine.note();
    machine.stop();
    machine.boot(TODAY + 2 * DAY);
    machine.pass(2 * HOUR);
    assert!(is_about(machine.age(between), DAY), "{}", machine.age(between));
}

#[test]
fn a_clock_that_is_years_ahead_at_the_start_counts_nothing_if_it_is_set_within_the_hour() {
    let mut machine = Machine::at(TODAY);
    machine.pass(2 * HOUR);
    let noted = machine.note();
    machine.boot(TODAY * 2);
    machine.pass(HOUR - MINUTE);
    machine.note();
    machine.now.wall_ms = TODAY + DAY + 3 * HOUR - MINUTE;
    machine.note();
    machine.pass(2 * HOUR + MINUTE);
    machine.note();
    assert!(is_about(machine.age(noted), DAY + 3 * HOUR), "{}", machine.age(noted));
}

#[test]
fn a_clock_that_is_never_set_counts_no_downtime() {
    let mut machine = Machine::at(TODAY);
    machine.pass(2 * HOUR);
    let noted = machine.note();
    machine.boot(1000);
    machine.pass(DAY);
    machine.note();
    assert!(is_about(machine.age(noted), DAY));
    assert!(machine.doubt().starts_with("the clock is not set"), "{}", machine.doubt());
    machine.boot(TODAY - DAY);
    machine.pass(DAY / 2);
    assert!(machine.doubt().ends_with(" h behind what it showed earlier"), "{}", machine.doubt());
}

#[test]
fn more_downtimes_than_are_kept_make_nothing_older_than_it_is() {
    let mut machine = Machine::at(TODAY);
    let mut noted = Vec::new();
    for _ in 0..DOWNTIMES_MAX + 100 {
        machine.pass(2 * HOUR);
        noted.push((machine.now.wall_ms, machine.note()));
        machine.boot(machine.now.wall_ms + DAY);
    }
    machine.pass(2 * HOUR);
    machine.stop();
    assert_eq!(machine.kept.downtimes.len(), DOWNTIMES_MAX);
    let age_of =
        |machine: &mut Machine, (wall, noted): (u64, u64)| (machine.age(noted), machine.now.wall_ms - wall);
    for one in &noted {
        let (age, truth) = age_of(&mut machine, *one);
        assert!(age <= truth + 1000, "{age} {truth}");
    }
    for one in noted.iter().take(1).chain(&noted[101..]) {
        let (age, truth) = age_of(&mut machine, *one);
        assert!(is_about(age, truth), "{age} {truth}");
    }
}

#[test]
fn values_that_only_damage_explains_neither_stop_ages_nor_make_things_old() {
    let anchor = |wall_ms, open_ms| Some(Anchor { wall_ms, ahead_ms: 0, open_ms });
    let sound = StoreTime { open_ms: 5, anchor: anchor(TODAY, 5), downtimes: Vec::new(), unclean_ms: None };
    let downtime = |since_ms, length_ms| vec![Downtime { since_ms, length_ms }];
    for (open_ms, anchor, downtimes) in [
        (u64::MAX, None, Vec::new()),
        (u64::MAX, anchor(TODAY, 6), downtime(1, u64::MAX)),
        (4, anchor(TODAY + DAY, 4), downtime(u64::MAX, DAY)),
        (5, anchor(u64::MAX, 5), Vec::new()),
        (5, anchor(1000, 5), Vec::new()),
        (5, anchor(TODAY, u64::MAX), Vec::new()),
    ] {
        let mut known = sound.clone();
        known.learn(&StoreTime { open_ms, anchor, downtimes, unclean_ms: None });
        assert_eq!(known, sound);
    }
    let ages = Ages { now_ms: 9, downtimes: downtime(5, u64::MAX) };
    assert_eq!([3, 5, 6, 9, 10, u64::MAX].map(|noted| ages.of(noted)), [u64::MAX, u64::MAX, 3, 0, 0, 0]);
}

#[test]
fn the_clock_of_the_system_goes_forward() {
    let clock = Clock::default();
    clock.resume(&StoreTime { open_ms: 7, ..StoreTime::default() }, Duration::ZERO);
    let (noted, began) = clock.store_time();
    assert!(began == 8 && noted >= began);
    assert!(clock.plausible_wall_ms().is_some());
    assert!(clock.ages().of(noted) < HOUR);
}

/// One run of a machine: how it starts, what goes wrong, and how it ends.
#[derive(Debug, Clone)]
struct Run {
    /// How long it was off before, in minutes.
    off: u64,
    /// How the wall clock starts.
    start: Start,
    /// After how many minutes a time server sets it; less than an hour.
    set_after: u64,
    /// By how many minutes the wall clock is set wrong later, and for how many; if it is ahead, for less than
    /// an hour.
    mistakes: Vec<(i64, u64)>,
    stops: bool,
}

#[derive(Debug, Clone, Copy)]
enum Start {
    Right,
    /// At the time of its last stop.
    Behind,
    Ahead,
    Unset,
}

fn run() -> impl Strategy<Value = Run> {
    let start = prop_oneof![Just(Start::Right), Just(Start::Behind), Just(Start::Ahead), Just(Start::Unset)];
    let mistake = prop_oneof![(-200_000..-6_i64, 1..200_u64), (6..200_000_i64, 1..60_u64)];
    let mistakes = prop::collection::vec(mistake, 0..3);
    (0..100_000_u64, start, 0..60_u64, mistakes, any::<bool>())
        .prop_map(|(off, start, set_after, mistakes, stops)| Run { off, start, set_after, mistakes, stops })
}

proptest! {
    /// Whatever the wall clock shows, if only a time server sets it within an hour of a start.
    #[test]
    fn nothing_is_older_than_it_is(runs in prop::collection::vec(run(), 1..8)) {
        let mut machine = Machine::at(TODAY);
        machine.pass(2 * HOUR);
        let mut truth = machine.now.wall_ms;
        let mut noted = vec![(truth, machine.note())];
        for Run { off, start, set_after, mistakes, stops } in runs {
            let last = machine.now.wall_ms;
            truth += off * MINUTE;
            machine.boot(match start {
                Start::Right => truth,
                Start::Behind => last,
                Start::Ahead => truth * 2,
                Start::Unset => 1000,
            });
            let mistakes = mistakes.into_iter().flat_map(|(by, time)| [(Some(by), time), (Some(0), 1)]);
            let mut shifts: Vec<_> = [(None, set_after), (Some(0), 70)].into_iter().chain(mistakes).collect();
            // Some runs end while it is wrong.
            shifts.truncate(shifts.len() - usize::from(stops));
            for (shift, minutes) in shifts {
                if let Some(shift) = shift {
                    machine.now.wall_ms = truth.saturating_add_signed(shift * MINUTE as i64);
                }
                for half in [minutes * MINUTE / 2, minutes * MINUTE - minutes * MINUTE / 2] {
                    noted.push((truth, machine.note()));
                    machine.pass(half);
                    truth += half;
                    for (when, noted) in &noted {
                        let (age, truth) = (machine.age(*noted), truth - when);
                        prop_assert!(age <= truth + 1000, "{} {}", age, truth);
                    }
                }
            }
            if stops {
                machine.stop();
            }
        }
    }
}
