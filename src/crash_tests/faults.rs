//! Each disk operation fails in turn: alone, and together with all later ones.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::base::Chance;
use crate::crash_tests::histories::client::Op;
use crate::crash_tests::histories::history::{Run, open, prepared};
use crate::crash_tests::trials::model::{Model, was_read};
use crate::crash_tests::trials::observe::{check_probe, check_references, observe, probe};
use crate::disk::simulated::{Choice, Fault, FaultKind, Medium, Pick, SimulatedDisk};
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

/// What is done on the disk once it works again.
fn later_operations() -> Vec<Op> {
    let put = |manifest, tags| Op::Put { repo: "a", manifest, tags, by_digest: true };
    vec![
        Op::Push { repo: "a", blob: 0 },
        Op::Push { repo: "a", blob: 1 },
        put(0, &["v1", "later"]),
        Op::Mount { repo: "b", from: "a", blob: 0 },
        Op::DeleteTag { repo: "a", tag: "later" },
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

/// Starts with a pending fault and runs every operation that it can. Returns the number of disk operations,
/// and which of them were syncs.
fn run(prepared: &Medium, fault: Option<Fault>) -> (u64, Vec<u64>) {
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
    let operations = (disk.operations(), disk.syncs());
    if run.registry.is_none() {
        assert_ne!(fault.map(|fault| fault.kind), Some(FaultKind::Full), "it does not start on a full disk");
        // The process ended, and the machine goes on.
        disk.set_fault(None);
        run.registry = Some(open(&disk).unwrap_or_else(|error| panic!("{fault:?}, started again: {error}")));
    }
    smol::block_on(check_running(&mut run, fault));
    let registry = run.registry.take();
    if let Some(Err(error)) = registry.map(|registry| smol::block_on(registry.close())) {
        assert!(!error.to_string().contains("panic"), "{fault:?}: {error}");
    }
    disk.set_fault(None);
    check_reopened(&run, &disk.medium(), fault);
    operations
}

/// Reads continue and find what was acknowledged, and writes resume by themselves.
async fn check_running(run: &mut Run, fault: Option<Fault>) {
    let registry = run.registry.clone().unwrap();
    // A pending fault may hit a read.
    run.disk.set_fault(None);
    let found = observe(&registry).await.unwrap_or_else(|why| panic!("{fault:?}: {why}"));
    let model = Model { records: &run.records, seen: &run.seen };
    model.check(&found).unwrap_or_else(|why| panic!("{fault:?}, while it runs: {why}"));
    // What a reader finds counts as acknowledged from then on.
    for number in model.read_unacknowledged(&found) {
        run.seen.pass(was_read(number));
    }
    let mut pushed = probe(&registry).await;
    for _ in 0..TRIES_MAX {
        // The registry looks for space for a journal, and reopens its store, from time to time.
        if pushed.is_ok() {
            break;
        }
        smol::Timer::after(TRY_PAUSE).await;
        pushed = probe(&registry).await;
    }
    let health = registry.health();
    assert!(pushed.is_ok(), "{fault:?}, on a disk that works again: {pushed:?}, {health:?}");
    assert!(health.ready && health.reasons.is_empty(), "{fault:?}: {health:?}");
    for op in later_operations() {
        run.carry_out(&op).await.unwrap_or_else(|error| panic!("{fault:?}, later: {op:?}: {error}"));
    }
    let found = observe(&registry).await.unwrap_or_else(|why| panic!("{fault:?}, later: {why}"));
    let model = Model { records: &run.records, seen: &run.seen };
    model.check(&found).unwrap_or_else(|why| panic!("{fault:?}, later: {why}"));
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
            probe(&registry).await.map(|()| found)
        });
        let found = checked.unwrap_or_else(|why| panic!("{fault:?}, reopened: {why}"));
        assert!(!registry.meta().keeps_damaged(), "{fault:?}: it is taken for damage of the medium");
        // Then the power fails: what this start showed, it had made durable.
        drop(registry);
        let medium = disk.medium();
        let choices = medium.choices();
        let disk = SimulatedDisk::new(medium.after_power_cut(&choices, &vec![0; choices.len()]));
        let registry = open(&disk).unwrap_or_else(|error| panic!("{fault:?}, after a cut: {error}"));
        let again = smol::block_on(async {
            check_probe(&registry).await?;
            observe(&registry).await
        });
        assert_eq!(again, Ok(found), "{fault:?}: what was found before the cut, and after it");
    }
}

fn run_all(prepared: &Medium, faults: &[Fault]) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run(prepared, Some(*fault));
                }
            });
        }
    });
}

#[test]
fn a_disk_operation_that_fails_loses_nothing_that_was_acknowledged() {
    let prepared = prepared();
    let (operations, _) = run(&prepared, None);
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
    run_all(&prepared, &faults);
    eprintln!("{} failing disk operations tried", faults.len());
}

/// The kernel reports a failed write back once, and shows the lost bytes until then and after.
#[test]
fn writes_resume_after_a_sync_that_fails_once_whichever_it_is() {
    for base in [prepared(), Medium::new().garbling()] {
        let (_, syncs) = run(&base, None);
        assert!(syncs.len() > 30, "{syncs:?}");
        let fault = |at| Fault { kind: FaultKind::Io, at, sticky: false };
        let faults: Vec<Fault> = syncs.into_iter().map(fault).collect();
        run_all(&base, &faults);
    }
}
