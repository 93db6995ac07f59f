//! What the journal says of a removal by the collector: the rule, why, and the command that asked for it.

use crate::maintenance::collector::options::CollectOptions;
use crate::meta::{Origin, Policies, Sweep, SweptImage};
use crate::spec::RepoName;

/// Returns the origin of what a sweep removes.
pub(super) fn origin(options: &CollectOptions, policies: &Policies, sweep: &Sweep) -> Origin {
    let (rule, why) = match sweep {
        Sweep::Tags { repo, .. } => (tag_rule(policies, repo), "no rule keeps the tag"),
        Sweep::Images { repo, images } if images.iter().any(has_own_tag) => {
            (tag_rule(policies, repo), "no rule keeps the image")
        }
        Sweep::Images { repo, .. } | Sweep::Manifests { repo, .. } => {
            let by_policy = policies.of(repo).untagged().1.map(policy_rule);
            (by_policy.unwrap_or_else(|| "untagged".to_owned()), "no tag has led to it for long enough")
        }
        Sweep::Links { .. } => ("unreferenced".to_owned(), "no manifest of the repository references it"),
        Sweep::Repository { .. } => ("empty".to_owned(), "nothing is left in the repository"),
        Sweep::History { .. } => ("history".to_owned(), "it is older than the history keeps"),
        Sweep::Content { .. } => ("unreferenced".to_owned(), "no repository has it"),
    };
    let origin = Origin::default().rule(&rule).why(why);
    if options.asked { origin.command("gc") } else { origin }
}

/// Tells whether an image has a tag that does not belong to it as that of a signature does.
fn has_own_tag(image: &SweptImage) -> bool {
    image.tags.iter().any(|(tag, _)| tag.subject().is_none())
}

/// Names the policy that removes tags of a repository: the first one with a rule.
fn tag_rule(policies: &Policies, repo: &RepoName) -> String {
    policies.of(repo).rules().next().map_or_else(|| "policy".to_owned(), |rule| policy_rule(rule.policy))
}

/// Names a policy by its place among the `[[policy]]` tables, counted from 1.
fn policy_rule(number: usize) -> String {
    format!("policy {number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::{KeepRule, Policy};

    #[test]
    fn a_removal_names_its_rule_and_the_command_that_asked_for_it() {
        let named = |pattern: &str| Policy {
            repositories: vec![pattern.parse().unwrap()],
            keep: vec![KeepRule::newest(1)],
            ..Policy::default()
        };
        let policies = Policies::new(vec![named("a/*"), named("b/*")]);
        let repo: RepoName = "b/app".parse().unwrap();
        let said = |asked, sweep: &Sweep| {
            origin(&CollectOptions { asked, ..CollectOptions::default() }, &policies, sweep).to_string()
        };
        let tags = Sweep::Tags { repo: repo.clone(), tags: Vec::new() };
        assert_eq!(said(false, &tags), "policy 2: no rule keeps the tag");
        assert_eq!(said(true, &tags), "gc, policy 2: no rule keeps the tag");
        let manifests = Sweep::Manifests { repo, manifests: Vec::new() };
        assert_eq!(said(true, &manifests), "gc, untagged: no tag has led to it for long enough");
        let content = Sweep::Content { content: Vec::new() };
        assert_eq!(said(false, &content), "unreferenced: no repository has it");
    }
}
