//! What is answered at the door itself, before and beside any handler.

use tokio::io::AsyncWriteExt;

use broker::http::edge::EdgeLimits;

use super::house::*;

fn problem(answer: &str) -> serde_json::Value {
    assert!(answer.contains("content-type: application/problem+json\r\n"), "{answer}");
    assert!(answer.contains("cache-control: no-store\r\n"), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn one_request_too_many_is_refused_at_once() {
    let house = House::with_deadline(SHORT, 2, None, PATIENCE).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut stream = house.connect().await;
        stream.write_all(b"GET /gated HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        busy.push(stream);
    }
    house.gathered(2).await;
    let refused = house.get("/hello").await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1\r\n"), "{refused}");
    assert_eq!(problem(&refused)["code"], "overloaded");
    house.gate.add_permits(2);
    for stream in &mut busy {
        assert!(answer(stream).await.ends_with("done"), "those who were in are served");
    }
    assert!(house.get("/hello").await.starts_with("HTTP/1.1 200"), "and their places are free again");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once() {
    let house = House::start(EdgeLimits { connections: 2, ..SHORT }, 16, None).await;
    let (mut first, mut second) = (house.connect().await, house.connect().await);
    for stream in [&mut first, &mut second] {
        stream.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(answer(stream).await.contains(" 200 "));
    }
    assert_eq!(house.raw("").await, "", "no answer, no waiting");
    drop((first, second));
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(house.get("/hello").await.contains(" 200 "));
}

#[tokio::test]
async fn connections_of_one_address_beyond_its_limit_are_closed_at_once() {
    let house = House::start(EdgeLimits { per_address: 1, ..SHORT }, 16, None).await;
    let mut first = house.connect().await;
    first.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(answer(&mut first).await.contains(" 200 "));
    assert_eq!(house.raw("").await, "", "no answer, no waiting");
    drop(first);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(house.get("/hello").await.contains(" 200 "));
}

#[tokio::test]
async fn headers_are_limited_in_number_and_size() {
    let house = House::short().await;
    let with = |headers: String| format!("GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    let many = |count: usize| "h: v\r\n".repeat(count);
    assert!(house.raw(with(many(30))).await.contains(" 200 "));
    assert!(house.raw(with(many(31))).await.contains(" 431 "));
    assert!(house.raw(with(format!("a: {}\r\n", "x".repeat(15_000)))).await.contains(" 200 "));
    assert!(!house.raw(with(format!("a: {}\r\n", "x".repeat(17_000)))).await.contains(" 200 "));
}

#[tokio::test]
async fn bodies_are_limited() {
    let house = House::short().await;
    let post = |length: usize, body: &str| {
        format!("POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    let most = "x".repeat(32 * 1024);
    assert!(house.raw(post(most.len(), &most)).await.contains(" 200 "));
    let refused = house.raw(post(32 * 1024 + 1, "")).await;
    assert!(refused.starts_with("HTTP/1.1 413"), "what it says is enough: {refused}");
    assert_eq!(problem(&refused)["code"], "request_too_large");
    let chunk = format!("8000\r\n{most}\r\n");
    let head = "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let refused = house.raw(format!("{head}{chunk}{chunk}0\r\n\r\n")).await;
    assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 413"), "{refused}");
}

#[tokio::test]
async fn large_bodies_are_for_those_who_are_known_and_strangers_keep_nobody_out() {
    let house = House::short().await;
    let head = |more: &str, length: usize| {
        format!("POST /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}content-length: {length}\r\n\r\n")
    };
    // They say that much comes, and send nothing.
    let mut strangers = Vec::new();
    for _ in 0..4 {
        let mut stream = house.connect().await;
        stream.write_all(head("", 200_000).as_bytes()).await.unwrap();
        strangers.push(stream);
    }
    let chunked = "POST /large HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    for _ in 0..4 {
        let mut stream = house.connect().await;
        stream.write_all(chunked.as_bytes()).await.unwrap();
        strangers.push(stream);
    }
    let body = "x".repeat(200_000);
    let known = house.raw(head("known: yes\r\n", body.len()) + &body).await;
    assert!(known.contains(" 200 ") && known.ends_with("200000"), "{known}");
    let told = to_the_end(&mut strangers[0]).await;
    assert!(told.starts_with("HTTP/1.1 401") && told.contains("session_missing"), "what is missing is told at once: {told}");
    // Whoever is known does not hold a place for long either.
    let slow = house.raw(head("known: yes\r\n", body.len()) + "part").await;
    assert!(slow.starts_with("HTTP/1.1 400") && slow.contains("in time"), "{slow}");
    assert!(house.raw(head("", 5) + "small").await.contains(" 200 "), "what is not large needs nobody's word");
}

#[tokio::test]
async fn every_refusal_of_the_framework_is_told_in_our_words() {
    let house = House::short().await;
    let absent = house.get("/nothing").await;
    assert!(absent.starts_with("HTTP/1.1 404"), "{absent}");
    assert_eq!(problem(&absent)["code"], "not_found");
    let method = house.raw("DELETE /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(method.starts_with("HTTP/1.1 405") && method.contains("allow: GET,HEAD\r\n"), "{method}");
    assert_eq!(problem(&method)["code"], "method_not_allowed");
    let panicked = house.get("/panic").await;
    assert!(panicked.starts_with("HTTP/1.1 503"), "{panicked}");
    assert_eq!(problem(&panicked)["code"], "unavailable");
    let late = house.get("/stuck").await;
    assert!(late.starts_with("HTTP/1.1 503") && late.contains("retry-after: "), "{late}");
    assert_eq!(problem(&late)["code"], "unavailable");
}

#[tokio::test]
async fn the_request_id_is_ours_alone() {
    let house = House::short().await;
    let sent = "018f0000-0000-7000-8000-000000000000";
    let answer = house
        .raw(format!("GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: {sent}\r\nx-request-id: b\r\n\r\n"))
        .await;
    let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
    assert_ne!(id, sent);
    assert_eq!(problem(&answer)["decision_id"], id);
}

#[tokio::test]
async fn a_request_that_could_be_read_in_two_ways_ends_its_connection() {
    let house = House::short().await;
    let hidden = "GET /hello HTTP/1.1\r\nhost: hidden\r\n\r\n";
    for head in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: +5\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: xchunked\r\n",
    ] {
        let answer = house.raw(format!("POST /echo HTTP/1.1\r\nhost: x\r\n{head}\r\n{hidden}{hidden}")).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
    }
}
