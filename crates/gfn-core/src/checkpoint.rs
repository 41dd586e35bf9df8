//! Everything a resumed run needs, in one atomically written file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::environment::{Environment, follow_path, path_to};
use crate::error::{Error, Place, Result};
use crate::policy::{NamedTensor, TensorMap};
use crate::tensor_file;
use crate::trainer::{TrainSettings, Trainer};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    settings: TrainSettings,
    environment: String,
    step: u64,
    seconds: f64,
    log_z: f64,
    log_z_moments: (f64, f64),
    updates: u64,
    /// Scores and forward paths of the replay buffer, best first.
    replay: Vec<(f64, Vec<u32>)>,
}

const POLICY: &str = "policy/";

impl<E: Environment> Trainer<E> {
    /// Writes the state of training; a run resumed from it equals the uninterrupted one bit for bit.
    pub fn save_checkpoint(&self, path: &Path) -> Result<()> {
        let description = Description {
            settings: self.settings.clone(),
            environment: self.env.spec().fingerprint.clone(),
            step: self.step,
            seconds: self.seconds,
            log_z: self.log_z,
            log_z_moments: self.optimizer.log_z,
            updates: self.optimizer.updates,
            replay: self
                .replay
                .entries()
                .iter()
                .map(|(score, object)| (*score, path_to(self.env.as_ref(), object)))
                .collect(),
        };
        let mut tensors: Vec<NamedTensor> = self.policy.tensors();
        tensors.iter_mut().for_each(|t| t.name.insert_str(0, POLICY));
        let mut add = |kind: &str, arrays: &[Vec<f32>]| {
            for (index, values) in arrays.iter().enumerate() {
                let name = format!("{kind}/{index:04}");
                tensors.push(NamedTensor { name, shape: vec![values.len()], values: values.clone() });
            }
        };
        add("first", &self.optimizer.first);
        add("second", &self.optimizer.second);
        add("average", self.average.as_deref().unwrap_or_default());
        tensor_file::save(path, &description, &tensors)
    }

    /// Puts a trainer made with the same arguments into the state of the file.
    pub fn restore_checkpoint(&mut self, path: &Path) -> Result<()> {
        let (description, mut tensors): (Description, TensorMap) = tensor_file::load(path)?;
        if description.settings != self.settings || description.environment != self.env.spec().fingerprint {
            return Err(Error::input(
                Place::file(path),
                "a checkpoint of this run's environment and settings",
                "one of other settings",
                "remove the checkpoint to start again, or use the settings it was made with",
            ));
        }
        let mut take = |kind: &str| {
            let mut arrays = Vec::new();
            while let Some(tensor) = tensors.remove(&format!("{kind}/{:04}", arrays.len())) {
                arrays.push(tensor.values);
            }
            arrays
        };
        let (first, second, average) = (take("first"), take("second"), take("average"));
        let policy = tensors
            .into_iter()
            .filter_map(|(name, mut tensor)| {
                tensor.name = name.strip_prefix(POLICY)?.to_string();
                Some((tensor.name.clone(), tensor))
            })
            .collect();
        self.policy.restore(policy).map_err(|e| e.in_file(path))?;
        self.optimizer.first = first;
        self.optimizer.second = second;
        self.optimizer.updates = description.updates;
        self.optimizer.log_z = description.log_z_moments;
        self.average = (!average.is_empty()).then_some(average);
        self.step = description.step;
        self.seconds = description.seconds;
        self.log_z = description.log_z;
        for (score, actions) in &description.replay {
            let object = follow_path(self.env.as_ref(), actions).ok_or_else(|| {
                Error::input(
                    Place::file(path).named("replay"),
                    "paths of this environment",
                    format!("{actions:?}"),
                    "remove the checkpoint to start again",
                )
            })?;
            self.replay.offer(*score, &object);
        }
        Ok(())
    }
}
