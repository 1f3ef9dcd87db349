use time::macros::datetime;

use super::super::{gitlab::GitLab, sender::Sender as _};
use super::*;

const TOKEN: &str = "whsec_NDctYnl0ZXMtdGhhdC1ub2JvZHkta25vd3MtYnV0LXVz";
const BODY: &[u8] = br#"{"object_kind":"build","build_id":61}"#;
const NOW: OffsetDateTime = datetime!(2026-11-22 09:00 UTC);

fn secret() -> Secret<String> {
    Secret::from(TOKEN)
}

fn sign(token: &str, id: &str, time: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(token.strip_prefix(PREFIX).unwrap()).unwrap());
    let tag = hmac::sign(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body].concat());
    format!("v1,{}", BASE64_STANDARD.encode(tag))
}

fn seconds(at: OffsetDateTime) -> String {
    at.unix_timestamp().to_string()
}

fn shown<'a>(id: &'a str, time: &'a str, signature: &'a str) -> Shown<'a> {
    Shown::from([("webhook-id", id), ("webhook-timestamp", time), ("webhook-signature", signature)])
}

/// The example that the specification's own libraries are tested with.
#[test]
fn signs_as_the_specification_says() {
    let token = Secret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let shown = shown("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", signature);
    let then = datetime!(2021-02-25 15:02:10 UTC);
    assert_eq!(proof(&token, &shown, br#"{"test": 2432232314}"#, then), Proof::Proven);
    assert_eq!(proof(&token, &shown, br#"{"test": 2432232315}"#, then), Proof::Unproven);
}

#[test]
fn nothing_that_is_signed_can_be_changed() {
    let (id, time) = ("f5e5f430-f57b-4e6e-9fac-d9128cd7232f", seconds(NOW));
    let right = sign(TOKEN, id, &time, BODY);
    let prove = |id: &str, time: &str, signature: &str, body: &[u8]| proof(&secret(), &shown(id, time, signature), body, NOW);
    assert_eq!(prove(id, &time, &right, BODY), Proof::Proven);
    assert_eq!(prove("f5e5f430-f57b-4e6e-9fac-d9128cd72320", &time, &right, BODY), Proof::Unproven);
    assert_eq!(prove(id, &seconds(NOW + Duration::SECOND), &right, BODY), Proof::Unproven, "the time cannot be made newer");
    assert_eq!(prove(id, &time, &right, &[BODY, b" "].concat()), Proof::Unproven);
    let other = sign("whsec_YW5vdGhlci1rZXktb2YtYW5vdGhlci1ob29rLTE=", id, &time, BODY);
    let tag = right.strip_prefix("v1,").unwrap();
    for wrong in ["", "v1,", tag, &format!("v1a,{tag}"), &format!("v1={tag}"), &other, &right[..right.len() - 4], TOKEN] {
        assert_eq!(prove(id, &time, wrong, BODY), Proof::Unproven, "{wrong:?}");
    }
    for several in [format!("{other} {right}"), format!("v2,xyz {right} v1,AAAA")] {
        assert_eq!(prove(id, &time, &several, BODY), Proof::Proven, "while a key is replaced there are several");
    }
    for missing in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut shown = shown(id, &time, &right);
        shown.remove(missing);
        assert_eq!(proof(&secret(), &shown, BODY, NOW), Proof::Unproven, "{missing}");
    }
}

/// The three parts are told apart by points alone, so no part but the body may hold one.
#[test]
fn the_parts_cannot_be_moved_into_each_other() {
    let time = seconds(NOW);
    let signature = sign(TOKEN, "a", &format!("{time}.{time}"), BODY);
    let id = format!("a.{time}");
    assert_eq!(proof(&secret(), &shown(&id, &time, &signature), BODY, NOW), Proof::Unproven, "into the id");
    for time in ["", " ", "-1", "+1", "1e9", "99999999999999999999", &format!("{time}.0"), &format!(" {time}"), "١٧"] {
        let signature = sign(TOKEN, "a", time, BODY);
        assert_eq!(proof(&secret(), &shown("a", time, &signature), BODY, NOW), Proof::Unproven, "{time:?}");
    }
    let signature = sign(TOKEN, "", &time, BODY);
    assert_eq!(proof(&secret(), &shown("", &time, &signature), BODY, NOW), Proof::Unproven, "without an id");
}

#[test]
fn what_was_overheard_is_worth_nothing_after_five_minutes() {
    for (age, expected) in [
        (Duration::ZERO, Proof::Proven),
        (Duration::minutes(5), Proof::Proven),
        (Duration::seconds(301), Proof::Stale),
        (Duration::days(400), Proof::Stale),
        (-Duration::minutes(5), Proof::Proven),
        (-Duration::seconds(301), Proof::Stale),
    ] {
        let time = seconds(NOW - age);
        let signature = sign(TOKEN, "a", &time, BODY);
        assert_eq!(proof(&secret(), &shown("a", &time, &signature), BODY, NOW), expected, "{age}");
    }
    let time = seconds(NOW - Duration::days(1));
    assert_eq!(proof(&secret(), &shown("a", &time, "v1,AAAA"), BODY, NOW), Proof::Unproven, "only what is proven is old");
}

#[test]
fn a_signing_token_is_not_proven_by_showing_it_nor_a_shown_one_by_signing() {
    let time = seconds(NOW);
    let mut headers = shown("a", &time, "");
    headers.insert("x-gitlab-token", TOKEN);
    assert_eq!(GitLab.proof(&secret(), &headers, BODY, NOW), Proof::Unproven);
    let plain = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let signature = sign(&format!("{PREFIX}{plain}"), "a", &time, BODY);
    let headers = shown("a", &time, &signature);
    assert_eq!(GitLab.proof(&Secret::from(plain), &headers, BODY, NOW), Proof::Unproven);
    assert_eq!(GitLab.proof(&Secret::from(format!("{PREFIX}{plain}")), &headers, BODY, NOW), Proof::Proven);
}

#[test]
fn a_signing_token_that_holds_no_key_is_not_taken() {
    assert!(check(&secret()).is_ok() && check(&Secret::from("a-plain-secret-token")).is_ok());
    for wrong in ["whsec_", "whsec_short", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS*", &format!("{PREFIX}{}", "A".repeat(88))] {
        assert!(check(&Secret::from(wrong)).is_err(), "{wrong}");
    }
    let empty = sign("whsec_", "a", &seconds(NOW), BODY);
    assert_eq!(proof(&Secret::from("whsec_"), &shown("a", &seconds(NOW), &empty), BODY, NOW), Proof::Unproven);
}
