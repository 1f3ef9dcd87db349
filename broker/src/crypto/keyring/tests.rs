use proptest::prelude::*;

use super::*;

const HERE: Uuid = Uuid::from_u128(1);

fn ring() -> Keyring {
    Keyring::new(HERE, 2, Secret::new([2; 32])).with_older(1, Secret::new([1; 32]))
}

fn place(key: &[u8]) -> Place<'_> {
    Place { table: "leases", column: "handle", key, version: 1 }
}

fn seal(clear: &[u8]) -> Sealed {
    ring().seal(&System::real().0, place(b"id"), clear).unwrap()
}

#[test]
fn opens_in_its_own_place() {
    let sealed = seal(b"undo");
    assert_eq!(sealed.generation, 2);
    assert_eq!(ring().open(place(b"id"), &sealed.bytes).unwrap().expose(), b"undo");
    assert!(!sealed.bytes.windows(4).any(|part| part == b"undo"));
    assert_ne!(sealed.bytes, seal(b"undo").bytes, "the nonce must differ");
}

#[test]
fn a_ciphertext_that_was_moved_does_not_open() {
    let sealed = seal(b"undo").bytes;
    let key = b"id";
    let swapped: [Place<'_>; 7] = [
        Place { table: "connections", ..place(key) },
        Place { column: "reason", ..place(key) },
        Place { version: 2, ..place(key) },
        Place { version: 0, ..place(key) },
        place(b"ie"),
        place(b"i"),
        place(b"id\0"),
    ];
    for place in swapped {
        assert_eq!(ring().open(place, &sealed).unwrap_err(), KeyringError::DoesNotOpen, "{place:?}");
    }
    let elsewhere = Keyring::new(Uuid::from_u128(2), 2, Secret::new([2; 32]));
    assert_eq!(elsewhere.open(place(key), &sealed).unwrap_err(), KeyringError::DoesNotOpen);
}

#[test]
fn a_ciphertext_under_another_generation_does_not_open() {
    let mut sealed = seal(b"undo").bytes;
    sealed[6] = 1;
    assert_eq!(ring().open(place(b"id"), &sealed).unwrap_err(), KeyringError::DoesNotOpen);
    sealed[6] = 9;
    assert_eq!(ring().open(place(b"id"), &sealed).unwrap_err(), KeyringError::UnknownGeneration(9));
    // Even with equal key material the generation is bound.
    let same = Keyring::new(HERE, 1, Secret::new([2; 32]));
    let mut sealed = seal(b"undo").bytes;
    sealed[6] = 1;
    assert_eq!(same.open(place(b"id"), &sealed).unwrap_err(), KeyringError::DoesNotOpen);
}

#[test]
fn older_generations_still_open() {
    let old = Keyring::new(HERE, 1, Secret::new([1; 32]));
    let sealed = old.seal(&System::real().0, place(b"id"), b"undo").unwrap();
    assert_eq!(ring().open(place(b"id"), &sealed.bytes).unwrap().expose(), b"undo");
    assert!(ring().has_mac("keys", b"body", &old.mac("keys", b"body").unwrap()));
}

#[test]
fn macs_hold_for_their_label_and_bytes_only() {
    let mac = ring().mac("keys", b"body").unwrap();
    assert!(ring().has_mac("keys", b"body", &mac));
    assert!(!ring().has_mac("other", b"body", &mac));
    assert!(!ring().has_mac("keys", b"bodz", &mac));
    assert!(!ring().has_mac("keys", b"body", &mac[..31]));
}

proptest! {
    #[test]
    fn any_change_of_the_bytes_is_noticed(clear in prop::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut sealed = seal(&clear).bytes;
        let at = at.index(sealed.len());
        sealed[at] ^= flip;
        prop_assert!(ring().open(place(b"id"), &sealed).is_err());
    }

    #[test]
    fn places_are_told_apart(
        key in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3), 0..3),
        other in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3), 0..3),
        versions in any::<(u8, u8)>(),
    ) {
        let keys: Vec<&[u8]> = key.iter().map(Vec::as_slice).collect();
        let others: Vec<&[u8]> = other.iter().map(Vec::as_slice).collect();
        let (joined, joined_others) = (compound(&keys), compound(&others));
        let one = Place { version: versions.0.into(), ..place(&joined) };
        let two = Place { version: versions.1.into(), ..place(&joined_others) };
        prop_assert_eq!(ring().bound(one, 1) == ring().bound(two, 1), (key, versions.0) == (other, versions.1));
    }
}
