//! Random histories compared exactly with a plain model in memory, with clean and unclean stops in between.

use proptest::prelude::*;
use smol::block_on;

use super::bodies::Body;
use super::expected::{
    CONTENTS, Model, Operation, Pushed, REPOSITORIES, Repository, TAGS, Way, blob_digest, content,
};
use super::*;
use crate::disk::RealDisk;
use crate::registry::{Page, ReferrersPage};
use crate::spec::{ErrorCode, Manifest, Reference};

fn any_operation() -> impl Strategy<Value = Operation> {
    let repository = || 0..REPOSITORIES.len();
    let tag = || 0..TAGS.len();
    let way = prop_oneof![
        4 => Just(Way::Whole),
        2 => Just(Way::Chunks),
        1 => Just(Way::Announced),
        1 => Just(Way::Cancelled),
        1 => Just(Way::Broken),
        1 => Just(Way::Wrong),
    ];
    let pushed = || {
        (0..CONTENTS, prop::bool::weighted(0.3), prop::bool::weighted(0.3))
            .prop_map(|(config, is_index, has_subject)| Pushed { config, is_index, has_subject })
    };
    let condition =
        prop_oneof![5 => Just(Condition::Always), 1 => Just(Condition::Exists), 1 => Just(Condition::Absent)];
    prop_oneof![
        8 => (repository(), 0..CONTENTS, way).prop_map(|(to, blob, way)| Operation::PushBlob(to, blob, way)),
        2 => (repository(), 0..CONTENTS, prop::option::of(repository()))
            .prop_map(|(to, blob, from)| Operation::Mount(to, blob, from)),
        8 => (repository(), pushed(), tag(), condition)
            .prop_map(|(to, pushed, tag, condition)| Operation::PutByTag(to, pushed, tag, condition)),
        4 => (repository(), pushed(), prop::collection::vec(tag(), 0..4))
            .prop_map(|(to, pushed, tags)| Operation::PutByDigest(to, pushed, tags)),
        2 => (repository(), tag()).prop_map(|(of, tag)| Operation::DeleteTag(of, tag)),
        2 => (repository(), pushed()).prop_map(|(of, pushed)| Operation::DeleteManifest(of, pushed)),
        2 => (repository(), 0..CONTENTS).prop_map(|(of, blob)| Operation::DeleteBlob(of, blob)),
        1 => any::<bool>().prop_map(|clean| Operation::Reopen { clean }),
    ]
}

async fn push(registry: &Registry, name: &RepoName, blob: usize, way: Way) -> Result<bool, RegistryError> {
    let (bytes, digest) = (content(blob), blob_digest(blob));
    let (front, rest) = bytes.split_at(bytes.len() / 2);
    let announced = matches!(way, Way::Announced).then(|| digest.content().unwrap().algorithm());
    let id = registry.begin_upload(name, announced).await?;
    match way {
        Way::Whole | Way::Announced => registry.finish_upload(name, id, &digest, whole(&bytes)).await?,
        Way::Chunks => {
            registry.append(name, id, streamed(front)).await?;
            registry.append(name, id, whole(rest)).await?;
            registry.finish_upload(name, id, &digest, nothing()).await?
        }
        Way::Cancelled => {
            registry.append(name, id, streamed(front)).await?;
            registry.cancel_upload(name, id).await?;
            return Ok(false);
        }
        Way::Broken => {
            let broken = streamed(Body::that_breaks_after(front));
            let refused = registry.finish_upload(name, id, &digest, broken).await;
            registry.cancel_upload(name, id).await?;
            refused?
        }
        Way::Wrong => registry.finish_upload(name, id, &sha256(b"wrong"), whole(&bytes)).await?,
    };
    Ok(true)
}

async fn carry_out(registry: &Registry, operation: &Operation) -> Result<bool, RegistryError> {
    let name = |number: &usize| repo(REPOSITORIES[*number]);
    match operation {
        Operation::PushBlob(to, blob, way) => push(registry, &name(to), *blob, *way).await,
        Operation::Mount(to, blob, from) => {
            let from = from.as_ref().map(name);
            registry.mount(&name(to), &blob_digest(*blob), from.as_ref()).await
        }
        Operation::PutByTag(to, pushed, named, condition) => {
            let put = PutManifest { condition: condition.clone(), ..by_tag(TAGS[*named], &pushed.bytes()) };
            registry.put_manifest(&name(to), put).await.map(|_| true)
        }
        Operation::PutByDigest(to, pushed, tags) => {
            let tags = tags.iter().map(|number| tag(TAGS[*number])).collect();
            let target = PutTarget::Digest { digest: pushed.digest(), tags };
            let put = PutManifest { target, ..by_tag("unused", &pushed.bytes()) };
            registry.put_manifest(&name(to), put).await.map(|_| true)
        }
        Operation::DeleteTag(of, named) => {
            registry.delete_tag(&name(of), &tag(TAGS[*named])).await.map(|()| true)
        }
        Operation::DeleteManifest(of, pushed) => {
            registry.delete_manifest(&name(of), &pushed.digest()).await.map(|()| true)
        }
        Operation::DeleteBlob(of, blob) => {
            registry.delete_blob(&name(of), &blob_digest(*blob)).await.map(|()| true)
        }
        Operation::Reopen { .. } => Ok(true),
    }
}

/// Compares every answer of the registry with the model.
async fn compare(registry: &Registry, model: &Model) {
    let page = Page { last: None, limit: 1000 };
    let mut with_manifests = Vec::new();
    for (number, name) in REPOSITORIES.iter().enumerate() {
        let none = Repository::default();
        let all = model.repositories.get(&number).unwrap_or(&none);
        let name = repo(name);
        if !all.manifests.is_empty() {
            with_manifests.push(name.clone());
        }
        match registry.tags(&name, &page).await {
            Ok(tags) => {
                assert!(model.exists(number));
                let tags: Vec<String> = tags.items.iter().map(|tag| tag.as_str().to_owned()).collect();
                assert_eq!(tags, all.tags.keys().cloned().collect::<Vec<_>>());
            }
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::NameUnknown);
                assert!(!model.exists(number));
            }
        }
        for (named, digest) in &all.tags {
            let manifest = registry.manifest(&name, &Reference::Tag(tag(named))).await.unwrap();
            assert_eq!(manifest.digest.to_string(), *digest);
            assert_eq!(manifest.bytes, all.manifests[digest].bytes);
        }
        for pushed in Pushed::all() {
            let found = registry.manifest(&name, &Reference::Digest(pushed.digest())).await;
            let expected = all.manifests.get(pushed.digest().as_str());
            assert_eq!(found.ok().map(|manifest| manifest.bytes), expected.map(|known| known.bytes.clone()));
        }
        for blob in 0..CONTENTS {
            let found = read_blob(registry, name.as_str(), &blob_digest(blob)).await.ok();
            let expected = all.blobs.contains(blob_digest(blob).as_str()).then(|| content(blob));
            assert!(found == expected, "blob {blob} of {name}");
        }
        let subject = sha256(b"subject");
        let referrers = registry.referrers(&name, &subject, &ReferrersPage::default()).await.unwrap();
        let referrers: Vec<String> = referrers.items.iter().map(|item| item.digest.to_string()).collect();
        let refers = all.manifests.iter().filter(|(_, known)| known.subject.is_some());
        assert_eq!(referrers, refers.map(|(digest, _)| digest.clone()).collect::<Vec<_>>());
    }
    assert_eq!(registry.repositories(&page).await.unwrap().items, with_manifests);
    assert_eq!(registry.totals().uploads, 0);
    assert_eq!(unfinished(registry), [""; 0]);
}

/// Where a history runs, and how its registry is reopened.
enum Place {
    Memory(Arc<dyn Disk>),
    Folder(tempfile::TempDir),
}

impl Place {
    fn open(&self) -> Registry {
        match self {
            Self::Memory(disk) => open_on(Arc::clone(disk), |_| {}),
            Self::Folder(folder) => {
                let storage = Storage::Folder(folder.path().to_owned());
                Registry::open(RegistryOptions::new(storage)).unwrap()
            }
        }
    }

    /// Returns the place as a crash at this moment would leave it.
    fn crashed(&self) -> Self {
        match self {
            Self::Memory(disk) => Self::Memory(crashed(disk.as_ref())),
            Self::Folder(folder) => {
                let other = tempfile::tempdir().unwrap();
                let from = RealDisk::open(folder.path()).unwrap();
                copy(&from, &RealDisk::open(other.path()).unwrap(), Path::new(""));
                Self::Folder(other)
            }
        }
    }
}

async fn follow(mut place: Place, history: &[Operation]) {
    let mut registry = place.open();
    let mut model = Model::default();
    for operation in history {
        if let Operation::Reopen { clean } = operation {
            if *clean {
                registry.close().await.unwrap();
                drop(registry);
                registry = place.open();
            } else {
                let left = place.crashed();
                // The old registry is closed in the old place, which is dropped after it.
                registry = left.open();
                place = left;
            }
            compare(&registry, &model).await;
        }
        let expected = model.carry_out(operation);
        let found = carry_out(&registry, operation).await.map_err(|error| error.code());
        assert_eq!(found, expected, "{operation:?}");
    }
    compare(&registry, &model).await;
    let left = place.crashed();
    let reopened = left.open();
    compare(&reopened, &model).await;
    assert_eq!(registry.totals().blobs, reopened.totals().blobs);
    assert_eq!(registry.totals().blob_bytes, reopened.totals().blob_bytes);
}

fn histories() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(any_operation(), 10..60)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    fn any_history_in_memory_ends_as_the_model_says(history in histories()) {
        block_on(follow(Place::Memory(Arc::new(MemoryDisk::new())), &history));
    }
}

proptest! {
    #![proptest_config(config(6))]

    #[test]
    fn any_history_in_a_folder_ends_as_the_model_says(history in histories()) {
        block_on(follow(Place::Folder(tempfile::tempdir().unwrap()), &history));
    }
}

#[test]
fn the_models_manifests_are_ones_that_the_registry_understands() {
    for pushed in Pushed::all() {
        let manifest = Manifest::parse(&pushed.bytes(), None).unwrap();
        let needs: Vec<_> =
            manifest.blobs().chain(manifest.children()).map(|item| item.digest.clone()).collect();
        assert_eq!(needs, [pushed.needs()]);
        assert_eq!(manifest.subject().map(|subject| subject.digest.clone()), pushed.subject());
    }
}
