//! Issuers that answer nonsense: nothing they say is believed, and the broker says what is the matter.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use integration::ci::Ci;
use integration::ground::{Ground, operator_claims};
use integration::replica::PATIENCE;
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn response(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).into_bytes()
}

/// An issuer with a certificate of our authority that answers everything in one way. Its address.
async fn answering(answer: Vec<u8>) -> String {
    let leaf = Ci::shared().unwrap().authority.leaf(&["localhost".to_owned()]).unwrap();
    let chain = CertificateDer::pem_slice_iter(leaf.certificate.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(leaf.key.expose().as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut asked = [0; 4096];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    base
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_that_answers_nonsense_is_believed_nothing() {
    let ci = Ci::shared().unwrap();
    let elsewhere = json!({"issuer": "https://elsewhere.test", "jwks_uri": "https://elsewhere.test/keys"}).to_string();
    let mut bases = Vec::new();
    let large = "x".repeat(512 * 1024);
    for (what, answer) in [
        ("a page", response("200 OK", "<html>sign in</html>")),
        ("an error", response("500 Internal Server Error", "{}")),
        ("half an answer", b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{\"issuer\"".to_vec()),
        ("no HTTP", b"\x00\x01\x02 hello".to_vec()),
        ("far too much", response("200 OK", &large)),
        ("another's document", response("200 OK", &elsewhere)),
        (
            "a redirect to the real one",
            response(&format!("302 Found\r\nlocation: {}/_services/token/.well-known/openid-configuration", ci.base), ""),
        ),
    ] {
        bases.push((what, answering(answer).await));
    }
    let ground = Ground::new().await.unwrap();
    let mut issuers = String::new();
    for (at, (_, base)) in bases.iter().enumerate() {
        let _ = write!(
            issuers,
            "[issuer.odd-{at}]\nkind = \"github\"\nurl = \"{base}/_services/token\"\naudience = \"{}\"\nca_file = \"{}\"\nallow_private_network = true\n\
             [role.odd-{at}]\nttl = \"5m\"\n[[role.odd-{at}.allow]]\nissuer = \"odd-{at}\"\nrepository_owner_id = \"9919\"\n\
             repository_id = \"637712\"\nref = \"refs/heads/main\"\nenvironment = \"production\"\n\
             [role.odd-{at}.credential.secret]\nengine = \"kv\"\npath = \"odd/secret\"\n",
            integration::ci::AUDIENCE,
            ground.path("ca.pem").display()
        );
    }
    ground.policy("odd.toml", &issuers).unwrap();
    let replica = ground.start().await.unwrap();
    for (what, base) in &bases {
        // Signed by a key that another issuer is believed for, which must not help.
        let token = ci.github(&json!({"iss": format!("{base}/_services/token"), "environment": "production"})).unwrap();
        let answer = replica.native.exchange(&token, json!({})).await.unwrap();
        assert_eq!((answer.status, answer.problem().unwrap().code.as_str()), (503, "keys_unavailable"), "{what}: {answer:?}");
        assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{what}");
        assert!(!answer.body.contains("sign in") && !answer.body.contains("elsewhere"), "{what}: {answer:?}");
    }
    let good = ci.github(&operator_claims()).unwrap();
    let answer = replica.native.exchange(&good, json!({"role": "operators"})).await.unwrap();
    assert_eq!(answer.status, 200, "one odd issuer harms no other: {answer:?}");
    assert!(replica.output().contains("could not be refreshed"), "the operators are told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_issuer_holds_nobody_else_up() {
    let ci = Ci::shared().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    let ground = Ground::new().await.unwrap();
    let replica = ground.start().await.unwrap();
    // It is new: one that was silent at the start has been given up on, and is answered for at once.
    let mut text = std::fs::read_to_string(ground.path("policies/issuers.toml")).unwrap();
    text = text.replace(&format!("url = \"{}/deploy\"", ci.base), &format!("url = \"{base}\""));
    ground.policy("issuers.toml", &text).unwrap();
    replica.signal(Signal::HUP).unwrap();
    let began = Instant::now();
    let waiting = loop {
        let slow = ci.token(broker::dev::issuer::Kind::Generic, &json!({"iss": base})).unwrap();
        let door = replica.native.clone();
        let asked = tokio::spawn(async move { door.exchange(&slow, json!({"role": "internal-deploy"})).await.unwrap() });
        tokio::time::sleep(Duration::from_millis(500)).await;
        if !asked.is_finished() {
            break asked;
        }
        assert!(began.elapsed() < PATIENCE, "nobody waits for the slow issuer: {:?}", asked.await);
    };
    let good = ci.github(&operator_claims()).unwrap();
    let answer = replica.native.exchange(&good, json!({"role": "operators"})).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(!waiting.is_finished(), "it waited for the other's issuer: {:?}", began.elapsed());
    let answer = tokio::time::timeout(PATIENCE, waiting).await.expect("it gives up in time").unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (503, "keys_unavailable"), "{answer:?}");
}
