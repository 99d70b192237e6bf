//! Tests to come: drain.
