//! `heterogeneity`: the same product dealt to ever less alike clients, and which numbers foretell the aggregate's L1.

mod deal;
mod page;
mod signs;

use gfn_core::Result;
use gfn_core::environment::Environment;
use gfn_core::metrics::l1;
use gfn_core::policy::{MlpSettings, PolicyKind};
use gfn_core::trainer::Budget;

use self::deal::{beacons, genes};
use super::problem::{Problem, Training};
use super::training::policies;
use super::{Cell, Experiment, Options, Page, Record, Results, Task};

/// Numbers of clients, and those of `--quick`.
const CLIENTS: [&[usize]; 2] = [&[64, 32, 16, 8, 4, 2], &[4, 2]];
/// Steps of a client, and of one with `--quick`: short, so that errors are there to be foretold.
const STEPS: [u64; 2] = [300, 100];
/// Trajectories per step.
const BATCH: usize = 64;
/// Width of the two hidden layers of a client.
const HIDDEN: usize = 32;

/// How the product is dealt.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shards {
    /// Grid world: how many of its own standard deviations each client's centre is away from that of the product.
    Beacons(f64),
    /// Trees: concentration of the Dirichlet law by which each client mixes sites of several genes.
    Genes(f64),
    /// Trees: each client has the next sites of the alignment, in which the genes lie one after the other.
    Contiguous,
}

/// From alike to unlike.
const SHARDS: [Shards; 10] = [
    Shards::Beacons(0.0),
    Shards::Beacons(1.0),
    Shards::Beacons(2.0),
    Shards::Beacons(3.0),
    Shards::Beacons(4.0),
    Shards::Genes(100.0),
    Shards::Genes(1.0),
    Shards::Genes(0.1),
    Shards::Genes(0.001),
    Shards::Contiguous,
];

/// The two kinds of problems.
const KINDS: [&str; 2] = ["grid", "trees"];

impl Shards {
    fn kind(self) -> &'static str {
        match self {
            Shards::Beacons(_) => KINDS[0],
            Shards::Genes(_) | Shards::Contiguous => KINDS[1],
        }
    }

    /// What is varied, in words.
    fn words(self) -> String {
        match self {
            Shards::Beacons(apart) => format!("{apart} apart"),
            Shards::Genes(concentration) => format!("Dirichlet {concentration}"),
            Shards::Contiguous => "contiguous".into(),
        }
    }

    fn name(self) -> String {
        format!("{} {}", self.kind(), self.words())
    }
}

/// The recipe of a client: that of its domain, with a small network and few steps.
fn shortened(mut training: Training, steps: u64) -> Training {
    let recipe = &mut training.client;
    if let PolicyKind::Mlp(settings) = &mut recipe.policy {
        *settings = MlpSettings { hidden: vec![HIDDEN; 2], ..settings.clone() };
    }
    recipe.settings.batch_size = BATCH;
    recipe.settings.budget = Budget::Steps(steps);
    training
}

/// The experiment.
pub struct Heterogeneity;

impl Experiment for Heterogeneity {
    fn name(&self) -> &'static str {
        "heterogeneity"
    }

    fn about(&self) -> &'static str {
        "Exact L1 of the aggregate of 2 to 64 ever less alike clients, and which numbers foretell it"
    }

    fn plan(&self) -> u32 {
        3
    }

    fn tasks(&self, options: &Options) -> Result<Vec<Task>> {
        let quick = options.quick;
        let mut tasks = Vec::new();
        for &clients in CLIENTS[usize::from(quick)] {
            for seed in 0..options.seeds {
                for shards in SHARDS {
                    let cell = Cell::new(shards.name(), "exact aggregation", clients, seed);
                    tasks.push(Task::new(vec![cell.clone()], move |record| match shards {
                        Shards::Beacons(apart) => measure(beacons(clients, apart, quick)?, &cell, record),
                        Shards::Genes(concentration) => {
                            measure(genes(clients, Some(concentration), quick, seed)?, &cell, record)
                        }
                        Shards::Contiguous => measure(genes(clients, None, quick, seed)?, &cell, record),
                    }));
                }
            }
        }
        Ok(tasks)
    }

    fn page(&self, options: &Options, results: &Results) -> Result<Page> {
        page::page(options, results)
    }
}

/// Trains the clients, aggregates them exactly, and measures what might have foretold the result.
fn measure<E: Environment>(problem: Problem<E>, cell: &Cell, record: &mut Record) -> Result<()> {
    let clients = policies(&problem.train_clients(cell.seed)?);
    let aggregate = problem.exact_aggregate(&clients);
    record.add(cell, "l1", l1(&aggregate, &problem.target));
    let truth = signs::with_the_truth(&problem, &clients);
    let seen = signs::from_policies(&problem, &clients, &aggregate, cell.seed)?;
    for (name, value) in truth.into_iter().chain(seen) {
        record.add(cell, name, value);
    }
    record.add(cell, "perplexity", problem.perplexity());
    Ok(())
}
