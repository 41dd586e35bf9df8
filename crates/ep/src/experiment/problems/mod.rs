//! The problems of the paper (docs/mathematics.md §5, its appendix C.1), and smaller ones of the same kinds for `--quick`.

mod grid;
mod multisets;
mod networks;
mod sequences;
mod trees;

pub use grid::{grid, grid_training};
pub use multisets::multisets;
pub use networks::{NetworkData, network_domain, networks, simulated_rows, simulated_tables};
pub use sequences::sequences;
pub use trees::{TreeData, simulated_sites, trees, trees_of_shards};

use gfn_core::Result;
use gfn_core::environment::{Environment, fingerprint};

use super::problem::{Problem, Training};

/// The paper's five kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// The grid world with four beacons.
    Grid,
    /// Multisets with additive values.
    Multisets,
    /// Sequences with position weights and token scores.
    Sequences,
    /// Phylogenetic trees.
    Trees,
    /// Structures of Bayesian networks.
    Networks,
}

/// All of them, in the order of the paper's tables.
pub const DOMAINS: [Domain; 5] =
    [Domain::Grid, Domain::Multisets, Domain::Sequences, Domain::Trees, Domain::Networks];

/// Something to be done with a problem of any kind.
pub trait Visitor {
    /// What comes of it.
    type Output;
    /// Does it.
    fn visit<E: Environment>(self, problem: &Problem<E>) -> Result<Self::Output>;
}

impl Domain {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Domain::Grid => "grid",
            Domain::Multisets => "multisets",
            Domain::Sequences => "sequences",
            Domain::Trees => "trees",
            Domain::Networks => "networks",
        }
    }

    /// Number of clients of the paper's problem.
    pub fn n_clients(self) -> usize {
        match self {
            Domain::Grid => 4,
            Domain::Multisets | Domain::Sequences | Domain::Trees => 5,
            Domain::Networks => 10,
        }
    }

    /// Whether all states are objects, which modified detailed balance needs.
    pub fn all_states_are_objects(self) -> bool {
        matches!(self, Domain::Grid | Domain::Sequences | Domain::Networks)
    }

    /// Builds the paper's problem, or a small one of its kind for `--quick`, and hands it to the visitor. The seed redraws
    /// it; the grid world has but one problem.
    pub fn with_problem<V: Visitor>(self, quick: bool, seed: u64, visitor: V) -> Result<V::Output> {
        match self {
            Domain::Grid => visitor.visit(&grid(quick)?),
            Domain::Multisets => visitor.visit(&multisets(quick, seed)?),
            Domain::Sequences => visitor.visit(&sequences(quick, 1.0, seed)?),
            Domain::Trees => visitor.visit(&trees(&TreeData::of_the_paper(quick), seed)?),
            Domain::Networks => visitor.visit(&networks(&NetworkData::of_the_paper(quick), seed)?),
        }
    }
}

/// Fraction of the steps that `--quick` makes.
const QUICK_STEPS: f64 = 0.05;

fn for_quick(training: Training, quick: bool) -> Training {
    if quick { training.with_steps_times(QUICK_STEPS) } else { training }
}

/// Hash of how the problems of all domains are trained: results of other recipes are not to be mixed with them.
pub fn recipes_fingerprint() -> Result<String> {
    struct Describe;
    impl Visitor for Describe {
        type Output = String;
        fn visit<E: Environment>(self, problem: &Problem<E>) -> Result<String> {
            Ok(format!("{:?}", problem.training))
        }
    }
    // The small problems are trained by the same recipes.
    let texts = DOMAINS.iter().map(|domain| domain.with_problem(true, 0, Describe));
    let texts: Vec<String> = texts.collect::<Result<_>>()?;
    Ok(fingerprint(&texts.iter().map(String::as_str).collect::<Vec<_>>()))
}
