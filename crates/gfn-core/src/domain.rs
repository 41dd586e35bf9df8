//! What the `ep` command and generic tools ask of a domain.

use std::path::Path;
use std::sync::Arc;

use crate::environment::Environment;
use crate::error::{Result, Warning};
use crate::policy::PolicyKind;
use crate::reward::LogReward;
use crate::trainer::TrainSettings;

/// The trainings of an embarrassingly parallel run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A client on its own data.
    Client,
    /// A client that goes on with the server's proposals.
    ClientRound,
    /// The server on the clients' policies.
    Server,
    /// One policy on all data: what a run with a single client is.
    Centralised,
}

/// How a domain wants a stage to be trained; budget and seed are filled in by the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Family and sizes of the policy.
    pub policy: PolicyKind,
    /// Loss, optimiser, behaviour.
    pub settings: TrainSettings,
    /// Objects that a client's chain is asked for, if it has one; 0 where none are needed.
    pub chain_objects: usize,
}

/// A Markov chain on a client's own data, or another sampler that finds the mass where a policy's walks do not.
pub trait ObjectSampler<E: Environment>: Send + Sync {
    /// About `n` objects, nearly distributed as exp(log R); the same seed gives the same ones.
    fn sample(&self, n: usize, seed: u64) -> Vec<E::State>;
}

/// A client's data, as a reward.
pub struct ClientData<E: Environment> {
    /// log p(D_n | x) + prior_share · log p(x).
    pub reward: Arc<dyn LogReward<E>>,
    /// The exponent of the prior in it.
    pub prior_share: f64,
    /// A chain that finds objects, where the domain has one.
    pub chain: Option<Arc<dyn ObjectSampler<E>>>,
    /// A line about the data, such as the number of sites.
    pub description: String,
    /// What the user should know about the data.
    pub warnings: Vec<Warning>,
}

/// A domain with everything fixed that all parties share: it is built from a plan, without data.
pub trait Domain: Send + Sync {
    /// The environment.
    type Env: Environment;

    /// Name in plans and files.
    fn name(&self) -> &'static str;

    /// The environment all parties share.
    fn environment(&self) -> &Arc<Self::Env>;

    /// Reads a client's data file.
    fn read_client(&self, path: &Path) -> Result<ClientData<Self::Env>>;

    /// log p(x), the public prior (natural log; where its normaliser is not known, up to that constant, which then is in
    /// every log-evidence).
    fn log_prior(&self) -> Arc<dyn LogReward<Self::Env>>;

    /// The canonical name of an object, used in every file.
    fn object_name(&self, object: &<Self::Env as Environment>::State) -> String;

    /// The object of a name.
    fn parse_object(&self, name: &str) -> Result<<Self::Env as Environment>::State>;

    /// What several objects are called in messages, such as "trees".
    fn objects_word(&self) -> &'static str {
        "objects"
    }

    /// How the names of files of a client's data end, such as "csv".
    fn data_extension(&self) -> &'static str;

    /// How the names of files of objects, one name a line, end, such as "txt".
    fn objects_extension(&self) -> &'static str;

    /// How a stage is trained.
    fn recipe(&self, stage: Stage) -> Recipe;

    /// How a budget of time is divided: parts for a client, the server, and a client in a round. Where each state costs
    /// the server more than a client's training does, it should have more.
    fn time_parts(&self) -> [f64; 3] {
        [7.0, 3.0, 7.0]
    }

    /// Factor on the logits of the aggregate in half of the walks by which the server proposes objects for a round. Below
    /// 1, clients also learn what lies around the product's mass; where walks are long and have many actions, flattened
    /// ones end far from it, and 1 is better.
    fn proposal_scale(&self) -> f64 {
        0.5
    }
}
