//! Bad requests: each has its status, its code and a hint, and repeats nothing of what was sent.

use integration::answer::{Answer, Door};
use integration::ci::Ci;
use integration::ground::{Ground, deploy_claims};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What is sent, as which type, what comes back, and what a hint says.
type Row<'a> = (&'a str, Option<&'a str>, String, (u16, &'a str), &'a str);

/// Sends bytes as they are and reads the whole answer.
async fn raw(door: &Door, request: &str) -> String {
    let address = door.base.split_once("://").unwrap().1;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // A connection that is cut tells as much as one that is closed.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(10), reading).await.expect("an answer in time");
    String::from_utf8_lossy(&answer).into_owned()
}

fn code_of(raw: &str) -> (u16, String) {
    let status = raw.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let body: Value = raw.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok()).unwrap_or_default();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

async fn post(door: &Door, kind: Option<&str>, body: &str) -> Answer {
    let mut request = door.client.post(format!("{}/api/v1/exchange", door.base)).body(body.to_owned());
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    Door::send(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_refused_by_name() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start().await.unwrap();
    let token = Ci::shared().unwrap().github(&deploy_claims()).unwrap();
    let json_type = Some("application/json");
    let whole = json!({"token": token}).to_string();
    let with = |more: &str| format!("{},{more}}}", whole.trim_end_matches('}'));
    let malformed = (400, "request_malformed");
    let table: Vec<Row<'_>> = vec![
        ("no JSON", json_type, "token=abc".to_owned(), malformed, "line 1"),
        ("half a JSON", json_type, whole[..whole.len() - 2].to_owned(), malformed, "line 1"),
        ("two values", json_type, format!("{whole}{whole}"), malformed, "line 1"),
        ("no body", json_type, String::new(), malformed, "missing field `token`"),
        ("no token", json_type, "{}".to_owned(), malformed, "missing field `token`"),
        ("an unknown field", json_type, with("\"rolle\":\"x\""), malformed, "unknown field `rolle`"),
        ("a field twice", json_type, with("\"token\":\"x\""), malformed, "duplicate field `token`"),
        ("a list", json_type, format!("[{whole}]"), malformed, "line 1"),
        ("a token that is a number", json_type, "{\"token\":12}".to_owned(), malformed, "line 1"),
        ("credentials that are a text", json_type, with("\"credentials\":\"database\""), malformed, "line 1"),
        ("a ttl without a unit", json_type, with("\"ttl\":\"15\""), malformed, "ttl"),
        ("a ttl that is a number", json_type, with("\"ttl\":15"), malformed, "line 1"),
        ("a form", Some("application/x-www-form-urlencoded"), whole.clone(), malformed, "Content-Type"),
        ("plain text", Some("text/plain"), whole.clone(), malformed, "Content-Type"),
        ("33 KiB", json_type, with(&format!("\"role\":\"{}\"", "x".repeat(33 * 1024))), (413, "request_too_large"), ""),
        ("a token of 17 KiB", json_type, json!({"token": "x".repeat(17 * 1024)}).to_string(), (401, "token_malformed"), ""),
        ("an empty token", json_type, json!({"token": ""}).to_string(), (401, "token_malformed"), ""),
        ("a token in quotes", json_type, json!({"token": format!("\"{token}\"")}).to_string(), (401, "token_malformed"), ""),
        ("a role that is not there", json_type, with("\"role\":\"nobody\""), (403, "role_not_allowed"), ""),
    ];
    for (what, kind, body, (status, code), hint) in table {
        let answer = post(&replica.native, kind, &body).await;
        let problem = answer.problem().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((problem.status, problem.code.as_str()), (status, code), "{what}");
        assert!(problem.hints.iter().any(|given| given.contains(hint)) || hint.is_empty(), "{what}: {:?}", problem.hints);
        assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "{what}");
        let age = (problem.server_time - broker::system::FollowingClock::machine()).abs();
        assert!(age < time::Duration::seconds(10), "{what}: the server's time is {age} off");
        assert!(!answer.body.contains(&token), "{what}: the token is repeated");
    }
    // None of it spent the token.
    let body = json!({"role": "shop-deploy-prod", "credentials": ["database"], "ttl": "1m"});
    assert_eq!(
        replica.native.exchange(&format!("{token}\n"), body).await.unwrap().status,
        200,
        "a line break at the end is no part of it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_mean_what_they_say_and_nothing_else() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start().await.unwrap();
    let session = ground.operator(&replica).await.unwrap();
    ground.store_secret(&replica, "secret/shop/registry", &json!({"password": "canary-of-the-path"})).await.unwrap();
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: daypass.test\r\nauthorization: Bearer {session}\r\nconnection: close\r\n\r\n")
    };
    for path in [
        "/api/v1/../v1/whoami",
        "/api/v1/%2e%2e/v1/whoami",
        "//api/v1/whoami",
        "/api//v1/whoami",
        "/api/v1/whoami/",
        "/api/v1/whoami;x=1",
        "/API/v1/whoami",
        "/api/v1/who%61mi%00",
        "/",
        "/api",
        "/api/v1",
        "/metrics",
    ] {
        let answer = raw(&replica.native, &get(path)).await;
        assert_eq!(code_of(&answer), (404, "not_found".to_owned()), "{path}: {answer}");
    }
    for path in [
        "/api/v1/secrets/secret/shop/../shop/registry",
        "/api/v1/secrets/secret/shop/%2e%2e/shop/registry",
        "/api/v1/secrets/secret//shop/registry",
        "/api/v1/secrets/secret/shop//registry",
        "/api/v1/secrets/secret/shop/registry/",
        "/api/v1/secrets/secret/shop/registry;v=1",
        "/api/v1/secrets/secret/shop/registry%00",
        "/api/v1/secrets/secret/./shop/registry",
        "/api/v1/secrets/SECRET/shop/registry",
        "/api/v1/secrets/secret/shop/regi%73try%20",
    ] {
        let answer = raw(&replica.operator, &get(path)).await;
        assert!(!answer.contains("canary-of-the-path"), "{path} reaches the secret under another name: {answer}");
        let (status, code) = code_of(&answer);
        assert!(matches!(status, 400 | 404) && !code.is_empty(), "{path}: {answer}");
    }
    let whole = raw(&replica.operator, &get("/api/v1/secrets/secret/shop/registry")).await;
    assert!(whole.contains("canary-of-the-path"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_play_with_http_are_refused() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start().await.unwrap();
    let head = "POST /api/v1/exchange HTTP/1.1\r\nhost: daypass.test\r\nconnection: close\r\n";
    for (what, request) in [
        ("no HTTP", "what is this\r\n\r\n".to_owned()),
        ("two lengths", format!("{head}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}")),
        ("a length and chunks", format!("{head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("a negative length", format!("{head}content-length: -1\r\n\r\n")),
        ("forty headers", format!("{head}{}\r\n", (0..40).map(|n| format!("x-{n}: 1\r\n")).collect::<Vec<_>>().concat())),
        ("headers of 20 KiB", format!("{head}x-large: {}\r\n\r\n", "x".repeat(20 * 1024))),
    ] {
        let answer = raw(&replica.native, &request).await;
        let status = code_of(&answer).0;
        assert!(answer.is_empty() || matches!(status, 400 | 413 | 431), "{what}: {answer}");
    }
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"] {
        let answer = replica.native.ask(method, "/api/v1/exchange", None, None).await.unwrap();
        assert_eq!(answer.status, 405, "{method}");
        if method != "HEAD" {
            assert_eq!(answer.problem().unwrap().code, "method_not_allowed", "{method}");
        }
    }
    assert_eq!(ground.databases.count("sessions").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_answers_strangers_with_a_documented_problem() {
    let ground = Ground::new().await.unwrap();
    let replica = ground.start().await.unwrap();
    let description = replica.native.ask("GET", "/openapi.json", None, None).await.unwrap().json();
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() >= 10, "{description}");
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            let native = operation["tags"][0] == "native";
            let door = if native { &replica.native } else { &replica.operator };
            let real = path.replace("{mount}", "secret").replace("{path}", "a/b").replace("{id}", "x").replace("{decision}", "x");
            for session in [None, Some("dps_garbage")] {
                let answer = door.ask(&method.to_uppercase(), &real, session, None).await.unwrap();
                let problem = answer.problem().unwrap_or_else(|error| panic!("{method} {path}: {error}"));
                let documented = operation["responses"].get(problem.status.to_string());
                assert!(documented.is_some(), "{method} {path} answers {} undocumented", problem.status);
                assert!((400..500).contains(&problem.status), "{method} {path}: {answer:?}");
            }
        }
    }
}
