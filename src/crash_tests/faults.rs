//! Each disk operation fails in turn: alone, and together with all later ones.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::base::Chance;
use crate::crash_tests::histories::client::Op;
use crate::crash_tests::histories::history::{Run, open, prepared};
use crate::crash_tests::trials::model::{Model, was_read};
use crate::crash_tests::trials::observe::{check_references, observe, probe};
use crate::disk::simulated::{Choice, Fault, FaultKind, Medium, Pick, SimulatedDisk, Step};
use crate::registry::RegistryError;

/// The ways to fail, once and permanently.
const FAULTS: [(FaultKind, bool); 8] = [
    (FaultKind::Io, false),
    (FaultKind::Io, true),
    (FaultKind::NoSpace, false),
    (FaultKind::NoSpace, true),
    (FaultKind::ShortWrite, false),
    (FaultKind::Full, false),
    (FaultKind::Full, true),
    (FaultKind::WriteBack, false),
];

/// More threads than processors, since some wait for the registry to look for space again.
const THREADS: usize = 8;

/// How often, and at what interval, a push is retried until the store has a journal again.
const TRIES_MAX: u32 = 600;
const TRY_PAUSE: Duration = Duration::from_millis(100);

fn operations() -> Vec<Op> {
    let put = |manifest, tags| Op::Put { repo: "a", manifest, tags, by_digest: true };
    vec![
        Op::Push { repo: "a", blob: 0 },
        Op::Push { repo: "a", blob: 1 },
        put(0, &["v1"]),
        Op::Push { repo: "a", blob: 2 },
        put(1, &["v1", "v2"]),
        Op::Begin { slot: 0, repo: "a", blob: 5 },
        Op::Append { slot: 0, to: 5000 },
        Op::Mount { repo: "b", from: "a", blob: 0 },
        Op::Append { slot: 0, to: 6000 },
        Op::Finish { slot: 0 },
        Op::DeleteTag { repo: "a", tag: "v2" },
        put(0, &["v1"]),
        Op::DeleteManifest { repo: "a", manifest: 1 },
        Op::DeleteBlob { repo: "a", blob: 2 },
        Op::Push { repo: "b", blob: 6 },
    ]
}

/// Tells whether an error tells a client the truth: the registry failed, or what the request needs is absent.
fn is_sane(error: &RegistryError) -> bool {
    matches!(
        error,
        RegistryError::Internal(_)
            | RegistryError::NoSpace
            | RegistryError::Unavailable(_)
            | RegistryError::NameUnknown(_)
            | RegistryError::ManifestUnknown(_)
            | RegistryError::TagUnknown(_)
            | RegistryError::BlobUnknown(_)
            | RegistryError::UploadUnknown
            | RegistryError::ManifestBlobUnknown(_)
    )
}

/// Starts with a pending fault and runs every operation that it can. Returns the number of disk operations.
fn run(prepared: &Medium, fault: Option<Fault>) -> u64 {
    let disk = SimulatedDisk::new(prepared.clone());
    disk.set_fault(fault);
    let opened = open(&disk);
    let mut run = Run::on(disk.clone(), opened.ok());
    smol::block_on(async {
        if run.registry.is_some() {
            for op in operations() {
                // A mount of what could not be pushed is merely declined.
                let declined =
                    matches!(op, Op::Mount { .. }) && run.records.iter().any(|record| !record.done);
                if declined {
                    continue;
                }
                if let Err(error) = run.carry_out(&op).await {
                    assert!(is_sane(&error), "{fault:?}: {op:?}: {error}");
                }
            }
        }
    });
    let operations = disk.operations();
    smol::block_on(check_running(&mut run, fault));
    if fault.is_some_and(|fault| fault.kind == FaultKind::Full) {
        assert!(run.registry.is_some(), "{fault:?}: it does not start on a full disk");
    }
    let registry = run.registry.take();
    if let Some(Err(error)) = registry.map(|registry| smol::block_on(registry.close())) {
        assert!(!error.to_string().contains("panic"), "{fault:?}: {error}");
    }
    disk.set_fault(None);
    check_reopened(&run, &disk.medium(), fault);
    operations
}

/// Reads continue, and find what was acknowledged.
async fn check_running(run: &mut Run, fault: Option<Fault>) {
    let Some(registry) = &run.registry else { return };
    let model = Model { records: &run.records, seen: &run.seen };
    // A pending fault may hit a read.
    run.disk.set_fault(None);
    let found = observe(registry).await.unwrap_or_else(|why| panic!("{fault:?}: {why}"));
    model.check(&found).unwrap_or_else(|why| panic!("{fault:?}, while it runs: {why}"));
    // What a reader finds counts as acknowledged from then on.
    for number in model.read_unacknowledged(&found) {
        run.seen.pass(was_read(number));
    }
    let mut pushed = probe(registry).await;
    for _ in 0..TRIES_MAX {
        // Without a journal, the registry looks for space for one from time to time.
        if !registry.meta().is_without_journal() {
            break;
        }
        smol::Timer::after(TRY_PAUSE).await;
        pushed = probe(registry).await;
    }
    let health = registry.health();
    // The missing space is available again. Only a failed sync is permanent, or a disk on which not even half
    // a line could be cut off.
    let was_full = fault.is_some_and(|fault| match fault.kind {
        FaultKind::Io | FaultKind::WriteBack => false,
        FaultKind::NoSpace | FaultKind::ShortWrite => !fault.sticky,
        FaultKind::Full => true,
    });
    if was_full && !run.disk.steps().iter().any(Step::is_failed_sync) {
        assert!(pushed.is_ok(), "{fault:?}, with space again: {pushed:?}");
    }
    assert_eq!(
        pushed.is_ok(),
        health.ready && health.reasons.is_empty(),
        "{fault:?}: {pushed:?}, {health:?}"
    );
}

/// Everything acknowledged survives any power cut.
fn check_reopened(run: &Run, medium: &Medium, fault: Option<Fault>) {
    let model = Model { records: &run.records, seen: &run.seen };
    let choices = medium.choices();
    let lost: Vec<Pick> = vec![0; choices.len()];
    let kept: Vec<Pick> = choices.iter().map(Choice::everything).collect();
    let mut chance = Chance::of(fault.map_or(0, |fault| fault.at));
    let any = choices.iter().map(|choice| chance.below(u64::from(choice.outcomes())) as Pick).collect();
    let left = [lost, kept, any].map(|picked| medium.after_power_cut(&choices, &picked));
    for left in left.into_iter().chain([medium.clone()]) {
        let disk = SimulatedDisk::new(left);
        let registry = open(&disk).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        let checked = smol::block_on(async {
            let found = observe(&registry).await?;
            model.check(&found)?;
            check_references(&model, &found)?;
            probe(&registry).await
        });
        checked.unwrap_or_else(|why| panic!("{fault:?}, reopened: {why}"));
    }
}

#[test]
fn a_disk_operation_that_fails_loses_nothing_that_was_acknowledged() {
    let prepared = prepared();
    let operations = run(&prepared, None);
    assert!(operations > 100, "{operations}");
    // All of them in a soak, a sample otherwise.
    let step = if super::is_soak() { 1 } else { 15 };
    let kinds = (0..).zip(FAULTS);
    let faults: Vec<Fault> = kinds
        .flat_map(|(number, (kind, sticky))| {
            let each = (number % step..operations).step_by(usize::try_from(step).unwrap());
            each.map(move |at| Fault { kind, at, sticky })
        })
        .collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run(&prepared, Some(*fault));
                }
            });
        }
    });
    eprintln!("{} failing disk operations tried", faults.len());
}
