//! How policies over sequences are trained, by stage; how well that works is in docs/sequences.md.

use gfn_core::domain::{Recipe, Stage};
use gfn_core::losses::Balance;
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{Activation, MlpSettings, PolicyKind};
use gfn_core::rollout::{Share, Source};
use gfn_core::trainer::TrainSettings;

/// How time is divided, see [`gfn_core::domain::Domain::time_parts`].
pub const TIME_PARTS: [f64; 3] = [5.0, 5.0, 5.0];

/// The recipe of a stage.
pub fn recipe(stage: Stage) -> Recipe {
    let server = stage == Stage::Server;
    let share = |share, source| Share { share, source };
    let own = Source::on_policy(0.05);
    let behaviour = match stage {
        // What the other clients want is not known: uniform walks keep a client right where it would not go.
        Stage::Client => vec![share(0.7, own), share(0.3, Source::UniformPolicy)],
        Stage::ClientRound => vec![share(0.5, Source::Proposals), share(0.5, own)],
        Stage::Server | Stage::Centralised => vec![share(1.0, own)],
    };
    Recipe {
        policy: PolicyKind::Mlp(MlpSettings {
            hidden: vec![128, 128],
            activation: Activation::Smooth,
            linear_path: true,
            output_scale: if server { 0.0 } else { 0.1 },
            ..MlpSettings::default()
        }),
        settings: TrainSettings {
            loss: Balance::Contrastive,
            // The noise of the server's own training is what limits the aggregate: clients have smaller errors by far.
            batch_size: if server { 256 } else { 64 },
            optimizer: AdamSettings { rate: 1e-2, beta2: 0.99, clip_norm: None, ..AdamSettings::default() },
            behaviour,
            averaging: Some(0.99),
            ..TrainSettings::default()
        },
        chain_objects: 0,
    }
}
