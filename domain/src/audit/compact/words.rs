//! What is written as one byte. Lines are added at the end and never moved: their place is what stands in databases.

/// Names of fields and of personal values; at most 255.
pub(super) const NAMES: &[&str] = &[
    // Every issuer's.
    "claim.iss",
    "claim.sub",
    "claim.aud",
    "claim.exp",
    "claim.iat",
    "claim.nbf",
    "claim.jti",
    "key_id",
    "keys_age",
    "run_url",
    // What GitHub and GitLab share.
    "claim.environment",
    "claim.ref",
    "claim.ref_protected",
    "claim.ref_type",
    "claim.runner_environment",
    "claim.sha",
    // GitHub's.
    "claim.actor",
    "claim.actor_id",
    "claim.base_ref",
    "claim.check_run_id",
    "claim.enterprise",
    "claim.enterprise_id",
    "claim.environment_node_id",
    "claim.event_name",
    "claim.head_ref",
    "claim.job_workflow_ref",
    "claim.job_workflow_sha",
    "claim.repository",
    "claim.repository_id",
    "claim.repository_owner",
    "claim.repository_owner_id",
    "claim.repository_visibility",
    "claim.run_attempt",
    "claim.run_id",
    "claim.run_number",
    "claim.workflow",
    "claim.workflow_ref",
    "claim.workflow_sha",
    // GitLab's.
    "claim.ci_config_ref_uri",
    "claim.ci_config_sha",
    "claim.deployment_tier",
    "claim.environment_action",
    "claim.environment_protected",
    "claim.groups_direct",
    "claim.job_id",
    "claim.job_namespace_id",
    "claim.job_namespace_path",
    "claim.job_project_id",
    "claim.job_project_path",
    "claim.job_source",
    "claim.namespace_id",
    "claim.namespace_path",
    "claim.pipeline_id",
    "claim.pipeline_source",
    "claim.project_id",
    "claim.project_path",
    "claim.project_visibility",
    "claim.ref_path",
    "claim.runner_id",
    "claim.user_access_level",
    "claim.user_email",
    "claim.user_id",
    "claim.user_identities",
    "claim.user_login",
];

/// Values that many jobs share; at most 240.
pub(super) const VALUES: &[&str] = &[
    "",
    "0",
    "true",
    "false",
    "main",
    "refs/heads/main",
    "branch",
    "tag",
    "private",
    "internal",
    "public",
    "production",
    "staging",
    "push",
    "https://token.actions.githubusercontent.com",
    "github-hosted",
    "self-hosted",
    "workflow_dispatch",
    "schedule",
    "release",
    "merge_group",
    "pull_request",
    "https://gitlab.com",
    "gitlab-hosted",
    "protected",
    "merge_request_event",
    "web",
    "start",
    "maintainer",
    "developer",
    "owner",
    "kv",
    "aws",
    "postgres",
    "role",
    "session",
    "request",
    "credential",
    "secret",
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_are_distinct_and_fit_in_a_byte() {
        assert!(NAMES.len() <= 255 && VALUES.len() <= 240);
        assert_eq!(NAMES.iter().collect::<HashSet<_>>().len(), NAMES.len());
        assert_eq!(VALUES.iter().collect::<HashSet<_>>().len(), VALUES.len());
    }
}
