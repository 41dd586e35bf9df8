//! `sparse`: which balance losses find the modes of hypergrids whose reward between the modes falls from 1e-1 to 1e-5.

mod page;

use std::sync::Arc;

use gfn_core::Result;
use gfn_core::domain::{Domain as _, Recipe};
use gfn_core::grid::{Grid, HypergridReward};
use gfn_core::losses::Balance;
use gfn_core::metrics::l1;
use gfn_core::policy::{MlpSettings, PolicyKind};
use gfn_core::rollout::{Share, Source};
use gfn_core::trainer::Budget;

use super::problem::Problem;
use super::problems::grid_training;
use super::training::{fresh_policy, reward_target, seed_of, train_until, trainer};
use super::{Cell, Experiment, Options, Page, Record, Results, Task};
use crate::grid::{GridDomain, GridSettings};

/// Axes and cells per axis, and those of `--quick`. A mode needs a cell with 0.3 < |x/(H − 1) − ½| < 0.4.
const SIZES: [&[(usize, usize)]; 2] = [&[(4, 8), (2, 20), (3, 8), (2, 8)], &[(2, 8)]];
/// R₀, the reward between the modes, by its exponent; and those of `--quick`.
const EXPONENTS: [&[i32]; 2] = [&[-1, -2, -3, -4, -5], &[-1, -4]];
/// Training steps, and those of `--quick`.
const STEPS: [u64; 2] = [2000, 60];
/// Trajectories per step.
const BATCH: usize = 32;
/// Width of the two hidden layers: 480 policies are trained.
const HIDDEN: usize = 64;
/// Share of the walks that are backward from the best cells seen so far, where there is replay.
const REPLAYED: f64 = 0.3;
/// Measurements along a training, at the budget divided by powers of 2.
const CHECKPOINTS: u32 = 8;

/// A loss, with or without replay.
#[derive(Debug, Clone, Copy)]
struct Method {
    name: &'static str,
    loss: Balance,
    replay: bool,
}

const METHODS: [Method; 8] = [
    Method { name: "contrastive", loss: Balance::Contrastive, replay: false },
    Method { name: "contrastive with replay", loss: Balance::Contrastive, replay: true },
    Method { name: "trajectory", loss: Balance::Trajectory, replay: false },
    Method { name: "trajectory with replay", loss: Balance::Trajectory, replay: true },
    Method { name: "sub-trajectory .9", loss: Balance::SubTrajectory { lambda: 0.9 }, replay: false },
    Method {
        name: "sub-trajectory .9 with replay",
        loss: Balance::SubTrajectory { lambda: 0.9 },
        replay: true,
    },
    Method { name: "modified detailed", loss: Balance::ModifiedDetailed, replay: false },
    Method { name: "modified detailed with replay", loss: Balance::ModifiedDetailed, replay: true },
];

/// A hypergrid by its axes, cells per axis and exponent of R₀.
#[derive(Debug, Clone, Copy)]
struct Hypergrid {
    dimensions: usize,
    side: usize,
    exponent: i32,
}

impl Hypergrid {
    fn name(self) -> String {
        format!("{} at 1e{}", size_name((self.dimensions, self.side)), self.exponent)
    }

    /// Its reward, as a problem of a single client.
    fn problem(self) -> Result<(Problem<Grid>, HypergridReward)> {
        let reward = HypergridReward { r0: 10f64.powi(self.exponent), ..HypergridReward::default() };
        let domain = GridDomain::new(&GridSettings { dimensions: self.dimensions, side: self.side })?;
        let (env, product) = (Arc::clone(domain.environment()), Arc::new(reward));
        let training = grid_training(&domain);
        let problem = Problem::new("hypergrid", env, vec![product.clone()], product, training, None)?;
        Ok((problem, reward))
    }
}

fn size_name((dimensions, side): (usize, usize)) -> String {
    vec![side.to_string(); dimensions].join("x")
}

/// The recipe of the grid world with another loss, shorter and with a smaller network.
fn changed(mut recipe: Recipe, method: Method, steps: u64) -> Recipe {
    if let PolicyKind::Mlp(settings) = &mut recipe.policy {
        *settings = MlpSettings { hidden: vec![HIDDEN; 2], ..settings.clone() };
    }
    recipe.settings.batch_size = BATCH;
    recipe.settings.budget = Budget::Steps(steps);
    recipe.settings.loss = method.loss;
    if method.replay {
        let own = Share { share: 1.0 - REPLAYED, source: Source::on_policy(0.05) };
        recipe.settings.behaviour = vec![own, Share { share: REPLAYED, source: Source::Replay }];
    }
    recipe
}

/// For each of the 2^D modes, the numbers of its cells among the objects.
fn modes(problem: &Problem<Grid>, reward: &HypergridReward) -> Vec<Vec<usize>> {
    let env = problem.env.as_ref();
    // Cells of a mode have all three parts of the reward, corners have two.
    let least = (reward.r0 + reward.r1 + 0.5 * reward.r2).ln();
    let log_rewards = problem.graph.log_rewards(env, problem.product.as_ref());
    let mut modes = vec![Vec::new(); 1 << env.dimensions()];
    for (number, (cell, log_reward)) in problem.graph.objects().zip(log_rewards).enumerate() {
        if log_reward > least {
            let far = |x: u16| 2 * usize::from(x) > env.side();
            let corner = env.coordinates(cell).iter().fold(0, |bits, &x| 2 * bits + usize::from(far(x)));
            modes[corner].push(number);
        }
    }
    modes
}

/// How many modes have at least half of their probability.
fn n_found(modes: &[Vec<usize>], learned: &[f64], target: &[f64]) -> usize {
    let mass = |p: &[f64], mode: &[usize]| mode.iter().map(|&cell| p[cell]).sum::<f64>();
    modes.iter().filter(|mode| mass(learned, mode) >= 0.5 * mass(target, mode)).count()
}

/// The experiment.
pub struct Sparse;

impl Experiment for Sparse {
    fn name(&self) -> &'static str {
        "sparse"
    }

    fn about(&self) -> &'static str {
        "Exact L1 and modes found by four balance losses, with and without replay, on hypergrids of ever sparser reward"
    }

    fn plan(&self) -> u32 {
        1
    }

    fn tasks(&self, options: &Options) -> Result<Vec<Task>> {
        let (quick, mut tasks) = (usize::from(options.quick), Vec::new());
        for &(dimensions, side) in SIZES[quick] {
            for seed in 0..options.seeds {
                for &exponent in EXPONENTS[quick] {
                    let grid = Hypergrid { dimensions, side, exponent };
                    for method in METHODS {
                        let cell = Cell::new(grid.name(), method.name, 1, seed);
                        tasks.push(Task::new(vec![cell.clone()], move |record| {
                            measure(grid, method, STEPS[quick], &cell, record)
                        }));
                    }
                }
            }
        }
        Ok(tasks)
    }

    fn page(&self, options: &Options, results: &Results) -> Result<Page> {
        page::page(options, results)
    }
}

/// One training, measured along the way.
fn measure(grid: Hypergrid, method: Method, steps: u64, cell: &Cell, record: &mut Record) -> Result<()> {
    let (problem, reward) = grid.problem()?;
    let modes = modes(&problem, &reward);
    let recipe = changed(problem.training.centralised.clone(), method, steps);
    let seed = seed_of(cell.seed, "sparse");
    let policy = fresh_policy(problem.env.as_ref(), &recipe, seed)?;
    let mut trainer = trainer(&problem.env, reward_target(&problem.product), policy, &recipe, seed)?;
    for halvings in (0..CHECKPOINTS).rev() {
        let steps = (steps >> halvings).max(1);
        train_until(&mut trainer, steps)?;
        let learned = problem.distribution(trainer.policy().as_policy());
        record.add(cell, format!("l1@{steps}"), l1(&learned, &problem.target));
        record.add(cell, format!("found@{steps}"), n_found(&modes, &learned, &problem.target) as f64);
        record.add(cell, format!("seconds@{steps}"), trainer.seconds());
    }
    let trained = trainer.finish();
    let learned = problem.distribution(trained.policy.as_policy());
    record.add(cell, "l1", l1(&learned, &problem.target));
    record.add(cell, "found", n_found(&modes, &learned, &problem.target) as f64);
    record.add(cell, "seconds", trained.seconds);
    let of_modes = modes.iter().flatten().map(|&number| problem.target[number]).sum::<f64>();
    record.add(cell, "mass of the modes", of_modes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_its_modes_and_they_have_most_of_the_mass() {
        for &(dimensions, side) in SIZES[0] {
            let (problem, reward) = Hypergrid { dimensions, side, exponent: -5 }.problem().unwrap();
            let modes = modes(&problem, &reward);
            // Bengio et al. (2021): 0.3 < |x/(H − 1) − ½| < 0.4, on either side of the middle.
            let inside = |x: usize| {
                let u = (x as f64 / (side - 1) as f64 - 0.5).abs();
                u > 0.3 + 1e-9 && u < 0.4 - 1e-9
            };
            let per_axis = (0..side).filter(|&x| inside(x)).count() / 2;
            assert!(per_axis > 0 && modes.len() == 1 << dimensions);
            assert!(modes.iter().all(|mode| mode.len() == per_axis.pow(dimensions as u32)), "{side}");
            assert_eq!(n_found(&modes, &problem.target, &problem.target), modes.len());
            // A law that has left one mode out.
            let mut other = problem.target.clone();
            modes[1].iter().for_each(|&cell| other[cell] *= 0.49);
            assert_eq!(n_found(&modes, &other, &problem.target), modes.len() - 1);
        }
    }
}
