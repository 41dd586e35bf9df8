//! How policies over grid worlds are trained, by stage; how well that works is in docs/grid.md.

use gfn_core::domain::{Recipe, Stage};
use gfn_core::losses::Balance;
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{Activation, MlpSettings, PolicyKind};
use gfn_core::rollout::{Share, Source};
use gfn_core::trainer::TrainSettings;

/// The recipe of a stage.
pub fn recipe(stage: Stage) -> Recipe {
    let share = |share, source| Share { share, source };
    let own = Source::on_policy(0.05);
    let behaviour = match stage {
        Stage::ClientRound => vec![share(0.5, Source::Proposals), share(0.5, own)],
        _ => vec![share(1.0, own)],
    };
    Recipe {
        policy: PolicyKind::Mlp(MlpSettings {
            hidden: vec![128, 128],
            activation: Activation::Smooth,
            linear_path: true,
            output_scale: if stage == Stage::Server { 0.0 } else { 0.1 },
            ..MlpSettings::default()
        }),
        settings: TrainSettings {
            loss: Balance::Contrastive,
            batch_size: 256,
            optimizer: AdamSettings { rate: 1e-2, beta2: 0.99, clip_norm: None, ..AdamSettings::default() },
            behaviour,
            averaging: Some(0.99),
            ..TrainSettings::default()
        },
        chain_objects: 0,
    }
}
