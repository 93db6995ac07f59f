//! One sync for all waiting commands, and no answer before the sync that covers it.

use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use super::*;
use crate::disk::MeteredDisk;
use crate::disk::faulty::{Faults, FaultyDisk, Operation};

const THREADS: usize = 16;

/// Makes a store whose journal's syncs can be held back, with the counters above them.
fn gated() -> (Arc<MeteredDisk>, Arc<Faults>, Meta) {
    let faulty = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let faults = faulty.faults();
    let metered = Arc::new(MeteredDisk::new(Arc::new(faulty)));
    let meta = Meta::open(Arc::clone(&metered) as Arc<dyn Disk>, MetaOptions::new(IndexKind::Map)).unwrap();
    (metered, faults, meta)
}

fn first() -> Command {
    put_manifest("app", "first", &["first"])
}

type Answered = Receiver<Result<(), MetaError>>;

fn end(answered: &Answered) -> Result<(), MetaError> {
    answered.recv_timeout(Duration::from_secs(30)).unwrap()
}

fn is_waiting(answered: &Answered) -> bool {
    matches!(answered.try_recv(), Err(TryRecvError::Empty))
}

#[test]
fn commands_that_come_during_a_sync_share_the_next_one() {
    let (metered, faults, meta) = gated();
    let before = metered.counters().snapshot().file_syncs;
    faults.hold_syncs("journal");
    let answered = submit(&meta, first());
    faults.wait_until_held();
    let meta = Arc::new(meta);
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let meta = Arc::clone(&meta);
            std::thread::spawn(move || {
                let content = format!("content {number}");
                submit(&meta, put_manifest("app", &content, &[&format!("t{number}")]))
            })
        })
        .collect();
    let others: Vec<Answered> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(is_waiting(&answered) && others.iter().all(is_waiting));
    faults.let_go();
    end(&answered).unwrap();
    others.iter().for_each(|answered| end(answered).unwrap());
    // One for the first command, one for all that arrived during the first sync.
    assert_eq!(metered.counters().snapshot().file_syncs - before, 2);
    assert_eq!(tags(&meta, "app").len(), THREADS + 1);
}

#[test]
fn many_threads_take_fewer_syncs_than_commands() {
    let (metered, faults, meta) = gated();
    let before = metered.counters().snapshot().file_syncs;
    faults.hold_syncs("journal");
    let blocking = submit(&meta, first());
    faults.wait_until_held();
    let submitted = std::sync::Barrier::new(THREADS + 1);
    std::thread::scope(|scope| {
        let (meta, submitted) = (&meta, &submitted);
        for number in 0..THREADS {
            scope.spawn(move || {
                let name = format!("r{number}");
                let answered = submit(meta, put_manifest(&name, "x", &["a"]));
                submitted.wait();
                end(&answered).unwrap();
                for round in 0..5 {
                    run(meta, put_manifest(&name, &format!("{number} {round}"), &["a"])).unwrap();
                }
            });
        }
        submitted.wait();
        faults.let_go();
    });
    end(&blocking).unwrap();
    let syncs = metered.counters().snapshot().file_syncs - before;
    let commands = 1 + THREADS as u64 * 6;
    // At least the first command of each thread shared a sync with those of all others.
    assert!(syncs <= commands - (THREADS as u64 - 1), "{syncs} syncs for {commands} commands");
}

#[test]
fn the_same_push_again_waits_for_the_sync_of_the_first() {
    let (_, faults, meta) = gated();
    faults.hold_syncs("journal");
    let one = submit(&meta, first());
    faults.wait_until_held();
    // It changes no row, and what it found is not durable yet.
    let same = submit(&meta, first());
    assert!(is_waiting(&one) && is_waiting(&same));
    faults.let_go();
    end(&one).unwrap();
    end(&same).unwrap();
}

#[test]
fn in_one_batch_a_push_its_repetition_and_a_refusal_all_wait() {
    let (_, faults, meta) = gated();
    faults.hold_syncs("journal");
    let opening = submit(&meta, put_manifest("other", "other", &[]));
    faults.wait_until_held();
    // These three form one batch, since the writer is held; its sync is held as well.
    let put = submit(&meta, first());
    let same = submit(&meta, first());
    let condition = Condition::Absent;
    let refused = submit(
        &meta,
        Command::PutManifest(PutManifestCommand { condition, ..put_command("first", "first") }),
    );
    let written = faults.count(Operation::Write, "journal");
    assert_eq!(faults.count(Operation::Sync, "journal"), 2);
    for answered in [&opening, &put, &same, &refused] {
        assert!(is_waiting(answered));
    }
    faults.let_go();
    end(&opening).unwrap();
    end(&put).unwrap();
    end(&same).unwrap();
    let refused = end(&refused);
    assert!(matches!(refused, Err(MetaError::Refused(Refusal::ConditionFailed(_)))), "{refused:?}");
    // One line and one sync for the three of them.
    assert_eq!(faults.count(Operation::Write, "journal"), written + 1);
    assert_eq!(faults.count(Operation::Sync, "journal"), 3);
}

fn put_command(content: &str, name: &str) -> PutManifestCommand {
    put("app", content, &[name])
}

#[test]
fn an_answer_of_a_failed_sync_is_an_error_also_for_what_changed_nothing() {
    let (_, faults, meta) = gated();
    faults.hold_syncs("journal");
    let opening = submit(&meta, put_manifest("other", "other", &[]));
    faults.wait_until_held();
    faults.fail(Operation::Sync, "journal", rustix::io::Errno::IO);
    let put = submit(&meta, first());
    let same = submit(&meta, first());
    let unknown = submit(&meta, Command::DeleteTag { repo: repo("app"), tag: tag("none") });
    faults.let_go();
    end(&opening).unwrap();
    for answered in [put, same, unknown] {
        let failed = end(&answered);
        assert!(matches!(failed, Err(MetaError::Poisoned(_))), "{failed:?}");
    }
}

#[test]
fn what_need_not_survive_waits_for_no_sync() {
    let (metered, faults, meta) = gated();
    let before = metered.counters().snapshot().file_syncs;
    faults.hold_syncs("journal");
    run(&meta, Command::BeginUpload { id: upload_id(1), row: upload_row("app", 0) }).unwrap();
    run(&meta, Command::AdvanceUpload { id: upload_id(1), row: upload_row("app", 5) }).unwrap();
    assert_eq!(metered.counters().snapshot().file_syncs, before);
    // The next command that waits makes them durable too.
    let answered = submit(&meta, Command::EndUpload { id: upload_id(1) });
    faults.wait_until_held();
    assert!(is_waiting(&answered));
    faults.let_go();
    end(&answered).unwrap();
    assert_eq!(metered.counters().snapshot().file_syncs, before + 1);
}

#[test]
fn a_command_that_waits_is_not_delayed_by_a_crowd_that_does_not() {
    const CROWD: usize = 1000;
    let (_, faults, meta) = gated();
    faults.hold_syncs("journal");
    let opening = submit(&meta, first());
    faults.wait_until_held();
    let (sender, order) = channel();
    let note = |what: &'static str| {
        let sender = sender.clone();
        Box::new(move |done: Result<(), MetaError>| sender.send(done.map(|()| what)).unwrap())
    };
    meta.submit(put_manifest("app", "two", &["two"]), note("waits"));
    for _ in 0..CROWD {
        let begin = Command::BeginUpload { id: upload_id(1), row: upload_row("app", 0) };
        meta.submit(begin, note("rides along"));
    }
    faults.let_go();
    end(&opening).unwrap();
    let order: Vec<&str> = order.iter().take(1 + CROWD).map(Result::unwrap).collect();
    let place = order.iter().position(|what| *what == "waits").unwrap();
    assert!(place < CROWD / 2, "it came {place}th");
}

#[test]
fn a_stop_answers_waiting_commands_first() {
    let (_, faults, meta) = gated();
    faults.hold_syncs("journal");
    let one = submit(&meta, first());
    faults.wait_until_held();
    let two = submit(&meta, put_manifest("app", "two", &["two"]));
    let stopping = std::thread::spawn(move || meta.close());
    faults.let_go();
    end(&one).unwrap();
    end(&two).unwrap();
    stopping.join().unwrap().unwrap();
}

#[test]
fn totals_count_what_was_acknowledged() {
    let (_, _, meta) = gated();
    for number in 1..50 {
        run(&meta, put_manifest("app", &format!("content {number}"), &["latest"])).unwrap();
        assert_eq!(meta.totals().blobs, number);
    }
    run(&meta, Command::BeginUpload { id: upload_id(1), row: upload_row("app", 0) }).unwrap();
    assert_eq!(meta.totals().uploads, 1);
    run(&meta, Command::EndUpload { id: upload_id(1) }).unwrap();
    assert_eq!(meta.totals().uploads, 0);
}

/// Tags a manifest so often that its removal takes some steps.
fn with_many_tags(meta: &Meta) -> Command {
    let names: Vec<String> = (0..3500).map(|number| format!("t{number}")).collect();
    for some in names.chunks(1000) {
        let some: Vec<&str> = some.iter().map(String::as_str).collect();
        run(meta, put_manifest("app", "first", &some)).unwrap();
    }
    Command::DeleteManifest { repo: repo("app"), digest: digest("first") }
}

#[test]
fn other_commands_are_answered_between_the_steps_of_a_large_one() {
    let (_, faults, meta) = gated();
    let delete = with_many_tags(&meta);
    faults.hold_syncs("journal");
    let opening = submit(&meta, put_manifest("other", "other", &[]));
    faults.wait_until_held();
    let (sender, order) = channel();
    let note = |what: &'static str| {
        let sender = sender.clone();
        Box::new(move |done: Result<(), MetaError>| sender.send(done.map(|()| what)).unwrap())
    };
    meta.submit(delete.clone(), note("deleted"));
    meta.submit(delete, note("deleted too"));
    // This tag goes with the others.
    meta.submit(put_manifest("app", "first", &["last"]), note("tagged"));
    meta.submit(put_manifest("app", "second", &["second"]), note("pushed"));
    faults.let_go();
    end(&opening).unwrap();
    let order: Vec<&str> = order.iter().take(4).map(Result::unwrap).collect();
    assert_eq!(order[..2], ["tagged", "pushed"]);
    assert_eq!(tags(&meta, "app"), ["second"]);
    assert_eq!(meta.view().manifest(&repo("app"), &digest("first")).unwrap(), None);
}

#[test]
fn a_stop_between_the_steps_of_a_command_leaves_a_correct_state() {
    let (_, faults, meta) = gated();
    let delete = with_many_tags(&meta);
    faults.hold_syncs("journal");
    let opening = submit(&meta, put_manifest("other", "other", &[]));
    faults.wait_until_held();
    let deleted = submit(&meta, delete);
    let stopping = std::thread::scope(|scope| {
        let stopping = scope.spawn(|| meta.close());
        faults.let_go();
        stopping.join().unwrap()
    });
    stopping.unwrap();
    end(&opening).unwrap();
    let ended = end(&deleted);
    let left = tags(&meta, "app").len();
    let is_there = meta.view().manifest(&repo("app"), &digest("first")).unwrap().is_some();
    match ended {
        Ok(()) => assert!(left == 0 && !is_there),
        Err(MetaError::Stopped) => assert!(is_there && left < 3501, "{left}"),
        other => panic!("{other:?}"),
    }
}
