//! `clients`: from 2 to 32 clients, on fixed data dealt to them and on data that grow with them, against a centralised run.

use std::fmt::Write as _;

use gfn_core::Result;
use gfn_core::environment::Environment;
use gfn_core::metrics::l1;

use super::page::{Summary, Table, mean_and_range, number};
use super::plot::{Panel, Series, draw};
use super::problem::Problem;
use super::problems::{Domain, NetworkData, TreeData, Visitor, networks, trees};
use super::training::{parameter_bytes, policies};
use super::{Cell, Experiment, Options, Page, Record, Results, Task};

/// Numbers of clients, and those of `--quick`.
const CLIENTS: [&[usize]; 2] = [&[2, 4, 8, 16, 32], &[2, 4]];
/// Fraction of the recipe's steps on trees: many clients are trained.
const STEPS: f64 = 0.25;
/// Sites and rows in all, where data are fixed; at least as many as there are clients.
const FIXED: (usize, usize) = (1600, 320);
/// Sites and rows of each client, where data grow.
const GROWING: (usize, usize) = (100, 20);
/// Exponent of the trees' likelihoods: without it a single tree would have all of the mass at any N.
const TEMPER: f64 = 0.01;
/// L1 that is to be reached, up to this number of clients.
const REACH: (f64, usize) = (0.05, 16);

/// What is dealt, and how much of it.
#[derive(Debug, Clone, Copy)]
struct Arm {
    name: &'static str,
    domain: Domain,
    growing: bool,
}

const ARMS: [Arm; 4] = [
    Arm { name: "trees with fixed data", domain: Domain::Trees, growing: false },
    Arm { name: "trees with growing data", domain: Domain::Trees, growing: true },
    Arm { name: "networks with fixed data", domain: Domain::Networks, growing: false },
    Arm { name: "networks with growing data", domain: Domain::Networks, growing: true },
];

impl Arm {
    fn with_problem<V: Visitor>(
        self,
        clients: usize,
        quick: bool,
        seed: u64,
        visitor: V,
    ) -> Result<V::Output> {
        let amount =
            |fixed: usize, each: usize| vec![if self.growing { each } else { fixed / clients }; clients];
        if self.domain == Domain::Trees {
            let data = TreeData {
                sites: amount(FIXED.0, GROWING.0),
                temper: TEMPER,
                ..TreeData::of_the_paper(quick)
            };
            let mut problem = trees(&data, seed)?;
            problem.training = problem.training.with_steps_times(STEPS);
            return visitor.visit(&problem);
        }
        let data = NetworkData { rows: amount(FIXED.1, GROWING.1), ..NetworkData::of_the_paper(quick) };
        visitor.visit(&networks(&data, seed)?)
    }
}

/// The experiment.
pub struct Clients;

impl Experiment for Clients {
    fn name(&self) -> &'static str {
        "clients"
    }

    fn about(&self) -> &'static str {
        "L1, seconds per stage and bytes sent for 2 to 32 clients, on fixed and on growing data, against centralised runs"
    }

    fn plan(&self) -> u32 {
        2
    }

    fn tasks(&self, options: &Options) -> Result<Vec<Task>> {
        let quick = options.quick;
        let mut tasks = Vec::new();
        for &clients in CLIENTS[usize::from(quick)].iter().rev() {
            for seed in 0..options.seeds {
                for arm in ARMS {
                    let cells: Vec<Cell> = ["ep", "exact aggregation", "centralised"]
                        .map(|method| Cell::new(arm.name, method, clients, seed))
                        .to_vec();
                    tasks.push(Task::new(cells.clone(), move |record| {
                        arm.with_problem(clients, quick, seed, Measure { cells, seed, record })
                    }));
                }
            }
        }
        Ok(tasks)
    }

    fn page(&self, options: &Options, results: &Results) -> Result<Page> {
        page(options, results)
    }
}

struct Measure<'a> {
    cells: Vec<Cell>,
    seed: u64,
    record: &'a mut Record,
}

impl Visitor for Measure<'_> {
    type Output = ();

    fn visit<E: Environment>(self, problem: &Problem<E>) -> Result<()> {
        let Measure { cells, seed, record } = self;
        let [ep, exact, centralised] = &cells[..] else { unreachable!("three methods") };
        let trained = problem.train_clients(seed)?;
        let policies = policies(&trained);
        let seconds: Vec<f64> = trained.iter().map(|client| client.seconds).collect();
        let mean = Summary::of(&seconds).map_or(0.0, |summary| summary.mean);
        record.add(ep, "client seconds", mean);
        record.add(ep, "longest client seconds", seconds.iter().copied().fold(0.0, f64::max));
        let bytes: usize = policies.iter().map(|policy| parameter_bytes(policy.as_ref())).sum();
        record.add(ep, "bytes", bytes as f64);
        let server = problem.train_server(&policies, seed)?;
        record.add(ep, "server seconds", server.seconds);
        record.add(ep, "l1", problem.l1(server.policy.as_ref()));
        record.add(ep, "perplexity", problem.perplexity());
        record.add(exact, "l1", l1(&problem.exact_aggregate(&policies), &problem.target));
        let whole = problem.train_centralised(seed)?;
        record.add(centralised, "l1", problem.l1(whole.policy.as_ref()));
        record.add(centralised, "seconds", whole.seconds);
        Ok(())
    }
}

fn page(options: &Options, results: &Results) -> Result<Page> {
    let numbers = CLIENTS[usize::from(options.quick)];
    let leaves = TreeData::of_the_paper(options.quick).leaves;
    let nodes = NetworkData::of_the_paper(options.quick).nodes;
    let mut text = format!(
        "Fixed data: {} sites of {leaves} taxa, {} rows of {nodes} variables, dealt evenly to N clients. Growing data: {} sites and {} \
         rows for each client. Likelihoods of trees have the exponent {TEMPER}, so that not one tree has all of the mass. \
         Policies are trained for as many steps whatever N is: those of their recipe on networks, a quarter of them on trees; the centralised run sees all data and computes likelihoods on distinct site patterns, as the \
         clients do. On networks the product is the posterior of one graph with separate parameters for each client, so \
         that with fixed data, too, it is another one for each N. Exact L1 (0 to 2), mean and range over seeds:\n\n",
        FIXED.0, FIXED.1, GROWING.0, GROWING.1
    );
    for arm in ARMS {
        let _ = writeln!(text, "### {}\n", arm.name);
        let mut table = Table::new(&[
            "N",
            "EP",
            "exact aggregation",
            "centralised",
            "perplexity",
            "s per client (mean)",
            "s of the server",
            "s centralised",
            "bytes sent in all",
        ]);
        for &n in numbers {
            let ep = |metric: &str| mean_and_range(&results.values(arm.name, "ep", n, metric));
            let of =
                |method: &str, metric: &str| mean_and_range(&results.values(arm.name, method, n, metric));
            table.row(&[
                n.to_string(),
                ep("l1"),
                of("exact aggregation", "l1"),
                of("centralised", "l1"),
                ep("perplexity"),
                ep("client seconds"),
                ep("server seconds"),
                of("centralised", "seconds"),
                results
                    .values(arm.name, "ep", n, "bytes")
                    .first()
                    .map_or("–".into(), |bytes| bytes.to_string()),
            ]);
        }
        text += &table.finish();
        text += &verdict(arm, options, results, numbers);
    }
    text += "Published for EP: L1 .15 to .18, 242 to 321 seconds where a centralised run takes 306 to 1267.\n\n\
             ![L1 by number of clients](clients-l1.svg)\n\n![Seconds by number of clients](clients-seconds.svg)\n";
    let panels = |series: &[(&str, &str, &str)], y_label: &str, log_y: bool| {
        ARMS.map(|arm| {
            let line = |&(label, method, metric): &(&str, &str, &str)| {
                let points: Vec<(f64, Vec<f64>)> = numbers
                    .iter()
                    .map(|&n| (n as f64, results.values(arm.name, method, n, metric)))
                    .collect();
                Series::line(label, &points)
            };
            Panel {
                title: arm.name.into(),
                x_label: "clients".into(),
                y_label: y_label.into(),
                log_x: true,
                log_y,
                series: series.iter().map(line).collect(),
                ..Panel::default()
            }
        })
    };
    let l1 = [
        ("EP", "ep", "l1"),
        ("exact aggregation", "exact aggregation", "l1"),
        ("centralised", "centralised", "l1"),
    ];
    let seconds = [
        ("a client (mean)", "ep", "client seconds"),
        ("server", "ep", "server seconds"),
        ("centralised", "centralised", "seconds"),
    ];
    Ok(Page {
        markdown: text,
        pictures: vec![
            ("clients-l1.svg".into(), draw("Exact L1 by number of clients", &panels(&l1, "L1", true), 2)?),
            (
                "clients-seconds.svg".into(),
                draw("Seconds on one core by number of clients", &panels(&seconds, "seconds", true), 2)?,
            ),
        ],
    })
}

/// Whether the L1 was reached, and what parallel clients save.
fn verdict(arm: Arm, options: &Options, results: &Results, numbers: &[usize]) -> String {
    let mean = |method: &str, n: usize, metric: &str| {
        Summary::of(&results.values(arm.name, method, n, metric)).map_or(f64::NAN, |summary| summary.mean)
    };
    let mut text = String::new();
    if !options.quick {
        let too_large: Vec<String> = numbers
            .iter()
            .filter(|&&n| n <= REACH.1 && mean("ep", n, "l1") > REACH.0)
            .map(|n| n.to_string())
            .collect();
        let _ = match too_large.is_empty() {
            true => write!(text, "EP's mean L1 is at most {} up to N = {}. ", REACH.0, REACH.1),
            false => write!(text, "**EP's mean L1 exceeds {} at N = {}.** ", REACH.0, too_large.join(", ")),
        };
    }
    if let Some(&n) = numbers.last() {
        let parallel = mean("ep", n, "longest client seconds") + mean("ep", n, "server seconds");
        let _ = write!(
            text,
            "At N = {n}, with a core for each client, EP takes {} times the seconds of the centralised run, and all cores \
             together {} times.\n\n",
            number(parallel / mean("centralised", n, "seconds")),
            number(
                (n as f64 * mean("ep", n, "client seconds") + mean("ep", n, "server seconds"))
                    / mean("centralised", n, "seconds")
            )
        );
    }
    text
}
