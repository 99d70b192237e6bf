//! Tests to come: cluster.
