//! The name of a connection: it cannot be guessed, and says which instance holds it.
//!
//! ```text
//! sid = random:Base64(16 bytes, 22 characters)  epoch:hexadecimal  "-"  instance
//! ```

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::message::{Address, Epoch, InstanceId};

/// The characters of the part that cannot be guessed.
const RANDOM: usize = 22;

/// A new one, of this instance.
pub(super) fn new(address: &Address) -> String {
    let random: [u8; 16] = rand::random();
    format!("{}{}-{}", BASE64_URL_SAFE_NO_PAD.encode(random), address.epoch, address.instance)
}

/// The instance that a name says; whether the name is that instance's is for the instance to know.
pub(super) fn address_of(sid: &str) -> Option<Address> {
    let (epoch, instance) = sid.get(RANDOM..)?.split_once('-')?;
    let epoch = Epoch(u64::from_str_radix(epoch, 16).ok()?);
    Some(Address { instance: InstanceId::new(instance), epoch })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_says_its_instance_and_nothing_else_that_is_known() {
        let address = Address { instance: InstanceId::new("my-chat-0"), epoch: Epoch(0x1abc) };
        let names: HashSet<_> = (0..1000).map(|_| new(&address)).collect();
        assert_eq!(names.len(), 1000);
        for name in &names {
            assert_eq!(address_of(name).as_ref(), Some(&address));
            assert!(name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.')));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String, tail in "[0-9a-f]{0,18}-?[a-z]{0,3}") {
            let _ = (address_of(&text), address_of(&format!("{text}{tail}")));
        }
    }
}
