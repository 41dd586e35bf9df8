//! `table1`: the exact L1 of embarrassingly parallel GFlowNets and of what they are compared with, on the paper's problems.

mod baselines;
mod page;
mod pcvi;

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::environment::Environment;
use gfn_core::metrics::l1;
use gfn_core::policy::Policy;

use self::baselines::{ProductOfPolicies, average_of_weights};
use super::problem::{Problem, perfect_sampler_floor};
use super::problems::{Domain, Visitor, sequences};
use super::training::{fresh_policy, parameter_bytes, policies, seed_of};
use super::{Cell, Experiment, Options, Page, Record, Results, Task};

/// Draws of the perfect sampler whose L1 is the floor of the published estimates.
const FLOOR_DRAWS: u64 = 1_000_000;

/// Scales of the sequences' log-rewards at which that floor is computed.
const SCALES: [f64; 6] = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// The experiment.
pub struct Table1;

impl Experiment for Table1 {
    fn name(&self) -> &'static str {
        "table1"
    }

    fn about(&self) -> &'static str {
        "Exact L1 of EP, its parts, and what it is compared with, on the paper's five problems"
    }

    fn plan(&self) -> u32 {
        2
    }

    fn tasks(&self, options: &Options) -> Result<Vec<Task>> {
        let quick = options.quick;
        let mut tasks = Vec::new();
        for seed in 0..options.seeds {
            // The longest first, so that no thread is left with one at the end.
            for domain in
                [Domain::Multisets, Domain::Sequences, Domain::Trees, Domain::Networks, Domain::Grid]
            {
                for part in Part::ALL {
                    if part == Part::MeanField && domain == Domain::Trees {
                        // No parts of a tree are independent categoricals: the page says so.
                        continue;
                    }
                    let cells = part.cells(domain, seed);
                    let measure = Measure { part, cells: cells.clone(), seed };
                    tasks.push(Task::new(cells, move |record| {
                        domain.with_problem(quick, seed, Run { measure, record })
                    }));
                }
            }
            let cell = Cell::new("sequences", "floor by scale", 0, seed);
            tasks.push(Task::new(vec![cell.clone()], move |record| {
                for scale in SCALES {
                    let target = sequences(quick, scale, seed)?.target;
                    record.add(&cell, format!("floor@{scale}"), perfect_sampler_floor(&target, FLOOR_DRAWS));
                }
                Ok(())
            }));
        }
        Ok(tasks)
    }

    fn page(&self, options: &Options, results: &Results) -> Result<Page> {
        page::page(options, results)
    }
}

/// What shares work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Clients, and all that is made of them.
    Clients,
    /// One policy on the product, and the floor of perfect draws.
    Centralised,
    /// Clients that start from the same weights, which are averaged.
    Averaging,
    /// The variational baseline.
    MeanField,
}

impl Part {
    const ALL: [Part; 4] = [Part::Clients, Part::Averaging, Part::MeanField, Part::Centralised];

    fn methods(self) -> &'static [&'static str] {
        match self {
            Part::Clients => &["ep", "exact aggregation", "product of policies"],
            Part::Centralised => &["centralised", "perfect draws"],
            Part::Averaging => &["averaged weights"],
            Part::MeanField => &["pcvi"],
        }
    }

    fn cells(self, domain: Domain, seed: u64) -> Vec<Cell> {
        let clients = domain.n_clients();
        self.methods().iter().map(|method| Cell::new(domain.name(), *method, clients, seed)).collect()
    }
}

struct Measure {
    part: Part,
    cells: Vec<Cell>,
    seed: u64,
}

struct Run<'a> {
    measure: Measure,
    record: &'a mut Record,
}

impl Visitor for Run<'_> {
    type Output = ();

    fn visit<E: Environment>(self, problem: &Problem<E>) -> Result<()> {
        let Run { measure: Measure { part, cells, seed }, record } = self;
        match part {
            Part::Clients => clients(problem, &cells, seed, record),
            Part::Centralised => {
                let learned = problem.train_centralised(seed)?;
                record.add(&cells[0], "l1", problem.l1(learned.policy.as_ref()));
                record.add(&cells[0], "seconds", learned.seconds);
                record.add(&cells[1], "l1", perfect_sampler_floor(&problem.target, FLOOR_DRAWS));
                record.add(&cells[1], "perplexity", problem.perplexity());
                record.add(&cells[1], "objects", problem.target.len() as f64);
                Ok(())
            }
            Part::Averaging => {
                let start = seed_of(seed, "common start");
                let train = |n| {
                    let policy = fresh_policy(problem.env.as_ref(), &problem.training.client, start)?;
                    problem.train_client_from(n, policy, seed_of(seed, &format!("client {n}")))
                };
                let clients = (0..problem.n_clients()).map(train).collect::<Result<Vec<_>>>()?;
                let average = average_of_weights(&policies(&clients))?;
                record.add(&cells[0], "l1", problem.l1(average.as_policy()));
                Ok(())
            }
            Part::MeanField => {
                let Some(factors) = &problem.factors else { return Ok(()) };
                let products = pcvi::aggregate(problem, factors);
                let of_densities = l1(&products.of_densities, &problem.target);
                let of_factors = l1(&products.of_factors, &problem.target);
                record.add(&cells[0], "l1", of_densities.min(of_factors));
                record.add(&cells[0], "l1 of densities", of_densities);
                record.add(&cells[0], "l1 of factors", of_factors);
                Ok(())
            }
        }
    }
}

fn clients<E: Environment>(
    problem: &Problem<E>,
    cells: &[Cell],
    seed: u64,
    record: &mut Record,
) -> Result<()> {
    let [ep, exact, product] = cells else { unreachable!("three methods are made of clients") };
    let clients = problem.train_clients(seed)?;
    let policies: Vec<Arc<dyn Policy>> = policies(&clients);
    let aggregate = problem.exact_aggregate(&policies);
    record.add(exact, "l1", l1(&aggregate, &problem.target));
    let own: Vec<f64> =
        policies.iter().enumerate().map(|(n, policy)| problem.client_l1(n, policy.as_ref())).collect();
    record.add(ep, "client l1", own.iter().copied().fold(0.0, f64::max));
    record.add(ep, "client seconds", clients.iter().map(|c| c.seconds).fold(0.0, f64::max));
    record.add(ep, "client bytes", parameter_bytes(policies[0].as_ref()) as f64);
    let server = problem.train_server(&policies, seed)?;
    record.add(ep, "server seconds", server.seconds);
    let learned = problem.distribution(server.policy.as_ref());
    record.add(ep, "l1", l1(&learned, &problem.target));
    record.add(ep, "l1 to exact aggregate", l1(&learned, &aggregate));
    record.add(product, "l1", problem.l1(&ProductOfPolicies::new(policies)));
    Ok(())
}

/// Published L1 (da Silva et al. 2024): centralised, EP and PCVI.
fn published(domain: Domain, method: &str) -> Option<f64> {
    let figures = match domain {
        Domain::Grid => [Some(0.027), Some(0.038), Some(0.189)],
        Domain::Multisets => [Some(0.100), Some(0.130), Some(0.834)],
        Domain::Sequences => [Some(0.003), Some(0.005), Some(1.872)],
        Domain::Trees => [None, Some(0.088), None],
        Domain::Networks => [None; 3],
    };
    let column = ["centralised", "ep", "pcvi"].iter().position(|name| *name == method)?;
    figures[column]
}

/// What is to be reached by EP: L1, within 15 seconds per client.
fn reach(domain: Domain) -> f64 {
    match domain {
        Domain::Grid | Domain::Sequences => 0.001,
        Domain::Multisets => 0.003,
        Domain::Trees | Domain::Networks => 0.005,
    }
}
