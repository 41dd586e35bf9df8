//! The sizes that are tried: one is swept at a time, with a number of steps that a minute on one core allows.

use gfn_core::Result;
use gfn_core::environment::Environment;
use gfn_core::policy::{MlpSettings, PolicyKind};

use super::measure::Amount;
use super::problem::{LargeProblem, SIDE, hypergrid, multisets, sequences};
use crate::experiment::problem::Training;

/// Trajectories per step.
pub const BATCH: usize = 32;
/// Parameters from which the path from features to outputs is left out: it has one for each pair of them.
const MAX_LINEAR: usize = 1_000_000;
/// Clients, where their number is not what is swept.
const CLIENTS: usize = 4;

/// What is swept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// Kinds of multisets of 8 items.
    Kinds,
    /// Items of multisets of 10 kinds.
    Items,
    /// The longest length of sequences.
    Length,
    /// Axes of hypergrids.
    Axes,
    /// Clients, on multisets of 8 items of 10 kinds.
    Clients,
}

/// All sweeps.
pub const SWEEPS: [Sweep; 5] = [Sweep::Kinds, Sweep::Items, Sweep::Length, Sweep::Axes, Sweep::Clients];

impl Sweep {
    /// Title of its panel and table.
    pub fn title(self) -> String {
        match self {
            Sweep::Kinds => "multisets of 8 items by kinds".into(),
            Sweep::Items => "multisets of 10 kinds by items".into(),
            Sweep::Length => "sequences by longest length".into(),
            Sweep::Axes => format!("hypergrids of side {SIDE} by axes"),
            Sweep::Clients => "multisets of 8 items of 10 kinds by clients".into(),
        }
    }

    /// What its sizes are.
    pub fn unit(self) -> &'static str {
        match self {
            Sweep::Kinds => "kinds",
            Sweep::Items => "items",
            Sweep::Length => "longest length",
            Sweep::Axes => "axes",
            Sweep::Clients => "clients",
        }
    }

    /// Sizes with steps of every training.
    fn sizes(self, quick: bool) -> &'static [(usize, u64)] {
        match (self, quick) {
            (Sweep::Kinds, true) => &[(4, 20), (30, 20)],
            (Sweep::Items, true) => &[(4, 20)],
            (Sweep::Length, true) => &[(3, 20), (6, 20)],
            (Sweep::Axes, true) => &[(2, 20)],
            (Sweep::Clients, true) => &[(2, 20), (8, 20)],
            (Sweep::Kinds, false) => &[(10, 3000), (100, 3000), (1000, 300), (10_000, 20)],
            (Sweep::Items, false) => &[(8, 3000), (16, 3000), (32, 2000), (64, 1000)],
            (Sweep::Length, false) => &[(8, 3000), (16, 3000), (32, 2000), (64, 1000)],
            (Sweep::Axes, false) => &[(2, 2000), (4, 2000), (6, 2000), (8, 2000)],
            (Sweep::Clients, false) => &[(2, 2000), (4, 2000), (8, 2000), (16, 2000), (32, 2000), (64, 2000)],
        }
    }

    /// Its cases, from small to large.
    pub fn cases(self, quick: bool) -> Vec<Case> {
        let case = |&(size, steps): &(usize, u64)| {
            let clients = if self == Sweep::Clients { size } else { CLIENTS };
            let kinds = if self == Sweep::Kinds { size } else { 0 };
            let amount = match (quick, kinds) {
                (true, _) => Amount { objects: 50, walks: 2 },
                (false, 10_000..) => Amount { objects: 40, walks: 1 },
                (false, 1000..) => Amount { objects: 100, walks: 2 },
                (false, _) => Amount { objects: 200, walks: 4 },
            };
            Case { sweep: self, size, clients, steps, amount }
        };
        self.sizes(quick).iter().map(case).collect()
    }
}

/// All cases, the longest first.
pub fn cases(quick: bool) -> Vec<Case> {
    SWEEPS.iter().flat_map(|sweep| sweep.cases(quick).into_iter().rev()).collect()
}

/// A size.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What is swept.
    pub sweep: Sweep,
    /// How large it is.
    pub size: usize,
    /// Clients.
    pub clients: usize,
    /// Steps of every training.
    pub steps: u64,
    /// What its measurement draws.
    pub amount: Amount,
}

/// Something to be done with a large problem of any kind.
pub trait Visitor {
    /// Does it.
    fn visit<E: Environment>(self, problem: &LargeProblem<E>) -> Result<()>;
}

impl Case {
    /// The name in results.
    pub fn name(&self) -> String {
        format!("{}: {}", self.sweep.title(), self.size)
    }

    /// How often each kind of item was in a trajectory of one training, on average.
    pub fn visits(&self) -> Option<f64> {
        let items = (self.steps * BATCH as u64) as f64;
        match self.sweep {
            Sweep::Kinds => Some(items * 8.0 / self.size as f64),
            Sweep::Items => Some(items * self.size as f64 / 10.0),
            Sweep::Clients => Some(items * 8.0 / 10.0),
            Sweep::Length | Sweep::Axes => None,
        }
    }

    /// Builds the problem for a seed and hands it to the visitor.
    pub fn with_problem<V: Visitor>(&self, seed: u64, visitor: V) -> Result<()> {
        let Case { size, clients, steps, .. } = *self;
        match self.sweep {
            Sweep::Kinds => visitor.visit(&fitted(multisets(size, 8, clients, steps, seed)?)),
            Sweep::Items => visitor.visit(&fitted(multisets(10, size, clients, steps, seed)?)),
            Sweep::Clients => visitor.visit(&fitted(multisets(10, 8, clients, steps, seed)?)),
            Sweep::Length => visitor.visit(&fitted(sequences(size, clients, steps, seed)?)),
            Sweep::Axes => visitor.visit(&fitted(hypergrid(size, clients, steps, seed)?)),
        }
    }
}

/// The domain's recipe with batches of this experiment, and without the linear path where that is too large.
fn fitted<E: Environment>(mut problem: LargeProblem<E>) -> LargeProblem<E> {
    let spec = problem.env.spec();
    let linear = spec.n_features() * spec.n_forward_outputs() <= MAX_LINEAR;
    let Training { client, round, server, centralised, .. } = &mut problem.training;
    for recipe in [client, round, server, centralised] {
        recipe.settings.batch_size = BATCH;
        if let PolicyKind::Mlp(MlpSettings { linear_path, .. }) = &mut recipe.policy {
            *linear_path &= linear;
        }
    }
    problem
}
