//! CI systems tell of jobs that are over; what those held is gone before its time.

use std::time::Instant;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use integration::answer::{Answer, Door};
use integration::ci::Ci;
use integration::ground::{Ground, Settings};
use integration::replica::{PATIENCE, Replica};
use rustix::process::Signal;
use serde_json::{Value, json};

const GITHUB: &str = "the-secret-of-github";
const GITLAB: &str = "the-secret-of-gitlab";
const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn start(ground: &Ground) -> Replica {
    for (name, secret) in [("github.hook", GITHUB), ("gitlab.hook", GITLAB)] {
        std::fs::write(ground.path("secrets").join(name), format!("{secret}\n")).unwrap();
    }
    let more = "[hook.github]\nsecret_file = \"secrets/github.hook\"\n[hook.gitlab]\nsecret_file = \"secrets/gitlab.hook\"\n";
    ground.start_with(&Settings { more: more.to_owned(), ..Settings::default() }).await.unwrap()
}

/// A job of GitHub that may deploy the shop.
fn job(run: &str, attempt: &str, job: Option<&str>) -> Value {
    json!({"environment": "production", "run_id": run, "run_attempt": attempt, "check_run_id": job})
}

async fn login(replica: &Replica, claims: &Value) -> Answer {
    let token = Ci::shared().unwrap().github(claims).unwrap();
    let ask = json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": "10m"});
    replica.native.exchange(&token, ask).await.unwrap()
}

fn signed(secret: &str, body: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
    format!("sha256={}", domain::audit::hex(tag.as_ref()))
}

fn signed_by_gitlab(id: &str, at: i64, body: &str) -> String {
    let key = BASE64_STANDARD.decode(SIGNING.strip_prefix("whsec_").unwrap()).unwrap();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(tag))
}

async fn deliver(door: &Door, issuer: &str, headers: &[(&str, &str)], body: String) -> Answer {
    let mut request = door.client.post(format!("{}/api/v1/hooks/{issuer}", door.base)).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Door::send(request.header("content-type", "application/json")).await.unwrap()
}

async fn github(door: &Door, event: &str, body: &Value) -> Answer {
    let (body, delivery) = (body.to_string(), "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    let proof = signed(GITHUB, &body);
    deliver(door, "github", &[("x-hub-signature-256", &proof), ("x-github-event", event), ("x-github-delivery", delivery)], body)
        .await
}

fn job_over(run: u64, job: u64) -> Value {
    json!({"action": "completed", "workflow_job": {"id": job, "run_id": run, "run_attempt": 1, "status": "completed"},
        "repository": {"id": 637_712}})
}

fn run_over(run: u64, attempt: u64) -> Value {
    json!({"action": "completed", "workflow_run": {"id": run, "run_attempt": attempt}, "repository": {"id": 637_712}})
}

async fn gone(ground: &Ground, answer: &Answer) {
    let values = &answer.granted().unwrap().credentials["database"].values;
    let until = Instant::now() + PATIENCE;
    while ground.login(values).await.is_ok() {
        assert!(Instant::now() < until, "the login outlives its job");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn lives(ground: &Ground, answer: &Answer) {
    assert!(ground.login(&answer.granted().unwrap().credentials["database"].values).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_login_of_a_job_is_gone_when_github_tells_of_its_end() {
    let ground = Ground::new().await.unwrap();
    let replica = start(&ground).await;
    let ours = login(&replica, &job("700", "1", Some("31"))).await;
    let other = login(&replica, &job("700", "1", Some("32"))).await;
    let nameless = login(&replica, &job("700", "1", None)).await;
    let rerun = login(&replica, &job("700", "2", None)).await;

    let told = github(&replica.native, "workflow_job", &job_over(700, 31)).await;
    assert_eq!((told.status, told.body.as_str()), (202, ""));
    gone(&ground, &ours).await;
    for living in [&other, &nameless, &rerun] {
        lives(&ground, living).await;
    }
    let over = replica.native.get("/api/v1/leases", &ours.granted().unwrap().session.token.unwrap()).await.unwrap();
    assert_eq!((over.status, over.code().as_str()), (401, "session_unknown"));

    let again = github(&replica.native, "workflow_job", &job_over(700, 31)).await;
    assert_eq!(again.status, 202, "a delivery that comes again looks like the first");
    let late = login(&replica, &job("700", "1", Some("31"))).await;
    assert_eq!((late.status, late.code().as_str()), (403, "job_ended"));

    assert_eq!(github(&replica.native, "workflow_run", &run_over(700, 1)).await.status, 202);
    gone(&ground, &nameless).await;
    for living in [&other, &rerun] {
        lives(&ground, living).await;
    }

    let early = github(&replica.native, "workflow_job", &job_over(701, 41)).await;
    assert_eq!((early.status, early.body.as_str()), (202, ""), "nobody learns whether the job is known here");
    let refused = login(&replica, &job("701", "1", Some("41"))).await;
    assert_eq!((refused.status, refused.problem().unwrap().code.as_str()), (403, "job_ended"));
    assert_eq!(login(&replica, &job("701", "1", Some("42"))).await.status, 200);

    let kinds = ground.databases.kinds().await.unwrap();
    let count = |wanted: &str| kinds.iter().filter(|kind| *kind == wanted).count();
    assert_eq!((count("session.ended"), count("exchange.denied")), (2, 2), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_proves_nothing_ends_nothing() {
    let ground = Ground::new().await.unwrap();
    let replica = start(&ground).await;
    let door = &replica.native;
    let ours = login(&replica, &job("800", "1", Some("51"))).await;
    let body = job_over(800, 51).to_string();
    let right = signed(GITHUB, &body);
    let event = ("x-github-event", "workflow_job");
    let with_proof =
        async |issuer: &str, proof: &str| deliver(door, issuer, &[("x-hub-signature-256", proof), event], body.clone()).await;
    for wrong in ["", "sha256=00", &signed(GITLAB, &body), &signed("", &body), GITHUB] {
        let answer = with_proof("github", wrong).await;
        assert_eq!((answer.status, answer.problem().unwrap().code.as_str()), (401, "hook_unproven"), "{wrong:?}");
    }
    assert_eq!(deliver(door, "github", &[event], body.clone()).await.status, 401, "without a signature");
    let twice = [("x-hub-signature-256", right.as_str()), ("x-hub-signature-256", &right), event];
    assert_eq!(deliver(door, "github", &twice, body.clone()).await.status, 401, "with two");
    let changed = body.replace("51", "52");
    assert_eq!(deliver(door, "github", &[("x-hub-signature-256", &right), event], changed).await.status, 401);
    for (issuer, status) in
        [("gitlab", 401), ("deploy-service", 404), ("nobody", 404), ("", 404), ("%FF", 404), ("github/x", 404)]
    {
        assert_eq!(with_proof(issuer, &right).await.status, status, "{issuer:?}");
    }
    let answer = door.ask("GET", "/api/v1/hooks/github", None, None).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"));
    let text = job_over(800, 51).to_string().replace(":51", ":\"51\"");
    let unreadable = deliver(door, "github", &[("x-hub-signature-256", &signed(GITHUB, &text)), event], text).await;
    assert_eq!((unreadable.status, unreadable.code().as_str()), (400, "request_malformed"), "{unreadable:?}");
    let other_project = json!({"action": "completed", "workflow_job": {"id": 51, "run_id": 800}, "repository": {"id": 637_713}});
    assert_eq!(github(door, "workflow_job", &other_project).await.status, 202);
    for (event, body) in [("ping", json!({"zen": "x"})), ("push", json!({"ref": "x"}))] {
        assert_eq!(github(door, event, &body).await.status, 204, "{event}");
    }
    let in_progress = json!({"action": "in_progress", "workflow_job": {"id": 51, "run_id": 800}, "repository": {"id": 637_712}});
    assert_eq!(github(door, "workflow_job", &in_progress).await.status, 204);

    // Larger than any exchange, and as large as deliveries get; and one that is larger still.
    let mut large = job_over(800, 53);
    large["padding"] = "x".repeat(200_000).into();
    assert_eq!(github(door, "workflow_job", &large).await.status, 202);
    large["padding"] = "x".repeat(5_000_000).into();
    let sent = large.to_string();
    let headers = [("x-hub-signature-256", signed(GITHUB, &sent)), ("x-github-event", "workflow_job".to_owned())];
    let mut request = door.client.post(format!("{}/api/v1/hooks/github", door.base)).body(sent);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    // The connection may be cut before all of it is sent.
    assert!(Door::send(request).await.is_ok_and(|answer| answer.status == 413) || ready(&replica).await);
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    lives(&ground, &ours).await;
    let metrics = replica.metrics.ask("GET", "/metrics", None, None).await.unwrap().body;
    for outcome in ["unproven", "unknown", "noted", "passed", "unreadable"] {
        assert!(metrics.contains(&format!("outcome=\"{outcome}\"")), "{outcome}: {metrics}");
    }
    assert!(!metrics.contains("nobody"), "what strangers call an issuer is no label");
    assert!(!replica.output().contains(GITHUB) && !replica.output().contains(GITLAB));
}

async fn ready(replica: &Replica) -> bool {
    replica.metrics.ask("GET", "/readyz", None, None).await.is_ok_and(|answer| answer.status == 200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gitlab_ends_jobs_by_job_and_by_pipeline_with_old_new_and_signing_secret() {
    let ground = Ground::new().await.unwrap();
    let replica = start(&ground).await;
    let door = &replica.native;
    ground
        .add_policy(
            "hooks-test.toml",
            "[role.hook-test]\nttl = \"10m\"\n[[role.hook-test.allow]]\nissuer = \"gitlab\"\nproject_id = \"4242\"\nnamespace_id = \"77\"\n\
             ref_protected = \"true\"\nref_path = \"refs/heads/main\"\npipeline_source = \"push\"\n\
             [role.hook-test.credential.registry]\nengine = \"kv\"\npath = \"hooks/registry\"\n",
        )
        .unwrap();
    let reload = async |replica: &Replica| {
        replica.signal(Signal::HUP).unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    };
    reload(&replica).await;
    let open = async |job: &str| {
        let claims = json!({"pipeline_id": "900", "job_id": job, "ref_protected": "true", "pipeline_source": "push",
            "runner_environment": "gitlab-hosted"});
        let token = Ci::shared().unwrap().gitlab(&claims).unwrap();
        door.exchange(&token, json!({"role": "hook-test", "session_only": true})).await.unwrap()
    };
    let session = |answer: &Answer| answer.granted().unwrap().session.token.unwrap();
    let ended = async |answer: &Answer| {
        let until = Instant::now() + PATIENCE;
        while door.get("/api/v1/leases", &session(answer)).await.unwrap().status == 200 {
            assert!(Instant::now() < until, "the session outlives its job");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let send = async |secret: &str, event: &str, body: &Value| {
        deliver(door, "gitlab", &[("x-gitlab-token", secret), ("x-gitlab-event", event)], body.to_string()).await.status
    };
    let (first, second, third) = (open("61").await, open("62").await, open("63").await);
    let job = json!({"object_kind": "build", "build_id": 61, "build_status": "failed", "pipeline_id": 900, "project_id": 4242});
    assert_eq!(send("a-wrong-secret-token", "Job Hook", &job).await, 401);
    assert_eq!(send(GITLAB, "Job Hook", &job).await, 202);
    ended(&first).await;

    std::fs::write(ground.path("secrets").join("gitlab.new"), "a-new-secret-of-gitlab").unwrap();
    let config = std::fs::read_to_string(&replica.config).unwrap().replace(
        "secret_file = \"secrets/gitlab.hook\"",
        "secret_file = \"secrets/gitlab.new\"\nformer_secret_file = \"secrets/gitlab.hook\"",
    );
    std::fs::write(&replica.config, config).unwrap();
    reload(&replica).await;
    let pipeline = json!({"object_kind": "pipeline", "object_attributes": {"id": 900, "status": "success"}, "project": {"id": 4242},
        "builds": [{"id": 62, "status": "success"}, {"id": 63, "status": "running"}]});
    assert_eq!(send("a-new-secret-of-gitlab", "Pipeline Hook", &pipeline).await, 202);
    assert_eq!(send(GITLAB, "Pipeline Hook", &pipeline).await, 202, "the former one counts as well");
    ended(&second).await;
    assert_eq!(door.get("/api/v1/leases", &session(&third)).await.unwrap().status, 200, "a job that still runs goes on");
    let late = open("62").await;
    assert_eq!((late.status, late.code().as_str()), (403, "job_ended"));
    let fourth = open("64").await;
    assert_eq!(fourth.status, 200, "a retried job has an id of its own");

    // The webhook gets a signing token; what was shown before counts no more.
    std::fs::write(ground.path("secrets").join("gitlab.new"), SIGNING).unwrap();
    std::fs::remove_file(ground.path("secrets").join("gitlab.hook")).unwrap();
    let config = std::fs::read_to_string(&replica.config).unwrap();
    std::fs::write(&replica.config, config.replace("former_secret_file = \"secrets/gitlab.hook\"", "")).unwrap();
    reload(&replica).await;
    let job = json!({"object_kind": "build", "build_id": 64, "build_status": "failed", "pipeline_id": 900, "project_id": 4242});
    for shown in [GITLAB, "a-new-secret-of-gitlab", SIGNING] {
        assert_eq!(send(shown, "Job Hook", &job).await, 401, "{shown}");
    }
    let now = || broker::system::FollowingClock::machine().unix_timestamp();
    let send = async |at: i64, proof: &str| {
        let (at, body) = (at.to_string(), job.to_string());
        let headers =
            [("webhook-id", "7f"), ("webhook-timestamp", &at), ("webhook-signature", proof), ("x-gitlab-event", "Job Hook")];
        deliver(door, "gitlab", &headers, body).await
    };
    let overheard = now() - 301;
    let old = send(overheard, &signed_by_gitlab("7f", overheard, &job.to_string())).await;
    assert_eq!((old.status, old.code().as_str()), (401, "hook_unproven"), "{old:?}");
    assert_eq!(send(now(), &signed_by_gitlab("7f", overheard, &job.to_string())).await.status, 401, "with the time made newer");
    assert_eq!(door.get("/api/v1/leases", &session(&fourth)).await.unwrap().status, 200, "nothing has ended");
    let (at, metrics) = (now(), replica.metrics.ask("GET", "/metrics", None, None).await.unwrap().body);
    assert!(metrics.contains("outcome=\"stale\""), "{metrics}");
    let proof = signed_by_gitlab("7f", at, &job.to_string());
    assert_eq!(send(at, &proof).await.status, 202);
    ended(&fourth).await;
    assert_eq!(send(at, &proof).await.status, 202, "the same one again");
    let kinds = ground.databases.kinds().await.unwrap();
    assert_eq!(kinds.iter().filter(|kind| *kind == "session.ended").count(), 3, "ends nothing once more: {kinds:?}");
    assert!(!replica.output().contains(SIGNING));
}
