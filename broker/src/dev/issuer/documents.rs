//! Discovery documents in the shape of the issuer that each stands for.

use serde_json::{Value, json};

use super::profiles::Kind;

/// The issuer URL of a kind, under the base `https://HOST:PORT`.
///
/// GitHub is played as an Enterprise Server (`/_services/token`), GitLab as a self-managed instance (its root).
pub(super) fn issuer_url(kind: Kind, base: &str) -> String {
    match kind {
        Kind::Github => format!("{base}/_services/token"),
        Kind::Gitlab => base.to_owned(),
        Kind::Generic => format!("{base}/deploy"),
    }
}

/// `/.well-known/openid-configuration` of the kind.
pub(super) fn discovery(kind: Kind, base: &str) -> Value {
    let issuer = issuer_url(kind, base);
    match kind {
        // GitHub's document has no authorization_endpoint: nobody logs in there.
        Kind::Github => json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/.well-known/jwks"),
            "subject_types_supported": ["public", "pairwise"],
            "response_types_supported": ["id_token"],
            "claims_supported": [
                "sub", "aud", "exp", "iat", "iss", "jti", "nbf", "ref", "sha", "repository", "repository_id", "repository_owner",
                "repository_owner_id", "enterprise", "enterprise_id", "run_id", "run_number", "run_attempt", "actor", "actor_id",
                "workflow", "workflow_ref", "workflow_sha", "head_ref", "base_ref", "event_name", "ref_type", "ref_protected",
                "environment", "environment_node_id", "job_workflow_ref", "job_workflow_sha", "repository_visibility",
                "runner_environment", "issuer_scope", "check_run_id"
            ],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"]
        }),
        // GitLab's serves people's logins too, from the same keys: the CI claims are what tells the tokens apart.
        Kind::Gitlab => json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{base}/oauth/authorize"),
            "token_endpoint": format!("{base}/oauth/token"),
            "revocation_endpoint": format!("{base}/oauth/revoke"),
            "introspection_endpoint": format!("{base}/oauth/introspect"),
            "userinfo_endpoint": format!("{base}/oauth/userinfo"),
            "jwks_uri": format!("{base}/oauth/discovery/keys"),
            "scopes_supported": ["api", "read_api", "read_user", "create_runner", "openid", "profile", "email"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "grant_types_supported": ["authorization_code", "password", "client_credentials", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "claim_types_supported": ["normal"],
            "claims_supported": [
                "iss", "sub", "aud", "exp", "iat", "sub_legacy", "auth_time", "name", "nickname", "preferred_username", "email",
                "email_verified", "website", "profile", "picture", "groups", "groups_direct"
            ],
            "code_challenge_methods_supported": ["plain", "S256"]
        }),
        Kind::Generic => json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/keys"),
            "subject_types_supported": ["public"],
            "response_types_supported": ["id_token"],
            "id_token_signing_alg_values_supported": ["RS256"]
        }),
    }
}
