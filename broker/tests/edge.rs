//! The edge over real sockets: clients that are slow, greedy or wrong, and what becomes of them. Times are bounds with a wide
//! margin, never exact.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "edge/answers.rs"]
mod answers;
#[path = "edge/house.rs"]
mod house;
#[path = "edge/slow.rs"]
mod slow;
#[path = "edge/stopping.rs"]
mod stopping;
#[path = "edge/transport.rs"]
mod transport;
