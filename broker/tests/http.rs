//! Tests to come: http.
