//! `privacy`: what a client's policy gives away of its data, beside what the exact posterior would.

mod gaussian;
mod membership;
mod page;
mod recovery;
mod roc;
mod site;

use std::sync::Arc;

use gfn_bn::Table;
use gfn_core::Result;
use gfn_core::domain::{Domain as _, Recipe, Stage};
use gfn_core::metrics::l1;
use gfn_core::random::{ChaCha8Rng, stream};
use gfn_core::reward::LogReward;

use super::problem::with_steps;
use super::training::{fresh_policy, reward_target, seed_of, train_until, trainer};
use super::{Cell, Experiment, Options, Page, Record, Results, Task};
use membership::{Shadows, Suspect, exact_gains};
use recovery::{Reading, correlations, root_mean_square, score_differences};
use roc::judge;
use site::{Calibration, Graphs, Row, population, standardised};

/// The methods, by the names of their cells.
const EXACT: &str = "exact posterior";
const RECOVERY: &str = "recovery";
const TRAINED: &str = "trained policies";
const NOISY: &str = "exact posterior with the noise of training";

/// Measurements along a training, at the budget divided by powers of 2.
const CHECKPOINTS: u32 = 6;

/// Sizes of the experiment.
#[derive(Debug, Clone, Copy)]
struct Plan {
    nodes: usize,
    /// Rows of each client whose policy is trained.
    rows: usize,
    /// Rows of tables whose exact posterior is attacked.
    exact_rows: &'static [usize],
    /// Clients that are trained, and for how many steps.
    trained: usize,
    steps: u64,
    /// Tables whose exact posterior is attacked, and rows of each that are tried.
    victims: usize,
    tried: usize,
    /// Made-up tables of the attacker.
    shadows: usize,
}

fn plan(quick: bool) -> Plan {
    if quick {
        let exact_rows = &[8, 32];
        return Plan {
            nodes: 3,
            rows: 8,
            exact_rows,
            trained: 2,
            steps: 64,
            victims: 12,
            tried: 2,
            shadows: 40,
        };
    }
    Plan {
        nodes: 4,
        rows: 20,
        exact_rows: &[10, 20, 40, 80, 160],
        trained: 12,
        steps: 8000,
        victims: 240,
        tried: 4,
        shadows: 200,
    }
}

/// Of other victims, how many each row is tried on.
const OTHERS: usize = 20;

/// The name of problems with this many rows.
fn domain(plan: &Plan, rows: usize) -> String {
    format!("networks of {} nodes and {rows} rows", plan.nodes)
}

/// The experiment.
pub struct Privacy;

impl Experiment for Privacy {
    fn name(&self) -> &'static str {
        "privacy"
    }

    fn about(&self) -> &'static str {
        "What a policy gives away: score differences, correlations, and whether a row was in the table"
    }

    fn plan(&self) -> u32 {
        1
    }

    fn tasks(&self, options: &Options) -> Result<Vec<Task>> {
        let plan = plan(options.quick);
        let mut tasks = Vec::new();
        for seed in 0..options.seeds {
            let cell = |method| Cell::new(domain(&plan, plan.rows), method, plan.trained, seed);
            let cells = [RECOVERY, TRAINED, NOISY].map(cell);
            let listed = cells.to_vec();
            tasks.push(Task::new(listed, move |record| trained(&plan, &cells, seed, record)));
        }
        for seed in 0..options.seeds {
            for &rows in plan.exact_rows {
                let cell = Cell::new(domain(&plan, rows), EXACT, plan.victims, seed);
                tasks.push(Task::new(vec![cell.clone()], move |record| {
                    let people = People::new(&plan, rows, plan.victims, seed)?;
                    let suspects = people.suspects(plan.tried)?;
                    let gains: Vec<Vec<f64>> =
                        people.tables.iter().map(|rows| exact_gains(rows)).collect::<Result<_>>()?;
                    let none = vec![0.0; gains[0].len()];
                    people.judge(&gains, &suspects, &none, &cell, "", record);
                    Ok(())
                }));
            }
        }
        Ok(tasks)
    }

    fn page(&self, options: &Options, results: &Results) -> Result<Page> {
        page::page(options, results)
    }
}

/// The victims' tables and the attacker's shadows, of one population.
struct People {
    tables: Vec<Vec<Row>>,
    shadows: Shadows,
    /// A table of the attacker's, to calibrate by.
    other: Table,
    /// |ρ| that the attacker would guess without any policy: the mean of its own tables.
    guess: Vec<f64>,
    rng_seed: u64,
}

impl People {
    fn new(plan: &Plan, rows: usize, victims: usize, seed: u64) -> Result<Self> {
        let whole = 2 * plan.shadows;
        let sizes = [vec![rows; victims + whole], vec![rows - 1; plan.shadows]].concat();
        let mut tables = population(plan.nodes, &sizes, seed)?;
        let incomplete = tables.split_off(victims + whole);
        let whole = tables.split_off(victims);
        let guesses: Vec<Vec<f64>> = whole
            .iter()
            .map(|rows| Ok(absolute(site::correlations(&standardised(rows)?))))
            .collect::<Result<_>>()?;
        let other = standardised(&whole[0])?;
        let shadows = Shadows::new(&whole, incomplete)?;
        Ok(People { tables, shadows, other, guess: gaussian::mean(&guesses), rng_seed: seed })
    }

    /// The first `tried` rows of every table.
    fn suspects(&self, tried: usize) -> Result<Vec<Suspect>> {
        let rows = self.tables.iter().enumerate();
        let rows = rows.flat_map(|(v, rows)| rows.iter().take(tried).map(move |row| (v, row)));
        rows.map(|(v, row)| self.shadows.suspect(v, row)).collect()
    }

    /// Attacks victims by what is known of them, and keeps how well that goes.
    fn judge(
        &self,
        gains: &[Vec<f64>],
        suspects: &[Suspect],
        noise: &[f64],
        cell: &Cell,
        at: &str,
        record: &mut Record,
    ) {
        let scores = self.shadows.attack(gains, suspects, noise, OTHERS);
        let (area, found) = judge(&scores, &mut stream(self.rng_seed, "bootstrap of privacy", 0));
        for (name, interval) in [("auc", area), ("tpr", found)] {
            record.add(cell, format!("{name}{at}"), interval.value);
            record.add(cell, format!("{name} low{at}"), interval.low);
            record.add(cell, format!("{name} high{at}"), interval.high);
        }
    }
}

fn absolute(values: Vec<f64>) -> Vec<f64> {
    values.into_iter().map(f64::abs).collect()
}

/// What a client's policy said at a checkpoint.
struct Said {
    steps: u64,
    l1: f64,
    differences: Vec<f64>,
    gains: Vec<f64>,
}

/// A client's table, what is true of it, and what its policy said.
struct Client {
    /// log R of all graphs.
    log_rewards: Vec<f64>,
    correlations: Vec<f64>,
    gains: Vec<f64>,
    said: Vec<Said>,
}

/// Trains a client on its standardised table.
fn train_client(graphs: &Graphs, rows: &[Row], recipe: &Recipe, steps: u64, seed: u64) -> Result<Client> {
    let table = standardised(rows)?;
    let env = graphs.environment();
    let reward: Arc<dyn LogReward<_>> = Arc::new(graphs.reward(&table)?);
    let log_rewards = graphs.graph.log_rewards(env.as_ref(), reward.as_ref());
    let (_, target) = gfn_core::exact::normalise(&log_rewards);
    let policy = fresh_policy(env.as_ref(), recipe, seed)?;
    let mut trainer = trainer(env, reward_target(&reward), policy, recipe, seed)?;
    let mut said = Vec::new();
    for halvings in (0..CHECKPOINTS).rev() {
        let steps = (steps >> halvings).max(1);
        train_until(&mut trainer, steps)?;
        let edges = graphs.graph.edge_policy(env.as_ref(), trainer.policy().as_policy());
        let probabilities = graphs.graph.distribution(&edges);
        let logs: Vec<f64> = probabilities.iter().map(|p| p.ln()).collect();
        said.push(Said {
            steps,
            l1: l1(&probabilities, &target),
            differences: score_differences(graphs, &edges),
            gains: graphs.set_gains(&logs),
        });
    }
    let gains = graphs.set_gains(&log_rewards);
    Ok(Client { log_rewards, correlations: absolute(site::correlations(&table)), gains, said })
}

/// Policies that are trained: what they give away as training proceeds.
fn trained(plan: &Plan, cells: &[Cell; 3], seed: u64, record: &mut Record) -> Result<()> {
    let [recovery, membership, noisy] = cells;
    let graphs = Graphs::new(plan.nodes)?;
    let recipe = with_steps(graphs.domain.recipe(Stage::Client), plan.steps);
    let people = People::new(plan, plan.rows, plan.trained, seed)?;
    let train = |(n, rows): (usize, &Vec<Row>)| {
        train_client(&graphs, rows, &recipe, plan.steps, seed_of(seed, &format!("client {n} of privacy")))
    };
    let clients = people.tables.iter().enumerate().map(train).collect::<Result<Vec<Client>>>()?;
    let calibration = Calibration::of(&people.other)?;
    let suspects = people.suspects(plan.rows)?;
    // The tables of the cells of exact posteriors, which get the noise that training has.
    let crowd = People::new(plan, plan.rows, plan.victims, seed)?;
    let crowd_suspects = crowd.suspects(plan.tried)?;
    let crowd_gains = crowd.tables.iter().map(|rows| exact_gains(rows)).collect::<Result<Vec<_>>>()?;

    keep_recovery(plan, &graphs, &clients, &people, calibration, recovery, record);
    for checkpoint in 0..clients[0].said.len() {
        let at = format!("@{}", clients[0].said[checkpoint].steps);
        let noise = noise(&clients, checkpoint);
        let said: Vec<Vec<f64>> =
            clients.iter().map(|client| client.said[checkpoint].gains.clone()).collect();
        people.judge(&said, &suspects, &noise, membership, &at, record);
        let root = (noise.iter().sum::<f64>() / noise.len() as f64).sqrt();
        record.add(noisy, format!("noise{at}"), root);
        let mut rng = stream(seed, "noise of privacy", checkpoint as u64);
        let blurred: Vec<Vec<f64>> = crowd_gains.iter().map(|gains| blur(gains, &noise, &mut rng)).collect();
        crowd.judge(&blurred, &crowd_suspects, &noise, noisy, &at, record);
    }
    Ok(())
}

/// Mean squared errors of the clients' gains at a checkpoint.
fn noise(clients: &[Client], checkpoint: usize) -> Vec<f64> {
    let squares: Vec<Vec<f64>> = clients
        .iter()
        .map(|client| {
            let said = client.said[checkpoint].gains.iter().zip(&client.gains);
            said.map(|(said, truth)| (said - truth).powi(2)).collect()
        })
        .collect();
    gaussian::mean(&squares)
}

fn blur(gains: &[f64], noise: &[f64], rng: &mut ChaCha8Rng) -> Vec<f64> {
    gains
        .iter()
        .zip(noise)
        .map(|(gain, variance)| gain + variance.sqrt() * super::training::normal(rng))
        .collect()
}

/// Score differences and correlations: mean over clients of the root-mean-square errors.
fn keep_recovery(
    plan: &Plan,
    graphs: &Graphs,
    clients: &[Client],
    people: &People,
    calibration: Calibration,
    cell: &Cell,
    record: &mut Record,
) {
    let mean = |of: &dyn Fn(&Client) -> f64| clients.iter().map(of).sum::<f64>() / clients.len() as f64;
    let truth = |client: &Client| -> Vec<f64> {
        let difference =
            |t: &site::Transition| client.log_rewards[t.graphs.1] - client.log_rewards[t.graphs.0];
        graphs.transitions.iter().map(difference).collect()
    };
    let first = |values: &[f64]| -> Vec<f64> {
        let of_empty = graphs.transitions.iter().zip(values).filter(|(t, _)| t.graphs.0 == graphs.empty);
        of_empty.map(|(_, value)| *value).collect()
    };
    let of_correlations = |client: &Client, differences: &[f64], reading| {
        root_mean_square(&correlations(graphs, differences, calibration, reading), &client.correlations)
    };
    record.add(cell, "guess of correlations", mean(&|c| root_mean_square(&people.guess, &c.correlations)));
    let exact = mean(&|c| of_correlations(c, &truth(c), Reading::FromEmpty));
    record.add(cell, "correlations by exact scores", exact);
    let spread = |client: &Client| {
        let first = first(&truth(client));
        let zero = vec![first.iter().sum::<f64>() / first.len() as f64; first.len()];
        root_mean_square(&first, &zero)
    };
    record.add(cell, "spread of first differences", mean(&spread));
    record.add(cell, "rows", plan.rows as f64);
    for checkpoint in 0..clients[0].said.len() {
        let at = format!("@{}", clients[0].said[checkpoint].steps);
        let said = |client: &Client| client.said[checkpoint].differences.clone();
        for (metric, value) in [
            ("l1", mean(&|c| c.said[checkpoint].l1)),
            ("first differences", mean(&|c| root_mean_square(&first(&said(c)), &first(&truth(c))))),
            ("differences", mean(&|c| root_mean_square(&said(c), &truth(c)))),
            ("correlations", mean(&|c| of_correlations(c, &said(c), Reading::FromEmpty))),
            ("correlations everywhere", mean(&|c| of_correlations(c, &said(c), Reading::Everywhere))),
        ] {
            record.add(cell, format!("{metric}{at}"), value);
        }
    }
}
