//! Audit records as they lie on disk: the canonical bytes, made small.
//!
//! Two thirds of a record are the names of claims and values that half of all jobs share. A dictionary takes them out; what
//! is left is what tells one job from another. Hashes are always over the canonical bytes, never over these.
//!
//! The first byte says how a record is packed, so that records of older programs stay readable: no number is ever used
//! again, and a dictionary never changes (a test holds that).

use std::sync::LazyLock;

use lz4_flex::block::{compress_with_dict, decompress_with_dict};

/// The bytes as they are.
const PLAIN: u8 = 0;
/// The length in four bytes, the greatest first, then an LZ4 block made with [`DICTIONARY`].
const LZ4_FIRST: u8 = 1;

/// What a record holds at most when it is unpacked. A token is bounded to a small part of that.
const MOST: usize = 1 << 20;

/// The bytes are not what [`pack`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unpackable;

pub(super) fn pack(canonical: &[u8]) -> Vec<u8> {
    let block = compress_with_dict(canonical, &DICTIONARY);
    match u32::try_from(canonical.len()) {
        Ok(length) if block.len() + 4 < canonical.len() => [&[LZ4_FIRST], length.to_be_bytes().as_slice(), &block].concat(),
        _ => [&[PLAIN], canonical].concat(),
    }
}

pub(super) fn unpack(packed: &[u8]) -> Result<Vec<u8>, Unpackable> {
    match packed.split_first() {
        Some((&PLAIN, canonical)) => Ok(canonical.to_vec()),
        Some((&LZ4_FIRST, rest)) => {
            let (length, block) = rest.split_first_chunk().ok_or(Unpackable)?;
            let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Unpackable)?;
            if length > MOST {
                return Err(Unpackable);
            }
            let canonical = decompress_with_dict(block, length, &DICTIONARY).map_err(|_| Unpackable)?;
            if canonical.len() == length { Ok(canonical) } else { Err(Unpackable) }
        }
        _ => Err(Unpackable),
    }
}

/// Built once from [`FIELDS`] and [`PERSONAL`]; pieces of a record as the canonical form writes them.
static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = Vec::with_capacity(4096);
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    for (name, value) in FIELDS {
        text(&mut bytes, name);
        match value {
            Is::Text(value) => {
                bytes.push(5);
                text(&mut bytes, value);
            }
            Is::Time => bytes.extend_from_slice(&[3, 0, 0, 0, 0]),
        }
    }
    for name in PERSONAL {
        text(&mut bytes, name);
    }
    for kind in ["session.granted", "exchange.denied", "exchange.asked", "exchange.granted"] {
        text(&mut bytes, kind);
    }
    bytes
});

/// How a field usually reads.
enum Is {
    Text(&'static str),
    /// Seconds since 1970: of eight bytes the first four hardly change.
    Time,
}

use Is::{Text, Time};

/// Names of fields in the order in which records hold them, GitLab's before GitHub's, with values that many jobs share.
const FIELDS: &[(&str, Is)] = &[
    ("claim.aud", Text("https://gitlab.com")),
    ("claim.ci_config_ref_uri", Text("gitlab.com/")),
    ("claim.ci_config_sha", Text("")),
    ("claim.deployment_tier", Text("production")),
    ("claim.environment", Text("production")),
    ("claim.environment_action", Text("start")),
    ("claim.environment_protected", Text("true")),
    ("claim.exp", Time),
    ("claim.iat", Time),
    ("claim.iss", Text("https://gitlab.com")),
    ("claim.job_id", Text("1")),
    ("claim.job_namespace_id", Text("")),
    ("claim.job_namespace_path", Text("")),
    ("claim.job_project_id", Text("")),
    ("claim.job_project_path", Text("")),
    ("claim.job_source", Text("push")),
    ("claim.jti", Text("")),
    ("claim.namespace_id", Text("")),
    ("claim.namespace_path", Text("")),
    ("claim.nbf", Time),
    ("claim.pipeline_id", Text("")),
    ("claim.pipeline_source", Text("merge_request_event")),
    ("claim.project_id", Text("")),
    ("claim.project_path", Text("")),
    ("claim.project_visibility", Text("private")),
    ("claim.ref", Text("main")),
    ("claim.ref_path", Text("refs/heads/main")),
    ("claim.ref_protected", Text("true")),
    ("claim.ref_type", Text("branch")),
    ("claim.runner_environment", Text("gitlab-hosted")),
    ("claim.sha", Text("")),
    ("claim.sub", Text("project_path:")),
    ("claim.user_access_level", Text("maintainer")),
    ("claim.aud", Text("https://github.com/")),
    ("claim.base_ref", Text("")),
    ("claim.check_run_id", Text("")),
    ("claim.enterprise", Text("")),
    ("claim.enterprise_id", Text("")),
    ("claim.environment", Text("production")),
    ("claim.environment_node_id", Text("EN_kwDO")),
    ("claim.event_name", Text("workflow_dispatch")),
    ("claim.event_name", Text("push")),
    ("claim.exp", Time),
    ("claim.head_ref", Text("")),
    ("claim.iat", Time),
    ("claim.iss", Text("https://token.actions.githubusercontent.com")),
    ("claim.job_workflow_ref", Text("/.github/workflows/")),
    ("claim.job_workflow_sha", Text("")),
    ("claim.jti", Text("")),
    ("claim.nbf", Time),
    ("claim.ref", Text("refs/heads/main")),
    ("claim.ref_protected", Text("true")),
    ("claim.ref_type", Text("branch")),
    ("claim.repository", Text("")),
    ("claim.repository_id", Text("")),
    ("claim.repository_owner", Text("")),
    ("claim.repository_owner_id", Text("")),
    ("claim.repository_visibility", Text("private")),
    ("claim.run_attempt", Text("1")),
    ("claim.run_id", Text("")),
    ("claim.run_number", Text("")),
    ("claim.runner_environment", Text("github-hosted")),
    ("claim.sha", Text("")),
    ("claim.sub", Text("repo:")),
    ("claim.workflow", Text("")),
    ("claim.workflow_ref", Text("/.github/workflows/")),
    ("claim.workflow_sha", Text("")),
    ("credential.", Text("")),
    (".engine", Text("aws")),
    (".engine", Text("postgres")),
    (".engine", Text("kv")),
    (".lease", Text("")),
    (".path", Text("secret/")),
    (".ttl", Text("900")),
    (".ttl_limited_by", Text("session")),
    (".ttl_limited_by", Text("role")),
    (".upstream", Text("dp_")),
    (".version", Text("1")),
    ("key_id", Text("")),
    ("keys_age", Time),
    ("run_url", Text("https://gitlab.com/")),
    ("run_url", Text("https://github.com/")),
    ("", Text("/actions/runs/")),
];

const PERSONAL: &[&str] =
    &["claim.user_email", "claim.user_id", "claim.user_identities", "claim.user_login", "claim.actor", "claim.actor_id"];

#[cfg(test)]
mod tests {
    use domain::audit::{hex, leaf};
    use proptest::prelude::*;

    use super::*;

    /// Records on disk were packed with it.
    #[test]
    fn the_first_dictionary_never_changes() {
        assert_eq!(hex(&leaf(&DICTIONARY)), "c32917cec67d01850d2ae36b99f6fc75827e97b53540c6bcfe572e4842cff2fd");
    }

    #[test]
    fn reads_what_is_packed_in_either_way() {
        let canonical = b"claim.job_workflow_ref".repeat(40);
        assert!(pack(&canonical).len() < 60);
        assert_eq!(unpack(&pack(&canonical)), Ok(canonical.clone()));
        assert_eq!(unpack(&[&[PLAIN], canonical.as_slice()].concat()), Ok(canonical));
    }

    #[test]
    fn refuses_what_nobody_packed() {
        for bad in [&[][..], &[2, 0], &[LZ4_FIRST, 0, 0, 0], &[LZ4_FIRST, 255, 255, 255, 255, 0], &[LZ4_FIRST, 0, 0, 0, 9, 0]] {
            assert_eq!(unpack(bad), Err(Unpackable), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_record_reads_back(canonical in prop::collection::vec(any::<u8>(), 0..2_000)) {
            prop_assert_eq!(unpack(&pack(&canonical)), Ok(canonical));
        }

        #[test]
        fn any_bytes_are_read_without_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = unpack(&bytes);
            let _ = unpack(&[&[LZ4_FIRST, 0, 0, 1, 0], bytes.as_slice()].concat());
        }
    }
}
