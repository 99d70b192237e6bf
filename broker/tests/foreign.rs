//! Tests to come: foreign.
