//! `rounds`: extra rounds in which clients go on with objects that the server samples, against as much training in one go.

mod page;

use gfn_core::Result;
use gfn_core::domain::Recipe;
use gfn_core::environment::{Environment, path_to};
use gfn_core::metrics::l1;
use gfn_core::policy::{Policy, TensorMap};
use gfn_core::random::stream;
use gfn_core::rollout::{Walk, sample_walks};
use gfn_core::trainer::Budget;

use super::problem::{Problem, with_steps};
use super::problems::{Domain, NetworkData, TreeData, Visitor, multisets, networks, sequences, trees};
use super::training::{
    Learned, fresh_policy, parameter_bytes, policies, reward_target, seed_of, train, trainer,
};
use super::{Cell, Experiment, Options, Page, Record, Results, Task};
use crate::proposals::n_proposals;

/// Most extra rounds.
const ROUNDS: u64 = 4;
/// Rounds whose steps are also made in one go.
const AT_ONCE: [u64; 2] = [1, ROUNDS];
/// Fraction of the recipes' steps: clients are trained many times over.
const STEPS: f64 = 0.1;
/// Sites of each client of the trees that are not tempered.
const FEW_SITES: usize = 20;

/// A problem, and the rounds that `ep … run` makes there unless it is told otherwise.
#[derive(Debug, Clone, Copy)]
struct Arm {
    name: &'static str,
    domain: Domain,
    /// Few sites with their full likelihood, in place of many with a tempered one.
    few_sites: bool,
    default: u64,
}

const ARMS: [Arm; 5] = [
    Arm { name: "trees", domain: Domain::Trees, few_sites: false, default: 1 },
    Arm { name: "trees of few sites", domain: Domain::Trees, few_sites: true, default: 1 },
    Arm { name: "networks", domain: Domain::Networks, few_sites: false, default: 1 },
    Arm { name: "multisets", domain: Domain::Multisets, few_sites: false, default: 0 },
    Arm { name: "sequences", domain: Domain::Sequences, few_sites: false, default: 0 },
];

impl Arm {
    fn with_problem<V: Visitor>(self, quick: bool, seed: u64, visitor: V) -> Result<V::Output> {
        match self.domain {
            Domain::Trees if self.few_sites => {
                let paper = TreeData::of_the_paper(quick);
                let sites = vec![FEW_SITES; paper.sites.len()];
                visit(trees(&TreeData { sites, temper: 1.0, ..paper }, seed)?, visitor)
            }
            Domain::Trees => visit(trees(&TreeData::of_the_paper(quick), seed)?, visitor),
            Domain::Networks => visit(networks(&NetworkData::of_the_paper(quick), seed)?, visitor),
            Domain::Multisets => visit(multisets(quick, seed)?, visitor),
            Domain::Sequences => visit(sequences(quick, 1.0, seed)?, visitor),
            Domain::Grid => unreachable!("no arm is on the grid, which all clients see all of"),
        }
    }
}

fn visit<E: Environment, V: Visitor>(mut problem: Problem<E>, visitor: V) -> Result<V::Output> {
    problem.training = problem.training.with_steps_times(STEPS);
    visitor.visit(&problem)
}

/// Rounds with the server's objects.
const WITH_ROUNDS: &str = "rounds";
/// As many steps of the clients, without a message in between.
const IN_ONE_GO: &str = "in one go";

/// The experiment.
pub struct Rounds;

impl Experiment for Rounds {
    fn name(&self) -> &'static str {
        "rounds"
    }

    fn about(&self) -> &'static str {
        "L1 and bytes sent with 0 to 4 extra rounds, in which clients go on with objects that the server samples"
    }

    fn plan(&self) -> u32 {
        3
    }

    fn tasks(&self, options: &Options) -> Result<Vec<Task>> {
        let quick = options.quick;
        let mut tasks = Vec::new();
        for seed in 0..options.seeds {
            for arm in ARMS {
                for method in [WITH_ROUNDS, IN_ONE_GO] {
                    let cell = Cell::new(arm.name, method, arm.domain.n_clients(), seed);
                    tasks.push(Task::new(vec![cell.clone()], move |record| {
                        arm.with_problem(quick, seed, Measure { cell, record })
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

struct Measure<'a> {
    cell: Cell,
    record: &'a mut Record,
}

impl Visitor for Measure<'_> {
    type Output = ();

    fn visit<E: Environment>(self, problem: &Problem<E>) -> Result<()> {
        let Measure { cell, record } = self;
        if cell.method == IN_ONE_GO {
            in_one_go(problem, &cell, record)
        } else {
            rounds(problem, &cell, record)
        }
    }
}

fn rounds<E: Environment>(problem: &Problem<E>, cell: &Cell, record: &mut Record) -> Result<()> {
    let mut clients = problem.train_clients(cell.seed)?;
    let mut server: Option<Learned> = None;
    let (mut bytes, mut seconds) = (0, 0.0);
    for round in 0..=ROUNDS {
        let seed = seed_of(cell.seed, &format!("round {round}"));
        if let Some(server) = &server {
            let proposals = propose(problem, server.policy.as_ref(), seed);
            bytes += clients.len() * object_bytes(problem, &proposals);
            clients = clients
                .iter()
                .enumerate()
                .map(|(n, client)| go_on(problem, n, client, proposals.clone(), seed))
                .collect::<Result<_>>()?;
        }
        bytes += clients.iter().map(|client| parameter_bytes(client.policy.as_ref())).sum::<usize>();
        let trained = evaluate(problem, &clients, round, seed, cell, record)?;
        // With a core for each client.
        seconds += clients.iter().map(|client| client.seconds).fold(0.0, f64::max) + trained.seconds;
        record.add(cell, format!("bytes@{round}"), bytes as f64);
        record.add(cell, format!("seconds@{round}"), seconds);
        server = Some(trained);
    }
    Ok(())
}

/// From the start, as many steps as some rounds have in all.
fn in_one_go<E: Environment>(problem: &Problem<E>, cell: &Cell, record: &mut Record) -> Result<()> {
    for round in AT_ONCE {
        let total = steps(&problem.training.client) + round * steps(&problem.training.round);
        let recipe = with_steps(problem.training.client.clone(), total);
        let train = |n| {
            let seed = seed_of(cell.seed, &format!("client {n}"));
            let policy = fresh_policy(problem.env.as_ref(), &recipe, seed)?;
            train(trainer(&problem.env, reward_target(&problem.clients[n]), policy, &recipe, seed)?)
        };
        let clients: Vec<Learned> = (0..problem.n_clients()).map(train).collect::<Result<_>>()?;
        let server = evaluate(problem, &clients, round, seed_of(cell.seed, "round 0"), cell, record)?;
        let longest = clients.iter().map(|client| client.seconds).fold(0.0, f64::max);
        record.add(cell, format!("seconds@{round}"), longest + server.seconds);
    }
    Ok(())
}

fn steps(recipe: &Recipe) -> u64 {
    let Budget::Steps(steps) = recipe.settings.budget else { unreachable!("budgets are steps") };
    steps
}

/// Trains the server on these clients, and compares.
fn evaluate<E: Environment>(
    problem: &Problem<E>,
    clients: &[Learned],
    round: u64,
    seed: u64,
    cell: &Cell,
    record: &mut Record,
) -> Result<Learned> {
    let clients = policies(clients);
    let server = problem.train_server(&clients, seed)?;
    record.add(cell, format!("l1@{round}"), problem.l1(server.policy.as_ref()));
    record.add(cell, format!("exact l1@{round}"), l1(&problem.exact_aggregate(&clients), &problem.target));
    Ok(server)
}

/// Client `n` goes on from where it is, with half of its walks backward from the server's objects.
fn go_on<E: Environment>(
    problem: &Problem<E>,
    n: usize,
    client: &Learned,
    proposals: Vec<E::State>,
    seed: u64,
) -> Result<Learned> {
    let tensors: TensorMap = client.policy.tensors().into_iter().map(|t| (t.name.clone(), t)).collect();
    let policy = client.policy.spec().restore(tensors)?;
    let (target, seed) = (reward_target(&problem.clients[n]), seed_of(seed, &format!("client {n}")));
    train(trainer(&problem.env, target, policy, &problem.training.round, seed)?.with_proposals(proposals))
}

/// As many objects as `ep … run` sends, drawn like there: half from the aggregate, half from it with its logits halved.
fn propose<E: Environment>(problem: &Problem<E>, server: &dyn Policy, seed: u64) -> Vec<E::State> {
    let walk = |i: usize| Walk::Forward {
        scale: if i.is_multiple_of(2) { 1.0 } else { 0.5 },
        epsilon: 0.0,
        tilt: 0.0,
    };
    let walks = (0..n_proposals(problem.env.spec())).map(walk).collect();
    let batch = sample_walks(problem.env.as_ref(), server, walks, &mut stream(seed, "proposals", 0));
    (0..batch.len()).map(|b| batch.object(b).clone()).collect()
}

/// An object travels as the actions of a path to it, four bytes each.
fn object_bytes<E: Environment>(problem: &Problem<E>, objects: &[E::State]) -> usize {
    objects.iter().map(|object| 4 * path_to(problem.env.as_ref(), object).len()).sum()
}
