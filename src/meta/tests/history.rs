//! For any commands in any order: both indexes hold the same rows, and replaying the journal gives them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::meta::index::{RowTotals, SledIndex};
use crate::meta::model::TagRow;

pub(super) const REPOSITORIES: [&str; 3] = ["app", "app/sub", "base"];
const CONTENTS: [&str; 4] = ["one", "two", "three", "four"];
const TAGS: [&str; 3] = ["a", "b", "c"];

fn any_repository() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&REPOSITORIES[..])
}

fn any_content() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&CONTENTS[..])
}

fn any_condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        6 => Just(Condition::Always),
        1 => Just(Condition::Exists),
        1 => Just(Condition::Absent),
        1 => any_content().prop_map(|content| Condition::Matches(vec![digest(content).into()])),
        1 => any_content().prop_map(|content| Condition::MatchesNone(vec![digest(content).into()])),
    ]
}

fn any_put() -> impl Strategy<Value = Command> {
    let tags = prop::sample::subsequence(&TAGS[..], 0..=TAGS.len());
    let subject = prop::option::weighted(0.3, any_content());
    let needs = prop::option::weighted(0.2, any_content());
    (any_repository(), any_content(), tags, subject, needs, any_condition()).prop_map(
        |(name, content, tags, subject, needs, condition)| {
            let row = summary(content, subject.map(|subject| digest(subject).into()));
            let children = needs.into_iter().map(|needed| digest(needed).into()).collect();
            Command::PutManifest(PutManifestCommand { row, children, condition, ..put(name, content, &tags) })
        },
    )
}

fn delete_manifest(name: &str, content: &str) -> Command {
    Command::DeleteManifest { repo: repo(name), digest: digest(content) }
}

fn mount(to: &str, from: &str, content: &str) -> Command {
    Command::Mount { repo: repo(to), from: repo(from), digest: digest(content) }
}

fn any_command() -> impl Strategy<Value = Command> {
    let upload = || (1..4_u8).prop_map(upload_id);
    prop_oneof![
        6 => any_put(),
        2 => (any_repository(), any_content())
            .prop_map(|(name, content)| delete_manifest(name, content)),
        2 => (any_repository(), prop::sample::select(&TAGS[..]))
            .prop_map(|(name, named)| Command::DeleteTag { repo: repo(name), tag: tag(named) }),
        3 => (any_repository(), any_content(), upload()).prop_map(|(name, content, upload)| Command::Link {
            repo: repo(name),
            blob: blob(content),
            upload,
        }),
        2 => (any_repository(), any_repository(), any_content())
            .prop_map(|(to, from, content)| mount(to, from, content)),
        2 => (any_repository(), any_content())
            .prop_map(|(name, content)| Command::Unlink { repo: repo(name), digest: digest(content) }),
        1 => (any_repository(), upload())
            .prop_map(|(name, id)| Command::BeginUpload { id, row: upload_row(name, 0) }),
        1 => (any_repository(), upload(), 1..9_u64)
            .prop_map(|(name, id, offset)| Command::AdvanceUpload { id, row: upload_row(name, offset) }),
        1 => upload().prop_map(|id| Command::EndUpload { id }),
        2 => (any_repository(), vec(any_content(), 1..3)).prop_map(|(name, contents)| {
            let manifests = contents.into_iter().map(digest).collect();
            Command::Sweep(Sweep::Manifests { repo: repo(name), manifests })
        }),
        2 => (any_repository(), vec(any_content(), 1..3)).prop_map(|(name, contents)| {
            let links = contents.into_iter().map(digest).collect();
            Command::Sweep(Sweep::Links { repo: repo(name), links })
        }),
        1 => (any_repository(), prop::sample::select(&TAGS[..]), any_content()).prop_map(
            |(name, named, content)| {
                let optional = Optional::default();
                let row = TagRow { digest: digest(content), noted: NOW, order: Some(ORDER), optional };
                Command::Sweep(Sweep::Tags { repo: repo(name), tags: vec![(tag(named), row)] })
            }
        ),
        1 => any_content()
            .prop_map(|content| Command::Sweep(Sweep::Content { content: vec![digest(content)] })),
    ]
}

pub(super) fn commands(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Command>> {
    vec(any_command(), count)
}

pub(super) fn histories() -> impl Strategy<Value = Vec<Command>> {
    commands(1..60)
}

/// Applies each command that is not refused.
pub(super) fn live(commands: &[Command]) -> Rules {
    let mut rules = Rules::default();
    for command in commands {
        if rules.decide(command).is_ok() {
            rules.carry_out(command);
        }
    }
    rules
}

/// What must hold between the trees after any history.
pub(super) fn check_trees(view: View<'_>) {
    for name in REPOSITORIES.map(repo) {
        let tags = view.tags(&name, None, usize::MAX).unwrap();
        let mut of_manifests = Vec::new();
        let mut any = false;
        for content in CONTENTS.map(digest) {
            let row = view.manifest(&name, &content).unwrap();
            any |= row.is_some() || view.link(&name, &content).unwrap().is_some();
            let tagged = view.tags_of(&name, &content, usize::MAX).unwrap();
            assert!(tagged.is_empty() || row.is_some(), "tags of a manifest that is not there");
            for tag in &tagged {
                assert_eq!(view.tag(&name, tag).unwrap().unwrap().digest, content);
            }
            of_manifests.extend(tagged);
            for subject in CONTENTS.map(|content| Digest::from(digest(content))) {
                let refers = row.as_ref().is_some_and(|row| row.subject.as_ref() == Some(&subject));
                let listed = view.referrers(&name, &subject, None, usize::MAX).unwrap();
                // The same bytes have one subject; here a later push of them may name another one.
                assert!(!refers || listed.contains(&content), "a referrer is not listed");
            }
        }
        of_manifests.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        assert_eq!(tags, of_manifests);
        assert_eq!(view.repository(&name).unwrap().is_some(), any);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sled_and_map_decide_alike_and_hold_the_same_rows(commands in histories()) {
        let folder = tempfile::tempdir().unwrap();
        let sled = SledIndex::open(folder.path()).unwrap();
        let mut rules = Rules::default();
        for command in &commands {
            let decided = rules.decide(command).map_err(|error| error.to_string());
            let other = decide(View::new(&sled), stamp(NOW), PolicyChecks::default().check(), command);
            let other = other.map_err(|error| error.to_string());
            prop_assert_eq!(&decided, &other);
            let Ok(Decision { facts, .. }) = decided else { continue };
            rules.apply(&facts);
            sled.apply(rules.transactions.len() as u64, &changes_of(&facts).unwrap()).unwrap();
        }
        prop_assert_eq!(rows(&rules.index), rows(&sled));
        prop_assert_eq!(rules.index.applied().unwrap(), sled.applied().unwrap());
        check_trees(rules.view());
    }

    #[test]
    fn applying_twice_is_applying_once(commands in histories()) {
        let rules = live(&commands);
        let twice = MapIndex::new();
        for facts in &rules.transactions {
            let changes = changes_of(facts).unwrap();
            twice.apply(1, &changes).unwrap();
            twice.apply(1, &changes).unwrap();
        }
        prop_assert_eq!(rows(&rules.index), rows(&twice));
    }

    #[test]
    fn replaying_any_end_of_the_journal_over_the_final_state_changes_nothing(
        commands in histories(),
        from in any::<prop::sample::Index>(),
    ) {
        let rules = live(&commands);
        let expected = rows(&rules.index);
        apply_all(&rules.index, &rules.transactions);
        prop_assert_eq!(&expected, &rows(&rules.index));
        if !rules.transactions.is_empty() {
            apply_all(&rules.index, &rules.transactions[from.index(rules.transactions.len())..]);
            prop_assert_eq!(&expected, &rows(&rules.index));
        }
    }

    #[test]
    fn the_index_rebuilt_from_the_journal_is_the_live_one(commands in histories()) {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let meta = open_sweeping(&disk);
        let mut rules = Rules::default();
        // A store without claims refuses all sweeps.
        for command in commands.into_iter().filter(|command| !matches!(command, Command::Sweep(_))) {
            let allowed = rules.decide(&command).is_ok();
            if allowed {
                rules.carry_out(&command);
            }
            prop_assert_eq!(allowed, run(&meta, command).is_ok());
        }
        settle(&meta);
        let reopened = open(&copy(disk.as_ref()));
        prop_assert_eq!(rows(meta.index()), rows(reopened.index()));
        prop_assert_eq!(stored(&meta), stored(&reopened));
        prop_assert_eq!(meta.totals().sums, reopened.totals().sums);
        prop_assert_eq!(meta.totals().sums, RowTotals::of(meta.view()).unwrap().sums);
        prop_assert_eq!(meta.index().applied().unwrap(), reopened.index().applied().unwrap());
    }
}
