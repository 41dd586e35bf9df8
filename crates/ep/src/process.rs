//! What this process has used so far: processor time and peak memory, and whether it was asked to stop.

use std::sync::atomic::{AtomicBool, Ordering};

use gfn_core::{Error, ErrorKind, Place, Result};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C and SIGTERM ask for a clean stop; a second one ends the process at once.
pub fn handle_interrupts() {
    // Fails only if a handler is installed already, which is as good.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(75);
        }
        eprintln!("\nStopping; run the same command again to go on.");
    });
}

/// Whether a clean stop was asked for.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Ends work other than training, which saves its state first, where a clean stop was asked for.
pub fn stop_if_interrupted(work: &str) -> Result<()> {
    if !interrupted() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Transient,
        Place::default(),
        format!("time for {work}"),
        "an interruption",
        "nothing is lost: run the same command again to go on",
    ))
}

/// CPU seconds (user + system) of all threads so far; `None` where the system does not say.
pub fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Fields after the command name, which may hold blanks and ends with ')': utime and stime are numbers 14 and 15.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    // USER_HZ is 100 on every Linux that Rust supports.
    Some(ticks / 100.0)
}

/// Peak resident memory in bytes; `None` where the system does not say.
pub fn peak_memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
