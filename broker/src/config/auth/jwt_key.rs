//! An entry of `auth.jwt.keys`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::auth::{Algorithm, Key};
use crate::config::place::Problem;
use crate::config::secret::Secret;

/// A key as it is written: with exactly one of the four fields that can hold it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JwtKey {
    /// The name by which tokens choose it (`kid`).
    pub id: Option<String>,
    /// The one algorithm that it is used with; without it, the usual one of its kind.
    pub algorithm: Option<Algorithm>,
    /// A secret that is shared with whoever signs.
    pub secret: Option<Secret>,
    /// A file that holds one.
    pub secret_file: Option<PathBuf>,
    /// A public key or certificate in PEM. Not to be shown, for somebody may write the private one here by mistake.
    pub public_key: Option<Secret>,
    /// A file that holds one.
    pub public_key_file: Option<PathBuf>,
}

/// Where the key itself is.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// In the configuration.
    Text(&'a Secret),
    /// In a file.
    File(&'a Path),
}

impl JwtKey {
    /// The field that holds the key, and where the key is; `None` unless it is exactly one.
    pub(super) fn source(&self) -> Option<(&'static str, Source<'_>)> {
        let mut given = self.given();
        let one = given.next()?;
        given.next().is_none().then_some(one)
    }

    fn given(&self) -> impl Iterator<Item = (&'static str, Source<'_>)> {
        [
            ("secret", self.secret.as_ref().map(Source::Text)),
            ("secret_file", self.secret_file.as_deref().map(Source::File)),
            ("public_key", self.public_key.as_ref().map(Source::Text)),
            ("public_key_file", self.public_key_file.as_deref().map(Source::File)),
        ]
        .into_iter()
        .filter_map(|(field, source)| Some((field, source?)))
    }

    /// The file that holds the key, if one does.
    pub(super) fn file(&self) -> Option<&Path> {
        self.secret_file.as_deref().or(self.public_key_file.as_deref())
    }

    pub(super) fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        if self.id.as_deref() == Some("") {
            problems.push(Problem::of(format!("{path}.id"), "is empty; leave it out for none"));
        }
        let fields: Vec<_> = self.given().map(|(field, _)| field).collect();
        let Some((field, source)) = self.source() else {
            let what = if fields.is_empty() {
                "holds no key; give secret, secret_file, public_key or public_key_file".into()
            } else {
                format!("gives {}; keep one of them", fields.join(" and "))
            };
            return problems.push(Problem::of(path, what));
        };
        let wrong = match source {
            Source::Text(text) => self.key(text).err(),
            Source::File(file) => {
                file.as_os_str().is_empty().then(|| "is empty; write the path of a file".into())
            }
        };
        problems.extend(wrong.map(|why| Problem::of(format!("{path}.{field}"), why)));
    }

    /// The key, ready to verify with, of the text that the configuration or the file holds.
    ///
    /// # Errors
    /// Says why it cannot be used, without any of the text.
    pub(super) fn key(&self, text: &Secret) -> Result<Key, String> {
        let (id, text) = (self.id.clone(), text.expose());
        if self.public_key.is_some() || self.public_key_file.is_some() {
            return Key::of_pem(id, self.algorithm, text);
        }
        if text.contains("-----BEGIN ") {
            // Everybody knows a public key: as a secret it would let everybody sign.
            return Err("this is a PEM and no secret; give it as public_key or public_key_file".into());
        }
        Key::of_secret(id, self.algorithm, text.as_bytes())
    }
}
