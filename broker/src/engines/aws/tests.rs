//! Against a small STS of our own that says exactly what a test wants, and against an emulator where one is named.

use std::sync::{Arc, Mutex as StdMutex};

use aws_sdk_sts::config::Credentials;
use domain::claims::{Claims, Object};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::*;
use crate::store::{Connections, Secrets};
use crate::system::System;

/// The canary that must never show.
const SECRET: &str = "wJalrCanarySecretKey";

fn params(more: &Value) -> Params {
    let mut all = json!({"role_arn": "arn:aws:iam::000000000000:role/shop-deploy", "region": "eu-central-1"});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn bench() -> Bench {
    Bench {
        system: System::real().0,
        deployment: "abcdef".to_owned(),
        connections: Connections::default(),
        secrets: Secrets::default(),
    }
}

/// An engine that asks at `endpoint` with keys of its own.
fn engine(endpoint: &str, id: &str, secret: &str) -> Aws {
    let settings = Settings { endpoint_url: Some(endpoint.to_owned()), region: None };
    let keys = Credentials::new(id, secret, None, None, "test");
    Aws { keys: Some(SharedCredentialsProvider::new(keys)), ..Aws::new(settings).unwrap() }
}

async fn ask(engine: &Aws, params: Params, ttl: u64) -> Result<(Plan, Issued), EngineError> {
    let (bench, claims) = (bench(), Claims::from_verified(Object::default()));
    let now = bench.system.now();
    let ttl = Duration::from_secs(ttl);
    let ask = Ask {
        lease_id: Uuid::now_v7(),
        role: "shop-deploy",
        claims: &claims,
        params,
        ttl,
        expires_at: now + ttl,
        create_deadline: now + Duration::from_secs(10),
        input: None,
    };
    let plan = engine.plan(&bench, &ask).await?;
    let issued = engine.issue(&bench, &ask, &plan).await?;
    Ok((plan, issued))
}

/// An STS that answers each action with what the test says, and remembers what was asked.
#[derive(Clone, Default)]
struct Sts {
    asked: Arc<StdMutex<Vec<HashMap<String, String>>>>,
}

impl Sts {
    async fn start(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let sts = Self::default();
        let asked = sts.asked.clone();
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (asked, answer) = (asked.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    let body = loop {
                        let mut chunk = [0; 4096];
                        let count = stream.read(&mut chunk).await.unwrap();
                        if count == 0 {
                            return;
                        }
                        bytes.extend_from_slice(&chunk[..count]);
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                        let length =
                            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                        if body.len() >= length.unwrap_or(0_usize) {
                            break body.to_owned();
                        }
                    };
                    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
                    let (status, text) = answer(&form["Action"]);
                    asked.lock().unwrap().push(form);
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: text/xml\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                        text.len()
                    );
                    stream.write_all((head + &text).as_bytes()).await.unwrap();
                });
            }
        });
        (sts, endpoint)
    }

    fn asked(&self, action: &str) -> Vec<HashMap<String, String>> {
        self.asked.lock().unwrap().iter().filter(|form| form["Action"] == action).cloned().collect()
    }
}

fn identity(arn: &str) -> (u16, String) {
    let text = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>{arn}</Arn>\
         <UserId>A</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    (200, text)
}

fn granted() -> (u16, String) {
    let text = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/shop/s</Arn><AssumedRoleId>AROA:s</AssumedRoleId></AssumedRoleUser>\
         <Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
         <SessionToken>token-canary</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>"
    );
    (200, text)
}

fn refused(status: u16, code: &str) -> (u16, String) {
    let text = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>not you</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    );
    (status, text)
}

const USER: &str = "arn:aws:iam::123456789012:user/daypass";
const IN_ROLE: &str = "arn:aws:sts::123456789012:assumed-role/daypass/i-1";

async fn sts_for(caller: &'static str) -> (Sts, String) {
    Sts::start(move |action| if action == "AssumeRole" { granted() } else { identity(caller) }).await
}

#[tokio::test]
async fn sends_everything_that_the_role_says() {
    let (sts, endpoint) = sts_for(USER).await;
    let more = json!({
        "session_tags": {"repository": "acme/shop", "run": "7"}, "source_identity": "gh-1-7", "external_id": "ext/1",
        "session_policy": "{\"Version\":\"2012-10-17\",\"Statement\":[]}",
        "policy_arns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"], "session_name": "gh-1-7-1",
    });
    let (plan, issued) = ask(&engine(&endpoint, "AKIA", "x"), params(&more), 7200).await.unwrap();

    assert_eq!((plan.upstream.as_deref(), plan.revocable, plan.leased), (None, false, true));
    let form = &sts.asked("AssumeRole")[0];
    for (key, value) in [
        ("RoleArn", "arn:aws:iam::000000000000:role/shop-deploy"),
        ("RoleSessionName", "gh-1-7-1"),
        ("DurationSeconds", "7200"),
        ("Tags.member.1.Key", "repository"),
        ("Tags.member.1.Value", "acme/shop"),
        ("SourceIdentity", "gh-1-7"),
        ("ExternalId", "ext/1"),
        ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ("Policy", "{\"Version\":\"2012-10-17\",\"Statement\":[]}"),
    ] {
        assert_eq!(form.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert_eq!(issued.values["access_key_id"].expose(), "ASIAEXAMPLE");
    assert_eq!(issued.values["secret_access_key"].expose(), SECRET);
    assert_eq!(issued.values["session_token"].expose(), "token-canary");
    assert_eq!(issued.values["region"].expose(), "eu-central-1");
    assert_eq!(issued.facts["access_key_id"], "ASIAEXAMPLE");
    assert_eq!(issued.facts["assumed_role_arn"], "arn:aws:sts::123456789012:assumed-role/shop/s");
    assert_eq!(issued.facts.get("ttl_limited_by"), None);
    assert_eq!(issued.native_expiry.unwrap().unix_timestamp(), 1_893_456_000);
    assert!(!format!("{issued:?}{plan:?}").contains(SECRET));
}

#[tokio::test]
async fn a_caller_in_a_role_gets_an_hour_and_says_so() {
    let (sts, endpoint) = sts_for(IN_ROLE).await;
    let engine = engine(&endpoint, "ASIA", "x");
    let (_, issued) = ask(&engine, params(&json!({})), 7200).await.unwrap();
    assert_eq!(sts.asked("AssumeRole")[0]["DurationSeconds"], "3600");
    assert!(issued.facts["ttl_limited_by"].contains("assumed role"));

    let (_, short) = ask(&engine, params(&json!({})), 900).await.unwrap();
    assert_eq!(sts.asked("AssumeRole")[1]["DurationSeconds"], "900");
    assert_eq!(short.facts.get("ttl_limited_by"), None);
    assert_eq!(sts.asked("GetCallerIdentity").len(), 1, "asked once");
}

#[tokio::test]
async fn the_lease_names_the_session_that_has_no_name() {
    let (sts, endpoint) = sts_for(USER).await;
    ask(&engine(&endpoint, "AKIA", "x"), params(&json!({})), 900).await.unwrap();
    let name = &sts.asked("AssumeRole")[0]["RoleSessionName"];
    assert!(name.starts_with("daypass-") && name.len() == "daypass-".len() + 32, "{name}");
}

#[tokio::test]
async fn two_asks_of_one_run_may_carry_one_session_name() {
    let (_, endpoint) = sts_for(USER).await;
    let engine = engine(&endpoint, "AKIA", "x");
    for _ in 0..2 {
        let (plan, _) = ask(&engine, params(&json!({"session_name": "shop-7-1"})), 900).await.unwrap();
        assert_eq!(plan.upstream, None, "a name that may come again is none that the store keeps from coming again");
    }
}

#[tokio::test]
async fn passes_the_refusal_of_aws_on() {
    for (status, code, is_refusal) in
        [(403, "AccessDenied", true), (400, "PackedPolicyTooLarge", true), (400, "Throttling", false)]
    {
        let (_, endpoint) =
            Sts::start(move |action| if action == "AssumeRole" { refused(status, code) } else { identity(USER) }).await;
        let error = ask(&engine(&endpoint, "AKIA", SECRET), params(&json!({})), 900).await.unwrap_err();
        let text = format!("{error}");
        match (&error, is_refusal) {
            (EngineError::TargetRefused(_), true) | (EngineError::TargetUnavailable(_), false) => {}
            _ => panic!("{code}: {error:?}"),
        }
        assert!(text.contains(&format!("{code}: not you")), "{text}");
        assert!(!format!("{error:?}").contains(SECRET));
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_shows_nothing_of_it() {
    let (_, endpoint) =
        Sts::start(
            |action| {
                if action == "AssumeRole" { (200, format!("<AssumeRoleResponse><{SECRET}")) } else { identity(USER) }
            },
        )
        .await;
    let error = ask(&engine(&endpoint, "AKIA", "x"), params(&json!({})), 900).await.unwrap_err();
    assert!(matches!(error, EngineError::TargetUnavailable(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains(SECRET));
}

#[tokio::test]
async fn an_sts_that_is_not_there_is_unavailable() {
    let error = ask(&engine("http://127.0.0.1:1", "AKIA", SECRET), params(&json!({})), 900).await.unwrap_err();
    assert!(matches!(error, EngineError::TargetUnavailable(_)), "{error:?}");
    assert!(!format!("{error} {error:?}").contains(SECRET));
}

#[tokio::test]
async fn a_passive_session_cannot_be_taken_back() {
    let engine = engine("http://127.0.0.1:1", "AKIA", "x");
    let error = engine.revoke(&bench(), &Secret::new(Vec::new())).await.unwrap_err();
    assert!(matches!(error, EngineError::TargetRefused(_)), "{error:?}");
}

#[test]
fn plain_http_is_only_for_this_machine() {
    for endpoint in [
        "http://sts.example.com",
        "http://10.0.0.1",
        "ftp://localhost",
        "no url",
        "https://user@sts.example.com",
        "http://127.0.0.1.example.com",
    ] {
        let settings = Settings { endpoint_url: Some(endpoint.to_owned()), region: None };
        assert!(matches!(Aws::new(settings), Err(EngineError::Misconfigured(_))), "{endpoint}");
    }
    for endpoint in
        ["http://127.0.0.1:4566", "http://localhost:4566", "http://[::1]:4566", "https://sts.eu-central-1.amazonaws.com"]
    {
        let settings = Settings { endpoint_url: Some(endpoint.to_owned()), region: None };
        assert!(Aws::new(settings).is_ok(), "{endpoint}");
    }
}

#[test]
fn refuses_what_aws_would_refuse() {
    let long = |count: usize| "x".repeat(count);
    let tags = |count: usize| (0..count).map(|n| (format!("tag{n}"), json!("v"))).collect::<serde_json::Map<_, _>>();
    for (more, fits) in [
        (json!({"session_name": "a/b"}), false),
        (json!({"session_name": "a"}), false),
        (json!({"session_name": long(64)}), true),
        (json!({"session_name": long(65)}), false),
        (json!({"session_name": "m\u{fc}ller"}), false),
        (json!({"source_identity": "aws:me"}), false),
        (json!({"source_identity": "gh-1@acme"}), true),
        (json!({"session_tags": tags(50)}), true),
        (json!({"session_tags": tags(51)}), false),
        (json!({"session_tags": {"actor": "dependabot[bot]"}}), false),
        (json!({"session_tags": {"name": "J\u{fc}rgen M"}}), true),
        (json!({"session_tags": {"a": "1", "A": "2"}}), false),
        (json!({"session_tags": {"aws:x": "1"}}), false),
        (json!({"session_tags": {"a": long(256)}}), true),
        (json!({"session_tags": {"a": long(257)}}), false),
        (json!({"session_tags": {long(129): "v"}}), false),
        (json!({"session_policy": "{}"}), true),
        (json!({"session_policy": "no json"}), false),
        (json!({"session_policy": format!("{{\"a\":\"{}\"}}", long(2041))}), false),
        (json!({"session_policy": format!("{{\"a\":\"{}\"}}", long(2040))}), true),
        (json!({"policy_arns": vec!["arn:aws:iam::aws:policy/X"; 10]}), true),
        (json!({"policy_arns": vec!["arn:aws:iam::aws:policy/X"; 11]}), false),
        (json!({"policy_arns": vec![format!("arn:aws:iam::aws:policy/{}", long(200)); 10]}), false),
        (json!({"session_policy": format!("{{\"a\":\"{}\"}}", long(2030)), "policy_arns": ["arn:aws:iam::aws:policy/X"]}), false),
        (json!({"policy_arns": ["ReadOnlyAccess"]}), false),
        (json!({"role_arn": "arn:aws:iam::12:role/x"}), false),
        (json!({"role_arn": "arn:aws:iam::123456789012:user/x"}), false),
        (json!({"role_arn": "arn:aws-us-gov:iam::123456789012:role/path/x"}), true),
        (json!({"external_id": "a b"}), false),
        (json!({"region": "evil.example/"}), false),
        (json!({"region": "-x"}), false),
    ] {
        let params = params(&more);
        let name = params.session_name.clone().unwrap_or_else(|| "daypass-1".to_owned());
        let checked = limits::check(&params, &name);
        assert_eq!(checked.is_ok(), fits, "{more}: {checked:?}");
    }
}

#[test]
fn refuses_lifetimes_that_aws_does_not_give() {
    for (seconds, fits) in [(899, false), (900, true), (43_200, true), (43_201, false)] {
        assert_eq!(limits::lifetime(Duration::from_secs(seconds)).is_ok(), fits, "{seconds}");
    }
    assert!(matches!(limits::lifetime(Duration::from_secs(899)), Err(EngineError::Refused(_))));
}

#[test]
fn unknown_parameters_are_refused() {
    let wrong = json!({"role_arn": "arn:aws:iam::000000000000:role/x", "role_session": "x"});
    assert!(serde_json::from_value::<Params>(wrong).is_err());
    let issuer = json!({"role_arn": "arn:aws:iam::000000000000:role/x", "auth": "issuer"});
    assert!(serde_json::from_value::<Params>(issuer).is_err());
}

/// `DAYPASS_TEST_STS_ENDPOINT` names an emulator, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` a user there who may assume
/// `DAYPASS_TEST_AWS_ROLE` and nothing else. `./dev test` sets all of them.
#[tokio::test]
async fn leased_keys_are_those_of_the_role() {
    let Ok(endpoint) = std::env::var("DAYPASS_TEST_STS_ENDPOINT") else {
        println!("skipped: DAYPASS_TEST_STS_ENDPOINT names no STS emulator");
        return;
    };
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set beside the endpoint"));
    let (id, secret) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    let role = variable("DAYPASS_TEST_AWS_ROLE");
    let more = json!({"role_arn": role, "session_tags": {"repository": "acme/shop"}, "session_name": "gh-1-7-1"});
    let (_, issued) = ask(&engine(&endpoint, &id, &secret), params(&more), 900).await.unwrap();

    let surroundings = aws_config::defaults(BehaviorVersion::v2026_01_12()).region(Region::new("eu-central-1")).no_credentials();
    let value = |name: &str| issued.values[name].expose().clone();
    let keys = Credentials::new(value("access_key_id"), value("secret_access_key"), Some(value("session_token")), None, "leased");
    let config =
        aws_sdk_sts::config::Builder::from(&surroundings.load().await).endpoint_url(&endpoint).credentials_provider(keys);
    let caller = Client::from_conf(config.build()).get_caller_identity().send().await.unwrap();
    let assumed = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/gh-1-7-1";
    assert_eq!(caller.arn(), Some(assumed.as_str()));

    let nobody = params(&json!({"role_arn": format!("{role}-that-nobody-made")}));
    let error = ask(&engine(&endpoint, &id, &secret), nobody, 900).await.unwrap_err();
    assert!(matches!(&error, EngineError::TargetRefused(text) if text.starts_with("AccessDenied")), "{error:?}");
}
