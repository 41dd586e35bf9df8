//! `cost`: seconds of clients, servers and centralised runs against a model of what they should cost, and where EP pays.

mod fit;
mod page;

use std::sync::Arc;
use std::time::Instant;

use gfn_bn::data::Table;
use gfn_bn::{BgeSettings, DagReward};
use gfn_core::Result;
use gfn_core::domain::{Domain, Stage};
use gfn_core::environment::Environment;
use gfn_core::policy::Policy;
use gfn_core::random::stream;
use gfn_core::reward::LogReward;
use gfn_core::rollout::sample_on_policy;
use gfn_core::trainer::Trainer;

use super::problem::with_steps;
use super::problems::{network_domain, simulated_rows, simulated_sites, simulated_tables};
use super::training::{
    fresh_policy, reward_target, seconds_per_step, seed_of, server_trainer, train, trainer,
};
use super::{Cell, Experiment, Options, Page, Record, Results, Task};

/// Numbers of clients, from 1, the centralised run; and those of `--quick`.
const CLIENTS: [&[usize]; 2] = [&[1, 2, 4, 8, 16], &[1, 2]];
/// Sites or rows in all, and those of `--quick`.
const AMOUNTS: [&[usize]; 2] = [&[100, 1000, 10_000, 100_000], &[32, 256]];
/// Taxa and nodes, and those of `--quick`.
const SIZES: [&[Size]; 2] = [
    &[
        Size::Trees(16),
        Size::Trees(12),
        Size::Trees(10),
        Size::Trees(8),
        Size::Networks(10),
        Size::Networks(8),
        Size::Networks(6),
        Size::Networks(5),
    ],
    &[Size::Trees(5), Size::Trees(6), Size::Networks(3)],
];
/// Steps of a training of which the first ones are timed.
const MANY: u64 = 8000;
/// Blocks of steps that are timed, of which the median counts, after one that is not.
const BLOCKS: u64 = 5;
/// Steps of a block, fewer where they are long; and those of `--quick`.
const BLOCK_STEPS: [(usize, usize); 2] = [(4, 60), (1, 12)];
/// Rows or sites of each of the clients whose server is timed, and steps they are trained for; and those of `--quick`.
const OWN_DATA: usize = 100;
const CLIENT_STEPS: [u64; 2] = [300, 5];
/// Sites times taxa of all steps of a block.
const BLOCK_WORK: usize = 2_000_000;

/// A graph of states.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Size {
    Trees(usize),
    Networks(usize),
}

impl Size {
    fn name(self) -> String {
        match self {
            Size::Trees(taxa) => format!("trees of {taxa}"),
            Size::Networks(nodes) => format!("networks of {nodes}"),
        }
    }

    fn with_data(self, amount: usize) -> String {
        match self {
            Size::Trees(_) => format!("{} with {amount} sites", self.name()),
            Size::Networks(_) => format!("{} with {amount} rows", self.name()),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Size::Trees(_) => "trees",
            Size::Networks(_) => "networks",
        }
    }

    /// Steps of a client or centralised run and of a server, which the model puts in: those of `table1`.
    fn steps(self) -> (u64, u64) {
        match self {
            Size::Trees(_) => (8000, 4000),
            Size::Networks(_) => (8000, 20_000),
        }
    }

    fn block_steps(self, amount: usize, quick: bool) -> u64 {
        let (fewest, most) = BLOCK_STEPS[usize::from(quick)];
        match self {
            Size::Trees(taxa) => (BLOCK_WORK / (amount * taxa)).clamp(fewest, most) as u64,
            // Rows are summed up once, and do not count.
            Size::Networks(_) => most as u64,
        }
    }
}

/// The experiment.
pub struct Cost;

impl Experiment for Cost {
    fn name(&self) -> &'static str {
        "cost"
    }

    fn about(&self) -> &'static str {
        "Seconds of centralised and embarrassingly parallel runs by amount of data, size of graph and clients, and a formula"
    }

    fn plan(&self) -> u32 {
        4
    }

    fn tasks(&self, options: &Options) -> Result<Vec<Task>> {
        let (few, quick) = (options.quick, usize::from(options.quick));
        let mut tasks = Vec::new();
        for &size in SIZES[quick] {
            for seed in 0..options.seeds {
                for &amount in AMOUNTS[quick].iter().rev() {
                    for &clients in CLIENTS[quick] {
                        let cell = Cell::new(size.with_data(amount), "client", clients, seed);
                        tasks.push(Task::new(vec![cell.clone()], move |record| {
                            client(size, amount, few, &cell, record)
                        }));
                    }
                }
                let parallel = CLIENTS[quick].iter().filter(|n| **n > 1);
                let cells: Vec<Cell> =
                    parallel.map(|&clients| Cell::new(size.name(), "server", clients, seed)).collect();
                tasks.push(Task::new(cells.clone(), move |record| servers(size, few, &cells, record)));
            }
        }
        Ok(tasks)
    }

    fn page(&self, options: &Options, results: &Results) -> Result<Page> {
        page::page(options, results)
    }
}

/// A client with its part of the data; the only one is a centralised run.
fn client(size: Size, amount: usize, quick: bool, cell: &Cell, record: &mut Record) -> Result<()> {
    let (own, seed) = (amount / cell.clients, seed_of(cell.seed, "cost"));
    match size {
        Size::Trees(taxa) => {
            let (domain, alignment) = simulated_sites(taxa, own, seed)?;
            let started = Instant::now();
            let reward = domain.reward(&alignment, 0.0)?;
            record.add(cell, "setup seconds", started.elapsed().as_secs_f64());
            record.add(cell, "patterns", reward.n_patterns() as f64);
            train_client(&domain, Arc::new(reward), size.block_steps(own, quick), cell, record)
        }
        Size::Networks(nodes) => {
            let (domain, table) = simulated_rows(nodes, own, seed)?;
            let started = Instant::now();
            let reward = DagReward::bge(domain.environment(), &table, &BgeSettings::default())?;
            record.add(cell, "setup seconds", started.elapsed().as_secs_f64());
            record.add(cell, "patterns", own as f64);
            train_client(&domain, Arc::new(reward), size.block_steps(own, quick), cell, record)
        }
    }
}

fn train_client<D: Domain>(
    domain: &D,
    reward: Arc<dyn LogReward<D::Env>>,
    steps: u64,
    cell: &Cell,
    record: &mut Record,
) -> Result<()> {
    let stage = if cell.clients == 1 { Stage::Centralised } else { Stage::Client };
    let recipe = with_steps(domain.recipe(stage), MANY);
    let policy = fresh_policy(domain.environment().as_ref(), &recipe, cell.seed)?;
    let trainer = trainer(domain.environment(), reward_target(&reward), policy, &recipe, cell.seed)?;
    time(domain.environment().as_ref(), trainer, recipe.settings.batch_size, steps, cell, record)
}

/// Servers of the first clients of the same ones, for each number of them.
fn servers(size: Size, quick: bool, cells: &[Cell], record: &mut Record) -> Result<()> {
    let most = cells.iter().map(|cell| cell.clients).max().unwrap_or(0);
    let seed = seed_of(cells[0].seed, "servers");
    match size {
        Size::Trees(taxa) => {
            let (domain, alignment) = simulated_sites(taxa, most * OWN_DATA, seed)?;
            let reward = |n: usize| -> Result<Arc<dyn LogReward<_>>> {
                let own: Vec<usize> = (n * OWN_DATA..(n + 1) * OWN_DATA).collect();
                Ok(Arc::new(domain.reward(&alignment.select_sites(&own), 0.0)?))
            };
            let rewards = (0..most).map(reward).collect::<Result<Vec<_>>>()?;
            server(&domain, &rewards, quick, cells, record)
        }
        Size::Networks(nodes) => {
            let domain = network_domain(nodes)?;
            let reward = |table: &Table| -> Result<Arc<dyn LogReward<_>>> {
                Ok(Arc::new(DagReward::bge(domain.environment(), table, &BgeSettings::default())?))
            };
            let tables = simulated_tables(nodes, vec![OWN_DATA; most], seed)?;
            let rewards = tables.iter().map(reward).collect::<Result<Vec<_>>>()?;
            server(&domain, &rewards, quick, cells, record)
        }
    }
}

fn server<D: Domain>(
    domain: &D,
    rewards: &[Arc<dyn LogReward<D::Env>>],
    quick: bool,
    cells: &[Cell],
    record: &mut Record,
) -> Result<()> {
    let env = domain.environment();
    // Trained a little: walks of a product of untrained policies are not as long as those of a server.
    let recipe = with_steps(domain.recipe(Stage::Client), CLIENT_STEPS[usize::from(quick)]);
    let client = |(n, reward): (u64, &Arc<dyn LogReward<D::Env>>)| {
        let policy = fresh_policy(env.as_ref(), &recipe, n)?;
        Ok(train(trainer(env, reward_target(reward), policy, &recipe, n)?)?.policy)
    };
    let clients = (0..).zip(rewards).map(client).collect::<Result<Vec<Arc<dyn Policy>>>>()?;
    let recipe = with_steps(domain.recipe(Stage::Server), MANY);
    let steps = BLOCK_STEPS[usize::from(quick)].1 as u64;
    for cell in cells {
        let trainer = server_trainer(env, &clients[..cell.clients], &recipe, cell.seed)?;
        time(env.as_ref(), trainer, recipe.settings.batch_size, steps, cell, record)?;
    }
    Ok(())
}

/// Times blocks of steps: the median of the seconds for a trajectory, and how many actions it has.
fn time<E: Environment>(
    env: &E,
    mut trainer: Trainer<E>,
    batch: usize,
    steps: u64,
    cell: &Cell,
    record: &mut Record,
) -> Result<()> {
    record.add(cell, "trajectory seconds", seconds_per_step(&mut trainer, steps, BLOCKS)? / batch as f64);
    record.add(cell, "batch", batch as f64);
    let policy = trainer.policy().as_policy();
    let walks = sample_on_policy(env, policy, batch, &mut stream(cell.seed, "lengths", 0));
    // As a step finds them: equal states are evaluated once.
    record.add(cell, "distinct", walks.n_states() as f64 / walks.n_slots() as f64);
    record.add(cell, "actions", env.spec().n_forward_outputs() as f64);
    record.add(cell, "length", walks.n_slots() as f64 / batch as f64 - 1.0);
    Ok(())
}
