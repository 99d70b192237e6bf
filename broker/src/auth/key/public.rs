//! Public keys, whatever they were written as: which kind they are, and whether they are any good.

use aws_lc_rs::{
    encoding::AsDer,
    rsa::PublicEncryptingKey,
    signature::{ParsedPublicKey, RsaPublicKeyComponents, RsaSubjectPublicKey},
};

use super::Algorithm;

/// The kinds of keys that tokens are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

impl Kind {
    /// What a key of this kind can be used for; the first is what it is used for when nothing is said.
    pub(super) fn algorithms(self) -> &'static [Algorithm] {
        use Algorithm::*;
        match self {
            Self::Rsa => &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512],
            Self::P256 => &[Es256],
            Self::P384 => &[Es384],
            Self::P521 => &[Es512],
            Self::Ed25519 => &[EdDsa],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rsa => "an RSA key",
            Self::P256 => "a P-256 key",
            Self::P384 => "a P-384 key",
            Self::P521 => "a P-521 key",
            Self::Ed25519 => "an Ed25519 key",
        }
    }

    /// The bytes of one coordinate of a point.
    fn coordinate(self) -> usize {
        match self {
            Self::P384 => 48,
            Self::P521 => 66,
            Self::Rsa | Self::P256 | Self::Ed25519 => 32,
        }
    }
}

/// A public key whose kind is known.
pub(super) struct Public {
    kind: Kind,
    /// As the library reads it: a SubjectPublicKeyInfo, a point, or the bytes of Ed25519.
    bytes: Vec<u8>,
}

impl Public {
    /// A SubjectPublicKeyInfo (RFC 5280, section 4.1), or an RSAPublicKey (RFC 8017, appendix A.1.1).
    ///
    /// # Errors
    /// Says why it cannot be used.
    pub(super) fn of_der(der: &[u8]) -> Result<Self, String> {
        if let Ok(key) = RsaSubjectPublicKey::from_der(der) {
            let spki = key.as_der().ok();
            let safe = spki.filter(|spki| PublicEncryptingKey::from_der(spki.as_ref()).is_ok());
            return safe
                .map(|spki| Self { kind: Kind::Rsa, bytes: spki.as_ref().to_vec() })
                .ok_or_else(|| "this RSA key is not safe; use one of 2048 to 8192 bits".into());
        }
        // The library takes a bare point, or the bare bytes of Ed25519, as well: they are no DER.
        let is_der = der.first() == Some(&0x30) && der.len() != Kind::Ed25519.coordinate();
        let others = [Kind::P256, Kind::P384, Kind::P521, Kind::Ed25519];
        let kind = others.into_iter().find(|kind| is_der && parse(kind.algorithms()[0], der).is_some());
        kind.map(|kind| Self { kind, bytes: der.to_vec() }).ok_or_else(|| {
            "this is no public key that tokens are signed with; use RSA, P-256, P-384, P-521 or Ed25519"
                .into()
        })
    }

    /// An RSA key of its modulus and exponent (RFC 7518, section 6.3.1).
    ///
    /// # Errors
    /// Says why it cannot be used.
    pub(super) fn of_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, String> {
        // Some write the modulus with the zero in front that DER asks for.
        let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
        let components = RsaPublicKeyComponents { n: &modulus[zeros..], e: exponent };
        let der = components.as_der().map_err(|_| "n and e make no RSA key".to_owned())?;
        Self::of_der(der.as_ref())
    }

    /// A point of a curve (RFC 7518, section 6.2.1).
    ///
    /// # Errors
    /// Says why it cannot be used.
    pub(super) fn of_point(kind: Kind, x: &[u8], y: &[u8]) -> Result<Self, String> {
        let length = kind.coordinate();
        if x.len() != length || y.len() != length {
            return Err(format!("x and y of {} have {length} bytes each", kind.name()));
        }
        // Uncompressed (SEC 1, section 2.3.3).
        Self::of_bytes(kind, [&[4], x, y].concat())
    }

    /// The bytes of an Ed25519 key (RFC 8037, section 2).
    ///
    /// # Errors
    /// Says why it cannot be used.
    pub(super) fn of_ed25519(x: &[u8]) -> Result<Self, String> {
        let length = Kind::Ed25519.coordinate();
        if x.len() != length {
            return Err(format!("x of an Ed25519 key has {length} bytes"));
        }
        Self::of_bytes(Kind::Ed25519, x.to_vec())
    }

    fn of_bytes(kind: Kind, bytes: Vec<u8>) -> Result<Self, String> {
        match parse(kind.algorithms()[0], &bytes) {
            Some(_) => Ok(Self { kind, bytes }),
            None => Err(format!("its numbers make no point of {}", kind.name())),
        }
    }

    /// Ready to verify by `algorithm`, or by the one that is usual for its kind.
    ///
    /// # Errors
    /// When the algorithm is for other keys.
    pub(super) fn ready(self, algorithm: Option<Algorithm>) -> Result<(Algorithm, ParsedPublicKey), String> {
        let fitting = self.kind.algorithms();
        let algorithm = algorithm.unwrap_or(fitting[0]);
        let key = fitting.contains(&algorithm).then(|| parse(algorithm, &self.bytes)).flatten();
        key.map(|key| (algorithm, key)).ok_or_else(|| {
            format!(
                "{algorithm} does not fit {}; leave the algorithm out for {}, or write one of {}",
                self.kind.name(),
                fitting[0],
                Algorithm::list(fitting)
            )
        })
    }
}

fn parse(algorithm: Algorithm, bytes: &[u8]) -> Option<ParsedPublicKey> {
    ParsedPublicKey::new(algorithm.signature()?, bytes).ok()
}
