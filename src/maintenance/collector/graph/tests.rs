//! The graph against the plainest reading of what a manifest leads to.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::spec::MediaType;

/// Manifests by their number; each lists and refers to some of those before it.
#[derive(Debug, Clone)]
struct Plan {
    children: Vec<usize>,
    subject: Option<usize>,
}

fn digest(name: &str) -> ContentDigest {
    ContentDigest::sha256_of(name.as_bytes())
}

fn key(digest: &ContentDigest) -> u64 {
    u64::from_be_bytes(digest.bytes()[..8].try_into().unwrap())
}

fn name(number: usize) -> String {
    format!("manifest {number}")
}

fn graph(plans: &[Plan]) -> Graph {
    let mut graph = Graph::default();
    for (number, plan) in plans.iter().enumerate() {
        let described =
            |name: &str| serde_json::json!({"mediaType": "a/b", "digest": digest(name), "size": 1});
        let manifests: Vec<_> = plan.children.iter().map(|child| described(&name(*child))).collect();
        let mut body = serde_json::json!({"schemaVersion": 2});
        if manifests.is_empty() {
            body["mediaType"] = MediaType::OCI_MANIFEST.into();
            body["config"] = described(&format!("config {number}"));
            body["layers"] = vec![described("shared"), described(&format!("layer {number}"))].into();
        } else {
            body["mediaType"] = MediaType::OCI_INDEX.into();
            body["manifests"] = manifests.into();
        }
        if let Some(subject) = plan.subject {
            body["subject"] = described(&name(subject));
        }
        let manifest = Manifest::parse(body.to_string().as_bytes(), None).unwrap();
        graph.add(digest(&name(number)), &ManifestRow::of(&manifest), &manifest, key);
    }
    graph.finish();
    graph
}

/// Everything that something reached leads to is reached, until nothing is added any more.
fn closure(plans: &[Plan], roots: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut reached = roots.clone();
    loop {
        let more: Vec<usize> = (0..plans.len())
            .filter(|number| {
                let listed = reached.iter().any(|parent| plans[*parent].children.contains(number));
                listed || plans[*number].subject.is_some_and(|subject| reached.contains(&subject))
            })
            .collect();
        let before = reached.len();
        reached.extend(more);
        if reached.len() == before {
            return reached;
        }
    }
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    prop::collection::vec(
        (
            prop::collection::vec(any::<prop::sample::Index>(), 0..3),
            prop::option::of(any::<prop::sample::Index>()),
        ),
        1..12,
    )
    .prop_map(|raw| {
        let one = |(number, (children, subject)): (
            usize,
            (Vec<prop::sample::Index>, Option<prop::sample::Index>),
        )| {
            let before = |index: prop::sample::Index| (number > 0).then(|| index.index(number));
            Plan {
                children: children.into_iter().filter_map(before).collect(),
                subject: subject.and_then(before),
            }
        };
        raw.into_iter().enumerate().map(one).collect()
    })
}

proptest! {
    #[test]
    fn what_a_root_leads_to_is_reached_and_nothing_else(
        plans in plans(),
        roots in prop::collection::btree_set(0..12_usize, 0..4),
        tags in prop::collection::btree_set(0..12_usize, 0..4),
    ) {
        let mut graph = graph(&plans);
        let inside = |set: &BTreeSet<usize>| -> BTreeSet<usize> {
            set.iter().copied().filter(|number| *number < plans.len()).collect()
        };
        let (roots, tags) = (inside(&roots), inside(&tags));
        for root in &roots {
            graph.reached(*root, Reach::Untagged);
        }
        for tag in &tags {
            graph.reached(*tag, Reach::Tag);
        }
        let (of_tags, of_any) = (closure(&plans, &tags), closure(&plans, &(&roots | &tags)));
        for number in 0..plans.len() {
            let expected = match (of_tags.contains(&number), of_any.contains(&number)) {
                (true, _) => Reach::Tag,
                (false, true) => Reach::Untagged,
                (false, false) => Reach::Nothing,
            };
            prop_assert_eq!(graph.reach(number), expected, "{}", number);
        }

        let ordered = graph.unreached_in_order();
        let gone: BTreeSet<usize> = (0..plans.len()).filter(|number| !of_any.contains(number)).collect();
        prop_assert_eq!(ordered.iter().copied().collect::<BTreeSet<_>>(), gone);
        for (at, number) in ordered.iter().enumerate() {
            for child in &plans[*number].children {
                prop_assert!(!ordered[..at].contains(child), "{} goes before {}", child, number);
            }
        }
    }

    #[test]
    fn what_stays_needs_all_that_it_references(
        plans in plans(),
        staying in prop::collection::btree_set(0..12_usize, 0..6),
    ) {
        let graph = graph(&plans);
        let needed = graph.needed(|number| staying.contains(&number));
        let mut expected = BTreeSet::new();
        for (number, plan) in plans.iter().enumerate().filter(|(number, _)| staying.contains(number)) {
            if plan.children.is_empty() {
                let names = [format!("config {number}"), "shared".to_owned(), format!("layer {number}")];
                let roles = [Role::Config, Role::Layer, Role::Layer];
                for (name, role) in names.iter().zip(roles) {
                    prop_assert_eq!(graph.role(number, key(&digest(name))), Some(role));
                    expected.insert(key(&digest(name)));
                }
            }
            for child in &plan.children {
                let child = key(&digest(&name(*child)));
                prop_assert_eq!(graph.role(number, child), Some(Role::Child));
                expected.insert(child);
            }
        }
        prop_assert_eq!(needed.keys().copied().collect::<BTreeSet<_>>(), expected);
    }
}
