//! `scale`: problems from small to far beyond enumeration, compared with truths that are known in closed form.

mod cases;
mod measure;
mod page;
mod problem;

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::environment::Environment;
use gfn_core::policy::{Policy, Uniform};
use gfn_core::random::stream;

use super::training::{parameter_bytes, policies, train};
use super::{Cell, Experiment, Options, Page, Record, Results, Task};
use cases::{Case, Visitor, cases};
use measure::{Distance, distance, whose_error};
use problem::LargeProblem;

/// The policies that are compared, by the names of their cells.
const UNIFORM: &str = "uniform";
const UNTRAINED: &str = "untrained server";
const EP: &str = "ep";
const CENTRALISED: &str = "centralised";

/// The experiment.
pub struct Scale;

impl Experiment for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn about(&self) -> &'static str {
        "Divergence and log Z against closed forms, from small problems to 10 000 kinds, 64 items, 8 axes and 64 clients"
    }

    fn plan(&self) -> u32 {
        2
    }

    fn tasks(&self, options: &Options) -> Result<Vec<Task>> {
        let mut tasks = Vec::new();
        for case in cases(options.quick) {
            for seed in 0..options.seeds {
                let cells: Vec<Cell> = [UNIFORM, UNTRAINED, EP, CENTRALISED]
                    .map(|method| Cell::new(case.name(), method, case.clients, seed))
                    .to_vec();
                tasks.push(Task::new(cells.clone(), move |record| {
                    case.with_problem(seed, Measure { case, cells, seed, record })
                }));
            }
        }
        Ok(tasks)
    }

    fn page(&self, options: &Options, results: &Results) -> Result<Page> {
        page::page(options, results)
    }
}

struct Measure<'a> {
    case: Case,
    cells: Vec<Cell>,
    seed: u64,
    record: &'a mut Record,
}

impl Visitor for Measure<'_> {
    fn visit<E: Environment>(self, problem: &LargeProblem<E>) -> Result<()> {
        let Measure { case, cells, seed, record } = self;
        let [uniform, untrained, ep, centralised] = &cells[..] else { unreachable!("four methods") };
        // The same objects for all policies.
        let measure = |policy: &dyn Policy| {
            distance(problem, policy, case.amount, &mut stream(seed, "distances of scale", 0))
        };
        keep(record, uniform, measure(&Uniform::new(problem.env.spec())));

        let trained = (0..problem.clients.len()).map(|n| problem.train_client(n, seed));
        let trained = trained.collect::<Result<Vec<_>>>()?;
        let clients = policies(&trained);
        record.add(
            ep,
            "client seconds",
            trained.iter().map(|c| c.seconds).sum::<f64>() / trained.len() as f64,
        );
        record.add(ep, "client bytes", parameter_bytes(clients[0].as_ref()) as f64);
        let trainer = problem.server(&clients, seed)?;
        keep(record, untrained, measure(trainer.policy().as_policy()));
        let server = train(trainer)?;
        record.add(ep, "server seconds", server.seconds);
        keep(record, ep, measure(server.policy.as_ref()));
        let references: Vec<&dyn Policy> = clients.iter().map(Arc::as_ref).collect();
        let (of_clients, of_server) = whose_error(
            problem,
            &references,
            server.policy.as_ref(),
            case.amount,
            &mut stream(seed, "errors of scale", 0),
        );
        record.add(ep, "variance of clients", of_clients);
        record.add(ep, "variance of server", of_server);

        let whole = problem.train_centralised(seed)?;
        keep(record, centralised, measure(whole.policy.as_ref()));
        record.add(centralised, "seconds", whole.seconds);
        Ok(())
    }
}

fn keep(record: &mut Record, cell: &Cell, distance: Distance) {
    for (metric, value) in [
        ("reverse", distance.reverse),
        ("reverse at least", distance.reverse_at_least),
        ("forward", distance.forward),
        ("forward at most", distance.forward_at_most),
        ("log z error", distance.log_z_error),
        ("bound gap", distance.bound_gap),
        ("effective", distance.effective),
    ] {
        record.add(cell, metric, value);
    }
}
