//! Clients that take their time.

use std::time::Instant;

use broker::http::edge::EdgeLimits;

use super::house::*;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const POST: &str = "POST /echo HTTP/1.1\r\nhost: x\r\n";

/// Each of them wants to hold its connection for ever.
#[tokio::test]
async fn slow_clients_are_let_go() {
    let house = House::short().await;
    let (length, chunked) = (format!("{POST}content-length: 100\r\n\r\n"), format!("{POST}transfer-encoding: chunked\r\n\r\n"));
    let shapes: [(&str, String); 9] = [
        ("sends nothing", String::new()),
        ("sends one byte", "P".to_owned()),
        ("sends a part of the first line", "GET /he".to_owned()),
        ("sends a part of the headers", "GET /hello HTTP/1.1\r\nhost: x\r\nacc".to_owned()),
        ("goes idle after an answer", "GET /hello HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()),
        ("sends no body", length.clone()),
        ("sends a part of the body", length + "part"),
        ("sends a chunk and no more", chunked + "4\r\npart\r\n"),
        ("speaks HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_owned()),
    ];
    let clients = shapes.map(|(what, bytes)| {
        let address = house.address;
        tokio::spawn(async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.write_all(bytes.as_bytes()).await.unwrap();
            (what, to_the_end(&mut stream).await)
        })
    });
    for client in clients {
        let (what, answer) = client.await.unwrap();
        if what.contains("body") || what.contains("chunk") {
            assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("request_malformed"), "{what}: {answer}");
        } else if !what.starts_with("goes idle") {
            assert!(!answer.contains(" 200 "), "{what}: {answer}");
        }
    }
}

#[tokio::test]
async fn headers_and_bodies_that_drip_are_let_go() {
    let house = House::short().await;
    for (start, drop) in
        [("GET /hello HTTP/1.1\r\n", "a: b\r\n"), ("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n\r\n", "x")]
    {
        let mut stream = house.connect().await;
        stream.write_all(start.as_bytes()).await.unwrap();
        let begun = Instant::now();
        // A write fails once the other side has closed and said so.
        while stream.write_all(drop.as_bytes()).await.is_ok() {
            assert!(begun.elapsed() < PATIENCE, "still taken after {start:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_never_reads_is_let_go() {
    let house = House::start(EdgeLimits { connections: 1, ..SHORT }, 16, None).await;
    let mut greedy = house.connect().await;
    greedy.write_all("GET /big HTTP/1.1\r\nhost: x\r\n\r\n".repeat(8).as_bytes()).await.unwrap();
    // It holds the only connection there is: others are served once it is gone.
    let begun = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut stream = house.connect().await;
        let _ = stream.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let mut text = String::new();
        let _ = tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await;
        if text.contains(" 200 ") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "the connection is still held");
    }
    drop(greedy);
}

#[tokio::test]
async fn slow_bodies_take_nobodys_place() {
    let house = House::start(SHORT, 1, None).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = house.connect().await;
        stream.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\npart").await.unwrap();
        slow.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = house.get("/hello").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
