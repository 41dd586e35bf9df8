//! The groups a step's trajectories are dealt to: each is sampled, encoded and differentiated by itself, side by side.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use rand::rngs::ChaCha8Rng;
use rayon::prelude::*;

use crate::encoding::StateBatch;
use crate::environment::Environment;
use crate::losses::LossGradient;
use crate::policy::{LogProbabilities, TrainablePolicy};
use crate::reward::Target;
use crate::rollout::{Walk, sample_walks};
use crate::score::Gathered;
use crate::trajectory::TrajectoryBatch;

/// A part of a step's trajectories with everything that does not depend on the policy's parameters.
pub(crate) struct Group<E: Environment> {
    pub batch: TrajectoryBatch<E>,
    pub encoded: StateBatch,
    /// ℓ(τ) of each trajectory.
    pub log_target: Vec<f64>,
    /// log R of each slot; empty where the loss does not ask.
    pub state_log_reward: Vec<f64>,
}

/// What the policy says about a group, slot by slot, as a loss reads it.
#[derive(Default)]
pub(crate) struct Said {
    pub log_forward: Vec<f64>,
    pub log_backward: Vec<f64>,
    pub log_stop: Vec<f64>,
    pub log_flow: Vec<f64>,
}

impl Said {
    /// All groups one after the other.
    pub fn join(groups: Vec<Said>) -> Said {
        groups
            .into_iter()
            .reduce(|mut all, next| {
                all.log_forward.extend(next.log_forward);
                all.log_backward.extend(next.log_backward);
                all.log_stop.extend(next.log_stop);
                all.log_flow.extend(next.log_flow);
                all
            })
            .unwrap_or_default()
    }
}

/// What the loss asks of the policy besides log p_F and log p_B.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub flow: bool,
    pub stop: bool,
}

/// Deals the walks to groups and draws them; every group has random numbers of its own, so that the number of threads
/// changes nothing.
pub(crate) fn sample_groups<E: Environment>(
    env: &E,
    policy: &dyn TrainablePolicy,
    target: &dyn Target<E>,
    walks: Vec<Walk<E::State>>,
    generators: Vec<ChaCha8Rng>,
    state_rewards: bool,
) -> Vec<Group<E>> {
    // Walks come sorted by source: dealt in turn, each group gets its share of every source.
    let n = generators.len();
    let mut dealt: Vec<Vec<Walk<E::State>>> = (0..n).map(|_| Vec::new()).collect();
    for (index, walk) in walks.into_iter().enumerate() {
        dealt[index % n].push(walk);
    }
    let needs = policy.needs().union(target.needs());
    let work = |(walks, mut rng): (Vec<Walk<E::State>>, ChaCha8Rng)| {
        let batch = sample_walks(env, policy.as_policy(), walks, &mut rng);
        let encoded = StateBatch::new(env, batch.distinct_states(), needs);
        let log_target = target.trajectories(env, &batch, &encoded);
        let state_log_reward = if state_rewards { target.states(env, &batch, &encoded) } else { Vec::new() };
        Group { batch, encoded, log_target, state_log_reward }
    };
    side_by_side(dealt.into_iter().zip(generators).collect(), work)
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

/// One gradient per parameter tensor, summed over the groups in their order.
///
/// `loss` is given what the policy says about each group and answers with the derivatives, group by group. A pass that
/// was recorded stays on its thread (tapes cannot travel), so groups have threads of their own for both halves; where
/// the pool has fewer threads than there are groups, they take turns.
pub(crate) fn differentiate<E: Environment>(
    policy: &dyn TrainablePolicy,
    groups: &[Group<E>],
    asked: Asked,
    loss: impl FnOnce(Vec<Said>) -> Vec<LossGradient>,
) -> Vec<Vec<f32>> {
    if let [group] = groups {
        return pass(policy, group, asked, |said| loss(vec![said]).swap_remove(0));
    }
    let turns = (rayon::current_num_threads() < groups.len()).then(|| Mutex::new(()));
    // Where another group panicked with its turn, the panic itself is what will be told.
    let turn = || turns.as_ref().map(|t| t.lock().unwrap_or_else(PoisonError::into_inner));
    std::thread::scope(|scope| {
        let workers: Vec<_> = groups
            .iter()
            .map(|group| {
                let (said_sender, said): (SyncSender<Said>, Receiver<Said>) = sync_channel(1);
                let (slopes, slopes_receiver) = sync_channel::<LossGradient>(1);
                let turn = &turn;
                let worker = scope.spawn(move || {
                    let mut guard = turn();
                    pass(policy, group, asked, |said| {
                        drop(guard.take());
                        said_sender.send(said).expect("the step waits for every group");
                        let slopes = slopes_receiver.recv().expect("the step answers every group");
                        guard = turn();
                        slopes
                    })
                });
                (said, slopes, worker)
            })
            .collect();
        let said: Option<Vec<Said>> = workers.iter().map(|(said, ..)| said.recv().ok()).collect();
        if let Some(said) = said {
            for ((_, sender, _), slopes) in workers.iter().zip(loss(said)) {
                // A group that is gone has panicked, which joining it tells.
                let _ = sender.send(slopes);
            }
        }
        let workers: Vec<_> = workers.into_iter().map(|(.., worker)| worker).collect();
        let gradients =
            workers.into_iter().map(|w| w.join().unwrap_or_else(|p| std::panic::resume_unwind(p)));
        gradients.reduce(add).expect("at least one group")
    })
}

/// The policy's two passes over one group.
fn pass<E: Environment>(
    policy: &dyn TrainablePolicy,
    group: &Group<E>,
    asked: Asked,
    loss: impl FnOnce(Said) -> LossGradient,
) -> Vec<Vec<f32>> {
    let (output, pull_back) = policy.record(&group.encoded);
    let log_p = LogProbabilities::new(&group.encoded, &output);
    let mut gathered = Gathered::new(&group.batch, &group.encoded, &log_p, asked.stop);
    let flow = |row: &u32| output.log_flow[*row as usize];
    let said = Said {
        log_forward: std::mem::take(&mut gathered.log_forward),
        log_backward: std::mem::take(&mut gathered.log_backward),
        log_stop: std::mem::take(&mut gathered.log_stop),
        log_flow: if asked.flow { group.batch.distinct_of.iter().map(flow).collect() } else { Vec::new() },
    };
    let slopes = loss(said);
    pull_back(&gathered.pull_back(&group.batch, &group.encoded, &log_p, &slopes, &output))
}

pub(crate) fn add(mut sum: Vec<Vec<f32>>, next: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    for (sum, next) in sum.iter_mut().zip(next) {
        sum.iter_mut().zip(next).for_each(|(s, n)| *s += n);
    }
    sum
}
