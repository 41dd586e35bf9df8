//! How policies over graphs are trained, by stage and number of nodes; every choice was found by experiment
//! (docs/experiments.md).

use gfn_core::domain::{Recipe, Stage};
use gfn_core::likelihood::Pretraining;
use gfn_core::losses::Balance;
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{Activation, MlpSettings, PolicyKind};
use gfn_core::rollout::{Share, Source};
use gfn_core::trainer::TrainSettings;

/// From this many nodes on a policy's own first walks run into graphs with far too many edges: a chain on the site's
/// scores shows it where the mass is.
const CHAIN_FROM: usize = 7;
/// From this many nodes on the tail of a policy's own walks lies hundreds of nats off: a balance loss on them moves the
/// probabilities of edges away from what maximum likelihood of the chain's objects found.
const LARGE_FROM: usize = 13;
/// Objects of the chain, times nodes: a graph takes as many moves as there are pairs of nodes.
const CHAIN_OBJECTS: usize = 600_000;

/// How time is divided for `d` nodes, see [`gfn_core::domain::Domain::time_parts`]. A few thousand steps from the clients'
/// logits are enough for the server of a middle-sized problem, whose error is that of its clients; of a large one it
/// evaluates every client's network in states with d² actions each.
pub fn time_parts(d: usize) -> [f64; 3] {
    match d {
        LARGE_FROM.. => [4.0, 6.0, 3.0],
        CHAIN_FROM.. => [8.5, 1.5, 8.5],
        _ => [7.0, 3.0, 7.0],
    }
}

/// See [`gfn_core::domain::Domain::proposal_scale`].
pub fn proposal_scale(d: usize) -> f64 {
    if d >= LARGE_FROM { 1.0 } else { 0.5 }
}

/// The recipe of a stage for `d` nodes, with another loss than its own if one is given.
pub fn recipe(stage: Stage, d: usize, loss: Option<Balance>) -> Recipe {
    let chain = d >= CHAIN_FROM;
    let server = stage == Stage::Server;
    let client = !server && stage != Stage::Centralised;
    let share = |share, source| Share { share, source };
    // About as many uniformly drawn edges in a walk, however long it is.
    let own = Source::on_policy(if d >= LARGE_FROM { 0.4 / d as f64 } else { 0.1 });
    // Where all graphs are visited, modified detailed balance leaves the smaller errors in a client's tail, where the
    // product may have its mass; contrastive balance is nearer to a posterior of one's own.
    let default = if client && !chain { Balance::ModifiedDetailed } else { Balance::Contrastive };
    let behaviour = match stage {
        // Other orders of the edges of good graphs, which the policy alone hardly visits where it underrates them.
        Stage::Server if d >= LARGE_FROM => vec![share(0.7, own), share(0.3, Source::Replay)],
        // Own walks end far from both, and what is learned there is unlearned where it counts.
        Stage::ClientRound if d >= LARGE_FROM => {
            vec![share(0.7, Source::Proposals), share(0.3, Source::Chain)]
        }
        Stage::ClientRound if chain => {
            vec![share(0.5, Source::Proposals), share(0.3, Source::Chain), share(0.2, own)]
        }
        Stage::ClientRound => vec![share(0.5, Source::Proposals), share(0.5, own)],
        Stage::Client | Stage::Centralised if chain => vec![share(0.5, Source::Chain), share(0.5, own)],
        _ => vec![share(1.0, own)],
    };
    let rate = match stage {
        Stage::Server => 4e-3,
        Stage::ClientRound => 1e-3,
        Stage::Client | Stage::Centralised => 2e-3,
    };
    let policy = MlpSettings {
        hidden: vec![128, 128],
        activation: Activation::Smooth,
        linear_path: false,
        pooled: false,
        table_bits: (!server).then_some(if chain { 18 } else { 14 }),
        backward_start: !server,
        output_scale: if server { 0.0 } else { 0.3 },
    };
    let first = chain && matches!(stage, Stage::Client | Stage::Centralised);
    Recipe {
        policy: PolicyKind::Mlp(policy),
        settings: TrainSettings {
            loss: loss.unwrap_or(default),
            huber: chain.then_some(5.0),
            batch_size: if chain { 16 } else { 32 },
            // Clients share the threads among themselves; the server and a central client have them to themselves.
            groups: if chain && !client { 2 } else { 1 },
            optimizer: AdamSettings {
                rate,
                beta2: 0.99,
                warmup_steps: 100,
                clip_norm: Some(10.0),
                ..AdamSettings::default()
            },
            behaviour,
            pretraining: first.then_some(Pretraining {
                until: if d >= LARGE_FROM { 1.0 } else { 0.2 },
                walks: 64,
                transitions: 4,
                rate: 2e-3,
            }),
            ..TrainSettings::default()
        },
        chain_objects: if chain && !server { CHAIN_OBJECTS / d } else { 0 },
    }
}
