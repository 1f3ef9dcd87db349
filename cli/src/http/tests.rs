use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

#[test]
fn takes_plain_http_for_loopback_only() {
    for good in ["https://broker.example", "http://127.0.0.1:8080", "http://[::1]:1", "http://localhost:9"] {
        assert!(trusted_url(good, "--address").is_ok(), "{good}");
    }
    for bad in [
        "http://broker.example",
        "http://127.0.0.1.example",
        "http://localhost.example",
        "http://10.0.0.1",
        "https://user:pw@broker.example",
        "ftp://broker.example",
        "broker.example",
        "",
    ] {
        assert!(trusted_url(bad, "--address").is_err(), "{bad}");
    }
}

#[test]
fn repeats_only_what_can_help() {
    let answer = |status: u16, retry_after: Option<u64>, code: &str| {
        Answer {
        status: StatusCode::from_u16(status).expect("a status"),
        body: Zeroizing::new(
            serde_json::json!({"type": "", "title": "", "status": status, "code": code, "detail": "", "decision_id": "", "server_time": "2026-01-01T00:00:00Z"})
                .to_string()
                .into_bytes(),
        ),
        retry_after: retry_after.map(Duration::from_secs),
    }
    };
    let second = Again::After(Duration::from_secs(1));
    for denial in [400, 401, 403, 404, 409] {
        assert_eq!(again(&answer(denial, Some(1), "role_not_allowed"), Repeat::Always), Again::No, "{denial}");
    }
    assert_eq!(again(&answer(429, None, "lease_quota_exceeded"), Repeat::Always), Again::No);
    assert_eq!(again(&answer(429, Some(1), "rate_limited"), Repeat::IfNotBegun), second);
    assert_eq!(again(&answer(409, Some(1), "in_progress"), Repeat::Always), second);
    assert_eq!(again(&answer(502, None, "target_refused"), Repeat::Always), Again::No);
    assert_eq!(again(&answer(502, None, "unavailable"), Repeat::Always), Again::Soon);
    for fault in [502, 503] {
        assert_eq!(again(&answer(fault, Some(1), "unavailable"), Repeat::IfNotBegun), Again::No, "its answer may be lost");
    }
    assert_eq!(again(&answer(503, Some(1), "overloaded"), Repeat::IfNotBegun), second);
    assert_eq!(again(&answer(503, Some(1), "keys_unavailable"), Repeat::IfNotBegun), second);
}

fn http(address: &str) -> (Http, Call) {
    let url = Url::parse(address).expect("a URL");
    let call = Call { deadline: Duration::from_secs(1), ..Call::new(Method::GET, url.clone(), Repeat::Always) };
    (Http::new("the broker", "--ca-file", None, &url).expect("a client"), call)
}

/// A peer that gives these answers, one to a connection, and then accepts without a word.
async fn peer(answers: Vec<&'static str>) -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let serving = tokio::spawn(async move {
        let mut silent = Vec::new();
        let mut answers = answers.into_iter();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            match answers.next() {
                Some(answer) => {
                    let _ = stream.write_all(format!("HTTP/1.1 {answer}\r\nconnection: close\r\n\r\n").as_bytes()).await;
                }
                None => silent.push(stream),
            }
        }
    });
    (address, serving)
}

#[tokio::test]
async fn nobody_there_is_said_after_the_deadline() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let (nobody, call) = http(&address);
    let failure = nobody.send(&call).await.err().expect("nobody is there");
    assert!(failure.title.contains("cannot be reached"), "{}", failure.title);
    assert_eq!(failure.exit_code(), 3);

    let (address, _silent) = peer(Vec::new()).await;
    let (mute, call) = http(&address);
    let failure = mute.send(&call).await.err().expect("it says nothing");
    assert!(failure.title.contains("did not answer in time"), "{}", failure.title);
}

#[tokio::test]
async fn a_refusal_is_told_rather_than_the_silence_after_it() {
    let (address, _peer) = peer(vec!["503 Busy\r\ncontent-length: 0"]).await;
    let (http, call) = http(&address);
    assert_eq!(http.send(&call).await.map(|answer| answer.status).expect("an answer"), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_stop_ends_a_pause_and_forbids_what_has_not_begun_except_giving_back() {
    let (address, _peer) = peer(vec!["503 Busy\r\ncontent-length: 0\r\nretry-after: 20", "200 OK\r\ncontent-length: 0"]).await;
    let (http, mut call) = http(&address);
    call.deadline = DEADLINE;
    let stop = Stop::default();
    let http = http.with_stop(&stop);
    let teller = stop.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        teller.tell(rustix::process::Signal::TERM);
    });
    let answer = tokio::time::timeout(Duration::from_secs(10), http.send(&call)).await.expect("the pause ended");
    assert_eq!(answer.map(|answer| answer.status).expect("the last answer"), StatusCode::SERVICE_UNAVAILABLE);
    assert!(http.send(&call).await.is_err(), "nothing is begun any more");
    call.stoppable = false;
    assert_eq!(http.send(&call).await.map(|answer| answer.status).expect("an answer"), StatusCode::OK);
}
