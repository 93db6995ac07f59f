//! Lookups during a deletion: every answer is true at the instant it is given.

use std::fmt::{self, Debug, Formatter};
use std::sync::Mutex;
use std::thread;

use smol::block_on;

use super::*;
use crate::base::lock;
use crate::meta::{Protection, Sweep, TagRow};
use crate::registry::protection::leases::{Leases, Protected, Scope};
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

    fn set(&self, work: impl FnOnce() + Send + 'static) {
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
    let row = TagRow { digest, noted: 0, order: None };
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
fn who_asks_for_a_tag_at_the_instant_at_which_it_goes_is_told_that_it_is_not_there() {
    let registry = in_memory();
    let digest = push_image(&registry);
    let row = TagRow { digest, noted: 0, order: None };
    let sweep = Sweep::Tags { repo: repo("app"), tags: vec![(tag("v1"), row)] };
    let leases = Arc::clone(&registry.inner.leases);
    registry.inner.options.between_looks.set(move || {
        leases.begin_marking(Scope::Repository(repo("app")), Protected::Nothing);
        leases.begin_tags();
        assert_eq!(leases.release(&sweep), sweep);
    });
    let asked = Reference::Tag(tag("v1"));
    block_on(registry.manifest_info(&repo("app"), &asked)).unwrap_err();
    // The manifest stays, but the request is for the tag.
    block_on(registry.manifest_info(&repo("app"), &Reference::Digest(digest.into()))).unwrap();
    registry.inner.leases.end_sweep();
    block_on(registry.manifest_info(&repo("app"), &asked)).unwrap();
}
