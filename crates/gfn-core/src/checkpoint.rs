//! Everything a resumed run needs, in one atomically written file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::environment::{Environment, follow_path, path_to};
use crate::error::{Error, Place, Result};
use crate::policy::{NamedTensor, PolicySpec, TensorMap};
use crate::replay::Replay;
use crate::tensor_file;
use crate::trainer::{TrainSettings, Trainer};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    settings: TrainSettings,
    policy: PolicySpec,
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
            policy: self.policy.spec().clone(),
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

    /// Puts a trainer made with the same arguments into the state of the file. After an error the trainer is not to
    /// be used.
    pub fn restore_checkpoint(&mut self, path: &Path) -> Result<()> {
        let (description, mut tensors): (Description, TensorMap) = tensor_file::load(path)?;
        if description.settings != self.settings || description.policy != *self.policy.spec() {
            return Err(Error::input(
                Place::file(path),
                "a checkpoint of this run's environment, policy and settings",
                "one of others",
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
        // What has no place here keeps its name, by which the policy refuses it.
        let policy = tensors
            .into_iter()
            .map(|(name, mut tensor)| {
                tensor.name = name.strip_prefix(POLICY).unwrap_or(&name).to_string();
                (tensor.name.clone(), tensor)
            })
            .collect();
        self.policy.restore(policy).map_err(|e| e.in_file(path))?;
        let lengths: Vec<usize> = self.policy.parameters_mut().iter().map(|p| p.len()).collect();
        for (kind, arrays) in [("first", &first), ("second", &second), ("average", &average)] {
            if !arrays.is_empty() && arrays.iter().map(Vec::len).ne(lengths.iter().copied()) {
                return Err(Error::input(
                    Place::file(path).named(kind),
                    format!("{lengths:?} numbers"),
                    format!("{:?}", arrays.iter().map(Vec::len).collect::<Vec<_>>()),
                    "remove the checkpoint to start again",
                ));
            }
        }
        self.optimizer.first = first;
        self.optimizer.second = second;
        self.optimizer.updates = description.updates;
        self.optimizer.log_z = description.log_z_moments;
        self.average = (!average.is_empty()).then_some(average);
        self.step = description.step;
        self.seconds = description.seconds;
        self.log_z = description.log_z;
        self.replay = Replay::new(self.replay.capacity());
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
