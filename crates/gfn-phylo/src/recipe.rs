//! How tree policies are trained, by stage and number of taxa; every choice was found by experiment (docs/experiments.md).

use gfn_core::domain::{Recipe, Stage};
use gfn_core::losses::Balance;
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{Activation, MlpSettings, PolicyKind};
use gfn_core::rollout::{Share, Source};
use gfn_core::trainer::{Annealing, TrainSettings};

/// From this many taxa on sharing over clades pays: pooled outputs and tables.
const SHARING_FROM: usize = 20;
/// From this many taxa on a walk of one's own does not find the good trees at once: replay and annealing.
const SEARCH_FROM: usize = 10;

/// Extra rounds that pay where clients are processes of one machine, in the same time.
pub fn usual_rounds(n_taxa: usize) -> u32 {
    if n_taxa >= SEARCH_FROM { 2 } else { 1 }
}

/// The recipe of a stage for `n_taxa` taxa; `with_bins` where branch lengths are chosen.
pub fn recipe(stage: Stage, n_taxa: usize, with_bins: bool) -> Recipe {
    let search = n_taxa >= SEARCH_FROM;
    let sharing = n_taxa >= SHARING_FROM;
    let share = |share, source| Share { share, source };
    let own = Source::on_policy(0.05);
    let behaviour = match stage {
        // Other merge orders of the good trees: the policy alone hardly visits those that it underrates.
        Stage::Server if search => vec![share(0.7, own), share(0.3, Source::Replay)],
        Stage::Server => vec![share(1.0, own)],
        Stage::Client if search => vec![
            share(0.3, Source::scaled(0.25, 0.05)),
            share(0.3, own),
            share(0.3, Source::Replay),
            share(0.1, Source::UniformObjects),
        ],
        Stage::Client => {
            vec![share(0.6, Source::scaled(0.25, 0.05)), share(0.2, own), share(0.2, Source::UniformObjects)]
        }
        Stage::ClientRound => {
            vec![share(0.85, Source::Proposals), share(0.1, own), share(0.05, Source::scaled(0.25, 0.05))]
        }
        Stage::Centralised if search => {
            vec![share(0.6, own), share(0.1, Source::scaled(0.5, 0.05)), share(0.3, Source::Replay)]
        }
        Stage::Centralised => {
            let source = Source::Own { scale: 1.0, random_scale: true, epsilon: 0.05, tilt: 0.0 };
            vec![share(0.5, source), share(0.5, own)]
        }
    };
    let rate = match stage {
        Stage::ClientRound if search => 4e-3,
        Stage::ClientRound => 2e-3,
        _ if search => 6e-3,
        _ => 4e-3,
    };
    let anneals = search && matches!(stage, Stage::Client | Stage::Centralised);
    let until = if sharing { 0.5 } else { 0.3 };
    Recipe {
        policy: PolicyKind::Mlp(MlpSettings {
            hidden: vec![128, 128],
            activation: Activation::LeakyRelu,
            linear_path: false,
            pooled: sharing,
            table_bits: sharing.then_some(18),
            backward_start: stage != Stage::Server && !with_bins,
            output_scale: if stage == Stage::Server { 0.0 } else { 0.3 },
        }),
        settings: TrainSettings {
            loss: Balance::Contrastive,
            huber: search.then_some(5.0),
            batch_size: 64,
            // Clients share the threads among themselves; the server and a central client have them to themselves.
            groups: if search && matches!(stage, Stage::Server | Stage::Centralised) { 2 } else { 1 },
            optimizer: AdamSettings { rate, ..AdamSettings::default() },
            behaviour,
            annealing: anneals.then_some(Annealing { start: 0.05, until }),
            averaging: None,
            replay_capacity: if stage == Stage::Client { 2000 } else { 500 },
            ..TrainSettings::default()
        },
        chain_objects: 0,
    }
}
