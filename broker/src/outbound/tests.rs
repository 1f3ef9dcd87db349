use std::net::Ipv4Addr;
use std::time::Instant;

use tokio::net::TcpListener;

use super::testing::{Answers, HOST, Reply, Server};
use super::*;

fn local() -> Outbound {
    Outbound::new(Answers::new(&[&["127.0.0.1"]]))
}

async fn fetch(server: &Server, path: &str) -> Result<Vec<u8>, OutboundError> {
    local().get(&server.url(path), &server.destination(Reach::Private)).await
}

#[tokio::test]
async fn fetches_a_document_over_https_from_a_believed_authority() {
    let server = Server::start().await;
    server.say("/keys", Reply::ok("document"));
    assert_eq!(fetch(&server, "/keys").await.unwrap(), b"document");

    let strange = Destination { ca_file: None, ..server.destination(Reach::Private) };
    let error = local().get(&server.url("/keys"), &strange).await.unwrap_err();
    assert!(matches!(error, OutboundError::Failed(_)), "{error}");
    let other = Url::parse(&format!("https://other.example.test:{}/keys", server.address.port())).unwrap();
    let error = local().get(&other, &server.destination(Reach::Private)).await.unwrap_err();
    assert!(matches!(error, OutboundError::Failed(_)), "a certificate for another name: {error}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn never_follows_a_redirect() {
    let (server, canary) = (Server::start().await, Server::start().await);
    for status in [301, 302, 303, 307, 308] {
        server.say("/keys", Reply::with(&format!("{status} X\r\nLocation: {}", canary.url("/keys")), "secret body"));
        let error = fetch(&server, "/keys").await.unwrap_err();
        assert!(matches!(error, OutboundError::Redirect), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret body"));
    }
    server.say("/keys", Reply::with("302 X\r\nLocation: /other", ""));
    assert!(fetch(&server, "/keys").await.is_err());
    assert_eq!((canary.connections(), server.requests()), (0, 6));
}

#[tokio::test]
async fn bounds_the_body_announced_or_not() {
    let server = Server::start().await;
    server.say("/full", Reply::ok(vec![b'x'; 256 * 1024]));
    assert_eq!(fetch(&server, "/full").await.unwrap().len(), 256 * 1024);
    server.say("/more", Reply::ok(vec![b'x'; 256 * 1024 + 1]));
    assert!(matches!(fetch(&server, "/more").await, Err(OutboundError::TooLarge)));
    server.say("/announced", Reply::with("200 OK\r\nContent-Length: 10000000", ""));
    assert!(matches!(fetch(&server, "/announced").await, Err(OutboundError::TooLarge)));
    server.say("/endless", Reply { times: 100_000, ..Reply::ok(vec![b'x'; 10_240]) });
    assert!(matches!(fetch(&server, "/endless").await, Err(OutboundError::TooLarge)));
}

#[tokio::test]
async fn refuses_statuses_and_compressed_bodies_without_repeating_them() {
    let server = Server::start().await;
    for (head, expected) in [
        ("500 X", "status 500"),
        ("404 X", "status 404"),
        ("204 X", "status 204"),
        ("200 OK\r\nContent-Encoding: gzip", "compressed"),
    ] {
        server.say("/keys", Reply::with(head, "hunter2"));
        let error = fetch(&server, "/keys").await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn gives_up_after_three_seconds_in_all() {
    let server = Server::start().await;
    server.say("/slow", Reply::ok("late").after(Duration::from_secs(20)));
    let begun = Instant::now();
    assert!(matches!(fetch(&server, "/slow").await, Err(OutboundError::TooSlow)));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn refuses_anything_but_plain_https() {
    let outbound = local();
    for url in [
        "http://issuer.example.test/",
        "file:///etc/passwd",
        "https://user@issuer.example.test/",
        "https://u:p@issuer.example.test/",
        "ftp://issuer.example.test/",
    ] {
        let error = outbound.get(&Url::parse(url).unwrap(), &Destination::default()).await.unwrap_err();
        assert!(matches!(error, OutboundError::NotHttps), "{url}: {error}");
    }
}

#[tokio::test]
async fn talks_to_no_private_address_however_it_is_written() {
    let canary = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = canary.local_addr().unwrap().port();
    let system = Outbound::default();
    for host in
        ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f000001", "2130706433", "127.1", "0177.0.0.1", "0.0.0.0"]
    {
        let url = Url::parse(&format!("https://{host}:{port}/keys")).unwrap();
        let error = system.get(&url, &Destination::default()).await.unwrap_err();
        let refused = matches!(error, OutboundError::Private(_) | OutboundError::Forbidden(_) | OutboundError::Unresolved(_));
        assert!(refused, "{host}: {error}");
    }
    let url = Url::parse(&format!("https://{HOST}:{port}/keys")).unwrap();
    for answer in [&["10.0.0.1"][..], &["169.254.169.254"], &["8.8.8.8", "127.0.0.1"], &["127.0.0.1", "8.8.8.8"], &["fd00::1"]] {
        let error = Outbound::new(Answers::new(&[answer])).get(&url, &Destination::default()).await.unwrap_err();
        assert!(matches!(error, OutboundError::Private(_) | OutboundError::Forbidden(_)), "{answer:?}: {error}");
    }
    let quiet = tokio::time::timeout(Duration::from_millis(100), canary.accept()).await;
    assert!(quiet.is_err(), "nobody may have connected");
}

#[tokio::test]
async fn connects_to_the_address_that_was_checked_though_the_name_changes() {
    let server = Server::start().await;
    server.say("/keys", Reply::ok("document"));
    let canary = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), server.address.port())).await.unwrap();
    let resolver = Answers::new(&[&["127.0.0.1"], &["127.0.0.2"], &["169.254.169.254"]]);
    let outbound = Outbound::new(resolver.clone());

    let destination = server.destination(Reach::Private);
    assert_eq!(outbound.get(&server.url("/keys"), &destination).await.unwrap(), b"document");
    assert_eq!(resolver.asked(), 1, "the name is resolved once, and the connection uses that answer");
    let quiet = tokio::time::timeout(Duration::from_millis(50), canary.accept()).await;
    assert!(quiet.is_err());

    let _ = tokio::time::timeout(Duration::from_millis(100), outbound.get(&server.url("/keys"), &destination)).await;
    assert!(matches!(outbound.get(&server.url("/keys"), &destination).await, Err(OutboundError::Forbidden(_))));
    assert_eq!(resolver.asked(), 3, "each request is checked anew");
}

#[tokio::test]
async fn names_a_ca_file_that_cannot_be_used() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let destination = Destination { reach: Reach::Private, ca_file: Some(path.clone()) };
    let attempt = async || local().get(&server.url("/keys"), &destination).await.unwrap_err().to_string();
    assert!(attempt().await.contains("ca.pem"), "absent");
    std::fs::write(&path, "nothing").unwrap();
    assert!(attempt().await.contains("no certificate"), "empty");
    assert_eq!(server.connections(), 0);
}
