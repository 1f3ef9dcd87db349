//! What a policy set that looks on would have said, where it differs from what was decided.

use domain::audit::{Record, hex};

/// How the two differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    pub policy: [u8; 32],
    /// `granted`, or a refusal code.
    pub outcome: &'static str,
    /// The role that it would have granted.
    pub role: Option<String>,
    /// What is not the same: `outcome`, `role`, `credentials`, `rights` or `session`.
    pub differs: &'static str,
}

impl Shadowed {
    /// The record with it.
    #[must_use]
    pub fn write(&self, mut record: Record) -> Record {
        record = record.field("shadow.policy", hex(&self.policy).as_str());
        record = record.field("shadow.outcome", self.outcome).field("shadow.differs", self.differs);
        match &self.role {
            Some(role) => record.field("shadow.role", role.as_str()),
            None => record,
        }
    }
}
