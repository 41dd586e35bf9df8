//! The `ep` command: embarrassingly parallel Bayesian inference over discrete structures with GFlowNets.

use clap::Parser;

fn main() -> std::process::ExitCode {
    ep::process::handle_interrupts();
    match ep::cli::run(ep::cli::Command::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ep::cli::exit_code(&error)
        }
    }
}
