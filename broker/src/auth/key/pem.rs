//! Keys in PEM ([RFC 7468](https://www.rfc-editor.org/rfc/rfc7468)).

use rustls::pki_types::{
    CertificateDer,
    pem::{PemObject, SectionKind},
};
use webpki::EndEntityCert;

/// Of the key that somebody gave by mistake.
pub(super) const PRIVATE: &str = "this is a private key; give the broker the public one";

/// The one public key in the text, in DER: a SubjectPublicKeyInfo, that of a certificate, or an RSAPublicKey. A
/// certificate is an envelope here: who issued it, and until when, is not looked at.
///
/// # Errors
/// Says what is wrong, without any of the text: it may be a secret.
pub(super) fn public_key(text: &str) -> Result<Vec<u8>, String> {
    // By the label alone, so that it is told also when what follows cannot be read.
    if text.contains("PRIVATE KEY-----") {
        return Err(PRIVATE.into());
    }
    // The label of PKCS #1, which older programs write, is not among those that the library knows.
    let text = text.replace("RSA PUBLIC KEY-----", "PUBLIC KEY-----");
    let sections: Result<Vec<(SectionKind, Vec<u8>)>, _> =
        PemObject::pem_slice_iter(text.as_bytes()).collect();
    let Ok(sections) = sections else {
        return Err("this is no PEM; keep its lines as they are (in YAML: `public_key: |`)".into());
    };
    match sections.as_slice() {
        [(SectionKind::PublicKey, der)] => Ok(der.clone()),
        [(SectionKind::Certificate, der)] => {
            let certificate = CertificateDer::from(der.as_slice());
            let certificate = EndEntityCert::try_from(&certificate)
                .map_err(|_| "the certificate cannot be read; give its public key instead")?;
            Ok(certificate.subject_public_key_info().to_vec())
        }
        [] | [_] => Err("this holds no PEM of a PUBLIC KEY or CERTIFICATE".into()),
        several => Err(format!("this holds {} PEM blocks; give each key an entry of its own", several.len())),
    }
}
