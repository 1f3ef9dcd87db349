use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::claims::Object;

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::Int),
        (-1e300..1e300f64).prop_map(Json::Number),
        ".{0,12}".prop_map(Json::String),
        "(0|[0-9]{1,21}|[0-9a-f]{1,41}|[0-9A-F]{8}|main|push)".prop_map(Json::String),
        any::<u128>().prop_map(|id| Json::String(Uuid::from_u128(id).to_string())),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::vec(("[a-c]{0,2}", inner), 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect::<Object>())),
        ]
    })
}

prop_compose! {
    fn frame()(
        kind in prop::sample::select(Kind::ALL),
        ids in any::<[u128; 4]>(),
        some in any::<[bool; 9]>(),
        texts in prop::array::uniform5(".{0,8}"),
        micros in -2_000_000_000_000_000i64..4_000_000_000_000_000i64,
        hash in any::<[u8; 32]>(),
        row in any::<u32>(),
    ) -> Record {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap();
        let mut record = Record::new(Uuid::from_u128(ids[0]), at, kind, Uuid::from_u128(ids[1]));
        record.session_id = some[0].then(|| Uuid::from_u128(ids[2]));
        record.lease_id = some[1].then(|| Uuid::from_u128(ids[3]));
        let [issuer, project, project_name, role, code] = texts;
        record.issuer = some[2].then_some(issuer);
        record.project = some[3].then_some(project);
        record.project_name = some[4].then_some(project_name);
        record.role = some[5].then_some(role);
        record.code = some[6].then_some(code);
        record.policy_hash = some[7].then_some(hash);
        record.row = some[8].then_some(row);
        record
    }
}

prop_compose! {
    fn record()(
        mut record in frame(),
        fields in prop::collection::btree_map("(.{0,6}|claim.sub|claim.run_id)", json(), 0..4),
        personal in prop::collection::btree_map(".{0,6}", (any::<[u8; 16]>(), ".{0,12}"), 0..3),
    ) -> Record {
        record.fields = fields;
        record.personal = personal.into_iter().map(|(name, (salt, value))| (name, Personal::new(salt, value.as_str()))).collect();
        record
    }
}

fn without_clear(mut record: Record) -> Record {
    record.personal.values_mut().for_each(|personal| personal.clear = None);
    record
}

/// What stands in columns.
fn framed(record: &Record) -> Record {
    Record { policy_hash: None, row: None, fields: BTreeMap::new(), personal: BTreeMap::new(), ..record.clone() }
}

proptest! {
    #[test]
    fn canonical_bytes_read_back(record in record()) {
        let bytes = record.canonical();
        let read = Record::parse(&bytes).unwrap();
        prop_assert_eq!(&read, &without_clear(record));
        prop_assert_eq!(read.canonical(), bytes);
    }

    #[test]
    fn what_is_kept_reads_back(record in record()) {
        prop_assert_eq!(framed(&record).with_compact(&record.compact()).unwrap(), without_clear(record));
    }

    #[test]
    fn kept_bytes_that_were_cut_or_changed_are_read_without_a_fault(
        record in record(),
        at in any::<prop::sample::Index>(),
        flip in any::<u8>(),
    ) {
        let mut bytes = record.compact();
        let at = at.index(bytes.len());
        prop_assert!(framed(&record).with_compact(&bytes[..at]).is_err());
        bytes[at] ^= flip;
        let _ = framed(&record).with_compact(&bytes);
    }

    #[test]
    fn different_records_have_different_bytes(one in record(), other in record()) {
        prop_assert_eq!(without_clear(one.clone()) == without_clear(other.clone()), one.canonical() == other.canonical());
    }

    #[test]
    fn a_changed_byte_is_another_record_or_none(record in record(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = record.canonical();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(read) = Record::parse(&bytes) {
            prop_assert_eq!(read.canonical(), bytes, "reading accepted what writing does not make");
        }
    }

    #[test]
    fn cut_or_prolonged_bytes_are_refused(record in record(), at in any::<prop::sample::Index>()) {
        let mut bytes = record.canonical();
        prop_assert!(Record::parse(&bytes[..at.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert!(Record::parse(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Record::parse(&bytes);
        let _ = Record::parse(&[b"dpa\x01", bytes.as_slice()].concat());
    }
}

#[test]
fn moving_text_between_fields_changes_the_bytes() {
    let base = Record::new(Uuid::nil(), datetime!(2026-11-21 00:00 UTC), Kind::ExchangeDenied, Uuid::nil());
    let one = base.clone().field("a", "bc");
    let two = base.clone().field("ab", "c");
    assert_ne!(one.canonical(), two.canonical());
    let (mut issuer, mut project) = (base.clone(), base);
    issuer.issuer = Some("x".to_owned());
    project.project = Some("x".to_owned());
    assert_ne!(issuer.canonical(), project.canonical());
}

#[test]
fn personal_values_are_not_in_the_bytes() {
    let at = datetime!(2026-11-21 00:00 UTC);
    let record = Record::new(Uuid::nil(), at, Kind::ExchangeGranted, Uuid::nil()).personal("claim.actor", [7; 16], "octocat");
    let bytes = record.canonical();
    assert!(!bytes.windows(7).any(|part| part == b"octocat"));
    assert!(!format!("{record:?}").contains("octocat"));
    let other = Personal::new([8; 16], "octocat");
    assert_ne!(record.personal["claim.actor"].hash(), other.hash(), "the salt must change the hash");
    let read = Record::parse(&bytes).unwrap();
    assert_eq!(read.as_text(&BTreeMap::new())["claim.actor"], "(erased)");
    assert_eq!(read.as_text(&BTreeMap::from([("claim.actor".to_owned(), "octocat".into())]))["claim.actor"], "octocat");
}

#[test]
fn claims_read_back_with_their_types_and_without_what_was_erased() {
    let at = datetime!(2026-11-21 00:00 UTC);
    let record = Record::new(Uuid::nil(), at, Kind::ExchangeGranted, Uuid::nil())
        .field("claim.run_attempt", "1")
        .field("run_url", "https://ci.example/1")
        .personal("claim.actor_id", [7; 16], 48_213)
        .personal("claim.actor", [8; 16], "48213");
    assert_ne!(record.personal["claim.actor_id"].hash(), Personal::new([7; 16], "48213").hash(), "the type is committed to");
    let mut personal: BTreeMap<String, Json> =
        record.personal.iter().map(|(name, value)| (name.clone(), value.clear().unwrap().value.clone())).collect();
    personal.insert("claim.forged".to_owned(), "x".into());
    let read = Record::parse(&record.canonical()).unwrap();
    let whole = Claims::default().with("run_attempt", "1").with("actor", "48213").with("actor_id", 48_213);
    assert_eq!(read.claims(&personal), whole);
    personal.remove("claim.actor");
    assert_eq!(read.claims(&personal), whole.without("actor"));
}

/// Pins the format: these bytes are in databases.
#[test]
fn version_one_never_changes() {
    let at = datetime!(2026-11-21 12:34:56.789012 UTC);
    let mut record = Record::new(Uuid::from_u128(1), at, Kind::ExchangeGranted, Uuid::from_u128(2)).field("ttl", 900);
    record.role = Some("deploy".to_owned());
    record.row = Some(3);
    assert_eq!(hex(&leaf(&record.canonical())), "9336dbab8614657f6799aae2f2a88f5ad6538a0137c751eaecfd217afc200a22");
    record = record.field("claim.user_login", "secret").field("claim.iss", "https://gitlab.com").field("other", -2);
    let kept = "010203040126403600056f746865720303000374746c03880e00";
    assert_eq!(hex(&record.compact()), kept);
}

#[test]
fn the_leaf_of_nothing_is_the_one_of_rfc_6962() {
    assert_eq!(hex(&leaf(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
}

#[test]
fn kinds_are_distinct_words_that_read_back() {
    for (at, kind) in Kind::ALL.iter().enumerate() {
        assert_eq!(kind.as_str().parse(), Ok(*kind));
        assert!(Kind::ALL.iter().skip(at + 1).all(|other| other.as_str() != kind.as_str()), "{kind} stands twice");
        assert!(kind.sentence().ends_with('.'));
    }
}
