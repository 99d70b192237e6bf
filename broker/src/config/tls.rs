//! `client.tls`: the certificate that clients are shown, and its key.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_cert::{Certificate, der::Decode, time::Time};

use super::auth::{check_file, unreadable};
use super::place::Problem;

const CERT_FILE: &str = "client.tls.cert_file";
const KEY_FILE: &str = "client.tls.key_file";

/// TLS on the port of clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// A PEM file: the server's certificate, and behind it those that lead to one that clients know.
    pub cert_file: PathBuf,
    /// A PEM file: the private key of the first certificate.
    pub key_file: PathBuf,
    /// The oldest version of TLS that is spoken.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TlsVersion {
    /// Of 2008, which is safe as it is offered here.
    #[default]
    V1_2,
    /// Of 2018.
    V1_3,
}

impl TryFrom<String> for TlsVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.trim() {
            "1.2" => Ok(Self::V1_2),
            "1.3" => Ok(Self::V1_3),
            other => Err(format!("{other:?} is not a version that is spoken; write \"1.2\" or \"1.3\"")),
        }
    }
}

impl From<TlsVersion> for String {
    fn from(version: TlsVersion) -> Self {
        match version {
            TlsVersion::V1_2 => "1.2",
            TlsVersion::V1_3 => "1.3",
        }
        .to_owned()
    }
}

/// What the two files hold. Has no `Debug`: one of them is a secret.
pub struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate with the key that belongs to it.
#[derive(Clone)]
pub struct Pair {
    /// What a handshake uses.
    pub certified: Arc<CertifiedKey>,
    /// When the certificate ends.
    pub not_after: NotAfter,
}

/// The moment that a certificate is valid until.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAfter(Time);

impl NotAfter {
    /// Counted from the start of 1970.
    pub fn since_1970(self) -> Duration {
        self.0.to_unix_duration()
    }
}

impl fmt::Display for NotAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_date_time().fmt(f)
    }
}

impl Tls {
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        check_file(CERT_FILE, Some(&self.cert_file), problems);
        check_file(KEY_FILE, Some(&self.key_file), problems);
    }

    /// Reads both files.
    ///
    /// # Errors
    /// The setting whose file cannot be read, and why.
    pub fn read(&self) -> Result<Files, Problem> {
        let read =
            |key, path: &Path| std::fs::read(path).map_err(|error| unreadable(key, path, &error.to_string()));
        Ok(Files { cert: read(CERT_FILE, &self.cert_file)?, key: read(KEY_FILE, &self.key_file)? })
    }
}

impl Files {
    /// Tells contents apart without keeping the key.
    pub fn fingerprint(&self) -> [u8; 32] {
        let length = (self.cert.len() as u64).to_be_bytes();
        Sha256::new().chain_update(length).chain_update(&self.cert).chain_update(&self.key).finalize().into()
    }

    /// The certificate and key in them, checked against each other; `tls` is for the errors.
    ///
    /// # Errors
    /// The setting whose file is of no use, and why.
    pub fn pair(&self, tls: &Tls) -> Result<Pair, Problem> {
        let (cert_file, key_file) = (tls.cert_file.display(), tls.key_file.display());
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(&self.cert).collect::<Result<_, _>>().map_err(|error| {
                Problem::of(CERT_FILE, format!("{cert_file} is not valid PEM: {}", words(&error)))
            })?;
        let Some(first) = chain.first() else {
            let message = format!(
                "{cert_file} has no certificate in it; it must be a PEM file with -----BEGIN CERTIFICATE-----, the \
                 server's own first"
            );
            return Err(Problem::of(CERT_FILE, message));
        };
        let certificate = Certificate::from_der(first).map_err(|error| {
            Problem::of(CERT_FILE, format!("the first certificate in {cert_file} cannot be read: {error}"))
        })?;
        let not_after = NotAfter(certificate.tbs_certificate().validity().not_after);
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            let message = match error {
                pem::Error::NoItemsFound => format!(
                    "{key_file} has no private key in it; it must be a PEM file with -----BEGIN PRIVATE KEY-----"
                ),
                error => format!("{key_file} is not valid PEM: {}", words(&error)),
            };
            Problem::of(KEY_FILE, message)
        })?;
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        let certified = certified.map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Problem::of(
                KEY_FILE,
                format!("the key in {key_file} does not belong to the first certificate in {cert_file}"),
            ),
            error => Problem::of(KEY_FILE, format!("{key_file} cannot be used with {cert_file}: {error}")),
        })?;
        Ok(Pair { certified: Arc::new(certified), not_after })
    }
}

/// What is wrong with a PEM file. The library's own words repeat parts of it.
fn words(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::NoItemsFound => "nothing of use is in it",
        pem::Error::MissingSectionEnd { .. } => "a part of it has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is broken",
        pem::Error::Base64Decode(_) => "what stands between BEGIN and END is not base64",
        _ => "it cannot be read",
    }
}

#[cfg(test)]
mod tests;
