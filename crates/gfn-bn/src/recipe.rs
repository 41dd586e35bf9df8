//! How policies over graphs are trained, by stage and number of nodes; every choice was found by experiment
//! (docs/experiments.md).

use gfn_core::domain::{Recipe, Stage};
use gfn_core::likelihood::Pretraining;
use gfn_core::losses::Balance;
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{Activation, MlpSettings, PolicyKind};
use gfn_core::rollout::{Share, Source};
use gfn_core::trainer::TrainSettings;

/// From this many nodes on a policy's own first walks run into near-complete graphs: it learns from a chain instead.
const CHAIN_FROM: usize = 13;

/// The recipe of a stage for `d` nodes, with another loss than its own if one is given.
pub fn recipe(stage: Stage, d: usize, loss: Option<Balance>) -> Recipe {
    let chain = d >= CHAIN_FROM;
    let small = d <= 6;
    let share = |share, source| Share { share, source };
    let own = Source::on_policy(0.1);
    let server = stage == Stage::Server;
    let loss = loss.unwrap_or(if server || chain || small {
        Balance::Contrastive
    } else {
        Balance::ModifiedDetailed
    });
    let behaviour = match stage {
        Stage::Server => vec![share(1.0, own)],
        Stage::ClientRound if chain => {
            vec![share(0.6, Source::Proposals), share(0.3, Source::Chain), share(0.1, own)]
        }
        Stage::ClientRound => vec![share(0.5, Source::Proposals), share(0.5, own)],
        _ if chain => vec![share(0.8, Source::Chain), share(0.2, own)],
        _ => vec![share(1.0, own)],
    };
    let rate = match (server, chain, small) {
        (true, ..) => 4e-3,
        (_, false, true) => 2e-3,
        _ => 2e-3,
    };
    let rate = if stage == Stage::ClientRound { rate / 2.0 } else { rate };
    let width = if small || server { 128 } else { 256 };
    Recipe {
        policy: PolicyKind::Mlp(MlpSettings {
            hidden: vec![width, width],
            activation: Activation::Smooth,
            linear_path: false,
            pooled: false,
            table_bits: (!server).then_some(if small { 14 } else { 18 }),
            backward_start: !server,
            output_scale: if server { 0.0 } else { 0.3 },
        }),
        settings: TrainSettings {
            loss,
            huber: if chain { Some(5.0) } else { None },
            batch_size: if small || server { 32 } else { 16 },
            optimizer: AdamSettings {
                rate,
                beta2: 0.99,
                warmup_steps: 100,
                clip_norm: Some(10.0),
                ..AdamSettings::default()
            },
            behaviour,
            pretraining: (chain && !server && stage != Stage::ClientRound).then_some(Pretraining {
                until: 0.7,
                walks: 64,
                transitions: 4,
            }),
            ..TrainSettings::default()
        },
        chain_objects: if chain && !server { 60_000 } else { 0 },
    }
}
