//! Progress of training: bars on a terminal, plain lines elsewhere, a log file in the run folder, checkpoints.

use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gfn_core::observer::StepReport;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often plain lines and log entries are written.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// How often bars are drawn.
const DRAW_EVERY: Duration = Duration::from_millis(120);

/// Where progress of several stages is shown.
pub struct Progress {
    bars: Option<MultiProgress>,
    quiet: bool,
}

impl Progress {
    /// Bars if standard error is a terminal, lines otherwise; nothing at all if `quiet`.
    pub fn new(quiet: bool) -> Self {
        let bars = (!quiet && std::io::stderr().is_terminal()).then(MultiProgress::new);
        Progress { bars, quiet }
    }

    /// Says something between stages.
    pub fn say(&self, text: &str) {
        match &self.bars {
            // A line that cannot be written to the terminal is not worth an error.
            Some(bars) => drop(bars.println(text)),
            None if self.quiet => {}
            None => eprintln!("{text}"),
        }
    }

    /// Shows one stage; `log` receives one JSON line every few seconds. Its folder is made.
    pub fn stage(&self, name: &str, log: PathBuf) -> StageProgress {
        if let Some(folder) = log.parent() {
            // The log is a convenience: where it cannot be written there is none.
            let _ = std::fs::create_dir_all(folder);
        }
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(1000));
            let style = ProgressStyle::with_template("{prefix:>14} [{bar:30}] {msg}")
                .expect("a valid template")
                .progress_chars("=> ");
            bar.set_style(style);
            bar.set_prefix(name.to_string());
            bar
        });
        let now = Instant::now();
        StageProgress {
            name: name.to_string(),
            bar,
            lines: self.bars.is_none() && !self.quiet,
            log,
            drawn: now,
            written: now,
            steps: None,
        }
    }
}

/// Progress of one stage.
pub struct StageProgress {
    name: String,
    bar: Option<ProgressBar>,
    /// Whether plain lines are written.
    lines: bool,
    log: PathBuf,
    drawn: Instant,
    written: Instant,
    /// Step and seconds when this process began (a resumed stage begins late).
    steps: Option<(u64, f64)>,
}

impl StageProgress {
    /// Takes note of a step.
    pub fn after_step(&mut self, report: &StepReport) {
        let (first_step, first_seconds) = *self.steps.get_or_insert((report.step - 1, report.seconds));
        if !report.step.is_multiple_of(16) && report.progress < 1.0 {
            return;
        }
        let line_is_due = self.written.elapsed() >= LINE_EVERY || report.progress >= 1.0;
        if self.drawn.elapsed() < DRAW_EVERY && !line_is_due {
            return;
        }
        self.drawn = Instant::now();
        let elapsed = (report.seconds - first_seconds).max(1e-9);
        let rate = (report.step - first_step) as f64 / elapsed;
        let left = report.seconds * (1.0 - report.progress) / report.progress.max(1e-9);
        // In pretraining there is no residual.
        let residual =
            report.residual_deviation.map_or_else(|| format!("{:7}", "-"), |d| format!("{d:<7.3}"));
        let text = format!(
            "{:>3.0} %  {rate:>6.0} steps/s  loss {:<9.3e}  residual sd {residual}  {left:.0} s left",
            100.0 * report.progress,
            report.loss,
        );
        if let Some(bar) = &self.bar {
            bar.set_position((1000.0 * report.progress) as u64);
            bar.set_message(text.clone());
        }
        if line_is_due {
            self.written = Instant::now();
            if self.lines {
                eprintln!("{:>14}  {text}", self.name);
            }
            append_line(&self.log, report);
        }
    }

    /// The stage is over.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}

/// The log is a convenience: failing to write it must not end a run.
fn append_line(path: &Path, report: &StepReport) {
    let Ok(mut line) = serde_json::to_string(report) else { return };
    line.push('\n');
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        let _ = file.write_all(line.as_bytes());
    }
}
