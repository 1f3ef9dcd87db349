//! Stopping: open requests end, idle connections are closed, nobody new is let in.

use std::time::{Duration, Instant};

use broker::http::edge::EdgeLimits;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::house::*;

#[tokio::test]
async fn a_stop_finishes_open_requests_and_closes_idle_connections() {
    let patient = EdgeLimits { headers: Duration::from_secs(30), drain: Duration::from_secs(30), ..SHORT };
    let house = House::with_deadline(patient, 16, None, PATIENCE).await;
    let (mut working, mut idle, mut silent) = (house.connect().await, house.connect().await, house.connect().await);
    idle.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(answer(&mut idle).await.contains(" 200 "));
    working.write_all(b"GET /gated HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    house.gathered(1).await;
    house.stop.cancel();
    assert_eq!(to_the_end(&mut idle).await, "");
    assert_eq!(to_the_end(&mut silent).await, "");
    house.gate.add_permits(1);
    let done = to_the_end(&mut working).await;
    assert!(done.contains(" 200 ") && done.ends_with("done"), "{done}");
    tokio::time::timeout(PATIENCE, house.serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(house.address).await.is_err());
}

#[tokio::test]
async fn what_is_open_after_the_drain_is_closed() {
    let house = House::start(EdgeLimits { drain: Duration::from_millis(200), ..SHORT }, 16, None).await;
    let mut stuck = house.connect().await;
    stuck.write_all(b"GET /stuck HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    house.stop.cancel();
    tokio::time::timeout(PATIENCE, house.serving).await.unwrap().unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(150), "it was given its time");
    assert_eq!(to_the_end(&mut stuck).await, "");
}
