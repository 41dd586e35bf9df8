//! How policies over multisets are trained, by stage; how well that works is in docs/multisets.md.

use gfn_core::domain::{Recipe, Stage};
use gfn_core::losses::Balance;
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{Activation, MlpSettings, PolicyKind};
use gfn_core::rollout::{Share, Source};
use gfn_core::trainer::TrainSettings;

/// ε of every walk.
const EPSILON: f64 = 0.05;

/// The recipe of a stage.
pub(crate) fn recipe(stage: Stage) -> Recipe {
    let share = |share, source| Share { share, source };
    let own = Source::on_policy(EPSILON);
    // The product lives where other clients' unknown preferences push it: random preferences imitate them, and the
    // aggregate of clients that were trained so has a tenth of the error.
    let tilted = Source::Own { scale: 1.0, random_scale: false, epsilon: EPSILON, tilt: 1.0 };
    let behaviour = match stage {
        Stage::Client => vec![share(0.7, own), share(0.3, tilted)],
        Stage::ClientRound => vec![share(0.5, Source::Proposals), share(0.3, own), share(0.2, tilted)],
        Stage::Server | Stage::Centralised => vec![share(1.0, own)],
    };
    let policy = MlpSettings {
        hidden: vec![96, 96, 96],
        activation: Activation::Smooth,
        linear_path: true,
        output_scale: if stage == Stage::Server { 0.0 } else { 0.1 },
        ..MlpSettings::default()
    };
    Recipe {
        policy: PolicyKind::Mlp(policy),
        settings: TrainSettings {
            loss: Balance::Contrastive,
            batch_size: 128,
            optimizer: AdamSettings { rate: 5e-3, beta2: 0.99, clip_norm: None, ..AdamSettings::default() },
            behaviour,
            ..TrainSettings::default()
        },
        chain_objects: 0,
    }
}
