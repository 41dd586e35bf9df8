//! The groups a step's trajectories are dealt to: each is sampled, evaluated and differentiated by itself, side by side.

use rand::rngs::ChaCha8Rng;
use rayon::prelude::*;

use crate::encoding::StateBatch;
use crate::environment::Environment;
use crate::evaluation::Evaluations;
use crate::losses::LossGradient;
use crate::policy::{Kept, Output, TrainablePolicy};
use crate::reward::Target;
use crate::rollout::{Walk, Walker, sample_evaluated};
use crate::score::Gathered;
use crate::trajectory::TrajectoryBatch;

/// What a group works in; every step uses the same memory.
pub(crate) struct Workspace<E: Environment> {
    walker: Walker<E>,
    evaluations: Evaluations,
}

impl<E: Environment> Workspace<E> {
    /// An empty one.
    pub fn new(env: &E) -> Self {
        Workspace { walker: Walker::default(), evaluations: Evaluations::new(env) }
    }

    /// Takes back the memory of a gradient.
    pub fn take_back(&self, gradients: Vec<Vec<f32>>) {
        self.evaluations.kept.take_back(gradients);
    }
}

/// A part of a step's trajectories, evaluated: all that a loss and the way back from it need.
pub(crate) struct Group<E: Environment> {
    workspace: Workspace<E>,
    gathered: Gathered,
    pub said: Said,
}

impl<E: Environment> Group<E> {
    /// Its trajectories.
    pub fn batch(&self) -> &TrajectoryBatch<E> {
        &self.workspace.walker.batch
    }

    /// Its states.
    pub fn encoded(&self) -> &StateBatch {
        &self.workspace.evaluations.encoded
    }
}

/// What policy and target say about a group, as a loss reads it: slot by slot, ℓ(τ) trajectory by trajectory.
#[derive(Default)]
pub(crate) struct Said {
    pub log_forward: Vec<f64>,
    pub log_backward: Vec<f64>,
    pub log_stop: Vec<f64>,
    pub log_flow: Vec<f64>,
    pub log_target: Vec<f64>,
    pub state_log_reward: Vec<f64>,
}

impl Said {
    /// Appends what was said about the next group.
    pub fn append(&mut self, next: &Said) {
        self.log_forward.extend_from_slice(&next.log_forward);
        self.log_backward.extend_from_slice(&next.log_backward);
        self.log_stop.extend_from_slice(&next.log_stop);
        self.log_flow.extend_from_slice(&next.log_flow);
        self.log_target.extend_from_slice(&next.log_target);
        self.state_log_reward.extend_from_slice(&next.state_log_reward);
    }
}

/// What the loss asks for besides log p_F, log p_B and ℓ(τ).
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub flow: bool,
    pub stop: bool,
    pub state_rewards: bool,
}

/// Deals the walks to groups and draws them; every group has random numbers of its own, so that the number of threads
/// changes nothing.
pub(crate) fn sample_groups<E: Environment>(
    env: &E,
    policy: &dyn TrainablePolicy,
    target: &dyn Target<E>,
    walks: Vec<Walk<E::State>>,
    generators: Vec<ChaCha8Rng>,
    workspaces: Vec<Workspace<E>>,
    asked: Asked,
) -> Vec<Group<E>> {
    // Walks come sorted by source: dealt in turn, each group gets its share of every source.
    let n = generators.len();
    let mut dealt: Vec<Vec<Walk<E::State>>> = (0..n).map(|_| Vec::new()).collect();
    for (index, walk) in walks.into_iter().enumerate() {
        dealt[index % n].push(walk);
    }
    let needs = policy.needs().union(target.needs());
    let evaluate = |encoded: &StateBatch, first: usize, output: &mut Output, kept: &mut Kept| {
        policy.evaluate(encoded, first, output, kept);
    };
    let work = |(walks, mut rng, mut workspace): (Vec<Walk<E::State>>, ChaCha8Rng, Workspace<E>)| {
        let Workspace { walker, evaluations } = &mut workspace;
        sample_evaluated(env, walker, evaluations, &evaluate, needs, walks, &mut rng);
        let batch = &walker.batch;
        let (encoded, output) = (&evaluations.encoded, &evaluations.output);
        let log_target = target.trajectories(env, batch, encoded);
        let state_log_reward =
            if asked.state_rewards { target.states(env, batch, encoded) } else { Vec::new() };
        let mut gathered = Gathered::new(batch, encoded, &evaluations.log_p, asked.stop);
        let flow = |row: &u32| output.log_flow[*row as usize];
        let said = Said {
            log_forward: std::mem::take(&mut gathered.log_forward),
            log_backward: std::mem::take(&mut gathered.log_backward),
            log_stop: std::mem::take(&mut gathered.log_stop),
            log_flow: if asked.flow { batch.numbers.iter().map(flow).collect() } else { Vec::new() },
            log_target,
            state_log_reward,
        };
        Group { workspace, gathered, said }
    };
    let pieces = dealt.into_iter().zip(generators).zip(workspaces);
    side_by_side(pieces.map(|((walks, rng), memory)| (walks, rng, memory)).collect(), work)
}

/// `work` of each piece, in their order. A single piece stays on its thread: in a pool that trains several clients,
/// waiting here would be stolen time.
pub(crate) fn side_by_side<P: Send, T: Send>(pieces: Vec<P>, work: impl Fn(P) -> T + Send + Sync) -> Vec<T> {
    if pieces.len() == 1 {
        pieces.into_iter().map(work).collect()
    } else {
        pieces.into_par_iter().map(work).collect()
    }
}

/// One gradient per parameter tensor, summed over the groups in their order; `slopes` are the loss's derivatives, group by
/// group. Their memory comes back with it.
pub(crate) fn pull_back<E: Environment>(
    policy: &dyn TrainablePolicy,
    groups: Vec<Group<E>>,
    slopes: Vec<LossGradient>,
) -> (Vec<Vec<f32>>, Vec<Workspace<E>>) {
    let work = |(group, slopes): (Group<E>, LossGradient)| {
        let Group { workspace, gathered, .. } = group;
        let evaluations = &workspace.evaluations;
        let gradient = gathered.pull_back(&workspace.walker.batch, evaluations, &slopes);
        (policy.pull_back(&evaluations.encoded, &evaluations.kept, &gradient), workspace)
    };
    let pieces = groups.into_iter().zip(slopes).collect();
    let (gradients, workspaces): (Vec<_>, Vec<_>) = side_by_side(pieces, work).into_iter().unzip();
    let mut gradients = gradients.into_iter();
    let mut sum = gradients.next().expect("at least one group");
    for (next, workspace) in gradients.zip(&workspaces[1..]) {
        add(&mut sum, &next);
        workspace.take_back(next);
    }
    (sum, workspaces)
}

/// `sum += next`, array by array.
pub(crate) fn add(sum: &mut [Vec<f32>], next: &[Vec<f32>]) {
    for (sum, next) in sum.iter_mut().zip(next) {
        sum.iter_mut().zip(next).for_each(|(s, n)| *s += n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Cell, Grid};
    use crate::policy::{PolicyKind, PolicySpec};
    use crate::random::stream;
    use crate::reward::RewardTarget;

    #[test]
    fn gradients_of_groups_add_up() {
        let env = Grid::new(2, 4).expect("a grid");
        let kind = PolicyKind::Mlp(Default::default());
        let spec = PolicySpec { env: env.spec().clone(), kind, learned_backward: false, flow: false };
        let policy = spec.build(1).expect("a network");
        let target = RewardTarget { reward: |_: &Cell| 0.0 };
        let groups = || {
            let walks = vec![Walk::Forward { scale: 1.0, epsilon: 0.1, tilt: 0.0 }; 9];
            let generators = (0..3).map(|group| stream(group, "walks", 0)).collect();
            let workspaces = (0..3).map(|_| Workspace::new(&env)).collect();
            let asked = Asked { flow: false, stop: true, state_rewards: false };
            sample_groups(&env, policy.as_ref(), &target, walks, generators, workspaces, asked)
        };
        let slopes: Vec<LossGradient> = groups()
            .iter()
            .map(|group| {
                let wave = |scale: f64| {
                    (0..group.batch().n_slots()).map(|slot| (scale * (slot + 1) as f64).sin()).collect()
                };
                LossGradient { log_forward: wave(1.0), log_stop: wave(2.0), ..LossGradient::default() }
            })
            .collect();
        let (together, workspaces) = pull_back(policy.as_ref(), groups(), slopes.clone());
        let alone = |g: usize| {
            let group = groups().swap_remove(g);
            pull_back(policy.as_ref(), vec![group], vec![slopes[g].clone()]).0
        };
        let mut sum = alone(0);
        add(&mut sum, &alone(1));
        add(&mut sum, &alone(2));
        assert_eq!((together, workspaces.len()), (sum, 3));
        assert_ne!(alone(0), alone(1));
    }
}
