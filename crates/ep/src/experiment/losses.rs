//! `losses`: what each balance loss reaches on the product of each problem, against seconds and against trajectories.

use std::fmt::Write as _;

use gfn_core::Result;
use gfn_core::environment::Environment;
use gfn_core::losses::Balance;
use gfn_core::trainer::Budget;

use super::page::{Summary, Table, mean_and_range, number};
use super::plot::{Panel, Series, draw};
use super::problem::Problem;
use super::problems::{DOMAINS, Domain, Visitor};
use super::training::{fresh_policy, reward_target, seed_of, train_until, trainer};
use super::{Cell, Experiment, Options, Page, Record, Results, Task};

/// Measurements along a training, at the budget divided by powers of 2.
const CHECKPOINTS: u32 = 8;

/// A loss with its settings.
#[derive(Debug, Clone, Copy)]
struct Method {
    name: &'static str,
    loss: Balance,
    /// Learning rate of log Z, where the loss has one.
    log_z_rate: Option<f64>,
}

const CONTRASTIVE: &str = "contrastive";

const METHODS: [Method; 7] = [
    Method { name: CONTRASTIVE, loss: Balance::Contrastive, log_z_rate: None },
    Method { name: "trajectory .01", loss: Balance::Trajectory, log_z_rate: Some(0.01) },
    Method { name: "trajectory .1", loss: Balance::Trajectory, log_z_rate: Some(0.1) },
    Method { name: "trajectory 1", loss: Balance::Trajectory, log_z_rate: Some(1.0) },
    Method { name: "detailed", loss: Balance::Detailed, log_z_rate: None },
    Method { name: "sub-trajectory .9", loss: Balance::SubTrajectory { lambda: 0.9 }, log_z_rate: None },
    Method { name: "modified detailed", loss: Balance::ModifiedDetailed, log_z_rate: None },
];

impl Method {
    fn fits(&self, domain: Domain) -> bool {
        !matches!(self.loss, Balance::ModifiedDetailed) || domain.all_states_are_objects()
    }

    /// Published final L1 (da Silva et al. 2024); trajectory balance at a rate of log Z that is not reported.
    fn published(&self, domain: Domain) -> Option<f64> {
        let [contrastive, trajectory, detailed] = match domain {
            Domain::Multisets => [0.048, 0.215, 0.152],
            Domain::Trees => [0.324, 0.588, 0.986],
            Domain::Sequences => [0.092, 0.274, 1.004],
            Domain::Grid => return matches!(self.loss, Balance::ModifiedDetailed).then_some(0.187),
            Domain::Networks => return None,
        };
        match self.loss {
            Balance::Contrastive => Some(contrastive),
            Balance::Trajectory => Some(trajectory),
            Balance::Detailed => Some(detailed),
            Balance::SubTrajectory { .. } | Balance::ModifiedDetailed => None,
        }
    }
}

/// The experiment.
pub struct Losses;

impl Experiment for Losses {
    fn name(&self) -> &'static str {
        "losses"
    }

    fn about(&self) -> &'static str {
        "Exact L1 of five balance losses on the product of each problem, against seconds and trajectories"
    }

    fn plan(&self) -> u32 {
        1
    }

    fn tasks(&self, options: &Options) -> Result<Vec<Task>> {
        let quick = options.quick;
        let mut tasks = Vec::new();
        for seed in 0..options.seeds {
            for domain in DOMAINS {
                for method in METHODS.iter().filter(|method| method.fits(domain)) {
                    let cell = Cell::new(domain.name(), method.name, 1, seed);
                    tasks.push(Task::new(vec![cell.clone()], move |record| {
                        domain.with_problem(quick, seed, Curve { method, cell, record })
                    }));
                }
            }
        }
        Ok(tasks)
    }

    fn page(&self, _options: &Options, results: &Results) -> Result<Page> {
        page(results)
    }
}

/// One training with one loss, measured along the way.
struct Curve<'a> {
    method: &'a Method,
    cell: Cell,
    record: &'a mut Record,
}

impl Visitor for Curve<'_> {
    type Output = ();

    fn visit<E: Environment>(self, problem: &Problem<E>) -> Result<()> {
        let Curve { method, cell, record } = self;
        let mut recipe = problem.training.centralised.clone();
        recipe.settings.loss = method.loss;
        if let Some(rate) = method.log_z_rate {
            recipe.settings.optimizer.log_z_rate = rate;
        }
        let seed = seed_of(cell.seed, "losses");
        let policy = fresh_policy(problem.env.as_ref(), &recipe, seed)?;
        let mut trainer = trainer(&problem.env, reward_target(&problem.product), policy, &recipe, seed)?;
        let Budget::Steps(budget) = recipe.settings.budget else { unreachable!("budgets are steps") };
        record.add(&cell, "batch", recipe.settings.batch_size as f64);
        for halvings in (0..CHECKPOINTS).rev() {
            let steps = (budget >> halvings).max(1);
            train_until(&mut trainer, steps)?;
            record.add(&cell, format!("l1@{steps}"), problem.l1(trainer.policy().as_policy()));
            record.add(&cell, format!("seconds@{steps}"), trainer.seconds());
        }
        let trained = trainer.finish();
        record.add(&cell, "l1", problem.l1(trained.policy.as_policy()));
        record.add(&cell, "seconds", trained.seconds);
        Ok(())
    }
}

fn page(results: &Results) -> Result<Page> {
    let l1 = |domain: Domain, method: &Method| results.values(domain.name(), method.name, 1, "l1");
    let mut text = String::from(
        "One policy is trained on the product of all clients' rewards, with each loss in turn and everything else as the \
         domain's recipe has it: the same network, walks, batches, learning rate with cosine decay and number of steps. \
         The recipes were found with contrastive balance, which may favour it; of trajectory balance the learning rate of \
         log Z is swept (.01, .1, 1), and it starts at the log Z that the first batch suggests. Final exact L1 (0 to 2), \
         mean and range over seeds, the published figure in brackets:\n\n",
    );
    let mut titles = vec!["L1"];
    titles.extend(DOMAINS.map(Domain::name));
    let mut table = Table::new(&titles);
    let mut seconds = Table::new(&[&["seconds"][..], &titles[1..]].concat());
    for method in &METHODS {
        let row = DOMAINS.map(|domain| {
            let ours = mean_and_range(&l1(domain, method));
            method.published(domain).map_or(ours.clone(), |figure| format!("{ours} [{figure}]"))
        });
        table.row(&[&[method.name.to_string()][..], &row].concat());
        let row =
            DOMAINS.map(|domain| mean_and_range(&results.values(domain.name(), method.name, 1, "seconds")));
        seconds.row(&[&[method.name.to_string()][..], &row].concat());
    }
    text += &table.finish();
    text += &seconds.finish();
    for domain in DOMAINS {
        let mean = |method: &Method| Some((Summary::of(&l1(domain, method))?, method.name));
        let mut ranked: Vec<(Summary, &str)> = METHODS.iter().filter_map(mean).collect();
        ranked.sort_by(|a, b| a.0.mean.total_cmp(&b.0.mean));
        let Some(contrastive) = ranked.iter().find(|(_, name)| *name == CONTRASTIVE) else { continue };
        let _ = write!(text, "- **{}**: ", domain.name());
        match ranked.first() {
            Some((_, CONTRASTIVE)) => {
                let second = ranked.get(1).map_or(String::new(), |(second, name)| {
                    let apart =
                        if second.low > contrastive.0.high { "" } else { ", within the range of seeds" };
                    format!(
                        "; next is {name}, at {} times its L1{apart}",
                        number(second.mean / contrastive.0.mean)
                    )
                });
                let _ = writeln!(text, "contrastive balance is best{second}.");
            }
            Some((best, name)) => {
                let apart = if best.high < contrastive.0.low { "beyond" } else { "within" };
                let _ = writeln!(
                    text,
                    "**contrastive balance does not win**: {name} has {} times its L1, {apart} the range of seeds.",
                    number(best.mean / contrastive.0.mean)
                );
            }
            None => {}
        }
    }
    text += "\nAgainst trajectories and against seconds; each curve is one training whose learning rate falls to the end, so \
             that its last points are its best:\n\n![L1 against trajectories](losses-trajectories.svg)\n\n\
             ![L1 against seconds](losses-seconds.svg)\n";
    let curves = |x: &dyn Fn(&str, &str) -> Vec<f64>, x_label: &str| {
        DOMAINS.map(|domain| {
            let series = METHODS.iter().filter(|method| method.fits(domain)).map(|method| {
                let curve = results.curve(domain.name(), method.name, 1, "l1");
                let placed = x(domain.name(), method.name).into_iter().zip(curve);
                let points: Vec<(f64, Vec<f64>)> = placed.map(|(x, (_, values))| (x, values)).collect();
                Series::line(method.name, &points)
            });
            Panel {
                title: domain.name().into(),
                x_label: x_label.into(),
                y_label: "L1".into(),
                log_x: true,
                log_y: true,
                series: series.collect(),
                ..Panel::default()
            }
        })
    };
    let trajectories = |domain: &str, method: &str| -> Vec<f64> {
        let batch = results.values(domain, method, 1, "batch").first().copied().unwrap_or(1.0);
        results.curve(domain, method, 1, "l1").iter().map(|(steps, _)| steps * batch).collect()
    };
    let seconds = |domain: &str, method: &str| -> Vec<f64> {
        let curve = results.curve(domain, method, 1, "seconds");
        curve.iter().filter_map(|(_, values)| Some(Summary::of(values)?.mean)).collect()
    };
    let title = "Exact L1 of balance losses (mean and range over seeds)";
    Ok(Page {
        markdown: text,
        pictures: vec![
            ("losses-trajectories.svg".into(), draw(title, &curves(&trajectories, "trajectories"), 3)?),
            ("losses-seconds.svg".into(), draw(title, &curves(&seconds, "seconds on one core"), 3)?),
        ],
    })
}
