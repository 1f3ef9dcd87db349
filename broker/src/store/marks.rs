//! Marks: keyed hashes of what was handed out. They answer "whose is this?" and give nothing away: without the data key
//! nobody can try values against them.

use uuid::Uuid;

use super::{Store, StoreError};

/// Bytes of a mark: two values that meet in it by chance do not happen.
const MARK: usize = 16;
/// Shorter values are no secrets but names of places.
const SHORTEST: usize = 16;
const LABEL: &str = "handed out";

impl Store {
    /// The marks of `values` under the generation of now.
    pub fn mark<'v>(&self, values: impl IntoIterator<Item = &'v str>) -> Result<Vec<Uuid>, StoreError> {
        let ring = self.0.keys.ring();
        let mut marks = Vec::new();
        for value in values.into_iter().filter(|value| value.len() >= SHORTEST) {
            marks.extend(mark(&ring.mac(LABEL, value.as_bytes())?));
        }
        Ok(marks)
    }

    /// What `value` would be marked as, under each generation. None where it is too short to be marked.
    pub fn marks_of(&self, value: &str) -> Result<Vec<Uuid>, StoreError> {
        if value.len() < SHORTEST {
            return Ok(Vec::new());
        }
        let macs = self.0.keys.ring().macs(LABEL, value.as_bytes())?;
        Ok(macs.iter().filter_map(|mac| mark(mac)).collect())
    }
}

fn mark(mac: &[u8]) -> Option<Uuid> {
    Uuid::from_slice(mac.get(..MARK)?).ok()
}
