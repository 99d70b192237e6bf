//! Switchboard as a whole, on a real cluster: see the crate's documentation.
