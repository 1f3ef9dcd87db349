//! Bodies that may be larger than others, so many at a time.
//!
//! They are held whole in memory, so their places are few; and a place is held for as long as a body takes. So none is given to
//! strangers: what the head of a request shows is looked at before its body is.

use std::fmt::Debug;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use domain::refusal::{Code, Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::guests::{Guest, Guests};
use super::layers::BODY_LIMIT;
use crate::service::error::Error;

/// What becomes known of a sender.
pub type Vouched<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// Tells from the head of a request whether its sender is one whose bodies may be large.
pub trait Vouch: Debug + Send + Sync {
    /// The error is what a large body is answered with.
    fn vouch<'a>(&'a self, head: &'a mut Parts, decision: Uuid) -> Vouched<'a>;
}

/// A door whose bodies may be larger than usual.
#[derive(Clone, Debug)]
pub struct Large {
    most: usize,
    patience: Duration,
    places: Arc<Semaphore>,
    of_address: usize,
    guests: Guests,
    vouch: Arc<dyn Vouch>,
}

/// What one request may send.
#[derive(Debug)]
pub struct Room {
    pub most: usize,
    /// How long its body may take, within the request's own time.
    pub patience: Option<Duration>,
    /// Why it is no more, for one that sends more all the same.
    pub instead: Option<Error>,
    _place: Option<Place>,
}

/// A place for a large body.
#[derive(Debug)]
struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_address: Option<Guest>,
}

impl Room {
    /// That of a body which is not large.
    pub const fn usual() -> Self {
        Self { most: BODY_LIMIT, patience: None, instead: None, _place: None }
    }
}

impl Large {
    /// Bodies of up to `most` bytes that take no longer than `patience`, so many of them at once, of one address half of them.
    pub fn new(most: usize, patience: Duration, places: usize, vouch: Arc<dyn Vouch>) -> Self {
        let (of_address, places) = (places.div_ceil(2), Arc::new(Semaphore::new(places)));
        Self { most, patience, places, of_address, guests: Guests::default(), vouch }
    }

    /// The room for a body of at most `upper` bytes, as far as that is known. One that is not large needs no place; a stranger gets none, and may send as much as
    /// anywhere else.
    pub async fn room(
        &self,
        head: &mut Parts,
        peer: Option<IpAddr>,
        upper: Option<u64>,
        decision: Uuid,
    ) -> Result<Room, Refusal> {
        let usual = u64::try_from(BODY_LIMIT).unwrap_or(u64::MAX);
        if upper.is_some_and(|upper| upper <= usual) {
            return Ok(Room::usual());
        }
        if let Err(error) = self.vouch.vouch(head, decision).await {
            return Ok(Room { instead: Some(error), ..Room::usual() });
        }
        let full = || Refusal::new(Code::Overloaded).retry_after(1);
        let of_address = peer.map(|peer| self.guests.admit(peer, self.of_address).ok_or_else(full)).transpose()?;
        let of_all = Arc::clone(&self.places).try_acquire_owned().map_err(|_| full())?;
        let place = Place { _of_all: of_all, _of_address: of_address };
        Ok(Room { most: self.most, patience: Some(self.patience), instead: None, _place: Some(place) })
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, HttpBody};
    use axum::http::Request;

    use super::*;

    /// Knows everybody who says so.
    #[derive(Debug)]
    struct Known;

    impl Vouch for Known {
        fn vouch<'a>(&'a self, head: &'a mut Parts, _: Uuid) -> Vouched<'a> {
            let known = head.headers.contains_key("known");
            Box::pin(async move { if known { Ok(()) } else { Err(Refusal::new(Code::SessionMissing).into()) } })
        }
    }

    fn large(places: usize) -> Large {
        Large::new(4 * BODY_LIMIT, Duration::from_secs(1), places, Arc::new(Known))
    }

    async fn room(large: &Large, known: bool, peer: Option<&str>, body: &Body) -> Result<Room, Code> {
        let request = Request::builder();
        let request = if known { request.header("known", "yes") } else { request };
        let mut head = request.body(()).unwrap().into_parts().0;
        let peer = peer.map(|peer| peer.parse().unwrap());
        large.room(&mut head, peer, HttpBody::size_hint(body).upper(), Uuid::nil()).await.map_err(|refusal| refusal.code)
    }

    fn sized(size: usize) -> Body {
        Body::from(vec![0; size])
    }

    #[tokio::test]
    async fn bodies_that_may_be_large_take_places_and_others_none() {
        let large = large(1);
        let held = room(&large, true, None, &sized(BODY_LIMIT + 1)).await.unwrap();
        assert_eq!((held.most, held.patience), (4 * BODY_LIMIT, Some(Duration::from_secs(1))));
        let unknown = Body::from_stream(sized(1).into_data_stream());
        for waits in [sized(BODY_LIMIT + 1), unknown] {
            assert_eq!(room(&large, true, None, &waits).await.unwrap_err(), Code::Overloaded);
        }
        assert_eq!(room(&large, true, None, &sized(BODY_LIMIT)).await.unwrap().most, BODY_LIMIT, "a usual one goes on");
        drop(held);
        room(&large, true, None, &sized(BODY_LIMIT + 1)).await.unwrap();
    }

    #[tokio::test]
    async fn one_address_has_no_more_than_half_of_the_places() {
        let (large, here, body) = (large(8), Some("10.0.0.1"), sized(BODY_LIMIT + 1));
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(room(&large, true, here, &body).await.unwrap());
        }
        assert_eq!(room(&large, true, here, &body).await.unwrap_err(), Code::Overloaded);
        room(&large, true, Some("10.0.0.2"), &body).await.unwrap();
        drop(held);
        room(&large, true, here, &body).await.unwrap();
    }

    #[tokio::test]
    async fn strangers_take_no_place() {
        let (large, body) = (large(1), sized(BODY_LIMIT + 1));
        let mut held = Vec::new();
        for _ in 0..3 {
            let stranger = room(&large, false, None, &body).await.unwrap();
            assert_eq!((stranger.most, stranger.instead.is_some()), (BODY_LIMIT, true));
            held.push(stranger);
        }
        room(&large, true, None, &body).await.unwrap();
    }
}
