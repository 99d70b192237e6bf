//! Tests to come: process.
