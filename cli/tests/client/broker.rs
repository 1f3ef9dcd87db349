//! A broker for one test: it answers as the real one does, in the shared wire types, and remembers what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::wire::{BootstrapRequest, ExchangeRequest, Problem, SessionAsk};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use time::OffsetDateTime;

pub(crate) const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2NpIiwiaWF0IjoxMDAsInN1YiI6InJlcG86by9yIn0.c2ln";
pub(crate) const SESSION: &str = "dps_session-token-of-the-test";
pub(crate) const PASSWORD: &str = "p&ss'w0rd \"of\" the lease";
pub(crate) const REGISTRY: &str = "registry-value-1";

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

#[derive(Clone)]
pub(crate) struct Canned {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    /// Answers to give before the usual ones, by "METHOD /path".
    canned: BTreeMap<String, VecDeque<Canned>>,
    /// How long to think before each answer, by the same.
    slow: BTreeMap<String, Duration>,
}

pub(crate) struct Broker {
    pub(crate) address: String,
    state: Arc<Mutex<State>>,
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self::listen("http", None)
    }

    pub(crate) fn start_tls(config: ServerConfig) -> Self {
        Self::listen("https", Some(Arc::new(config)))
    }

    fn listen(scheme: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                std::thread::spawn(move || {
                    let Some(config) = tls else { return serve(stream, &shared) };
                    let connection = ServerConnection::new(config).expect("a connection");
                    serve(StreamOwned::new(connection, stream), &shared);
                });
            }
        });
        Self { address, state }
    }

    /// Answers the next such request so, instead of as usual.
    pub(crate) fn once(&self, what: &str, status: u16, headers: Vec<(&'static str, String)>, body: String) {
        let canned = Canned { status, headers, body };
        self.state.lock().expect("state").canned.entry(what.to_owned()).or_default().push_back(canned);
    }

    pub(crate) fn refuse_once(&self, what: &str, status: u16, code: &str, headers: Vec<(&'static str, String)>) {
        self.once(what, status, headers, problem(status, code));
    }

    /// Thinks so long before each such answer.
    pub(crate) fn slow(&self, what: &str, pause: Duration) {
        self.state.lock().expect("state").slow.insert(what.to_owned(), pause);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().expect("state").asked.clone()
    }

    /// "METHOD /path?query" of everything that was asked.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect()
    }

    pub(crate) fn wait_for(&self, line: &str) {
        let until = Instant::now() + Duration::from_secs(10);
        while !self.lines().iter().any(|asked| asked == line) {
            assert!(Instant::now() < until, "{line} was never asked: {:?}", self.lines());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

pub(crate) fn problem(status: u16, code: &str) -> String {
    let problem = Problem {
        r#type: format!("https://daypass.example/refusals#{code}"),
        title: "The sentence.".to_owned(),
        status,
        code: code.to_owned(),
        detail: "The remedy.".to_owned(),
        hints: vec!["a hint".to_owned()],
        decision_id: "decision-7".to_owned(),
        server_time: OffsetDateTime::from_unix_timestamp(160).expect("a time"),
    };
    serde_json::to_string(&problem).expect("json")
}

fn serve(mut stream: impl Read + Write, state: &Mutex<State>) {
    let Some(asked) = read(&mut stream) else { return };
    let path = asked.target.split('?').next().unwrap_or_default().to_owned();
    let (canned, pause) = {
        let mut state = state.lock().expect("state");
        state.asked.push(asked.clone());
        let what = format!("{} {path}", asked.method);
        (state.canned.get_mut(&what).and_then(VecDeque::pop_front), state.slow.get(&what).copied())
    };
    std::thread::sleep(pause.unwrap_or_default());
    let answer = canned.unwrap_or_else(|| usual(&asked, &path));
    let mut text = format!("HTTP/1.1 {} Status\r\ncontent-length: {}\r\nconnection: close\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    let _ = stream.write_all(format!("{text}\r\n{}", answer.body).as_bytes());
    let _ = stream.flush();
}

fn read(stream: &mut impl Read) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let (method, rest) = first.split_once(' ')?;
    let target = rest.split(' ').next()?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { method: method.to_owned(), target, headers, body: String::from_utf8(body).ok()? })
}

fn usual(asked: &Asked, path: &str) -> Canned {
    let refused = |status, code: &str| Canned { status, headers: Vec::new(), body: problem(status, code) };
    let ok = |body: Value| Canned { status: 200, headers: Vec::new(), body: body.to_string() };
    if asked.method == "POST" && path == "/api/v1/exchange" {
        let request: ExchangeRequest = serde_json::from_str(&asked.body).expect("an exchange request");
        assert!(!asked.headers.contains_key("authorization"), "the CI token travels in the body");
        return if request.token.expose() == TOKEN {
            let mut answer = granted(request.role.as_deref().unwrap_or("shop-deploy"), &request.credentials, Some(SESSION));
            if request.session_only {
                answer["credentials"] = json!({});
            }
            ok(answer)
        } else {
            refused(401, "token_invalid")
        };
    }
    if asked.method == "POST" && path == "/api/v1/bootstrap" {
        let request: BootstrapRequest = serde_json::from_str(&asked.body).expect("a bootstrap request");
        assert!(request.token.expose().starts_with("dps_"), "as it was printed");
        let mut answer = granted("operators", &[], Some(SESSION));
        answer["credentials"] = json!({});
        return ok(answer);
    }
    if asked.headers.get("authorization").map(String::as_str) != Some(format!("Bearer {SESSION}").as_str()) {
        return refused(401, "session_unknown");
    }
    match (asked.method.as_str(), path) {
        ("POST", "/api/v1/session/credentials") => {
            let ask: SessionAsk = serde_json::from_str(&asked.body).expect("a session ask");
            ok(granted("shop-deploy", &ask.credentials, None))
        }
        ("GET", "/api/v1/whoami") => ok(json!({
            "session_id": "s-1", "issuer": "ci", "role": "shop-deploy", "project": "o/r", "run": "7", "rights": ["audit.read"],
            "opened_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-01T01:00:00Z", "claims": {},
        })),
        ("GET", "/api/v1/leases") => ok(json!({ "leases": [lease("lease-db", "active")] })),
        ("DELETE", "/api/v1/session") => ok(json!({ "leases": [lease("lease-db", "revoking")] })),
        ("DELETE", path) if path.starts_with("/api/v1/leases/") => {
            ok(json!({ "leases": [lease(path.trim_start_matches("/api/v1/leases/"), "revoking")] }))
        }
        ("PUT", _) => ok(json!({ "version": 3 })),
        ("POST", _) => ok(json!({ "version": 4 })),
        ("GET", "/api/v1/audit") => ok(json!({ "records": [{
            "id": "r-1", "at": "2026-01-01T00:00:00Z", "kind": "exchange.denied", "leaf": "00",
            "fields": {"project": "o/r", "code": "role_not_allowed", "note": "\u{1b}[31mred"},
        }] })),
        ("GET", path) if path.starts_with("/api/v1/secrets/") && asked.target.ends_with("?list=true") => {
            ok(json!({ "paths": ["registry", "eu/"] }))
        }
        ("GET", path) if path.starts_with("/api/v1/secrets/") && asked.target.ends_with("?history=true") => ok(history()),
        ("GET", path) if path.starts_with("/api/v1/secrets/") => {
            ok(json!({ "data": {"password": REGISTRY, "port": 5000}, "version": 2, "created_at": "2026-01-01T00:00:00Z" }))
        }
        ("DELETE", path) if path.starts_with("/api/v1/secrets/") => ok(history()),
        _ => refused(404, "not_found"),
    }
}

fn history() -> Value {
    json!({
        "current": 2, "metadata": {"owner": "shop"},
        "versions": [{"version": 2, "created_at": "2026-01-01T00:00:00Z", "destroyed": false},
            {"version": 1, "created_at": "2026-01-01T00:00:00Z", "destroyed": true}],
    })
}

fn lease(id: &str, state: &str) -> Value {
    json!({ "id": id, "session_id": "s-1", "role": "shop-deploy", "credential": "db", "engine": "postgres", "state": state,
        "revocable": true, "issued_at": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T00:15:00Z" })
}

pub(crate) fn granted(role: &str, wanted: &[String], token: Option<&str>) -> Value {
    let all = json!({
        "db": { "engine": "postgres", "lease_id": "lease-db", "revocable": true, "ttl": 900, "expires_at": "2026-01-01T00:15:00Z",
            "values": {"username": "lease_u1", "password": PASSWORD, "host": "db.internal", "port": "5432", "database": "shop",
                "url": "postgres://lease_u1:p%26ss@db.internal:5432/shop"} },
        "cloud": { "engine": "aws", "lease_id": "lease-cloud", "revocable": false, "expires_at": "2026-01-01T01:00:00Z",
            "values": {"access_key_id": "ASIAEXAMPLE", "secret_access_key": "aws-secret-key", "session_token": "aws-session-token", "region": "eu-central-1"} },
        "registry": { "engine": "kv", "revocable": false, "values": {"password": REGISTRY, "user": "robot-account"} },
    });
    let mut all = all.as_object().expect("an object").clone();
    all.retain(|name, _| wanted.is_empty() || wanted.contains(name));
    let mut session = json!({ "id": "s-1", "ends_at": "2099-01-01T00:00:00Z" });
    if let Some(token) = token {
        session["token"] = json!(token);
    }
    json!({ "decision_id": "decision-1", "role": role, "session": session, "credentials": all })
}

/// A port where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    assert!(TcpStream::connect(address).is_err());
    format!("http://{address}")
}
