//! When a manifest was pulled last: noted by the way, once a day.

use smol::block_on;

use super::*;
use crate::meta::{Ages, Clock, DAY_MS, SetClock, TODAY_MS};
use crate::spec::Reference;

impl Registry {
    /// Makes all pulls seem to be put down long ago.
    pub(crate) fn forget_pulls(&self) {
        self.inner.leases.pulls().forget_lately();
    }
}

fn open_at(disk: &Arc<dyn Disk>, clock: Arc<Clock>) -> Registry {
    let meta = MetaOptions { clock, ..MetaOptions::new(IndexKind::Map) };
    let backing = Backing { disk: Arc::clone(disk), lock: None, meta };
    Registry::open_on(RegistryOptions::new(Storage::Memory), backing).unwrap()
}

fn image_of(number: usize) -> Arc<[u8]> {
    let config = sha256(b"{}");
    let mut bytes = image(&config, &[]).to_vec();
    bytes.extend(vec![b' '; number]);
    bytes.into()
}

fn push_image(registry: &Registry, number: usize, named: &str) -> ContentDigest {
    block_on(async {
        push_blob(registry, "app", b"{}").await;
        registry.put_manifest(&repo("app"), by_tag(named, &image_of(number))).await.unwrap().digest
    })
}

fn pull(registry: &Registry, reference: &Reference) {
    block_on(registry.manifest_info(&repo("app"), reference)).unwrap();
}

fn by_name(name: &str) -> Reference {
    Reference::Tag(tag(name))
}

/// Returns the store times of the last pull that the rows of an image and its tag note.
fn noted(registry: &Registry, digest: ContentDigest, name: &str) -> (Option<u64>, Option<u64>) {
    let view = registry.view();
    let manifest = view.manifest(&repo("app"), &digest).unwrap().unwrap();
    (manifest.last_pull_ms(), view.tag(&repo("app"), &tag(name)).unwrap().unwrap().last_pull_ms())
}

fn lines(registry: &Registry) -> u64 {
    registry.meta().changes()
}

fn now_ms(registry: &Registry) -> u64 {
    Ages::now_ms(&registry.upkeep().clock().ages())
}

/// Has a client change something else.
fn change(registry: &Registry, number: usize) {
    push_image(registry, number, &format!("other{number}"));
}

#[test]
fn a_pull_waits_for_a_change_and_rides_along() {
    let (disk, clock) = (with_fanout_folders(), SetClock::new(TODAY_MS));
    let registry = open_at(&disk, clock.clock());
    let image = push_image(&registry, 0, "v1");
    change(&registry, 1);
    let (before, syncs) = (lines(&registry), registry.totals().syncs);
    clock.pass(1000);
    let at = now_ms(&registry);
    (0..3).for_each(|_| pull(&registry, &by_name("v1")));
    block_on(registry.settled()).unwrap();
    assert_eq!((lines(&registry), registry.totals().syncs), (before, syncs), "nothing is written for it");
    assert_eq!(noted(&registry, image, "v1"), (None, None));
    change(&registry, 2);
    let with = registry.totals().syncs - syncs;
    assert_eq!(noted(&registry, image, "v1"), (Some(at), Some(at)));
    let syncs = registry.totals().syncs;
    change(&registry, 3);
    assert_eq!(registry.totals().syncs - syncs, with, "it costs no sync");
}

#[test]
fn a_pull_by_digest_says_nothing_of_a_tag_and_ends_with_its_rows() {
    let (disk, clock) = (with_fanout_folders(), SetClock::new(TODAY_MS));
    let registry = open_at(&disk, clock.clock());
    let image = push_image(&registry, 0, "v1");
    pull(&registry, &Reference::Digest(image.into()));
    change(&registry, 1);
    let (manifest, named) = noted(&registry, image, "v1");
    assert!(manifest.is_some() && named.is_none(), "{manifest:?} {named:?}");
    pull(&registry, &by_name("v1"));
    block_on(registry.delete_manifest(&repo("app"), &image.into())).unwrap();
    change(&registry, 2);
    push_image(&registry, 0, "v1");
    assert_eq!(noted(&registry, image, "v1"), (None, None));
}

#[test]
fn a_row_notes_one_pull_a_day_and_one_in_each_run() {
    let (disk, clock) = (with_fanout_folders(), SetClock::new(TODAY_MS));
    let registry = open_at(&disk, clock.clock());
    let image = push_image(&registry, 0, "v1");
    let pull_later = |registry: &Registry, number, ms| {
        clock.pass(ms);
        registry.forget_pulls();
        pull(registry, &by_name("v1"));
        let at = now_ms(registry);
        change(registry, number);
        (noted(registry, image, "v1").0.unwrap(), at)
    };
    let (first, at) = pull_later(&registry, 1, 1000);
    assert_eq!(first, at);
    let (second, _) = pull_later(&registry, 2, DAY_MS - 1);
    assert_eq!(second, first, "within a day");
    let (third, at) = pull_later(&registry, 3, 1);
    assert!(third == at && third >= first + DAY_MS);
    block_on(registry.close()).unwrap();
    drop(registry);
    let registry = open_at(&disk, clock.clock());
    assert_eq!(noted(&registry, image, "v1"), (Some(third), Some(third)), "it survives a rebuild");
    let (fourth, at) = pull_later(&registry, 4, 1000);
    assert_eq!(fourth, at, "a downtime may have come between");
}

#[test]
fn a_clean_stop_notes_what_waits_and_a_power_cut_loses_only_that() {
    let (disk, clock) = (with_fanout_folders(), SetClock::new(TODAY_MS));
    let registry = open_at(&disk, clock.clock());
    let image = push_image(&registry, 0, "v1");
    pull(&registry, &by_name("v1"));
    let cut = crashed(disk.as_ref());
    block_on(registry.close()).unwrap();
    drop(registry);
    assert!(noted(&open_at(&disk, clock.clock()), image, "v1").1.is_some());
    assert_eq!(noted(&open_at(&cut, clock.clock()), image, "v1"), (None, None));
}

#[test]
fn pulls_without_changes_are_written_once_a_day() {
    let (disk, clock) = (with_fanout_folders(), SetClock::new(TODAY_MS));
    let registry = open_at(&disk, clock.clock());
    let image = push_image(&registry, 0, "v1");
    let before = lines(&registry);
    pull(&registry, &by_name("v1"));
    for hour in 1..=30 {
        clock.pass(DAY_MS / 24);
        registry.upkeep().note_time().unwrap();
        assert_eq!(noted(&registry, image, "v1").0.is_some(), hour >= 24, "{hour}");
    }
    assert_eq!(lines(&registry) - before, 2, "the store time, and the pull");
}

/// The notes are in the index when the writer syncs for anything.
#[test]
fn many_pulls_are_written_before_they_need_much_memory() {
    let (disk, clock) = (with_fanout_folders(), SetClock::new(TODAY_MS));
    let registry = open_at(&disk, clock.clock());
    let image = push_image(&registry, 0, "v1");
    pull(&registry, &by_name("v1"));
    let pulls = registry.inner.leases.pulls();
    for number in 0_u32..4096 {
        pulls.note(&repo("none"), None, &ContentDigest::sha256_of(&number.to_be_bytes()), || 1);
    }
    registry.inner.meta.note_pulls();
    block_on(registry.settled()).unwrap();
    assert!(!pulls.any());
    assert!(noted(&registry, image, "v1").0.is_some());
}
