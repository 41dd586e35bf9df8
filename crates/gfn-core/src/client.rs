//! What a client sends: its policy and what is needed to use it elsewhere, in one strictly read file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::environment::EnvSpec;
use crate::error::{Error, Place, Result};
use crate::policy::{PolicySpec, TrainablePolicy};
use crate::score::ResidualSpread;
use crate::tensor_file;

/// Version of the file format; files of other versions are refused.
pub const FORMAT: u32 = 1;

/// Everything in a client's file besides the policy's parameters. No data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientMeta {
    /// Version of the format.
    pub format: u32,
    /// The domain, such as `phylo`.
    pub domain: String,
    /// Fingerprint of the plan all clients share.
    pub plan: String,
    /// The client's name in the plan.
    pub client: String,
    /// The policy's family, sizes and environment.
    pub policy: PolicySpec,
    /// The exponent with which the client's target holds the public prior; the server divides it out.
    pub prior_share: f64,
    /// Extra rounds this client has been through (0: trained on its own).
    pub round: u32,
    /// Seed of its training.
    pub seed: u64,
    /// Training steps, all rounds.
    pub steps: u64,
    /// Seconds of training, all rounds.
    pub seconds: f64,
    /// Spread of S(τ) − log R_n(x) at the end, in natural-log units.
    pub residual_spread: ResidualSpread,
    /// What the domain says about the data in a line, such as the number of sites.
    pub data: String,
}

/// A trained client.
pub struct ClientModel {
    /// Description.
    pub meta: ClientMeta,
    /// Policy.
    pub policy: Box<dyn TrainablePolicy>,
}

impl ClientModel {
    /// Writes the file atomically.
    pub fn save(&self, path: &Path) -> Result<()> {
        tensor_file::save(path, &self.meta, &self.policy.tensors())
    }

    /// Reads a file strictly: version, names, shapes, finite numbers.
    pub fn load(path: &Path) -> Result<Self> {
        let (meta, tensors): (ClientMeta, _) = tensor_file::load(path)?;
        if meta.format != FORMAT {
            return Err(Error::input(
                Place::file(path),
                format!("format {FORMAT}"),
                format!("format {}", meta.format),
                "use the version of `ep` that wrote it, or train the client again",
            ));
        }
        if !meta.prior_share.is_finite() {
            let found = meta.prior_share.to_string();
            return Err(Error::input(
                Place::file(path).named("prior_share"),
                "a number",
                found,
                "train again",
            ));
        }
        let policy = meta.policy.restore(tensors).map_err(|e| e.in_file(path))?;
        Ok(ClientModel { meta, policy })
    }

    /// Refuses a file that belongs to another plan or environment. The whole description of the environment counts, not
    /// its fingerprint alone: sizes that disagree would be indexed out of bounds.
    pub fn check_plan(&self, path: &Path, plan: &str, environment: &EnvSpec) -> Result<()> {
        let found = &self.meta.policy.env;
        if self.meta.plan == plan && found == environment {
            return Ok(());
        }
        Err(Error::input(
            Place::file(path),
            format!("a client of plan {plan} over environment {}", environment.fingerprint),
            format!("a client of plan {} over environment {}", self.meta.plan, found.fingerprint),
            "aggregate only clients that were trained by the same plan",
        ))
    }
}
