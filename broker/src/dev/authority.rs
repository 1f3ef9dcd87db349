//! A private certificate authority, so that the demo speaks TLS everywhere and nobody has to switch a check off.
//!
//! The authority is kept (`ca.pem`, `ca.key`); the certificates of servers are made anew at each start and live 30 days.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::files;
use crate::system::System;

const CA_YEARS: i64 = 10;
const LEAF_DAYS: i64 = 30;
/// Clocks of containers and hosts differ a little.
const BACKDATE: Duration = Duration::hours(1);

/// The authority of one directory.
#[derive(Debug)]
pub struct Authority {
    system: System,
    issuer: Issuer<'static, KeyPair>,
    ca_file: PathBuf,
}

/// A server's certificate with its key, both PEM.
#[derive(Debug)]
pub struct Leaf {
    pub certificate: String,
    pub key: domain::secret::Secret<String>,
}

impl Authority {
    /// Opens the authority that the directory holds, or makes one there.
    pub fn open(system: &System, dir: &Path) -> Result<Self> {
        files::directory(dir)?;
        let (key_file, ca_file) = (dir.join("ca.key"), dir.join("ca.pem"));
        let now = system.now();
        let (key, fresh) = match (files::read(&key_file)?, files::read(&ca_file)?) {
            (Some(pem), Some(_)) => {
                (KeyPair::from_pem(&pem).with_context(|| format!("{} is no key", key_file.display()))?, false)
            }
            _ => (KeyPair::generate()?, true),
        };
        let params = ca_params(system, now)?;
        if fresh {
            files::write_private(&key_file, key.serialize_pem().as_bytes())?;
            files::write_public(&ca_file, params.self_signed(&key)?.pem().as_bytes())?;
        }
        Ok(Self { system: system.clone(), issuer: Issuer::new(params, key), ca_file })
    }

    /// The file with the authority's certificate, for clients to trust.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// A certificate for a server known by these names (DNS names or addresses).
    pub fn leaf(&self, names: &[String]) -> Result<Leaf> {
        let now = self.system.now();
        let mut params = CertificateParams::new(names)?;
        let common = names.first().context("a certificate needs a name")?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common);
        params.not_before = now - BACKDATE;
        params.not_after = now + Duration::days(LEAF_DAYS);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial(&self.system)?);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Leaf { certificate, key: key.serialize_pem().into() })
    }

    /// Writes a certificate for these names to `<prefix>.pem`, its key to `<prefix>.key`, and what to trust for it beside them
    /// to `ca.pem`.
    pub fn write_leaf(&self, names: &[String], prefix: &Path) -> Result<()> {
        let leaf = self.leaf(names)?;
        let beside = prefix.with_file_name("ca.pem");
        if beside != self.ca_file {
            let authority = files::read(&self.ca_file)?.context("the authority's certificate is gone")?;
            files::write_public(&beside, authority.as_bytes())?;
        }
        files::write_private(&prefix.with_extension("key"), leaf.key.expose().as_bytes())?;
        files::write_public(&prefix.with_extension("pem"), leaf.certificate.as_bytes())
    }
}

fn ca_params(system: &System, now: OffsetDateTime) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Daypass development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - BACKDATE;
    params.not_after = now + Duration::days(365 * CA_YEARS);
    params.serial_number = Some(serial(system)?);
    Ok(params)
}

fn serial(system: &System) -> Result<SerialNumber> {
    let mut bytes = system.random::<16>()?;
    if let Some(first) = bytes.first_mut() {
        // Positive, and of a fixed length.
        *first = (*first & 0x7f) | 0x40;
    }
    Ok(SerialNumber::from_slice(&bytes))
}
