mod bench;

use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::json;

use super::*;
use crate::crypto::jws::Algorithm;
use crate::crypto::jws::tests::{Signer, jwks};
use crate::outbound::Destination;
use crate::outbound::testing::{Reply, Server};
use crate::system::Clock;
use bench::{Bench, Board, KEYS};

#[tokio::test]
async fn follows_a_rotation_and_drops_withdrawn_keys() {
    let (bench, old, new) = (Bench::start().await, Signer::new("old"), Signer::new("new"));
    bench.publish(&[&old]);
    let cache = bench.cache(bench.source());
    assert_eq!(bench.has(&cache, "old").await, Some(true), "the first question fetches");
    assert_eq!(bench.server.requests(), 1);

    bench.publish(&[&old, &new]);
    bench.pass(31);
    assert_eq!(bench.has(&cache, "new").await, Some(true), "an unknown key id fetches");
    assert_eq!(bench.server.requests(), 2);

    bench.publish(&[&new]);
    bench.pass(331);
    bench.refresh(&cache).await;
    assert_eq!(bench.has(&cache, "old").await, Some(false), "what is withdrawn is not united with what is new");
    assert_eq!(bench.has(&cache, "new").await, Some(true));
}

#[tokio::test]
async fn serves_old_keys_through_an_outage_but_not_for_ever() {
    let (bench, signer) = (Bench::start().await, Signer::new("a"));
    bench.publish(&[&signer]);
    let cache = bench.cache(bench.source());
    cache.refresh_all().await;
    assert!(!cache.status()[0].stale);

    bench.server.say(KEYS, Reply::with("503 Down", ""));
    bench.pass(12 * 60);
    bench.refresh(&cache).await;
    assert_eq!(bench.has(&cache, "a").await, Some(true));
    let status = cache.status().remove(0);
    assert!(status.stale && status.failure.as_deref().unwrap().contains("503"), "{status:?}");

    bench.pass(24 * 3600);
    assert_eq!(bench.has(&cache, "a").await, None, "a day without the issuer is too long");
    bench.publish(&[&signer]);
    bench.pass(34);
    bench.refresh(&cache).await;
    assert_eq!(bench.has(&cache, "a").await, Some(true), "it recovers by itself");
    assert_eq!(cache.status()[0].failure, None);
}

#[tokio::test]
async fn nothing_broken_replaces_good_keys() {
    let (bench, good, evil) = (Bench::start().await, Signer::new("a"), Signer::new("evil"));
    bench.publish(&[&good]);
    let canary = Server::start().await;
    let cache = bench.cache(bench.source());
    cache.refresh_all().await;
    let mut private = evil.jwk();
    private["d"] = json!("AQAB");
    let broken = [
        Reply::ok("<html>"),
        Reply::ok(""),
        Reply::ok("{}"),
        Reply::ok(r#"{"keys":[]}"#),
        Reply::ok(jwks(&[evil.jwk(), good.jwk(), good.jwk()])),
        Reply::ok(jwks(&[evil.jwk(), json!({"kty": "oct", "kid": "o", "k": "AAAA"})])),
        Reply::ok(jwks(&[evil.jwk(), private])),
        Reply::ok(jwks(&vec![evil.jwk(); 65])),
        Reply { times: 1000, ..Reply::ok(vec![b' '; 10_240]) },
        Reply::with(&format!("302 Found\r\nLocation: {}", canary.url(KEYS)), jwks(&[evil.jwk()])),
        Reply::with("200 OK\r\nContent-Encoding: gzip", jwks(&[evil.jwk()])),
        Reply::with("404 Not Found", jwks(&[evil.jwk()])),
        Reply::ok(jwks(&[evil.jwk()])).after(Duration::from_secs(10)),
    ];
    for reply in broken {
        bench.server.say(KEYS, reply.clone());
        bench.pass(331);
        bench.refresh(&cache).await;
        let head = format!("{} {:?}", reply.head, reply.body.get(..30));
        assert!(cache.status()[0].failure.is_some(), "{head}");
        assert_eq!(bench.has(&cache, "a").await, Some(true), "{head}");
        bench.server.say(KEYS, Reply::with("500 X", ""));
        assert_eq!(bench.has(&cache, "evil").await, None, "{head}");
    }
    assert_eq!(canary.connections(), 0);
}

#[tokio::test]
async fn a_key_of_a_new_kind_takes_nothing_away() {
    let (bench, good) = (Bench::start().await, Signer::new("a"));
    let post_quantum = json!({"kty": "AKP", "kid": "pq", "alg": "ML-DSA-65", "pub": "AAAA"});
    bench.server.say(KEYS, Reply::ok(jwks(&[post_quantum, good.jwk()])));
    let cache = bench.cache(bench.source());
    assert_eq!(bench.has(&cache, "a").await, Some(true));
    assert_eq!(bench.has(&cache, "pq").await, Some(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_unknown_key_ids_fetches_once_and_delays_no_good_token() {
    let (bench, good) = (Bench::start().await, Signer::new("a"));
    bench.publish(&[&good]);
    let cache = bench.cache(bench.source());
    cache.refresh_all().await;
    let before = bench.server.requests();
    bench.server.say(KEYS, Reply::ok(jwks(&[good.jwk()])).after(Duration::from_secs(1)));

    for round in 0..10_i64 {
        let mut waited = 0;
        bench.pass(31);
        let begun = Instant::now();
        let flood: Vec<_> = (0..200)
            .map(|number| {
                let (cache, issuer) = (cache.clone(), bench.issuer());
                tokio::spawn(async move { cache.find(&issuer, &format!("{round}-{number}")).await })
            })
            .collect();
        for _ in 0..100 {
            assert_eq!(bench.has(&cache, "a").await, Some(true));
        }
        assert!(begun.elapsed() < Duration::from_millis(900), "good tokens do not wait: {:?}", begun.elapsed());
        for asked in flood {
            let found = asked.await.unwrap();
            waited += usize::from(matches!(found, Found::Keys(_)));
        }
        assert!(waited <= 16, "{waited} requests waited at once");
    }
    let fetched = bench.server.requests() - before;
    assert!((1..=10).contains(&fetched), "{fetched} fetches in 310 s");
}

#[tokio::test]
async fn remembers_for_a_minute_that_a_key_is_not_there() {
    let (bench, good, late) = (Bench::start().await, Signer::new("a"), Signer::new("late"));
    bench.publish(&[&good]);
    let cache = bench.cache(bench.source());
    cache.refresh_all().await;
    bench.pass(31);
    assert_eq!(bench.has(&cache, "late").await, Some(false));
    bench.publish(&[&good, &late]);
    bench.pass(31);
    assert_eq!(bench.has(&cache, "late").await, Some(false), "too soon to ask again");
    assert_eq!(bench.server.requests(), 2);
    bench.pass(30);
    assert_eq!(bench.has(&cache, "late").await, Some(true));
}

#[tokio::test]
async fn has_no_keys_until_the_issuer_answers() {
    let bench = Bench::start().await;
    let cache = bench.cache(bench.source());
    assert_eq!(bench.has(&cache, "a").await, None);
    assert_eq!(bench.has(&cache, "a").await, None);
    assert_eq!(bench.server.requests(), 1, "failing does not lift the limit");
    assert!(matches!(cache.find("https://elsewhere.example.test", "a").await, Found::Unavailable { .. }));
    assert_eq!(bench.server.requests(), 1, "nobody else is ever asked");
}

#[tokio::test]
async fn discovery_is_believed_only_for_its_own_issuer_and_host() {
    let (bench, signer) = (Bench::start().await, Signer::new("a"));
    bench.publish(&[&signer]);
    let place = Place::of(&bench.issuer(), None, None, None).unwrap();
    let cache = bench.cache(Source { place, ..bench.source() });
    let say = |issuer: &str, keys: &str| {
        let document = json!({"issuer": issuer, "jwks_uri": keys}).to_string();
        bench.server.say("/.well-known/openid-configuration", Reply::ok(document));
    };
    let keys = bench.server.url(KEYS).to_string();
    for (issuer, keys) in [
        ("https://other.example.test", keys.as_str()),
        (&bench.issuer(), "https://169.254.169.254/keys"),
        (&bench.issuer(), "http://issuer.example.test/keys"),
    ] {
        say(issuer, keys);
        cache.refresh_all().await;
        assert!(cache.status()[0].failure.as_deref().unwrap().contains("discovery"), "{:?}", cache.status());
        assert_eq!(bench.has(&cache, "a").await, None);
    }
    say(&bench.issuer(), &keys);
    cache.refresh_all().await;
    assert_eq!(bench.has(&cache, "a").await, Some(true));
}

#[tokio::test]
async fn the_shelf_carries_keys_over_a_restart_and_to_other_replicas() {
    let (mut bench, signer) = (Bench::start().await, Signer::new("a"));
    bench.shelf = Some(Arc::default());
    bench.publish(&[&signer]);
    bench.cache(bench.source()).refresh_all().await;
    assert_eq!(bench.server.requests(), 1);
    let board = bench.shelf.clone().unwrap();
    while board.kept.lock().unwrap().is_none() {
        tokio::task::yield_now().await;
    }

    bench.pass(60);
    assert_eq!(bench.has(&bench.cache(bench.source()), "a").await, Some(true), "another replica");
    assert_eq!(bench.server.requests(), 1, "needs no fetch of its own");

    bench.server.say(KEYS, Reply::with("503 Down", ""));
    bench.pass(3 * 3600);
    let restarted = bench.cache(bench.source());
    assert_eq!(bench.has(&restarted, "a").await, Some(true), "a restart during the outage");
    assert!(restarted.status()[0].stale);

    bench.pass(24 * 3600);
    assert_eq!(bench.has(&bench.cache(bench.source()), "a").await, None, "the shelf makes nothing younger");
}

#[tokio::test]
async fn a_shelf_that_lies_or_is_down_does_no_harm() {
    let (mut bench, signer, evil) = (Bench::start().await, Signer::new("a"), Signer::new("evil"));
    let board = Arc::new(Board::default());
    bench.shelf = Some(board.clone());
    bench.publish(&[&signer]);
    let future = bench.clock.now() + time::Duration::hours(1);
    *board.kept.lock().unwrap() = Some(Shelved { document: jwks(&[evil.jwk()]), fetched_at: future });
    let cache = bench.cache(bench.source());
    assert_eq!(bench.has(&cache, "a").await, Some(true));
    assert_eq!(bench.has(&cache, "evil").await, Some(false), "nothing comes from the future");

    *board.kept.lock().unwrap() = Some(Shelved { document: b"garbage".to_vec(), fetched_at: bench.clock.now() });
    assert_eq!(bench.has(&bench.cache(bench.source()), "a").await, Some(true));
    board.broken.store(true, Ordering::SeqCst);
    assert_eq!(bench.has(&bench.cache(bench.source()), "a").await, Some(true));
}

#[tokio::test]
async fn a_key_file_is_read_again_when_it_changes() {
    let (bench, a, b) = (Bench::start().await, Signer::new("a"), Signer::new("b"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    std::fs::write(&path, jwks(&[a.jwk()])).unwrap();
    let cache = bench.cache(Source { place: Place::File(path.clone()), ..bench.source() });
    cache.refresh_all().await;
    assert_eq!(bench.has(&cache, "a").await, Some(true));

    bench.pass(25 * 3600);
    bench.refresh(&cache).await;
    assert_eq!(bench.has(&cache, "a").await, Some(true), "a file that is there does not grow old");
    assert_eq!(cache.status()[0].age, Some(Duration::ZERO));

    std::fs::write(&path, jwks(&[a.jwk(), b.jwk()])).unwrap();
    bench.pass(6);
    bench.refresh(&cache).await;
    assert_eq!(bench.has(&cache, "b").await, Some(true));

    std::fs::write(&path, "garbage").unwrap();
    bench.pass(6);
    bench.refresh(&cache).await;
    assert_eq!(bench.has(&cache, "b").await, Some(true));
    assert!(cache.status()[0].failure.is_some());
    std::fs::remove_file(&path).unwrap();
    bench.pass(6);
    bench.refresh(&cache).await;
    assert_eq!(bench.has(&cache, "a").await, Some(true));
    assert_eq!(bench.server.connections(), 0);
}

#[tokio::test]
async fn takes_over_another_policy_set_without_losing_good_keys() {
    let (bench, signer) = (Bench::start().await, Signer::new("a"));
    bench.publish(&[&signer]);
    let cache = bench.cache(bench.source());
    cache.refresh_all().await;

    cache.configure(vec![bench.source()]);
    assert_eq!((bench.has(&cache, "a").await, bench.server.requests()), (Some(true), 1));
    cache.configure(vec![Source { algorithms: Algorithm::ALL.to_vec(), ..bench.source() }]);
    assert_eq!((bench.has(&cache, "a").await, bench.server.requests()), (Some(true), 1), "admitted again, not fetched");

    bench.server.say(KEYS, Reply::with("503 Down", ""));
    cache.configure(vec![Source { algorithms: vec![Algorithm::Rs256], ..bench.source() }]);
    assert_eq!(bench.has(&cache, "a").await, None, "a key for an algorithm that is not allowed any more");
    cache.configure(Vec::new());
    assert_eq!(bench.has(&cache, "a").await, None);
    assert!(cache.status().is_empty() && cache.serves(), "without an issuer nothing is missing");
}

#[tokio::test]
async fn refreshes_about_every_five_minutes_and_not_in_step() {
    let (bench, signer) = (Bench::start().await, Signer::new("a"));
    bench.publish(&[&signer]);
    let cache = bench.cache(bench.source());
    cache.refresh_all().await;
    bench.pass(269);
    bench.refresh(&cache).await;
    assert_eq!(bench.server.requests(), 1);
    bench.pass(62);
    bench.refresh(&cache).await;
    assert_eq!(bench.server.requests(), 2);
    bench.pass(-10_000);
    bench.refresh(&cache).await;
    assert_eq!(bench.server.requests(), 3, "a clock that went back does not stop it");
}

#[tokio::test]
async fn keys_of_an_old_place_are_not_believed_at_a_new_one() {
    let (mut bench, old, new) = (Bench::start().await, Signer::new("old"), Signer::new("new"));
    bench.shelf = Some(Arc::default());
    bench.publish(&[&old]);
    let cache = bench.cache(bench.source());
    cache.refresh_all().await;
    let board = bench.shelf.clone().unwrap();
    while board.kept.lock().unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    bench.server.say("/moved", Reply::ok(jwks(&[new.jwk()])));
    let moved = Source { place: Place::Url(bench.server.url("/moved")), ..bench.source() };
    cache.configure(vec![moved.clone()]);
    assert_eq!(bench.has(&cache, "old").await, Some(false), "neither what is held");
    assert_eq!(bench.has(&bench.cache(moved), "old").await, Some(false), "nor what is on the shelf");

    bench.server.say(KEYS, Reply::with("503 Down", ""));
    let other_ca = Destination { ca_file: Some("other.pem".into()), ..bench.source().destination };
    cache.configure(vec![bench.source()]);
    cache.configure(vec![Source { destination: other_ca, ..bench.source() }]);
    assert_eq!(bench.has(&cache, "old").await, None, "who vouches for the place counts too");
}

#[tokio::test]
async fn a_cold_start_asks_the_issuer_before_it_believes_old_keys() {
    let (mut bench, old, new) = (Bench::start().await, Signer::new("old"), Signer::new("new"));
    bench.shelf = Some(Arc::default());
    bench.publish(&[&old]);
    bench.cache(bench.source()).refresh_all().await;
    let board = bench.shelf.clone().unwrap();
    while board.kept.lock().unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    bench.publish(&[&new]);
    bench.pass(3600);
    assert_eq!(bench.has(&bench.cache(bench.source()), "old").await, Some(false), "it was withdrawn an hour ago at most");
}

#[tokio::test]
async fn what_the_shelf_alone_says_makes_no_key_absent() {
    let (mut bench, old, new) = (Bench::start().await, Signer::new("old"), Signer::new("new"));
    bench.shelf = Some(Arc::default());
    bench.publish(&[&old]);
    bench.cache(bench.source()).refresh_all().await;
    let board = bench.shelf.clone().unwrap();
    while board.kept.lock().unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    bench.publish(&[&old, &new]);
    bench.pass(60);
    let cache = bench.cache(bench.source());
    cache.refresh_all().await;
    assert_eq!(bench.server.requests(), 1, "the shelf was enough");
    assert_eq!(bench.has(&cache, "new").await, None, "nobody knows yet");
    bench.pass(31);
    assert_eq!(bench.has(&cache, "new").await, Some(true), "and it is asked as soon as it may be");
}

#[tokio::test]
async fn tells_of_failed_fetches_once_and_of_a_private_key_while_it_is_published() {
    let (bench, signer) = (Bench::start().await, Signer::new("a"));
    let mut private = signer.jwk();
    private["d"] = json!("AQAB");
    bench.server.say(KEYS, Reply::ok(jwks(&[private])));
    let cache = bench.cache(bench.source());
    cache.refresh_all().await;
    let status = cache.status().remove(0);
    assert!(status.private_key && !cache.serves(), "{status:?}");
    assert_eq!((status.failures, cache.status()[0].failures), (1, 0));
    bench.publish(&[&signer]);
    bench.pass(34);
    bench.refresh(&cache).await;
    let status = cache.status().remove(0);
    assert!(!status.private_key && status.failure.is_none() && cache.serves(), "{status:?}");
}
