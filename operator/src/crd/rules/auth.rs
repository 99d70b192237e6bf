//! Rules of `spec.auth`.

use super::rule;
use kube::core::Rule;

pub(in crate::crd) fn jwt_has_a_key() -> Rule {
    rule(
        "has(self.hmacSecretRef) || has(self.jwksRef) || (has(self.keys) && self.keys.size() > 0)",
        "jwt has no key, so that no token could be accepted: write hmacSecretRef, keys or jwksRef, for example \
         hmacSecretRef: {name: tokens, key: hmac}",
    )
}

pub(in crate::crd) fn jwt_key_ids() -> Rule {
    rule(
        "self.all(k, !has(k.id) || self.exists_one(m, has(m.id) && m.id == k.id))",
        "two keys have the same id: give each an id of its own, or none",
    )
}

pub(in crate::crd) fn one_jwt_key() -> Rule {
    rule(
        "has(self.secretRef) != has(self.publicKeyRef)",
        "an entry of keys is exactly one key: write one of secretRef (for HS256, HS384, HS512) and publicKeyRef (for all \
         others), for example publicKeyRef: {name: tokens, key: public.pem}",
    )
}

/// Silent where the rule above speaks.
pub(in crate::crd) fn jwt_key_algorithm() -> Rule {
    rule(
        "!has(self.algorithm) || has(self.secretRef) == has(self.publicKeyRef) || \
         self.algorithm.startsWith('HS') == has(self.secretRef)",
        "the algorithms HS256, HS384 and HS512 go with secretRef and all others with publicKeyRef: write the other one, or \
         leave algorithm out",
    )
}
