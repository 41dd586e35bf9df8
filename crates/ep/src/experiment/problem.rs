//! A problem of the experiments: an environment that can be enumerated, the clients' rewards, their product, and how each
//! stage is trained; what is learned is compared with the truth exactly.

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::domain::{Domain, Recipe, Stage};
use gfn_core::environment::Environment;
use gfn_core::exact::{EdgePolicy, StateGraph, normalise};
use gfn_core::metrics::l1;
use gfn_core::policy::Policy;
use gfn_core::reward::LogReward;
use gfn_core::trainer::Budget;

/// States that are enumerated at most.
const MAX_STATES: usize = 2_000_000;

/// How each stage is trained. The budgets in the recipes are numbers of steps, so that results repeat bit for bit.
#[derive(Debug, Clone)]
pub struct Training {
    /// A client on its own reward.
    pub client: Recipe,
    /// A client in an extra round.
    pub round: Recipe,
    /// The server.
    pub server: Recipe,
    /// One policy on the product.
    pub centralised: Recipe,
}

/// Steps of the stages.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    /// Of a client.
    pub client: u64,
    /// Of a client in an extra round.
    pub round: u64,
    /// Of the server.
    pub server: u64,
    /// Of a centralised run.
    pub centralised: u64,
}

impl Training {
    /// The recipes of a domain, with these numbers of steps.
    pub fn of<D: Domain>(domain: &D, steps: Steps) -> Self {
        let of = |stage, steps| with_steps(domain.recipe(stage), steps);
        Training {
            client: of(Stage::Client, steps.client),
            round: of(Stage::ClientRound, steps.round),
            server: of(Stage::Server, steps.server),
            centralised: of(Stage::Centralised, steps.centralised),
        }
    }

    /// The recipe of a stage.
    pub fn recipe(&self, stage: Stage) -> &Recipe {
        match stage {
            Stage::Client => &self.client,
            Stage::ClientRound => &self.round,
            Stage::Server => &self.server,
            Stage::Centralised => &self.centralised,
        }
    }

    /// The same with all budgets multiplied.
    pub fn with_steps_times(mut self, factor: f64) -> Self {
        for recipe in [&mut self.client, &mut self.round, &mut self.server, &mut self.centralised] {
            if let Budget::Steps(steps) = &mut recipe.settings.budget {
                *steps = ((*steps as f64 * factor) as u64).max(1);
            }
        }
        self
    }
}

/// A recipe with this many steps.
pub fn with_steps(mut recipe: Recipe, steps: u64) -> Recipe {
    recipe.settings.budget = Budget::Steps(steps);
    // Cells share the threads among themselves.
    recipe.settings.groups = 1;
    recipe
}

/// Appends the numbers of an object's active features, and returns the log base measure of the object.
pub type ReadFactors<S> = Box<dyn Fn(&S, &mut Vec<u32>) -> f64 + Send + Sync>;

/// A product of independent categoricals over the parts of an object, as an exponential family:
/// log q(x) = log base(x) + Σ_k η_{f_k(x)} − log Z(η). One feature for each part and category.
pub struct Factors<S> {
    /// In words, such as "the two coordinates".
    pub description: &'static str,
    /// Number of features.
    pub n_features: usize,
    /// Reads an object.
    pub read: ReadFactors<S>,
}

/// A problem with its state graph and exact target.
pub struct Problem<E: Environment> {
    /// The domain, or a variant of its problem.
    pub domain: &'static str,
    /// The environment.
    pub env: Arc<E>,
    /// log R_n of the clients.
    pub clients: Vec<Arc<dyn LogReward<E>>>,
    /// log Π_n R_n.
    pub product: Arc<dyn LogReward<E>>,
    /// How stages are trained.
    pub training: Training,
    /// How an object divides into independent parts, where that makes sense.
    pub factors: Option<Factors<E::State>>,
    /// All states.
    pub graph: StateGraph<E>,
    /// π of every object, in the order of the graph.
    pub target: Vec<f64>,
}

impl<E: Environment> Problem<E> {
    /// Enumerates the states. Priors in the rewards, where there are any, are uniform, so that no public factor is needed;
    /// `product` is log Π_n R_n up to a constant, as a centralised run would compute it.
    pub fn new(
        domain: &'static str,
        env: Arc<E>,
        clients: Vec<Arc<dyn LogReward<E>>>,
        product: Arc<dyn LogReward<E>>,
        training: Training,
        factors: Option<Factors<E::State>>,
    ) -> Result<Self> {
        let graph = StateGraph::enumerate(env.as_ref(), MAX_STATES)?;
        let (_, target) = normalise(&graph.log_rewards(env.as_ref(), product.as_ref()));
        Ok(Problem { domain, env, clients, product, training, factors, graph, target })
    }

    /// Number of clients, N.
    pub fn n_clients(&self) -> usize {
        self.clients.len()
    }

    /// log π_n of every object, the target of client `n`, normalised.
    pub fn client_log_target(&self, n: usize) -> Vec<f64> {
        let log_rewards = self.graph.log_rewards(self.env.as_ref(), self.clients[n].as_ref());
        let (log_z, _) = normalise(&log_rewards);
        log_rewards.iter().map(|r| r - log_z).collect()
    }

    /// π_n of every object.
    pub fn client_target(&self, n: usize) -> Vec<f64> {
        self.client_log_target(n).iter().map(|l| l.exp()).collect()
    }

    /// The policy on every edge.
    pub fn edges(&self, policy: &dyn Policy) -> EdgePolicy {
        self.graph.edge_policy(self.env.as_ref(), policy)
    }

    /// The probability of every object under the policy, without sampling.
    pub fn distribution(&self, policy: &dyn Policy) -> Vec<f64> {
        self.graph.policy_distribution(self.env.as_ref(), policy)
    }

    /// Exact L1 (0 to 2) between a policy and the product.
    pub fn l1(&self, policy: &dyn Policy) -> f64 {
        l1(&self.distribution(policy), &self.target)
    }

    /// Exact L1 (0 to 2) between a policy and client `n`'s own target.
    pub fn client_l1(&self, n: usize, policy: &dyn Policy) -> f64 {
        l1(&self.distribution(policy), &self.client_target(n))
    }

    /// What the clients' policies say the product is, without any server training: equation (7) and Remark 3.3 of the
    /// paper, by recursion over the graph.
    pub fn exact_aggregate(&self, clients: &[Arc<dyn Policy>]) -> Vec<f64> {
        let edges: Vec<EdgePolicy> = clients.iter().map(|policy| self.edges(policy.as_ref())).collect();
        let weighted: Vec<(&EdgePolicy, f64)> = edges.iter().map(|edges| (edges, 1.0)).collect();
        self.graph.aggregate(&weighted, &vec![0.0; self.target.len()])
    }

    /// exp of the entropy of the product: how many objects it is spread over.
    pub fn perplexity(&self) -> f64 {
        let entropy: f64 = self.target.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
        entropy.exp()
    }
}

/// Σ_n log R_n.
pub struct Sum<E: Environment>(pub Vec<Arc<dyn LogReward<E>>>);

impl<E: Environment> LogReward<E> for Sum<E> {
    fn log_reward(&self, env: &E, object: &E::State) -> f64 {
        self.0.iter().map(|reward| reward.log_reward(env, object)).sum()
    }
}

/// Expected L1 (0 to 2) between a distribution and the frequencies of `n` perfect draws from it: the floor of every
/// estimate of L1 that counts samples.
///
/// E|K/n − p| of a binomial count K is 2 m/n C(n, m) p^m (1−p)^(n−m+1) with m = ⌊n p⌋ + 1 (de Moivre 1730; Diaconis &
/// Zabell 1991, Statistical Science 6).
pub fn perfect_sampler_floor(distribution: &[f64], n: u64) -> f64 {
    let deviation = |p: f64| {
        if p <= 0.0 || p >= 1.0 {
            return 0.0;
        }
        let m = (n as f64 * p) as u64 + 1;
        if m > n {
            // ⌊n p⌋ = n only by rounding: p is 1.
            return 0.0;
        }
        // The shorter one of the two products that a binomial coefficient is.
        let shorter = m.min(n - m);
        let log_choose: f64 = (1..=shorter).map(|i| ((n - shorter + i) as f64 / i as f64).ln()).sum();
        let log_power = m as f64 * p.ln() + (n - m + 1) as f64 * (-p).ln_1p();
        2.0 * m as f64 / n as f64 * (log_choose + log_power).exp()
    };
    distribution.iter().map(|&p| deviation(p)).sum()
}

#[cfg(test)]
mod tests {
    use gfn_core::random::stream;
    use rand::RngExt;

    use super::*;

    #[test]
    fn floor_of_perfect_draws_is_the_mean_of_simulated_ones() {
        // One draw: it is E|1 − p| p + p (1 − p) for each object, 2 Σ p (1 − p).
        let two = [0.25, 0.75];
        assert!((perfect_sampler_floor(&two, 1) - 2.0 * 2.0 * 0.1875).abs() < 1e-12);
        let p = [0.5, 0.3, 0.199, 0.001];
        let (n, runs) = (50, 20_000);
        let mut rng = stream(0, "floor", 0);
        let mut sum = 0.0;
        for _ in 0..runs {
            let mut counts = [0.0; 4];
            for _ in 0..n {
                let mut u: f64 = rng.random();
                let object = p.iter().position(|p| {
                    u -= p;
                    u < 0.0
                });
                counts[object.unwrap_or(3)] += 1.0;
            }
            sum += counts.iter().zip(&p).map(|(c, p)| (c / n as f64 - p).abs()).sum::<f64>();
        }
        // The standard deviation of one run is below 0.1: five standard errors are below 0.004.
        let expected = perfect_sampler_floor(&p, n);
        assert!((sum / runs as f64 - expected).abs() < 0.004, "{} and {expected}", sum / runs as f64);
        // Certainty needs no luck.
        assert_eq!(perfect_sampler_floor(&[1.0, 0.0], 10), 0.0);
    }
}
