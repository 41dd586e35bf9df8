//! `failing-client`: one client that was hardly trained, or one that denies a region, and who notices.

mod map;
mod page;

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::aggregate::{ClientEnsemble, ClientLogits};
use gfn_core::environment::Environment;
use gfn_core::exact::{paper_bound, sharp_bound};
use gfn_core::grid::{Cell as GridCell, Grid};
use gfn_core::metrics::{effective_sample_size, jeffrey, l1, pareto_k};
use gfn_core::policy::{Policy, Uniform};
use gfn_core::random::stream;
use gfn_core::reward::{LogReward, Target};
use gfn_core::rollout::sample_on_policy;
use gfn_core::score::{ResidualSpread, residual_spread, residuals};

use super::page::Summary;
use super::problem::Problem;
use super::problems::grid;
use super::training::{Learned, policies, reward_target};
use super::{Cell, Experiment, Options, Page, Record, Results, Task};

/// The client that fails.
const FAILING: usize = 1;
/// Fraction of the steps it makes when it is hardly trained.
const FRACTION: f64 = 0.01;
/// What it adds to its log-reward in the region that it denies.
const VETO: f64 = -12.0;
/// The region: cells with both coordinates at most so far from the corner (side − 1, 0).
const REACH: usize = 3;
/// Trajectories of the server's and the clients' diagnostics.
const DRAWS: usize = 10_000;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arm {
    Sound,
    Short,
    Veto,
}

const ARMS: [Arm; 3] = [Arm::Sound, Arm::Short, Arm::Veto];

impl Arm {
    fn name(self) -> &'static str {
        match self {
            Arm::Sound => "all sound",
            Arm::Short => "one hardly trained",
            Arm::Veto => "one denies a region",
        }
    }

    /// The problem as the failing client trains on it.
    fn problem(self, quick: bool) -> Result<Problem<Grid>> {
        let mut problem = grid(quick)?;
        match self {
            Arm::Sound => {}
            Arm::Short => problem.training = problem.training.with_steps_times(FRACTION),
            Arm::Veto => {
                let reward = Arc::clone(&problem.clients[FAILING]);
                problem.clients[FAILING] = Arc::new(Denied { reward });
            }
        }
        Ok(problem)
    }
}

/// Whether a cell lies in the region that is denied.
fn is_denied(side: usize, x: usize, y: usize) -> bool {
    x + REACH + 1 >= side && y <= REACH
}

/// A reward without the region.
struct Denied {
    reward: Arc<dyn LogReward<Grid>>,
}

impl LogReward<Grid> for Denied {
    fn log_reward(&self, env: &Grid, cell: &GridCell) -> f64 {
        let [x, y, ..] = cell.coordinates.map(usize::from);
        self.reward.log_reward(env, cell) + if is_denied(env.side(), x, y) { VETO } else { 0.0 }
    }
}

/// The experiment.
pub struct FailingClient;

impl Experiment for FailingClient {
    fn name(&self) -> &'static str {
        "failing-client"
    }

    fn about(&self) -> &'static str {
        "One client of the grid world hardly trained, or denying a region: the aggregate, both bounds, and what notices"
    }

    fn plan(&self) -> u32 {
        2
    }

    fn tasks(&self, options: &Options) -> Result<Vec<Task>> {
        let quick = options.quick;
        let mut tasks = Vec::new();
        for seed in 0..options.seeds {
            for arm in ARMS {
                let cell = Cell::new("grid", arm.name(), 4, seed);
                tasks.push(Task::new(vec![cell.clone()], move |record| measure(arm, quick, &cell, record)));
            }
        }
        Ok(tasks)
    }

    fn page(&self, options: &Options, results: &Results) -> Result<Page> {
        page::page(options, results)
    }
}

fn measure(arm: Arm, quick: bool, cell: &Cell, record: &mut Record) -> Result<()> {
    let (problem, as_trained) = (grid(quick)?, arm.problem(quick)?);
    let env = problem.env.as_ref();
    let clients: Vec<Learned> = (0..problem.n_clients())
        .map(|n| {
            if n == FAILING {
                as_trained.train_client(n, cell.seed)
            } else {
                problem.train_client(n, cell.seed)
            }
        })
        .collect::<Result<_>>()?;
    let policies = policies(&clients);
    let failing = policies[FAILING].as_ref();
    record.add(cell, "client l1", problem.client_l1(FAILING, failing));

    // What the clients say together, without a server's training: over paths, and as the product of their marginals.
    let exact = problem.exact_aggregate(&policies);
    record.add(cell, "exact l1", l1(&exact, &problem.target));
    record.add(
        cell,
        "product of marginals l1",
        l1(&product_of_marginals(&problem, &policies), &problem.target),
    );
    record.add(cell, "jeffrey", jeffrey(&exact, &problem.target));
    let ranges: Vec<(f64, f64, f64)> = (0..policies.len())
        .map(|n| {
            let edges = problem.edges(policies[n].as_ref());
            let (low, high) = problem.graph.score_range(&edges, &problem.client_log_target(n));
            (1.0, low, high)
        })
        .collect();
    let w = paper_bound(&ranges);
    record.add(cell, "w", w);
    record.add(cell, "sharp", sharp_bound(w));

    // Residuals of the client, against what it was trained on and against what it should have been trained on.
    let mut rng = stream(cell.seed, "diagnostics", 0);
    for (prefix, reward) in [("file", &as_trained.clients[FAILING]), ("true", &problem.clients[FAILING])] {
        let target = reward_target(reward);
        let ResidualSpread { own, tempered, uniform } =
            residual_spread(env, failing, target.as_ref(), DRAWS, &mut rng);
        record.add(cell, format!("{prefix} own"), own);
        record.add(cell, format!("{prefix} tempered"), tempered);
        record.add(cell, format!("{prefix} uniform"), uniform);
    }

    let server = problem.train_server(&policies, cell.seed)?;
    let learned = problem.distribution(server.policy.as_ref());
    record.add(cell, "l1", l1(&learned, &problem.target));
    record.add(cell, "l1 to exact", l1(&learned, &exact));
    learned.iter().enumerate().for_each(|(number, p)| record.add(cell, format!("p@{number}"), *p));

    // What the server sees: without data, its residuals against the clients' policies; with data, importance weights.
    let logits = ClientLogits::new(policies.iter().map(|c| (Arc::clone(c), 1.0)).collect())?;
    let ensemble: &dyn Target<Grid> = &ClientEnsemble::new(Arc::new(logits), None);
    let product = reward_target(&problem.product);
    let uniform = Uniform::new(env.spec());
    for (law, sampler) in [("own", server.policy.as_ref()), ("uniform", &uniform as &dyn Policy)] {
        let draws = sample_on_policy(env, sampler, DRAWS, &mut rng);
        let against = |target: &dyn Target<Grid>| residuals(env, server.policy.as_ref(), target, &draws);
        record.add(cell, format!("server {law}"), deviation(&against(ensemble)));
        let log_weights: Vec<f64> = against(product.as_ref()).iter().map(|r| -r).collect();
        record.add(cell, format!("data {law}"), deviation(&log_weights));
        if law == "own" {
            record.add(cell, "missing weight", 1.0 - effective_sample_size(&log_weights) / DRAWS as f64);
            record.add(cell, "pareto k", pareto_k(&log_weights));
        }
    }
    Ok(())
}

/// ∝ Π_n p̂_n(x), with what each client really samples.
fn product_of_marginals(problem: &Problem<Grid>, clients: &[Arc<dyn Policy>]) -> Vec<f64> {
    let mut product = vec![1.0; problem.target.len()];
    for client in clients {
        let marginal = problem.distribution(client.as_ref());
        product.iter_mut().zip(marginal).for_each(|(product, p)| *product *= p);
    }
    let total: f64 = product.iter().sum();
    product.iter().map(|p| p / total).collect()
}

/// Standard deviation.
fn deviation(values: &[f64]) -> f64 {
    let mean = Summary::of(values).map_or(0.0, |s| s.mean);
    (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64).sqrt()
}
