//! The operator's tests that need more than one module: files it must reproduce, and a real API server.

mod it {
    mod api;
    mod chart;
    mod cli;
    mod golden;
}
