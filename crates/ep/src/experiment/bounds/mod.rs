//! `bounds`: errors of known laws and equal variance in the clients, exact aggregation, and how far the aggregate then is
//! from the product, against both bounds and the variance of the summed errors.

mod errors;
mod exact_policy;
mod page;

use gfn_core::Result;
use gfn_core::environment::Environment;
use gfn_core::exact::{EdgePolicy, normalise, paper_bound, sharp_bound};
use gfn_core::metrics::{jeffrey, l1};
use gfn_core::random::stream;

use self::errors::{Law, moments};
use self::exact_policy::ExactPolicies;
use super::problem::Problem;
use super::problems::{Domain, Visitor};
use super::{Cell, Experiment, Options, Page, Record, Results, Task};

/// Standard deviations of a client's error.
const DEVIATIONS: [f64; 7] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0];

/// The problems, and how many clients share each of their rewards.
const ARMS: [(Domain, [usize; 3]); 2] = [(Domain::Grid, [1, 4, 16]), (Domain::Multisets, [1, 2, 4])];

/// The experiment.
pub struct Bounds;

impl Experiment for Bounds {
    fn name(&self) -> &'static str {
        "bounds"
    }

    fn about(&self) -> &'static str {
        "Jeffrey divergence of exact aggregates whose clients have errors of equal variance, against its bounds"
    }

    fn plan(&self) -> u32 {
        1
    }

    fn tasks(&self, options: &Options) -> Result<Vec<Task>> {
        let quick = options.quick;
        let mut tasks = Vec::new();
        for (domain, shares) in ARMS.into_iter().rev() {
            for share in shares.into_iter().rev() {
                for seed in 0..options.seeds {
                    let cell =
                        |law: Law| Cell::new(domain.name(), law.name(), domain.n_clients() * share, seed);
                    let cells = Law::ALL.map(cell).to_vec();
                    tasks.push(Task::new(cells.clone(), move |record| {
                        domain.with_problem(quick, seed, Inject { cells, share, seed, record })
                    }));
                }
            }
        }
        Ok(tasks)
    }

    fn page(&self, _options: &Options, results: &Results) -> Result<Page> {
        page::page(results)
    }
}

/// Injects errors of every law in all clients.
struct Inject<'a> {
    /// In the order of [`Law::ALL`].
    cells: Vec<Cell>,
    /// Clients that share a reward.
    share: usize,
    seed: u64,
    record: &'a mut Record,
}

impl Visitor for Inject<'_> {
    type Output = ();

    fn visit<E: Environment>(self, problem: &Problem<E>) -> Result<()> {
        let Inject { cells, share, seed, record } = self;
        let policies = ExactPolicies::new(problem);
        // Each reward to the power of 1/share: the product stays the same for any number of clients.
        let log_targets: Vec<Vec<f64>> = (0..problem.n_clients() * share)
            .map(|client| {
                let own = problem.client_log_target(client % problem.n_clients());
                let parts: Vec<f64> = own.iter().map(|l| l / share as f64).collect();
                let log_z = normalise(&parts).0;
                parts.iter().map(|l| l - log_z).collect()
            })
            .collect();
        for (law, cell) in Law::ALL.into_iter().zip(&cells) {
            let mut rng = stream(seed, law.name(), log_targets.len() as u64);
            let errors: Vec<Vec<f64>> =
                log_targets.iter().map(|own| law.draw(&problem.target, own, &mut rng)).collect();
            let sum: Vec<f64> =
                (0..problem.target.len()).map(|x| errors.iter().map(|e| e[x]).sum::<f64>()).collect();
            let unit = moments(&problem.target, &sum).1;
            for deviation in DEVIATIONS {
                let clients: Vec<EdgePolicy> = log_targets
                    .iter()
                    .zip(&errors)
                    .map(|(own, errors)| {
                        let learned: Vec<f64> =
                            own.iter().zip(errors).map(|(l, e)| l + deviation * e).collect();
                        policies.of(&learned)
                    })
                    .collect();
                let ranges: Vec<(f64, f64, f64)> = clients
                    .iter()
                    .zip(&log_targets)
                    .map(|(policy, own)| {
                        let (low, high) = problem.graph.score_range(policy, own);
                        (1.0, low, high)
                    })
                    .collect();
                let w = paper_bound(&ranges);
                let weighted: Vec<(&EdgePolicy, f64)> = clients.iter().map(|policy| (policy, 1.0)).collect();
                let aggregate = problem.graph.aggregate(&weighted, &vec![0.0; problem.target.len()]);
                let mut add =
                    |metric: &str, value: f64| record.add(cell, format!("{metric}@{deviation}"), value);
                add("variance", deviation * deviation * unit);
                add("jeffrey", jeffrey(&aggregate, &problem.target));
                add("w", w);
                add("sharp", sharp_bound(w));
                add("l1", l1(&aggregate, &problem.target));
            }
        }
        Ok(())
    }
}
