//! Audit records as they lie on disk: the frame in columns, the rest in its compact form, and LZ4 for what a record says more than once. Hashes are always
//! over the canonical bytes, never over these.
//!
//! The first byte says how a record is packed, so that records of older programs stay readable: no number is ever used
//! again, and a dictionary never changes (a test holds that).

use domain::audit::Record;
use lz4_flex::block::{compress_with_dict, decompress_with_dict};

/// The compact form as it is.
const PLAIN: u8 = 0;
/// The length in four bytes, the greatest first, then an LZ4 block made with [`DICTIONARY`].
const LZ4_FIRST: u8 = 1;

/// What a record holds at most when it is unpacked. A token is bounded to a small part of that.
const MOST: usize = 1 << 20;

/// Pieces of texts that records of many jobs share.
const DICTIONARY: &[u8] = b"gitlab.com///.gitlab-ci.yml@refs/heads/main\x05https://gitlab.com//-/jobs/\
    project_path::ref_type:branch:ref:main\x05aws:arn:aws:iam:::role/assumed-role/.connection\x05.upstream\x05dp_\
    .lease\x09.ttl\x0a.ttl_limited_by.lease.mount.path\x05.version\x0ahttps://github.com//actions/runs/\
    repo::ref:refs/heads/main:environment:production/.github/workflows/deploy.yml@refs/heads/maincredential..engine";

/// The bytes are not what [`pack`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unpackable;

pub(super) fn pack(record: &Record) -> Vec<u8> {
    let compact = record.compact();
    let block = compress_with_dict(&compact, DICTIONARY);
    match u32::try_from(compact.len()) {
        Ok(length) if block.len() + 4 < compact.len() => [&[LZ4_FIRST], length.to_be_bytes().as_slice(), &block].concat(),
        _ => [&[PLAIN], compact.as_slice()].concat(),
    }
}

/// The whole record of `frame`.
pub(super) fn unpack(frame: Record, packed: &[u8]) -> Result<Record, Unpackable> {
    let compact = match packed.split_first() {
        Some((&PLAIN, compact)) => return frame.with_compact(compact).map_err(|_| Unpackable),
        Some((&LZ4_FIRST, rest)) => {
            let (length, block) = rest.split_first_chunk().ok_or(Unpackable)?;
            let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Unpackable)?;
            if length > MOST {
                return Err(Unpackable);
            }
            decompress_with_dict(block, length, DICTIONARY).map_err(|_| Unpackable)?
        }
        _ => return Err(Unpackable),
    };
    frame.with_compact(&compact).map_err(|_| Unpackable)
}

#[cfg(test)]
mod tests {
    use domain::audit::{Kind, hex, leaf};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    /// Records on disk were packed with it.
    #[test]
    fn the_dictionary_never_changes() {
        assert_eq!(hex(&leaf(DICTIONARY)), "74786de50696f90e369d4744a8f02b3ab73615379def70687d944cfe7cf40e3a");
    }

    fn frame() -> Record {
        Record::new(Uuid::from_u128(1), time::OffsetDateTime::UNIX_EPOCH, Kind::ExchangeGranted, Uuid::from_u128(2))
    }

    fn record(texts: &[String]) -> Record {
        texts.iter().enumerate().fold(frame(), |record, (at, text)| record.field(format!("field{at}"), text.as_str()))
    }

    #[test]
    fn reads_what_is_packed_in_either_way() {
        let long = record(&vec!["acme/shop/.github/workflows/release.yml@refs/heads/main".to_owned(); 9]);
        assert_eq!(pack(&long).first(), Some(&LZ4_FIRST));
        assert!(pack(&long).len() * 3 < long.compact().len());
        assert_eq!(unpack(frame(), &pack(&long)), Ok(long.clone()));
        assert_eq!(unpack(frame(), &[&[PLAIN], long.compact().as_slice()].concat()), Ok(long));
    }

    #[test]
    fn refuses_what_nobody_packed() {
        for bad in [&[][..], &[2, 0], &[LZ4_FIRST, 0, 0, 0], &[LZ4_FIRST, 255, 255, 255, 255, 0], &[LZ4_FIRST, 0, 0, 0, 9, 0]] {
            assert_eq!(unpack(frame(), bad), Err(Unpackable), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_record_reads_back(texts in prop::collection::vec(".{0,60}", 0..20)) {
            let record = record(&texts);
            prop_assert_eq!(unpack(frame(), &pack(&record)), Ok(record));
        }

        #[test]
        fn any_bytes_are_read_without_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = unpack(frame(), &bytes);
            let _ = unpack(frame(), &[&[LZ4_FIRST, 0, 0, 1, 0], bytes.as_slice()].concat());
        }
    }
}
