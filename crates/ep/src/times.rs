//! Time and memory of a run over all processes that worked on it, kept beside its results.

use std::path::Path;
use std::time::Instant;

use gfn_core::Result;
use gfn_core::tensor_file::write_atomically;
use serde::{Deserialize, Serialize};

use crate::process;

/// Wall-clock and processor time of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageTime {
    /// The stage.
    pub stage: String,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// CPU seconds of all threads; none where the system does not say.
    pub cpu_seconds: Option<f64>,
}

/// What the processes of a run used. A process that is killed leaves out what it spent on the stage it was in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Processes that worked on the run.
    pub processes: u32,
    /// The largest peak memory of any of them, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// The stages in order.
    pub stages: Vec<StageTime>,
}

/// A running stage.
pub struct Clock {
    started: Instant,
    cpu_before: Option<f64>,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        Clock { started: Instant::now(), cpu_before: process::cpu_seconds() }
    }

    /// Wall-clock seconds so far.
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn time(&self, stage: &str) -> StageTime {
        let cpu_seconds = process::cpu_seconds().zip(self.cpu_before).map(|(now, before)| now - before);
        StageTime { stage: stage.to_string(), seconds: self.seconds(), cpu_seconds }
    }
}

impl Times {
    /// What earlier processes left. Times are a convenience: a file that is missing or damaged counts as none.
    pub fn load(path: &Path) -> Self {
        std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Writes them.
    pub fn save(&mut self, path: &Path) -> Result<()> {
        self.peak_memory_bytes = self.peak_memory_bytes.max(process::peak_memory_bytes());
        let text = serde_json::to_vec_pretty(self).expect("times are plain data");
        write_atomically(path, &text)
    }

    /// Adds to what earlier processes spent on a stage that goes on.
    pub fn add(&mut self, stage: &str, clock: &Clock) {
        let time = clock.time(stage);
        match self.stages.iter_mut().find(|t| t.stage == stage) {
            Some(present) => {
                present.seconds += time.seconds;
                present.cpu_seconds = present.cpu_seconds.zip(time.cpu_seconds).map(|(a, b)| a + b);
            }
            None => self.stages.push(time),
        }
    }

    /// Notes the time of a stage that is always done as a whole.
    pub fn replace(&mut self, stage: &str, clock: &Clock) {
        self.stages.retain(|t| t.stage != stage);
        self.stages.push(clock.time(stage));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_up_over_processes_and_survive_a_damaged_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("times.json");
        let mut times = Times::load(&path);
        assert_eq!(times, Times::default());
        times.stages.push(StageTime { stage: "clients".into(), seconds: 100.0, cpu_seconds: Some(200.0) });
        times.save(&path).unwrap();

        let mut times = Times::load(&path);
        times.add("clients", &Clock::start());
        times.add("server", &Clock::start());
        times.replace("server", &Clock::start());
        assert_eq!(times.stages.len(), 2);
        assert!((100.0..101.0).contains(&times.stages[0].seconds));
        assert!(times.stages[1].seconds < 1.0);

        std::fs::write(&path, "{").unwrap();
        assert_eq!(Times::load(&path), Times::default());
    }
}
