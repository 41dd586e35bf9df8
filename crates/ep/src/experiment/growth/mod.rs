//! `growth`: how the seconds of training, likelihoods and servers grow with the size of what they work on.

mod page;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use gfn_bn::{BgeSettings, DagReward};
use gfn_core::Result;
use gfn_core::domain::{Domain, Recipe, Stage};
use gfn_core::environment::Environment as _;
use gfn_core::policy::{Policy, PolicyKind};
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_core::server::as_policy;
use gfn_multiset::{AdditiveReward, Item, MultisetDomain, MultisetSettings};
use gfn_phylo::{Likelihood, NewickTree, SitePatterns, SubstitutionModel};
use rand::RngExt;

use super::page::median;
use super::problem::with_steps;
use super::problems::{simulated_rows, simulated_sites};
use super::training::{fresh_policy, reward_target, seconds_per_step, seed_of, server_trainer, trainer};
use super::{Cell, Experiment, Options, Page, Results, Task};

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sweep {
    Taxa,
    Sites,
    Variables,
    Rows,
    Clients,
    Width,
}

const SWEEPS: [Sweep; 6] =
    [Sweep::Taxa, Sweep::Sites, Sweep::Variables, Sweep::Rows, Sweep::Clients, Sweep::Width];

/// Steps of a block, blocks that are timed after one that is not; and those of `--quick`.
const BLOCKS: [(u64, u64); 2] = [(20, 5), (2, 2)];
/// Width of the clients and the server where their number grows; and of `--quick`.
const WIDTHS: [usize; 2] = [128, 32];
/// Taxa, and variables, where they are not what grows.
const TAXA: usize = 16;
const VARIABLES: usize = 10;
/// Sites, and rows, where they are not what grows.
const SITES: usize = 500;
const ROWS: usize = 200;
/// Kinds and items of the multisets whose server and whose widths are timed.
const MULTISETS: (usize, usize) = (30, 8);

impl Sweep {
    fn name(self) -> &'static str {
        match self {
            Sweep::Taxa => "taxa",
            Sweep::Sites => "sites",
            Sweep::Variables => "variables",
            Sweep::Rows => "rows",
            Sweep::Clients => "clients",
            Sweep::Width => "hidden width",
        }
    }

    /// What is timed.
    fn what(self) -> String {
        match self {
            Sweep::Taxa => format!("a trajectory of a client's training, {SITES} sites, JC69"),
            Sweep::Sites => format!("the likelihood of a tree of {TAXA} taxa, JC69"),
            Sweep::Variables => format!("a trajectory of a client's training, {ROWS} rows, BGe"),
            Sweep::Rows => format!("reading the BGe scores of {VARIABLES} variables off their rows, once"),
            Sweep::Clients => format!("a trajectory of the server's training, {}", multisets_name()),
            Sweep::Width => format!("a trajectory of a client's training, {}", multisets_name()),
        }
    }

    /// The exponent that the largest sizes should have, and why.
    fn expected(self) -> (&'static str, &'static str) {
        match self {
            Sweep::Taxa => ("3", "n − 2 states, each with some n²/2 actions and features"),
            Sweep::Sites => {
                ("1", "distinct patterns, somewhat fewer than sites; slower memory beyond the caches")
            }
            Sweep::Variables => {
                ("3 to 4", "as many states as edges, which the policy decides, each with d² actions")
            }
            Sweep::Rows => ("1", "sums over rows; training itself does not depend on them"),
            Sweep::Clients => ("1", "every client's policy in every new state"),
            Sweep::Width => ("2", "the product of the hidden layers, beside what does not depend on it"),
        }
    }

    fn sizes(self, quick: bool) -> &'static [usize] {
        match (self, quick) {
            (Sweep::Taxa, true) => &[5, 6],
            (Sweep::Sites, true) => &[10, 100],
            (Sweep::Variables, true) => &[3, 4],
            (Sweep::Rows, true) => &[10, 100],
            (Sweep::Clients, true) => &[1, 2],
            (Sweep::Width, true) => &[16, 32],
            (Sweep::Taxa, false) => &[8, 12, 16, 24, 32, 48, 64],
            (Sweep::Sites, false) => &[1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000],
            (Sweep::Variables, false) => &[5, 7, 10, 14, 20, 30, 40, 50],
            (Sweep::Rows, false) => &[100, 1000, 10_000, 100_000, 1_000_000],
            (Sweep::Clients, false) => &[1, 2, 4, 8, 16, 32, 64],
            (Sweep::Width, false) => &[16, 32, 64, 128, 256, 512, 1024],
        }
    }

    fn cell(self, size: usize, seed: u64) -> Cell {
        Cell::new(format!("{}: {size}", self.name()), "growth", 1, seed)
    }
}

/// The experiment.
pub struct Growth;

impl Experiment for Growth {
    fn name(&self) -> &'static str {
        "growth"
    }

    fn about(&self) -> &'static str {
        "How seconds grow with taxa, sites, variables, rows, clients and the width of the network"
    }

    fn plan(&self) -> u32 {
        1
    }

    fn tasks(&self, options: &Options) -> Result<Vec<Task>> {
        let quick = options.quick;
        let mut tasks = Vec::new();
        for sweep in SWEEPS {
            for &size in sweep.sizes(quick).iter().rev() {
                for seed in 0..options.seeds {
                    let cell = sweep.cell(size, seed);
                    tasks.push(Task::new(vec![cell.clone()], move |record| {
                        record.add(&cell, SECONDS, measure(sweep, size, quick, seed)?);
                        Ok(())
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

/// Seconds of what is timed.
const SECONDS: &str = "seconds";

fn measure(sweep: Sweep, size: usize, quick: bool, seed: u64) -> Result<f64> {
    let blocks = BLOCKS[usize::from(quick)];
    let draw = seed_of(seed, "growth");
    match sweep {
        Sweep::Taxa => {
            let (domain, alignment) = simulated_sites(size, SITES, draw)?;
            let reward = Arc::new(domain.reward(&alignment, 0.0)?);
            client(&domain, reward, domain.recipe(Stage::Client), blocks, seed)
        }
        Sweep::Sites => {
            let (domain, alignment) = simulated_sites(TAXA, size, draw)?;
            let likelihood = Likelihood::new(&SubstitutionModel::jc69(), &SitePatterns::new(&alignment))?;
            let object = domain.environment().sample_object(&mut stream(draw, "a tree", 0));
            let mut tree = domain.newick(&object.expect("trees can be drawn"));
            tree.nodes.iter_mut().for_each(|node| node.length = node.parent.map(|_| 0.1));
            evaluation(&likelihood, &tree, blocks)
        }
        Sweep::Variables => {
            let (domain, table) = simulated_rows(size, ROWS, draw)?;
            let reward = DagReward::bge(domain.environment(), &table, &BgeSettings::default())?;
            client(&domain, Arc::new(reward), domain.recipe(Stage::Client), blocks, seed)
        }
        Sweep::Rows => {
            let (domain, table) = simulated_rows(VARIABLES, size, draw)?;
            let times = (0..blocks.1).map(|_| {
                let started = Instant::now();
                black_box(DagReward::bge(domain.environment(), &table, &BgeSettings::default())?);
                Ok(started.elapsed().as_secs_f64())
            });
            Ok(median(&times.collect::<Result<Vec<f64>>>()?))
        }
        Sweep::Clients => {
            let (domain, _) = multisets(draw)?;
            let env = domain.environment();
            let recipe = with_width(domain.recipe(Stage::Client), WIDTHS[usize::from(quick)]);
            let clients = (0..size as u64)
                .map(|n| Ok(Arc::from(as_policy(fresh_policy(env.as_ref(), &recipe, n)?))))
                .collect::<Result<Vec<Arc<dyn Policy>>>>()?;
            let recipe = with_width(domain.recipe(Stage::Server), WIDTHS[usize::from(quick)]);
            let recipe = with_steps(recipe, total_steps(blocks));
            let mut trainer = server_trainer(env, &clients, &recipe, seed)?;
            Ok(seconds_per_step(&mut trainer, blocks.0, blocks.1)? / recipe.settings.batch_size as f64)
        }
        Sweep::Width => {
            let (domain, reward) = multisets(draw)?;
            client(&domain, Arc::new(reward), with_width(domain.recipe(Stage::Client), size), blocks, seed)
        }
    }
}

fn multisets_name() -> String {
    format!("multisets of {} of {} kinds", MULTISETS.1, MULTISETS.0)
}

fn multisets(seed: u64) -> Result<(MultisetDomain, AdditiveReward)> {
    let (kinds, size) = MULTISETS;
    let item = |kind| Item { name: format!("item {kind}"), capacity: None };
    let domain = MultisetDomain::new(MultisetSettings { size, items: (0..kinds).map(item).collect() })?;
    let mut rng = stream(seed, "values", 0);
    let values = (0..kinds).map(|_| rng.random::<f64>()).collect();
    let reward = AdditiveReward::new(domain.environment(), values)?;
    Ok((domain, reward))
}

/// With two hidden layers of this width.
fn with_width(mut recipe: Recipe, width: usize) -> Recipe {
    if let PolicyKind::Mlp(settings) = &mut recipe.policy {
        settings.hidden = vec![width; 2];
    }
    recipe
}

fn total_steps((steps, blocks): (u64, u64)) -> u64 {
    steps * (blocks + 1)
}

/// Seconds for a trajectory of a client.
fn client<D: Domain>(
    domain: &D,
    reward: Arc<dyn LogReward<D::Env>>,
    recipe: Recipe,
    blocks: (u64, u64),
    seed: u64,
) -> Result<f64> {
    let recipe = with_steps(recipe, total_steps(blocks));
    let env = domain.environment();
    let policy = fresh_policy(env.as_ref(), &recipe, seed)?;
    let mut trainer = trainer(env, reward_target(&reward), policy, &recipe, seed)?;
    Ok(seconds_per_step(&mut trainer, blocks.0, blocks.1)? / recipe.settings.batch_size as f64)
}

/// Median of the seconds for a likelihood; the first one is not counted.
fn evaluation(likelihood: &Likelihood, tree: &NewickTree, (_, blocks): (u64, u64)) -> Result<f64> {
    likelihood.tree_log_likelihood(tree)?;
    let times = (0..blocks).map(|_| {
        let started = Instant::now();
        black_box(likelihood.tree_log_likelihood(black_box(tree))?);
        Ok(started.elapsed().as_secs_f64())
    });
    Ok(median(&times.collect::<Result<Vec<f64>>>()?))
}
