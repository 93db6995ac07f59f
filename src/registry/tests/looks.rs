//! Lookups during a deletion: every answer is true at the instant it is given.

use std::fmt::{self, Debug, Formatter};
use std::pin::pin;
use std::sync::Mutex;
use std::thread;

use smol::block_on;
use smol::future::poll_once;

use super::*;
use crate::base::lock;
use crate::meta::{Optional, Protection, Sweep, TagRow};
use crate::registry::protection::leases::{Leases, Protected, Scope};
use crate::registry::{Page, ReferrersPage};
use crate::spec::Reference;

type Once = Box<dyn FnOnce() + Send>;

/// An action that runs once.
#[derive(Clone, Default)]
pub(crate) struct Hook(Arc<Mutex<Option<Once>>>);

impl Hook {
    /// Runs the action unless it has run already.
    pub(crate) fn call(&self) {
        let work = lock(&self.0).take();
        if let Some(work) = work {
            work();
        }
    }

    pub(super) fn set(&self, work: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(work));
    }

    fn was_called(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }
}

impl Debug for Hook {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hook")
    }
}

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
    "config":{"mediaType":"a/b","digest":"DIGEST","size":2},"layers":[]}"#;

/// Pushes an image with the tag `v1`.
fn push_image(registry: &Registry) -> ContentDigest {
    let manifest = MANIFEST.replace("DIGEST", &sha256(b"{}").to_string());
    block_on(push_blob(registry, "app", b"{}"));
    let (target, bytes) = (PutTarget::Tag(tag("v1")), manifest.clone().into_bytes().into());
    let put = PutManifest { target, content_type: None, bytes, condition: Condition::Always };
    block_on(registry.put_manifest(&repo("app"), put)).unwrap();
    ContentDigest::sha256_of(manifest.as_bytes())
}

#[test]
fn what_goes_between_the_two_looks_for_it_is_not_told_of() {
    let digest: Digest = push_image(&in_memory()).into();
    for asked in [Some(Reference::Tag(tag("v1"))), Some(Reference::Digest(digest.clone())), None] {
        let registry = in_memory();
        push_image(&registry);
        let (other, named) = (registry.clone(), digest.clone());
        let is_manifest = asked.is_some();
        let hook = registry.inner.options.between_looks.clone();
        hook.set(move || {
            let remove = async {
                if is_manifest {
                    other.delete_manifest(&repo("app"), &named).await.unwrap();
                } else {
                    other.delete_blob(&repo("app"), &sha256(b"{}")).await.unwrap();
                }
            };
            thread::scope(|scope| scope.spawn(|| block_on(remove)).join().unwrap());
        });
        let is_told = match &asked {
            Some(reference) => block_on(registry.manifest_info(&repo("app"), reference)).is_ok(),
            None => block_on(registry.blob_size(&repo("app"), &sha256(b"{}"))).is_ok(),
        };
        assert!(hook.was_called() && !is_told, "{asked:?}");
    }
}

#[test]
fn a_tag_that_is_going_at_this_instant_is_not_told_of_and_what_it_names_is() {
    let leases = Leases::new(Duration::ZERO, Duration::ZERO);
    let (name, digest) = (repo("app"), ContentDigest::sha256_of(b"manifest"));
    leases.begin_marking(Scope::Repository(name.clone()), Protected::Nothing);
    leases.begin_tags();
    let row = TagRow { digest, noted: 0, order: None, optional: Optional::default() };
    let sweep = Sweep::Tags { repo: name.clone(), tags: vec![(tag("old"), row)] };
    assert_eq!(leases.release(&sweep), sweep);
    assert!(!leases.take_tagged(&name, &tag("old"), &digest));
    assert!(leases.take_tagged(&name, &tag("other"), &digest));
    assert!(leases.take(&name, &digest));
    leases.end_sweep();
    // The index shows whether it was removed.
    assert!(leases.take_tagged(&name, &tag("old"), &digest));
}

#[test]
fn a_request_for_a_tag_that_is_being_removed_waits_for_the_outcome() {
    let registry = in_memory();
    let digest = push_image(&registry);
    let row = TagRow { digest, noted: 0, order: None, optional: Optional::default() };
    let sweep = Sweep::Tags { repo: repo("app"), tags: vec![(tag("v1"), row)] };
    let leases = Arc::clone(&registry.inner.leases);
    registry.inner.options.between_looks.set(move || {
        leases.begin_marking(Scope::Repository(repo("app")), Protected::Nothing);
        leases.begin_tags();
        assert_eq!(leases.release(&sweep), sweep);
    });
    let (name, asked) = (repo("app"), Reference::Tag(tag("v1")));
    let mut asking = pin!(registry.manifest_info(&name, &asked));
    assert!(block_on(poll_once(&mut asking)).is_none());
    // The manifest stays, but the request is for the tag.
    block_on(registry.manifest_info(&name, &Reference::Digest(digest.into()))).unwrap();
    registry.inner.leases.end_sweep();
    block_on(asking).unwrap();
}

#[test]
fn no_read_shows_a_push_before_it_is_durable() {
    let (registry, faults, _) = on_faulty();
    let subject = push_image(&registry);
    let source = block_on(push_blob(&registry, "other", b"other"));
    let manifest = MANIFEST.replace("DIGEST", &sha256(b"{}").to_string());
    let refers = format!(r#","subject":{{"mediaType":"a/b","digest":"{subject}","size":2}}}}"#);
    let manifest: Arc<[u8]> =
        manifest.replacen("\"layers\":[]}", &format!("\"layers\":[]{refers}"), 1).into_bytes().into();
    let digest = Digest::from(ContentDigest::sha256_of(&manifest));
    let read = |registry: &Registry| {
        block_on(async {
            let name = repo("app");
            let page = Page { limit: 10, last: None };
            let by_tag = registry.manifest(&name, &Reference::Tag(tag("v2"))).await.is_ok();
            let by_digest = registry.manifest_info(&name, &Reference::Digest(digest.clone())).await.is_ok();
            let tags = registry.tags(&name, &page).await.unwrap().items.len();
            let page = ReferrersPage::default();
            let referrers = registry.referrers(&name, &subject.into(), &page).await.unwrap().items.len();
            let blob = registry.blob_size(&repo("mounted"), &source).await.is_ok();
            let listed = registry.tags(&repo("mounted"), &Page { limit: 10, last: None }).await.is_ok();
            (by_tag, by_digest, tags, referrers, blob, listed, registry.totals().blobs)
        })
    };
    let before = (false, false, 1, 0, false, false, 3);
    assert_eq!(read(&registry), before);
    faults.hold_syncs("journal");
    thread::scope(|scope| {
        let put = scope.spawn(|| block_on(registry.put_manifest(&repo("app"), by_tag("v2", &manifest))));
        faults.wait_until_held();
        assert_eq!(read(&registry), before);
        faults.let_go();
        put.join().unwrap().unwrap();
    });
    faults.hold_syncs("journal");
    thread::scope(|scope| {
        let (name, from) = (repo("mounted"), repo("other"));
        let (registry, source) = (&registry, &source);
        let mounted = scope.spawn(move || block_on(registry.mount(&name, source, Some(&from))));
        faults.wait_until_held();
        assert_eq!(read(registry), (true, true, 2, 1, false, false, 4));
        faults.let_go();
        assert!(mounted.join().unwrap().unwrap());
    });
    assert_eq!(read(&registry), (true, true, 2, 1, true, true, 4));
}
