use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::crypto::seals::File;

const WHOSE: Wrapped = Wrapped { deployment: Uuid::from_u128(7), generation: 3 };

fn root(byte: u8) -> Root {
    let mut key = [byte; 32];
    key[0] ^= 1;
    Root::read(key.to_vec()).unwrap()
}

#[test]
fn reads_a_key_raw_in_hex_and_in_base64() {
    let key: Vec<u8> = (100..132).collect();
    let hex = domain::audit::hex(&key);
    for text in [key.clone(), format!("{hex}\n").into_bytes(), format!(" {}\n", STANDARD.encode(&key)).into_bytes()] {
        assert_eq!(Root::read(text).unwrap().key.expose().as_slice(), key);
    }
}

#[test]
fn refuses_what_is_no_key() {
    for text in [
        "",
        "changeme",
        "correct horse battery staple 123",
        &"ab".repeat(16),
        &"0".repeat(64),
        &"+1".repeat(32),
        &"é".repeat(32),
        &STANDARD.encode([5; 31]),
    ] {
        assert!(Root::read(text.as_bytes().to_vec()).is_none(), "{text}");
    }
}

#[test]
fn a_raw_key_stands_in_a_file_alone() {
    let raw: Vec<u8> = (0..32).collect();
    assert!(Root::read(raw.clone()).is_some());
    assert!(Root::read_text(raw).is_none());
}

#[test]
fn a_wrapped_key_opens_for_its_own_deployment_generation_and_root_only() {
    let (system, _) = System::real();
    let key = Secret::new([9; 32]);
    let wrapped = root(1).wrap(&system, WHOSE, &key).unwrap();
    assert_eq!(root(1).unwrap(WHOSE, &wrapped).unwrap().expose(), key.expose());
    assert!(root(2).unwrap(WHOSE, &wrapped).is_none());
    assert!(root(1).unwrap(Wrapped { generation: 4, ..WHOSE }, &wrapped).is_none());
    assert!(root(1).unwrap(Wrapped { deployment: Uuid::from_u128(8), ..WHOSE }, &wrapped).is_none());
    for at in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[at] ^= 1;
        assert!(root(1).unwrap(WHOSE, &changed).is_none());
    }
}

#[test]
fn refuses_a_key_file_that_others_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    std::fs::write(&path, "0a1b".repeat(16)).unwrap();
    for mode in [0o644, 0o640, 0o604, 0o620] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(matches!(File::read(&path), Err(SealError::Exposed { mode: found, .. }) if found == mode));
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(File::read(&path).is_ok());
    assert!(matches!(File::read(&folder.path().join("absent")), Err(SealError::Unreadable { .. })));
}
