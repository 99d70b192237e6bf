//! The hook that is asked who may connect.

use std::sync::Arc;

use super::{Granted, Hook};
use crate::auth::Identity;

/// See [`super::Hooks::connect`].
pub struct ConnectHook {
    /// What is asked.
    pub hook: Arc<Hook>,
    /// Whether the answer says who the client is, and no token does.
    pub instead_of_token: bool,
    /// Whether a client may be nobody.
    pub(super) anonymous: bool,
}

impl ConnectHook {
    /// Who connects, by its token if that was verified and by what the answer gives; and when the connection ends by
    /// the answer, in seconds since 1970. `None` for nobody, where nobody may connect.
    pub fn identity(&self, verified: Option<Identity>, granted: Granted) -> Option<(Identity, Option<u64>)> {
        let may_be_nobody = self.anonymous || verified.is_some();
        let mut identity =
            verified.unwrap_or_else(|| Identity { user: String::new(), info: None, expires_at: None });
        if let Some(user) = granted.user {
            identity.user = user;
        }
        if granted.info.is_some() {
            identity.info = granted.info;
        }
        let is_somebody = !identity.user.is_empty();
        (is_somebody || may_be_nobody).then_some((identity, granted.expire_at))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{config::Config, hooks::Hooks, message::InstanceId, metrics::Metrics};

    fn hook(anonymous: bool) -> ConnectHook {
        let text = format!(
            "auth: {{anonymous: {anonymous}}}\nhooks: {{connect: {{webhook: {{url: \"http://h\"}}, instead_of_token: true}}}}"
        );
        let config = Config::parse("hooks", &text, std::iter::empty()).unwrap();
        let hooks = Hooks::new(&config, &InstanceId::new("a"), &Metrics::new()).unwrap().0;
        hooks.connect.unwrap()
    }

    #[test]
    fn nobody_connects_by_an_answer_without_a_user_unless_anybody_may() {
        let ann = Granted { user: Some("ann".into()), expire_at: Some(7), ..Granted::default() };
        let identity = Identity { user: "ann".into(), info: None, expires_at: None };
        assert_eq!(hook(false).identity(None, ann), Some((identity.clone(), Some(7))));
        assert_eq!(hook(false).identity(None, Granted::default()), None);
        let empty = Granted { user: Some(String::new()), ..Granted::default() };
        assert_eq!(hook(false).identity(None, empty), None);
        let nobody = Identity { user: String::new(), ..identity };
        assert_eq!(hook(true).identity(None, Granted::default()), Some((nobody, None)));
    }

    #[test]
    fn a_tokens_user_stays_and_its_info_is_replaced() {
        let info = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        let verified = Identity { user: "ann".into(), info: info("1"), expires_at: Some(9) };
        let granted = Granted { info: info("2"), ..Granted::default() };
        let expected = Identity { info: info("2"), ..verified.clone() };
        assert_eq!(hook(false).identity(Some(verified.clone()), granted), Some((expected, None)));
        let (unchanged, _) = hook(false).identity(Some(verified.clone()), Granted::default()).unwrap();
        assert_eq!(unchanged, verified);
    }
}
