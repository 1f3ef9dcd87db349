//! The client goes away: while its login is being made, which is noticed, or with half of the answer read, which may be all that it needs.
//! What was made ends either way.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum After {
    /// The login is made, the answer is not written yet.
    Asking,
    HalfOfIt,
}

pub(super) async fn row(ground: &Ground, after: After) {
    let settings = if after == After::Asking { Mode::Delay.at("exchange::after_create", 3_000) } else { Settings::default() };
    let replica = start(ground, &settings).await;
    let token = token();
    let ttl = if after == After::Asking { "10m" } else { "4s" };
    let mut stream = ask(&replica, &token, ttl).await;
    if after == After::Asking {
        while no_login_without_a_lease(ground).await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    } else {
        let mut some = [0; 20];
        stream.read_exact(&mut some).await.unwrap();
        assert!(some.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&some));
    }
    drop(stream);
    let left = Instant::now();
    swept(ground, "leaving").await;
    let [lease] = leases(ground).await[..] else { panic!("{after:?}: one lease of one ask") };
    let story = story(ground, lease).await;
    let again = replica.native.exchange(&token, database("4s")).await.unwrap();
    assert_eq!((again.status, again.code().as_str()), (401, "token_already_used"), "it counts as handed out");
    if after == After::Asking {
        assert_eq!(story, ["exchange.asked", "exchange.granted", "lease.released", "lease.revoked"], "it was noticed");
        assert!(left.elapsed() < Duration::from_mins(1), "long before the lease's own end");
    } else {
        assert_eq!(story, ["exchange.asked", "exchange.granted", "lease.revoked"]);
    }
}

/// Sends a whole request, and leaves the answer to the caller.
async fn ask(replica: &Replica, token: &str, ttl: &str) -> TcpStream {
    let address = replica.native.base.rsplit_once("://").unwrap().1;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut body = database(ttl);
    body["token"] = json!(token);
    let body = body.to_string();
    let head = "POST /api/v1/exchange HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ";
    stream.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    stream
}
