use std::sync::LazyLock;

use jsonwebtoken::jwk::JwkSet;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;

struct Running {
    issuer: Arc<Issuer>,
    client: reqwest::Client,
    base: String,
    stop: CancellationToken,
    dir: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Making RSA keys is what takes long here: all tests of this process share them.
static KEYS: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    Issuer::open(&System::real().0, dir.path(), "https://localhost").unwrap();
    dir
});

async fn running() -> Running {
    let (system, _clock) = System::real();
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(KEYS.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let authority = Authority::open(&system, dir.path()).unwrap();
    let leaf = authority.leaf(&["localhost".into(), "127.0.0.1".into()]).unwrap();
    let issuer = Issuer::open(&system, dir.path(), &base).unwrap();
    let stop = CancellationToken::new();
    let (serving, told) = (Arc::clone(&issuer), stop.clone());
    tokio::spawn(async move { serving.serve(listener, &leaf, told).await.unwrap() });
    // Only the directory's authority is trusted: the whole path is checked.
    let ca = reqwest::Certificate::from_pem(&std::fs::read(authority.ca_file()).unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
    Running { issuer, client, base, stop, dir }
}

impl Running {
    async fn get(&self, url: &str) -> Value {
        self.client.get(url).send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    /// Verifies as a relying party does: discovery, keys by `kid`, signature; returns the claims.
    async fn verify(&self, kind: Kind, token: &str) -> Value {
        let discovery = self.get(&format!("{}/.well-known/openid-configuration", self.issuer.url(kind))).await;
        assert_eq!(discovery["issuer"], json!(self.issuer.url(kind)));
        let keys: JwkSet = serde_json::from_value(self.get(discovery["jwks_uri"].as_str().unwrap()).await).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        let key = DecodingKey::from_jwk(keys.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_aud = false;
        jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims
    }
}

fn stated(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn a_github_job_asks_for_tokens_as_on_a_real_runner() {
    let running = running().await;
    let order = json!({ "kind": "github", "claims": { "environment": "production" } });
    let job: Value =
        running.client.post(format!("{}/jobs", running.base)).json(&order).send().await.unwrap().json().await.unwrap();
    let url = format!("{}&audience={}", job["request_url"].as_str().unwrap(), "https%3A%2F%2Fdaypass.example");

    let mut ids = Vec::new();
    for _ in 0..2 {
        let request =
            running.client.get(&url).header("authorization", format!("bearer {}", job["request_token"].as_str().unwrap()));
        let answer: Value = request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
        assert_eq!(answer["count"], json!(1));
        let claims = running.verify(Kind::Github, answer["value"].as_str().unwrap()).await;
        assert_eq!(claims["aud"], json!("https://daypass.example"));
        assert_eq!(claims["sub"], json!("repo:acme/shop:environment:production"));
        assert_eq!(claims["run_id"], job["claims"]["run_id"], "the run is the job's");
        ids.push(claims["jti"].clone());
    }
    assert_ne!(ids[0], ids[1], "each token is its own");
}

#[tokio::test]
async fn refuses_requests_that_github_refuses() {
    let running = running().await;
    let job = running.issuer.job(&Map::new()).unwrap();
    let ask = |url: String, bearer: String| running.client.get(url).header("authorization", bearer).send();

    let foreign = ask(format!("{}&audience=x", job.request_url), "bearer not-ours".into()).await.unwrap();
    assert_eq!(foreign.status(), 401);
    let token = running.issuer.token(Kind::Github, &Map::new(), Some("x")).unwrap();
    let id_token = ask(format!("{}&audience=x", job.request_url), format!("bearer {}", token.expose())).await.unwrap();
    assert_eq!(id_token.status(), 401, "an ID token is no request token");
    let damaged = ask(format!("{}?audience=x", job.request_url), format!("bearer {}", job.request_token)).await.unwrap();
    assert_eq!(damaged.status(), 400);
}

#[tokio::test]
async fn github_tokens_carry_every_claim_with_its_type() {
    let running = running().await;
    let token = running.issuer.token(Kind::Github, &stated(&json!({ "environment": "production" })), None).unwrap();
    let claims = running.verify(Kind::Github, token.expose()).await;
    for name in [
        "iss",
        "aud",
        "sub",
        "jti",
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "repository_visibility",
        "actor",
        "actor_id",
        "event_name",
        "ref",
        "ref_type",
        "ref_protected",
        "base_ref",
        "head_ref",
        "sha",
        "workflow",
        "workflow_ref",
        "workflow_sha",
        "job_workflow_ref",
        "job_workflow_sha",
        "environment",
        "environment_node_id",
        "run_id",
        "run_number",
        "run_attempt",
        "check_run_id",
        "runner_environment",
    ] {
        assert!(claims[name].is_string(), "{name} is {}", claims[name]);
    }
    let time = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!(time("exp") - time("iat"), 300);
    assert_eq!(time("iat") - time("nbf"), 600);
    let object = claims.as_object().unwrap();
    assert_eq!(object.len(), 33, "and nothing that GitHub does not sign");
}

#[tokio::test]
async fn gitlab_tokens_carry_every_claim_with_its_type() {
    let running = running().await;
    let token = running.issuer.token(Kind::Gitlab, &stated(&json!({ "environment": "production" })), Some("https://d")).unwrap();
    let claims = running.verify(Kind::Gitlab, token.expose()).await;
    for name in [
        "iss",
        "aud",
        "sub",
        "jti",
        "project_id",
        "project_path",
        "namespace_id",
        "namespace_path",
        "job_project_id",
        "job_project_path",
        "job_namespace_id",
        "job_namespace_path",
        "user_id",
        "user_login",
        "user_email",
        "user_access_level",
        "pipeline_id",
        "pipeline_source",
        "job_id",
        "job_source",
        "ref",
        "ref_type",
        "ref_path",
        "ref_protected",
        "sha",
        "environment",
        "environment_protected",
        "deployment_tier",
        "environment_action",
        "runner_environment",
        "project_visibility",
        "ci_config_ref_uri",
        "ci_config_sha",
    ] {
        assert!(claims[name].is_string(), "{name} is {}", claims[name]);
    }
    assert!(claims["runner_id"].is_i64());
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3600);
    assert_eq!(claims["iat"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 5);
    assert_eq!(claims["sub"], json!("project_path:acme/shop:ref_type:branch:ref:main"));
}

#[tokio::test]
async fn derives_what_follows_from_what_is_stated() {
    let running = running().await;
    let facts = stated(&json!({ "repository": "octo/x", "ref": "refs/tags/v1:2", "actor": null }));
    let token = running.issuer.token(Kind::Github, &facts, None).unwrap();
    let tag = running.verify(Kind::Github, token.expose()).await;
    assert_eq!(tag["repository_owner"], json!("octo"));
    assert_eq!(tag["ref_type"], json!("tag"));
    assert_eq!(tag["sub"], json!("repo:octo/x:ref:refs/tags/v1%3A2"), "a colon inside a value is written %3A");
    assert_eq!(tag["workflow_ref"], json!("octo/x/.github/workflows/deploy.yml@refs/tags/v1:2"));
    assert!(tag.get("actor").is_none(), "null leaves a claim out");
    assert!(tag.get("environment").is_none(), "absent, not empty");

    let token = running.issuer.token(Kind::Github, &stated(&json!({ "event_name": "pull_request" })), None).unwrap();
    let pull = running.verify(Kind::Github, token.expose()).await;
    assert_eq!(pull["sub"], json!("repo:acme/shop:pull_request"));
    assert_eq!(pull["ref"], json!("refs/pull/7/merge"));
    assert_eq!(pull["ref_protected"], json!("false"));
}

#[tokio::test]
async fn the_generic_issuer_has_keys_of_its_own() {
    let running = running().await;
    let token = running.issuer.token(Kind::Generic, &Map::new(), Some("a")).unwrap();
    let claims = running.verify(Kind::Generic, token.expose()).await;
    assert_eq!(claims["sub"], json!("service:deploy"));
    let github = running.get(&format!("{}/_services/token/.well-known/jwks", running.base)).await;
    let deploy = running.get(&format!("{}/deploy/keys", running.base)).await;
    assert!(deploy["keys"].as_array().unwrap().iter().all(|key| !github["keys"].as_array().unwrap().contains(key)));
    assert!(github["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()), "no private part is published");
}

#[tokio::test]
async fn signs_with_the_same_keys_after_a_restart() {
    let running = running().await;
    let (system, _clock) = System::real();
    let again = Issuer::reopen(&system, running.dir.path()).unwrap();
    let token = again.token(Kind::Gitlab, &Map::new(), Some("a")).unwrap();
    running.verify(Kind::Gitlab, token.expose()).await;
}

#[tokio::test]
async fn keeps_its_keys_to_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let running = running().await;
    for entry in std::fs::read_dir(running.dir.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        let public = ["ca.pem", "issuer.json"].contains(&name.as_str());
        assert_eq!(mode, if public { 0o644 } else { 0o600 }, "{name}");
    }
}
