//! No token makes the broker call anybody: whatever addresses it names, in its header or its claims. Connections are counted where they
//! would arrive, and looked for in the kernel's own list where nobody could answer them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker::system::FollowingClock;
use integration::ci::{AUDIENCE, Ci};
use integration::ground::{Ground, Settings, operator_claims};
use integration::replica::Replica;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

/// Counts connections, and passes them on where there is somebody to pass them to.
struct Counter {
    port: u16,
    count: Arc<AtomicUsize>,
}

impl Counter {
    async fn at(address: &str, target: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let (port, count) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
        let counting = count.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counting.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let Some(target) = target else { return };
                    let Ok(mut there) = TcpStream::connect(target).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut there).await;
                });
            }
        });
        Self { port, count }
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

fn token(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode([7; 256]))
}

/// The claims of a good token, but for who signed it.
fn claims(issuer: &str) -> Value {
    let now = FollowingClock::machine().unix_timestamp();
    json!({"iss": issuer, "aud": AUDIENCE, "sub": "repo:acme/shop:environment:production", "jti": format!("j-{now}"), "iat": now,
        "nbf": now, "exp": now + 300, "repository_id": "637712", "repository_owner_id": "9919", "ref": "refs/heads/main"})
}

async fn refused(replica: &Replica, token: &str, what: &str) {
    let began = std::time::Instant::now();
    let answer = replica.native.exchange(token, json!({"role": "shop-deploy-prod"})).await.unwrap();
    assert!([400, 401].contains(&answer.status) && answer.problem().is_ok(), "{what}: {answer:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "{what}: it waited for something: {:?}", began.elapsed());
}

/// Connections of this machine to link-local addresses, answered or not.
fn link_local() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let four = read("/proc/net/tcp").lines().map(str::to_owned).collect::<Vec<_>>();
    let six = read("/proc/net/tcp6").lines().map(str::to_owned).collect::<Vec<_>>();
    let remote = |line: &String| line.split_whitespace().nth(2).unwrap_or_default().to_owned();
    // Addresses stand in the machine's byte order: 169.254.x.y ends with FEA9, fe80::… begins with 000080FE.
    let four = four
        .into_iter()
        .filter(|line| remote(line).split(':').next().is_some_and(|address| address.len() == 8 && address.ends_with("FEA9")));
    let six = six.into_iter().filter(|line| remote(line).starts_with("000080FE"));
    four.chain(six).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_makes_the_broker_call_anybody() {
    let (four, six) = (Counter::at("127.0.0.1:0", None).await, Counter::at("[::1]:0", None).await);
    // Everybody who is believed is behind one address, which counts too.
    let shared = Ci::shared().unwrap();
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let base = format!("https://localhost:{}", reserved.port());
    let ci = Ci::start(Some(&base)).unwrap();
    let believed = Counter::at(&reserved.to_string(), Some(ci.address)).await;
    let ground = Ground::new().await.unwrap();
    ground.starter_policies(&ci).unwrap();
    let replica = ground.start_with(&Settings::default()).await.unwrap();
    let good = ci.github(&operator_claims()).unwrap();
    assert_eq!(replica.native.exchange(&good, json!({"role": "operators"})).await.unwrap().status, 200);
    assert_eq!(believed.count(), 6, "of each of three issuers its discovery document and its keys, once");

    let addresses = [
        format!("http://127.0.0.1:{}/keys", four.port),
        format!("https://127.0.0.1:{}/keys", four.port),
        format!("https://localhost:{}/keys", four.port),
        format!("https://LOCALHOST:{}", four.port),
        format!("https://{}@127.0.0.1:{}/", base.trim_start_matches("https://"), four.port),
        format!("https://[::1]:{}/keys", six.port),
        format!("https://[::ffff:127.0.0.1]:{}/keys", four.port),
        format!("https://2130706433:{}/", four.port),
        format!("{base}@127.0.0.1:{}/_services/token", four.port),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://169.254.169.254/.well-known/openid-configuration".to_owned(),
        "https://[fe80::1]/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ];
    let key = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xc5; 256]), "e": "AQAB", "kid": "k", "use": "sig"});
    let ours = format!("{base}/_services/token");
    let mut asked = 0;
    for address in &addresses {
        for issuer in [&ours, address] {
            for name in ["jku", "x5u", "jwk", "x5c", "kid", "none"] {
                let mut header = json!({"alg": "RS256", "typ": "JWT", "kid": "k"});
                match name {
                    "jwk" => header["jwk"] = key.clone(),
                    "x5c" => header["x5c"] = json!([address]),
                    "none" => {}
                    name => header[name] = json!(address),
                }
                refused(&replica, &token(&header, &claims(issuer)), &format!("{name} {address} of {issuer}")).await;
                asked += 1;
            }
            // Claims that other programs follow.
            let mut more = claims(issuer);
            more["jwks_uri"] = json!(address);
            more["_claim_sources"] = json!({"src": {"endpoint": address}});
            more["cnf"] = json!({"jku": address});
            refused(&replica, &token(&json!({"alg": "RS256", "typ": "JWT", "kid": "k"}), &more), address).await;
            asked += 1;
        }
        // Well signed by somebody else, who says that it is this address.
        refused(&replica, &shared.github(&json!({"iss": address})).unwrap(), address).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((four.count(), six.count()), (0, 0), "{asked} tokens");
    assert_eq!(link_local(), Vec::<String>::new());
    // Keys that a believed issuer does not have are asked of it once, however many tokens name them.
    assert!(believed.count() <= 8, "{} connections to the issuers", believed.count());
    assert_eq!(
        replica.native.exchange(&ci.github(&operator_claims()).unwrap(), json!({"role": "operators"})).await.unwrap().status,
        200
    );
}
