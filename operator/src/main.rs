//! The operator's command line.

mod cli;

fn main() -> std::process::ExitCode {
    // The process has exactly one TLS provider, chosen before anything can choose another.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("error: another TLS provider is installed already");
        return std::process::ExitCode::FAILURE;
    }
    cli::main()
}
