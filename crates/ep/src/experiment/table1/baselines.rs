//! Servers without training: the clients' parameters averaged, and their policies multiplied state by state.

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::encoding::{Needs, StateBatch};
use gfn_core::policy::{
    LogProbabilities, NamedTensor, Output, Policy, PolicySpec, TensorMap, TrainablePolicy,
};

/// One round of federated averaging (McMahan et al. 2017): the mean of the clients' parameters. They must be of one
/// family and size.
pub fn average_of_weights(clients: &[Arc<dyn Policy>]) -> Result<Box<dyn TrainablePolicy>> {
    let mut mean: Vec<NamedTensor> = clients[0].tensors();
    for tensor in &mut mean {
        tensor.values.iter_mut().for_each(|value| *value = 0.0);
    }
    for client in clients {
        for (sum, tensor) in mean.iter_mut().zip(client.tensors()) {
            sum.values.iter_mut().zip(&tensor.values).for_each(|(s, v)| *s += v / clients.len() as f32);
        }
    }
    let tensors: TensorMap = mean.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    clients[0].spec().restore(tensors)
}

/// p(a|s) ∝ Π_n p_n(a|s): what the clients' policies say together in each state, without looking ahead.
pub struct ProductOfPolicies {
    clients: Vec<Arc<dyn Policy>>,
}

impl ProductOfPolicies {
    /// Of these clients, at least one.
    pub fn new(clients: Vec<Arc<dyn Policy>>) -> Self {
        ProductOfPolicies { clients }
    }
}

impl Policy for ProductOfPolicies {
    fn spec(&self) -> &PolicySpec {
        self.clients[0].spec()
    }

    fn needs(&self) -> Needs {
        self.clients.iter().fold(Needs::default(), |needs, client| needs.union(client.needs()))
    }

    fn forward(&self, batch: &StateBatch) -> Output {
        let mut sum = vec![0.0; batch.forward.len()];
        for client in &self.clients {
            let log_p = LogProbabilities::new(batch, &client.forward(batch));
            sum.iter_mut().zip(&log_p.forward).for_each(|(s, l)| *s += l);
        }
        Output { forward: sum, backward: Vec::new(), log_flow: Vec::new() }
    }

    fn tensors(&self) -> Vec<NamedTensor> {
        Vec::new()
    }
}
