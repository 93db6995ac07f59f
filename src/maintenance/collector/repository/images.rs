//! Images that go: each with its children, its referrers and the tags of its signatures, or not at all.

use std::collections::HashMap;

use crate::maintenance::collector::error::CollectError;
use crate::maintenance::collector::graph::Reach;
use crate::maintenance::collector::pass::{End, Pass};
use crate::maintenance::collector::policy::Fate;
use crate::maintenance::collector::repository::Marked;
use crate::maintenance::collector::tags::about_tag;
use crate::meta::{IMAGE_PARTS_MAX, SWEEP_CANDIDATES_MAX, Sweep, SweptImage, TagRow};
use crate::spec::Tag;

/// What goes together.
#[derive(Debug, Default)]
pub(super) struct LeavingImage {
    /// The numbers of its manifests, each before what it lists.
    numbers: Vec<usize>,
    /// Its tags, and those that belong to it.
    tags: Vec<(Tag, TagRow)>,
}

impl Pass<'_> {
    /// Keeps the manifests that a lost index may list, with their tags.
    pub(super) fn keep_beside_lost(&mut self, marked: &mut Marked<'_>, fates: &mut HashMap<usize, Fate>) {
        let Some(lost) = marked.graph.lost(true) else { return };
        let why = format!("the damaged index {lost} may list it");
        for number in marked.graph.unreached_in_order() {
            marked.graph.reached(number, Reach::Untagged);
            fates.insert(number, Fate::stays(None, &why));
            let tags = marked.leaving.iter().filter(|(_, leaving)| leaving.number == number);
            let tags: Vec<_> = tags.map(|(tag, leaving)| (tag.clone(), leaving.row.clone())).collect();
            for one in &tags {
                marked.leaving.remove(&one.0);
                self.verdict(&about_tag(marked.repo, one), End::Needed, |_| format!("kept: {why}"));
            }
        }
    }

    /// Returns what goes, in groups. What a client relies on of a group that has tags keeps all of it.
    pub(super) fn leaving_images(&mut self, marked: &mut Marked<'_>) -> Vec<LeavingImage> {
        let going = marked.graph.unreached_in_order();
        let groups = marked.graph.groups(&going);
        let mut images: Vec<LeavingImage> =
            groups.into_iter().map(|numbers| LeavingImage { numbers, tags: Vec::new() }).collect();
        let at: HashMap<usize, usize> = images
            .iter()
            .enumerate()
            .flat_map(|(at, image)| image.numbers.iter().map(move |number| (*number, at)))
            .collect();
        for (tag, leaving) in &marked.leaving {
            let image = at.get(&leaving.number).and_then(|at| images.get_mut(*at));
            if let Some(image) = image {
                image.tags.push((tag.clone(), leaving.row.clone()));
            }
        }
        images.retain(|image| {
            let stays = !image.tags.is_empty() && self.holds_any(marked, image);
            if stays {
                self.keep(marked, image);
            }
            !stays
        });
        images
    }

    fn holds_any(&self, marked: &Marked<'_>, image: &LeavingImage) -> bool {
        let manifests = image.numbers.iter().filter_map(|number| marked.graph.manifest(*number));
        let digests = manifests.map(|(digest, _)| digest).chain(image.tags.iter().map(|(_, row)| row.digest));
        digests.into_iter().any(|digest| self.holds(marked.repo, &digest))
    }

    /// Keeps an image of which a client relies on a part.
    fn keep(&mut self, marked: &mut Marked<'_>, image: &LeavingImage) {
        for number in &image.numbers {
            marked.graph.reached(*number, Reach::Untagged);
        }
        for one in &image.tags {
            marked.leaving.remove(&one.0);
            let why = "kept for now: the image is leased or young";
            self.verdict(&about_tag(marked.repo, one), End::Held, |_| why.to_owned());
        }
    }

    /// Removes what goes.
    pub(super) fn sweep_leaving(
        &mut self,
        marked: &mut Marked<'_>,
        images: Vec<LeavingImage>,
    ) -> Result<(), CollectError> {
        let (tagged, untagged): (Vec<_>, Vec<_>) =
            images.into_iter().partition(|image| !image.tags.is_empty());
        let mut batch: Vec<(SweptImage, Vec<usize>)> = Vec::new();
        let mut parts = 0;
        for image in tagged {
            let swept = self.swept_image(marked, &image);
            if swept.parts() > IMAGE_PARTS_MAX {
                self.sweep_large(marked, &image)?;
                continue;
            }
            if parts + swept.parts() > SWEEP_CANDIDATES_MAX && !batch.is_empty() {
                self.sweep_images(marked, std::mem::take(&mut batch))?;
                parts = 0;
            }
            parts += swept.parts();
            batch.push((swept, image.numbers));
        }
        self.sweep_images(marked, batch)?;
        let numbers: Vec<usize> = untagged.into_iter().flat_map(|image| image.numbers).collect();
        self.sweep_manifests(marked, &numbers)
    }

    fn swept_image(&self, marked: &Marked<'_>, image: &LeavingImage) -> SweptImage {
        let manifests = image.numbers.iter().filter_map(|number| marked.graph.manifest(*number));
        SweptImage { tags: image.tags.clone(), manifests: manifests.map(|(digest, _)| digest).collect() }
    }

    fn sweep_images(
        &mut self,
        marked: &mut Marked<'_>,
        images: Vec<(SweptImage, Vec<usize>)>,
    ) -> Result<(), CollectError> {
        if images.is_empty() {
            return Ok(());
        }
        let (swept, numbers): (Vec<_>, Vec<_>) = images.into_iter().unzip();
        let tags: Vec<_> = swept.iter().flat_map(|image| image.tags.clone()).collect();
        self.sweep(Sweep::Images { repo: marked.repo.clone(), images: swept })?;
        tags.iter().try_for_each(|one| self.swept_tag(marked, one))?;
        numbers.into_iter().flatten().try_for_each(|number| self.remove_marked(marked, number))
    }

    /// Removes what is too much for one transaction: first the tags, then the manifests.
    fn sweep_large(&mut self, marked: &mut Marked<'_>, image: &LeavingImage) -> Result<(), CollectError> {
        for tags in image.tags.chunks(SWEEP_CANDIDATES_MAX) {
            self.sweep_tags(marked, tags)?;
        }
        // INVARIANT: no manifest goes while what leads to it stays.
        if image.tags.iter().any(|(tag, _)| !marked.leaving.contains_key(tag)) {
            image.numbers.iter().for_each(|number| marked.graph.reached(*number, Reach::Untagged));
            return Ok(());
        }
        self.sweep_manifests(marked, &image.numbers)
    }

    /// Removes manifests that no tag names.
    fn sweep_manifests(&mut self, marked: &mut Marked<'_>, numbers: &[usize]) -> Result<(), CollectError> {
        for numbers in numbers.chunks(SWEEP_CANDIDATES_MAX) {
            let found = numbers.iter().filter_map(|number| marked.graph.manifest(*number));
            let manifests = found.map(|(digest, _)| digest).collect();
            self.sweep(Sweep::Manifests { repo: marked.repo.clone(), manifests })?;
            numbers.iter().try_for_each(|number| self.remove_marked(marked, *number))?;
        }
        Ok(())
    }
}
