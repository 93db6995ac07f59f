//! What the journal says of a removal by the collector: the rule, why, and the command that asked for it.

use crate::maintenance::collector::options::CollectOptions;
use crate::meta::{Origin, Policies, Sweep, Untagged};
use crate::spec::RepoName;

/// Returns the origin of what a sweep removes.
pub(super) fn origin(options: &CollectOptions, policies: &Policies, sweep: &Sweep) -> Origin {
    let (rule, why) = match sweep {
        Sweep::Tags { repo, .. } => (policy_rule(policies, repo), "no line of the policy keeps the tag"),
        Sweep::Manifests { repo, .. } => {
            let policy = policies.of(repo);
            let of_policy = policy.untagged != Untagged::Keep || policy.remove_orphan_referrers;
            let rule = if of_policy { policy_rule(policies, repo) } else { "untagged".to_owned() };
            (rule, "no tag has led to it for long enough")
        }
        Sweep::Links { .. } => ("unreferenced".to_owned(), "no manifest of the repository references it"),
        Sweep::Repository { .. } => ("empty".to_owned(), "nothing is left in the repository"),
        Sweep::Content { .. } => ("unreferenced".to_owned(), "no repository has it"),
    };
    let origin = Origin::default().rule(&rule).why(why);
    if options.asked { origin.command("gc") } else { origin }
}

/// Names the policy of a repository by its place among the `[[policy]]` tables.
fn policy_rule(policies: &Policies, repo: &RepoName) -> String {
    policies.position(repo).map_or_else(|| "policy".to_owned(), |at| format!("policy {}", at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::Policy;

    #[test]
    fn a_removal_names_its_rule_and_the_command_that_asked_for_it() {
        let named = |pattern: &str| Policy {
            repositories: vec![pattern.parse().unwrap()],
            keep_last: Some(1),
            ..Policy::default()
        };
        let policies = Policies::new(vec![named("a/*"), named("b/*")]);
        let repo: RepoName = "b/app".parse().unwrap();
        let said = |asked, sweep: &Sweep| {
            origin(&CollectOptions { asked, ..CollectOptions::default() }, &policies, sweep).to_string()
        };
        let tags = Sweep::Tags { repo: repo.clone(), tags: Vec::new() };
        assert_eq!(said(false, &tags), "policy 2: no line of the policy keeps the tag");
        assert_eq!(said(true, &tags), "gc, policy 2: no line of the policy keeps the tag");
        let manifests = Sweep::Manifests { repo, manifests: Vec::new() };
        assert_eq!(said(true, &manifests), "gc, untagged: no tag has led to it for long enough");
        let content = Sweep::Content { content: Vec::new() };
        assert_eq!(said(false, &content), "unreferenced: no repository has it");
    }
}
