//! A CI job that administers an account can make itself anything.

use super::look::{CredentialView, Found, Over};
use super::{Lint, Severity};

pub(super) static LINT: Lint = Lint {
    name: "administrator",
    severity: Severity::Warning,
    threats: &["C6", "T17"],
    summary: "A role hands an administrator of the AWS account to a CI job.",
    reason: "Whoever gets at one job of the role owns the account, and can create users and trust that outlive every lease: \
             that is how a stolen build token became an AWS administrator within three days.",
    remedy: "Name an IAM role that can do what the job does, and no more; add a session policy where the role is shared.",
    bad: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
environment   = "production"

[role.deploy.credential.cloud]
engine   = "aws"
role_arn = "arn:aws:iam::123456789012:role/OrganizationAdmin"
"#,
    good: r#"[[role.deploy.allow]]
issuer        = "github"
repository_id = "637712"
ref           = "refs/heads/main"
environment   = "production"

[role.deploy.credential.cloud]
engine   = "aws"
role_arn = "arn:aws:iam::123456789012:role/shop-deploy"
"#,
    look: Over::Credentials(look),
};

fn look(view: &CredentialView<'_>) -> Vec<Found> {
    const POLICIES: &[&str] = &["AdministratorAccess", "IAMFullAccess", "PowerUserAccess"];
    let params = &view.credential.params;
    if view.credential.engine.name() != crate::credentials::aws::NAME {
        return Vec::new();
    }
    let arn = params.get("role_arn").and_then(|arn| arn.as_str()).unwrap_or_default();
    let name = arn.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    if name.contains("admin") || name.contains("poweruser") || name.contains("root") {
        return vec![Found::at("role_arn", format!("`{}` hands out {arn}, an administrator by its name", view.credential.name))];
    }
    let arns = params.get("policy_arns").and_then(|arns| arns.as_array()).into_iter().flatten();
    let great = arns.filter_map(|arn| arn.as_str()).find(|arn| POLICIES.iter().any(|name| arn.ends_with(&format!("/{name}"))));
    great
        .map(|arn| Found::at("policy_arns", format!("`{}` is bounded by {arn} alone", view.credential.name)))
        .into_iter()
        .collect()
}
