//! The `ep` command: embarrassingly parallel Bayesian inference over discrete structures with GFlowNets.

use clap::Parser;

/// Training makes and drops many small trees: 1.2 to 1.5 times the steps per second of the system's allocator
/// (docs/experiments.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
