//! Tests to come: websocket.
