//! The aggregate: the clients' policies, their weights, and the residual that was trained on top of them.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::ClientLogits;
use crate::client::{ClientMeta, ClientModel, FORMAT};
use crate::error::{Error, Place, Result};
use crate::policy::{NamedTensor, Policy, PolicySpec, Residual, TensorMap, TrainablePolicy, refuse_others};
use crate::tensor_file;

/// Everything in the aggregate's file besides parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerMeta {
    /// Version of the format.
    pub format: u32,
    /// The domain.
    pub domain: String,
    /// Fingerprint of the plan.
    pub plan: String,
    /// Extra rounds before this aggregation.
    pub round: u32,
    /// The clients and their weights w_n.
    pub clients: Vec<(ClientMeta, f64)>,
    /// The residual network; none where a single client is the aggregate,
    /// and where there is but one path to each object.
    pub residual: Option<PolicySpec>,
    /// Seed of the training.
    pub seed: u64,
    /// Training steps.
    pub steps: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// How far the clients' summed scores differ between paths to one object of the aggregate
    /// ([`crate::score::path_spread`]); none where a single client is the aggregate.
    #[serde(default)]
    pub path_spread: Option<f64>,
}

/// A trained aggregate; its file needs no other file.
pub struct ServerModel {
    /// Description.
    pub meta: ServerMeta,
    /// The clients' policies, in the order of the description.
    pub clients: Vec<Arc<dyn Policy>>,
    /// The policy that samples from the product.
    pub policy: Arc<dyn Policy>,
}

impl ServerModel {
    /// Wraps a single client, whose policy is the aggregate.
    pub fn single(client: ClientModel) -> Self {
        let policy: Arc<dyn Policy> = Arc::from(as_policy(client.policy));
        let meta = ServerMeta {
            format: FORMAT,
            domain: client.meta.domain.clone(),
            plan: client.meta.plan.clone(),
            round: 0,
            seed: client.meta.seed,
            steps: client.meta.steps,
            seconds: client.meta.seconds,
            clients: vec![(client.meta, 1.0)],
            residual: None,
            path_spread: None,
        };
        ServerModel { meta, clients: vec![Arc::clone(&policy)], policy }
    }

    /// The clients with their weights.
    pub fn weighted_clients(&self) -> Vec<(Arc<dyn Policy>, f64)> {
        self.clients.iter().cloned().zip(self.meta.clients.iter().map(|(_, w)| *w)).collect()
    }

    /// Writes the file atomically.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors: Vec<NamedTensor> = Vec::new();
        let mut add = |prefix: String, policy: &dyn Policy| {
            for mut tensor in policy.tensors() {
                tensor.name.insert_str(0, &prefix);
                tensors.push(tensor);
            }
        };
        for (index, client) in self.clients.iter().enumerate() {
            add(format!("client/{index}/"), client.as_ref());
        }
        if self.meta.residual.is_some() {
            add("residual/".into(), self.policy.as_ref());
        }
        tensor_file::save(path, &self.meta, &tensors)
    }

    /// Reads a file strictly.
    pub fn load(path: &Path) -> Result<Self> {
        let (meta, mut tensors): (ServerMeta, TensorMap) = tensor_file::load(path)?;
        if meta.format != FORMAT {
            return Err(Error::input(
                Place::file(path),
                format!("format {FORMAT}"),
                format!("format {}", meta.format),
                "use the version of `ep` that wrote it, or aggregate again",
            ));
        }
        let mut part = |prefix: &str| -> TensorMap {
            let names: Vec<String> = tensors.keys().filter(|n| n.starts_with(prefix)).cloned().collect();
            names
                .into_iter()
                .filter_map(|name| {
                    let mut tensor = tensors.remove(&name)?;
                    tensor.name = name[prefix.len()..].to_string();
                    Some((tensor.name.clone(), tensor))
                })
                .collect()
        };
        let mut clients: Vec<Arc<dyn Policy>> = Vec::new();
        for (index, (client, _)) in meta.clients.iter().enumerate() {
            let policy =
                client.policy.restore(part(&format!("client/{index}/"))).map_err(|e| e.in_file(path))?;
            clients.push(Arc::from(as_policy(policy)));
        }
        if clients.is_empty() {
            return Err(Error::input(Place::file(path), "at least one client", "none", "aggregate again"));
        }
        let residual = part("residual/");
        refuse_others(&tensors).map_err(|e| e.in_file(path))?;
        let policy = match &meta.residual {
            None => match (&clients[..], residual.is_empty()) {
                ([only], true) => Arc::clone(only),
                _ => {
                    return Err(Error::input(
                        Place::file(path),
                        "a residual network on top of its clients, or one client and nothing else",
                        format!(
                            "{} clients and {} tensors of a residual network",
                            clients.len(),
                            residual.len()
                        ),
                        "aggregate again",
                    ));
                }
            },
            Some(spec) => {
                let inner = spec.restore(residual).map_err(|e| e.in_file(path))?;
                let weights = meta.clients.iter().map(|(_, w)| *w);
                let logits = ClientLogits::new(clients.iter().cloned().zip(weights).collect())
                    .map_err(|e| e.in_file(path))?;
                if clients.iter().any(|client| client.spec().env != spec.env) {
                    return Err(Error::input(
                        Place::file(path),
                        format!(
                            "a residual network for the clients' environment {}",
                            clients[0].spec().env.name
                        ),
                        format!("one for {} {}", spec.env.name, spec.env.fingerprint),
                        "aggregate again",
                    ));
                }
                Arc::new(Residual::new(inner, Arc::new(logits)))
            }
        };
        Ok(ServerModel { meta, clients, policy })
    }
}

/// A trainable policy as one to read from.
pub fn as_policy(policy: Box<dyn TrainablePolicy>) -> Box<dyn Policy> {
    policy
}
