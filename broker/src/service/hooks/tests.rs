use aws_lc_rs::hmac;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::*;
use crate::store::job_ends::{Ended, JobEnd};

const SECRET_TEXT: &str = "it-is-a-long-secret";

fn secret() -> Secret<String> {
    Secret::from(SECRET_TEXT)
}

fn signature(secret: &str, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body);
    format!("sha256={}", domain::audit::hex(tag.as_ref()))
}

fn job(project: &str, run: &str, job: &str) -> JobEnd {
    JobEnd { project: project.to_owned(), run: run.to_owned(), ended: Ended::Job(job.to_owned()) }
}

/// Whether the header of this name proves the body.
fn proves(kind: &str, secret: &Secret<String>, name: &str, proof: &str, body: &[u8]) -> bool {
    sender(kind).unwrap().proof(secret, &Shown::from([(name, proof)]), body, OffsetDateTime::UNIX_EPOCH) == Proof::Proven
}

fn ended(kind: &str, event: &str, body: &Value) -> Result<Vec<JobEnd>, String> {
    sender(kind).unwrap().ended(event, body.to_string().as_bytes())
}

/// As GitHub documents it, less most members that nobody reads here.
fn workflow_job() -> Value {
    json!({
        "action": "completed",
        "workflow_job": {
            "id": 51_310_022_187_u64, "run_id": 18_032_711_405_u64, "run_attempt": 1, "workflow_name": "Deploy", "head_branch": "main",
            "check_run_url": "https://api.github.com/repos/acme/shop/check-runs/51310022187",
            "status": "completed", "conclusion": "success", "created_at": "2026-11-22T03:00:00Z", "steps": [], "labels": [],
            "runner_id": null, "runner_name": null,
        },
        "repository": {"id": 637_712, "full_name": "acme/shop", "private": true, "owner": {"login": "acme", "id": 9919}},
        "organization": {"login": "acme", "id": 9919},
        "sender": {"login": "octocat", "id": 583_231},
    })
}

fn workflow_run() -> Value {
    json!({
        "action": "completed",
        "workflow_run": {"id": 18_032_711_405_u64, "run_number": 412, "run_attempt": 2, "status": "completed", "conclusion": "failure",
            "repository": {"id": 637_712}, "head_repository": {"id": 1}},
        "workflow": {"id": 5, "name": "Deploy"},
        "repository": {"id": 637_712, "full_name": "acme/shop"},
    })
}

fn job_hook() -> Value {
    json!({
        "object_kind": "build", "ref": "main", "build_id": 31415, "build_name": "deploy", "build_status": "success",
        "build_duration": 17.5, "retries_count": 0, "pipeline_id": 1212, "project_id": 4242,
        "commit": {"id": 1212, "status": "running"}, "project": {"id": 4242}, "environment": null,
    })
}

fn pipeline_hook() -> Value {
    let build = |id: u64, status: &str| json!({"id": id, "stage": "deploy", "status": status, "runner": null, "manual": false});
    json!({
        "object_kind": "pipeline",
        "object_attributes": {"id": 1212, "iid": 3, "status": "success", "source": "push", "duration": 63},
        "project": {"id": 4242, "path_with_namespace": "acme/shop"},
        "builds": [build(1, "success"), build(2, "failed"), build(3, "canceled"), build(4, "skipped"), build(5, "manual"),
            build(6, "running"), build(7, "created"), build(8, "canceling")],
    })
}

#[test]
fn a_completed_job_of_github_ends_that_job_alone() {
    assert_eq!(ended("github", "workflow_job", &workflow_job()), Ok(vec![job("637712", "18032711405", "51310022187")]));
    for action in ["queued", "in_progress", "waiting", "Completed", ""] {
        let mut body = workflow_job();
        body["action"] = action.into();
        assert_eq!(ended("github", "workflow_job", &body), Ok(Vec::new()), "{action}");
    }
}

#[test]
fn a_completed_run_of_github_ends_its_attempt() {
    let attempt = JobEnd { project: "637712".to_owned(), run: "18032711405".to_owned(), ended: Ended::Attempt("2".to_owned()) };
    assert_eq!(ended("github", "workflow_run", &workflow_run()), Ok(vec![attempt]));
    let mut requested = workflow_run();
    requested["action"] = "requested".into();
    assert_eq!(ended("github", "workflow_run", &requested), Ok(Vec::new()));
}

#[test]
fn a_header_that_names_another_event_makes_nothing_of_a_body() {
    assert!(ended("github", "workflow_job", &workflow_run()).is_err());
    assert!(ended("github", "workflow_run", &workflow_job()).is_err());
    assert_eq!(ended("github", "ping", &json!({"zen": "Keep it simple."})), Ok(Vec::new()));
    assert_eq!(ended("github", "", &workflow_job()), Ok(Vec::new()));
    assert!(ended("gitlab", "Job Hook", &pipeline_hook()).is_err());
    assert!(ended("gitlab", "Pipeline Hook", &job_hook()).is_err());
    assert_eq!(ended("gitlab", "Push Hook", &json!({})), Ok(Vec::new()));
}

#[test]
fn a_job_of_gitlab_ends_when_it_has_run() {
    assert_eq!(ended("gitlab", "Job Hook", &job_hook()), Ok(vec![job("4242", "1212", "31415")]));
    for (status, over) in
        [("failed", true), ("canceled", true), ("created", false), ("pending", false), ("running", false), ("manual", false)]
    {
        let mut body = job_hook();
        body["build_status"] = status.into();
        assert_eq!(ended("gitlab", "Job Hook", &body).unwrap().len(), usize::from(over), "{status}");
    }
}

/// A pipeline that has ended begins again with a retried job: nothing but its jobs may be taken to be over.
#[test]
fn a_pipeline_of_gitlab_ends_its_jobs_that_have_run() {
    let expected = ["1", "2", "3"].map(|id| job("4242", "1212", id)).to_vec();
    assert_eq!(ended("gitlab", "Pipeline Hook", &pipeline_hook()), Ok(expected));
}

#[test]
fn ids_are_whole_numbers_and_nothing_that_looks_like_one() {
    let wrong = ["\"637712\"", "637712.0", "-637712", "0", "18446744073709551616", "6e5", "null", "[637712]", "true"];
    let bodies = [
        ("github", "workflow_job", workflow_job().to_string(), "51310022187"),
        ("github", "workflow_job", workflow_job().to_string(), "18032711405"),
        ("github", "workflow_job", workflow_job().to_string(), "637712"),
        ("github", "workflow_run", workflow_run().to_string(), "18032711405"),
        ("gitlab", "Job Hook", job_hook().to_string(), "31415"),
        ("gitlab", "Job Hook", job_hook().to_string(), "1212"),
        ("gitlab", "Job Hook", job_hook().to_string(), "4242"),
    ];
    for (kind, event, body, id) in bodies {
        for wrong in wrong {
            let body = body.replace(&format!(":{id}"), &format!(":{wrong}"));
            let told = sender(kind).unwrap().ended(event, body.as_bytes());
            assert!(told.as_ref().is_err_and(|told| !told.contains(id)), "{event} {id} as {wrong}: {told:?}");
        }
        let largest = body.replace(&format!(":{id}"), ":18446744073709551615");
        assert!(sender(kind).unwrap().ended(event, largest.as_bytes()).is_ok(), "{event} {id}");
    }
}

#[test]
fn what_is_missing_or_stands_twice_is_not_guessed() {
    for member in ["action", "repository", "workflow_job"] {
        let mut body = workflow_job();
        body.as_object_mut().unwrap().remove(member);
        assert!(ended("github", "workflow_job", &body).is_err(), "{member}");
    }
    for member in ["build_id", "build_status", "pipeline_id", "project_id"] {
        let mut body = job_hook();
        body.as_object_mut().unwrap().remove(member);
        assert!(ended("gitlab", "Job Hook", &body).is_err(), "{member}");
    }
    let twice = job_hook().to_string().replace("\"project_id\":4242", "\"project_id\":4242,\"project_id\":4243");
    assert!(sender("gitlab").unwrap().ended("Job Hook", twice.as_bytes()).is_err());
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    assert!(sender("github").unwrap().ended("workflow_job", &deep).is_err());
    assert_eq!(sender("github").unwrap().ended("ping", &deep), Ok(Vec::new()), "passed over without a stack as deep");
    for (kind, event) in [("github", "workflow_job"), ("github", "ping"), ("gitlab", "Job Hook"), ("gitlab", "x")] {
        for body in [b"".as_slice(), b"null x", b"{", b"\xff"] {
            assert!(sender(kind).unwrap().ended(event, body).is_err(), "{kind} {event}");
        }
    }
}

#[test]
fn github_proves_itself_by_the_signature_over_the_very_body() {
    let github = |secret: &Secret<String>, proof: &str, body: &[u8]| proves("github", secret, "x-hub-signature-256", proof, body);
    let body = workflow_job().to_string();
    let right = signature(SECRET_TEXT, body.as_bytes());
    assert!(github(&secret(), &right, body.as_bytes()));
    assert!(github(&secret(), &right.to_uppercase().replace("SHA256=", "sha256="), body.as_bytes()));
    assert!(!github(&secret(), &right, format!("{body} ").as_bytes()));
    assert!(!github(&Secret::from("it-is-another-secret"), &right, body.as_bytes()));
    let digits = right.strip_prefix("sha256=").unwrap();
    let wrong = [
        "",
        "sha256=",
        digits,
        &format!("sha1={digits}"),
        &right[..right.len() - 2],
        &format!("{right}00"),
        &format!("sha256= {digits}"),
        &signature("", body.as_bytes()),
        SECRET_TEXT,
    ];
    for wrong in wrong {
        assert!(!github(&secret(), wrong, body.as_bytes()), "{wrong:?}");
    }
}

/// The example in GitHub's documentation of signatures.
#[test]
fn signs_as_github_documents() {
    let documented = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let secret = Secret::from("It's a Secret to Everybody");
    assert!(proves("github", &secret, "x-hub-signature-256", documented, b"Hello, World!"));
}

#[test]
fn gitlab_proves_itself_by_the_very_secret() {
    let gitlab = |proof: &str| proves("gitlab", &secret(), "x-gitlab-token", proof, b"");
    assert!(gitlab(SECRET_TEXT));
    for wrong in ["", "it-is-a-long-secre", "it-is-a-long-secret ", "IT-IS-A-LONG-SECRET"] {
        assert!(!gitlab(wrong), "{wrong:?}");
    }
}

#[test]
fn secrets_that_prove_nothing_are_not_taken() {
    assert!(check_secret(&secret()).is_ok());
    for wrong in ["", "short", "it is a long secret", "it-is-a-long-secret\u{e9}", "it-is-a-long-secret\n"] {
        assert!(check_secret(&Secret::from(wrong)).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_delivery_is_remembered_by_a_plain_name_only() {
    assert_eq!(name("72d3162e-cc78-11e3-81ab-4c9367dc0958"), "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    for odd in ["", "a b", "a\0b", "{}", &"a".repeat(65)] {
        assert_eq!(name(odd), "unnamed");
    }
}

#[test]
fn a_body_is_read_only_after_what_could_prove_it() {
    let (github, gitlab) = (sender("github").unwrap(), sender("gitlab").unwrap());
    let signed = |proof: &str| github.may_prove(&secret(), &Shown::from([("x-hub-signature-256", proof)]));
    assert!(signed(&signature(SECRET_TEXT, b"{}")));
    for none in ["", "sha256=", "sha256=00", &signature(SECRET_TEXT, b"{}").replace("sha256", "sha1"), SECRET_TEXT] {
        assert!(!signed(none), "{none}");
    }
    let shown = |token: &str| gitlab.may_prove(&secret(), &Shown::from([("x-gitlab-token", token)]));
    assert!(shown(SECRET_TEXT) && !shown("") && !shown("it-is-another-secret"));
    let signing = Secret::from("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3");
    let signed = |proof: &str| gitlab.may_prove(&signing, &Shown::from([("webhook-signature", proof)]));
    assert!(signed("v0,x v1,AAAA") && !signed("") && !signed(SECRET_TEXT));
    assert!(
        !gitlab.may_prove(&signing, &Shown::from([("x-gitlab-token", signing.expose().as_str())])),
        "what signs is not shown"
    );
}
