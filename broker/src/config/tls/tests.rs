use std::fs;

use proptest::prelude::*;
use rcgen::{CertificateParams, CertifiedKey, date_time_ymd, generate_simple_self_signed};
use tempfile::TempDir;

use super::*;

/// Two files with this in them.
fn files(cert: &str, key: &str) -> (TempDir, Tls) {
    let folder = tempfile::tempdir().unwrap();
    let (cert_file, key_file) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    fs::write(&cert_file, cert).unwrap();
    fs::write(&key_file, key).unwrap();
    (folder, Tls { cert_file, key_file, min_version: TlsVersion::default() })
}

fn pem() -> (String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

fn problem(cert: &str, key: &str) -> String {
    let (_folder, tls) = files(cert, key);
    let problem = tls.read().and_then(|files| files.pair(&tls)).err().expect("it is refused");
    problem.to_string()
}

#[test]
fn a_pair_says_when_it_ends() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.not_after = date_time_ymd(2031, 2, 3);
    let cert = parameters.self_signed(&key).unwrap();
    let (_folder, tls) = files(&cert.pem(), &key.serialize_pem());
    let pair = tls.read().unwrap().pair(&tls).unwrap();
    assert_eq!(pair.not_after.to_string(), "2031-02-03T00:00:00Z");
    assert_eq!(pair.not_after.since_1970().as_secs(), 1_927_843_200);
}

#[test]
fn what_is_wrong_is_told_with_its_key_and_file() {
    let ((cert, key), (_, other)) = (pem(), pem());
    let half = |text: &str| text[..text.len() / 2].to_owned();
    for (cert, key, setting, says) in [
        ("", key.as_str(), "cert_file", "tls.crt has no certificate in it"),
        (&key, &key, "cert_file", "tls.crt has no certificate in it"),
        (&half(&cert), &key, "cert_file", "tls.crt is not valid PEM: a part of it has no END line"),
        (&cert, "", "key_file", "tls.key has no private key in it"),
        (&cert, &cert, "key_file", "tls.key has no private key in it"),
        (&cert, &half(&key), "key_file", "tls.key is not valid PEM: a part of it has no END line"),
        (&cert, &other, "key_file", "does not belong to the first certificate in"),
    ] {
        let problem = problem(cert, key);
        assert!(problem.starts_with(&format!("client.tls.{setting}: ")), "{problem}");
        assert!(problem.contains(says), "{problem}");
    }
    let (folder, tls) = files(&cert, &key);
    fs::remove_file(&tls.key_file).unwrap();
    let problem = tls.read().err().unwrap().to_string();
    let path = folder.path().join("tls.key");
    assert_eq!(
        problem,
        format!(
            "client.tls.key_file: cannot read {}: No such file or directory (os error 2)",
            path.display()
        )
    );
}

#[test]
fn a_certificate_that_is_none_is_refused() {
    let (_, key) = pem();
    let cert = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let problem = problem(cert, &key);
    assert!(problem.starts_with("client.tls.cert_file: the first certificate in "), "{problem}");
}

#[test]
fn another_content_has_another_fingerprint() {
    let fingerprint = |cert: &str, key: &str| {
        let (_folder, tls) = files(cert, key);
        tls.read().unwrap().fingerprint()
    };
    assert_eq!(fingerprint("a", "b"), fingerprint("a", "b"));
    assert_ne!(fingerprint("a", "b"), fingerprint("ab", ""));
    assert_ne!(fingerprint("a", "b"), fingerprint("a", "c"));
}

#[test]
fn a_version_is_text_that_is_known() {
    assert_eq!(TlsVersion::try_from("1.3".to_owned()), Ok(TlsVersion::V1_3));
    for text in ["", "1.1", "TLSv1.2", "1"] {
        let error = TlsVersion::try_from(text.to_owned()).unwrap_err();
        assert!(error.contains("write \"1.2\" or \"1.3\""), "{error}");
    }
}

proptest! {
    #[test]
    fn no_files_panic(cert in any::<Vec<u8>>(), key in any::<Vec<u8>>()) {
        let tls = Tls { cert_file: "c".into(), key_file: "k".into(), min_version: TlsVersion::default() };
        let files = Files { cert, key };
        prop_assert!(files.pair(&tls).is_err());
    }

    #[test]
    fn an_error_repeats_nothing_of_a_key(broken in "[A-Za-z0-9+/]{40,64}") {
        let (cert, _) = pem();
        for text in [
            format!("-----BEGIN PRIVATE KEY-----\n{broken}\n-----END PRIVATE KEY-----\n"),
            format!("-----BEGIN PRIVATE KEY-----\n{broken}\n"),
            format!("-----BEGIN {broken}\n"),
        ] {
            let problem = problem(&cert, &text);
            prop_assert!(!problem.contains(&broken[..16]), "{}", problem);
        }
    }
}
