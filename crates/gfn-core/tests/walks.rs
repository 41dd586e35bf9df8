//! Trajectories: consistent in both directions, and drawn with the probabilities they claim.
//!
//! Frequencies are judged by χ² at a quantile of 1 − 10⁻⁶: one false alarm in a million seeds and cases.

mod shared;

use gfn_core::encoding::{Needs, StateBatch};
use gfn_core::environment::{Environment, follow_path, path_to};
use gfn_core::exact::{EdgePolicy, StateGraph};
use gfn_core::grid::{Cell, Grid, HypergridReward};
use gfn_core::policy::{PolicyKind, TrainablePolicy};
use gfn_core::random::stream;
use gfn_core::reward::{LogReward, RewardTarget, Target};
use gfn_core::rollout::{Walk, sample_on_policy, sample_walks};
use gfn_core::trajectory::{NO_ACTION, TrajectoryBatch};
use shared::{Arrows, Choose, irregular, policy_spec, table};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// χ² of counts against probabilities; classes with fewer than five expected counts are put together.
fn check_frequencies(counts: &[usize], probabilities: &[f64], what: &str) {
    let n = counts.iter().sum::<usize>() as f64;
    assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{what}");
    let (mut statistic, mut classes) = (0.0, 0);
    let (mut small_count, mut small_expected) = (0.0, 0.0);
    let mut add = |count: f64, expected: f64| {
        statistic += (count - expected) * (count - expected) / expected;
        classes += 1;
    };
    for (&count, p) in counts.iter().zip(probabilities) {
        if n * p >= 5.0 {
            add(count as f64, n * p);
        } else {
            small_count += count as f64;
            small_expected += n * p;
        }
    }
    if small_expected >= 5.0 {
        add(small_count, small_expected);
    }
    assert!(classes > 1, "{what}: something to compare");
    let limit = ChiSquared::new(f64::from(classes - 1)).unwrap().inverse_cdf(1.0 - 1e-6);
    assert!(statistic < limit, "{what}: χ² = {statistic} with {} degrees, limit {limit}", classes - 1);
}

/// A table of irregular logits, and the logits themselves.
fn irregular_table<E: Environment>(
    env: &E,
    graph: &StateGraph<E>,
) -> (Box<dyn TrainablePolicy>, Vec<Vec<f64>>) {
    let width = env.spec().n_forward_outputs();
    let logits: Vec<Vec<f64>> = (0..graph.states().len())
        .map(|s| (0..width).map(|a| 1.5 * ((5 * s + 3 * a) as f64).sin()).collect())
        .collect();
    (table(env, graph.states(), |s| logits[s].clone()), logits)
}

/// (1 − ε) softmax(scale · logits) + ε uniform, edge by edge.
fn mixture<E: Environment>(
    env: &E,
    graph: &StateGraph<E>,
    logits: &[Vec<f64>],
    scale: f64,
    epsilon: f64,
) -> EdgePolicy {
    let mut policy = EdgePolicy { forward: Vec::new(), backward: Vec::new(), stop: Vec::new() };
    for (state, logits) in graph.states().iter().zip(logits) {
        let mut legal = Vec::new();
        env.forward_actions(state, &mut legal);
        let n_forward = legal.len();
        legal.extend(env.spec().stop_action());
        let weights: Vec<f64> = legal.iter().map(|&a| (scale * logits[a as usize]).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mix = |w: &f64| ((1.0 - epsilon) * w / total + epsilon / legal.len() as f64).ln();
        policy.forward.extend(weights[..n_forward].iter().map(mix));
        policy.stop.push(weights.get(n_forward).map_or(0.0, mix));
    }
    policy
}

fn count_objects<E: Environment>(graph: &StateGraph<E>, batch: &TrajectoryBatch<E>) -> Vec<usize> {
    let objects: Vec<&E::State> = graph.objects().collect();
    let mut counts = vec![0; objects.len()];
    for object in batch.objects() {
        counts[objects.iter().position(|o| *o == object).unwrap()] += 1;
    }
    counts
}

/// Forward walks of several scales and ε end in objects as often as the mixed policy says.
fn check_forward<E: Environment>(env: &E) {
    let graph = StateGraph::enumerate(env, 1000).unwrap();
    let (policy, logits) = irregular_table(env, &graph);
    let mut rng = stream(3, "forward walks", 0);
    for (scale, epsilon) in [(1.0, 0.0), (1.0, 0.3), (0.25, 0.1), (0.0, 0.0), (2.0, 0.0), (1.0, 1.0)] {
        let walks = vec![Walk::Forward { scale, epsilon, tilt: 0.0 }; 4000];
        let batch = sample_walks(env, policy.as_policy(), walks, &mut rng);
        let expected = graph.distribution(&mixture(env, &graph, &logits, scale, epsilon));
        let what = format!("{} with scale {scale}, epsilon {epsilon}", env.spec().name);
        check_frequencies(&count_objects(&graph, &batch), &expected, &what);
    }
    let batch = sample_on_policy(env, policy.as_policy(), 4000, &mut rng);
    let expected = graph.distribution(&graph.edge_policy(env, policy.as_policy()));
    check_frequencies(&count_objects(&graph, &batch), &expected, &format!("{} on policy", env.spec().name));
}

#[test]
fn forward_walks_follow_the_mixed_policy() {
    check_forward(&Grid::new(2, 4).unwrap());
    check_forward(&Choose::new(5, 3));
    check_forward(&Choose::up_to(4, 3));
    check_forward(&Arrows::new());
}

/// Complete trajectories from one object have the probabilities of p_B.
fn check_backward<E: Environment>(env: &E, object: &E::State) {
    // Every way back with its probability.
    let mut paths: Vec<(Vec<E::State>, f64)> = Vec::new();
    let mut open = vec![(vec![object.clone()], 1.0)];
    while let Some((path, p)) = open.pop() {
        let (mut actions, mut weights) = (Vec::new(), Vec::new());
        env.backward_actions(&path[path.len() - 1], &mut actions, &mut weights);
        if actions.is_empty() {
            paths.push((path.into_iter().rev().collect(), p));
            continue;
        }
        let total: f64 = weights.iter().sum();
        for (&action, weight) in actions.iter().zip(&weights) {
            let mut longer = path.clone();
            longer.push(env.undo(&path[path.len() - 1], action).0);
            open.push((longer, p * weight / total));
        }
    }
    let policy = policy_spec(env, PolicyKind::Uniform).build(0).unwrap();
    let mut rng = stream(4, "backward walks", 0);
    let walks = vec![Walk::Backward(object.clone()); 6000];
    let batch = sample_walks(env, policy.as_policy(), walks, &mut rng);
    let mut counts = vec![0; paths.len()];
    for b in 0..batch.len() {
        let states: Vec<E::State> = batch.slots(b).map(|slot| batch.state(slot).clone()).collect();
        counts[paths.iter().position(|(path, _)| *path == states).unwrap()] += 1;
    }
    let probabilities: Vec<f64> = paths.iter().map(|(_, p)| *p).collect();
    check_frequencies(&counts, &probabilities, &format!("{} back from {object:?}", env.spec().name));
}

#[test]
fn backward_walks_follow_the_fixed_backward_policy() {
    // Six orders with unequal weights, twenty-four, ten monotone paths, six orders of three arrows.
    check_backward(&Choose::new(5, 3), &0b10101);
    check_backward(&Choose::up_to(6, 4), &0b110101);
    check_backward(&Grid::new(2, 4).unwrap(), &Cell::new(&[3, 2]));
    check_backward(&Arrows::new(), &0b000_100_010);
}

fn tilted_walks<S: Clone>(tilt: f64) -> Vec<Walk<S>> {
    vec![Walk::Forward { scale: 1.0, epsilon: 0.0, tilt }; 4000]
}

#[test]
fn tilts_belong_to_the_walk_and_favour_no_action() {
    // Tilted uniform walks: any item is as likely as any other to come first.
    let env = Choose::new(5, 3);
    let policy = policy_spec(&env, PolicyKind::Uniform).build(0).unwrap();
    let mut rng = stream(5, "tilts", 0);
    let batch = sample_walks(&env, policy.as_policy(), tilted_walks(2.0), &mut rng);
    let mut counts = [0usize; 5];
    (0..batch.len()).for_each(|b| counts[batch.forward[batch.offsets[b]] as usize] += 1usize);
    check_frequencies(&counts, &[0.2; 5], "first items");
    // Within a walk the tilt stays: on a line of many cells a walk that favours stopping does so from the start, and
    // one that does not goes on. Lengths of plain walks are geometric with variance 2; tilted ones spread further.
    let line = Grid::new(1, 200).unwrap();
    let policy = policy_spec(&line, PolicyKind::Uniform).build(0).unwrap();
    let mut spread = |tilt| {
        let batch = sample_walks(&line, policy.as_policy(), tilted_walks(tilt), &mut rng);
        let lengths: Vec<f64> = (0..batch.len()).map(|b| batch.slots(b).len() as f64).collect();
        gfn_core::math::mean_and_deviation(&lengths).1
    };
    let (plain, wide) = (spread(0.0), spread(2.0));
    assert!((plain - 2f64.sqrt()).abs() < 0.15, "{plain}");
    assert!(wide > 5.0 * plain, "{wide} against {plain}");
}

/// Everything a batch promises, on forward walks of all kinds and backward walks from every object.
fn check_consistency<E: Environment>(env: &E) {
    let graph = StateGraph::enumerate(env, 1000).unwrap();
    let (policy, _) = irregular_table(env, &graph);
    let objects: Vec<&E::State> = graph.objects().collect();
    let mut walks: Vec<Walk<E::State>> = Vec::new();
    for &object in &objects {
        walks.push(Walk::Forward { scale: 1.0, epsilon: 0.1, tilt: 0.0 });
        walks.push(Walk::Backward(object.clone()));
        walks.push(Walk::Forward { scale: 0.5, epsilon: 0.0, tilt: 1.0 });
    }
    let mut rng = stream(6, "consistency", 0);
    let batch = sample_walks(env, policy.as_policy(), walks.clone(), &mut rng);
    assert_eq!(batch.len(), walks.len());
    assert!(!batch.is_empty());
    let last_action = env.spec().stop_action().unwrap_or(NO_ACTION);
    for b in 0..batch.len() {
        let slots = batch.slots(b);
        let states: Vec<E::State> = slots.clone().map(|slot| batch.state(slot).clone()).collect();
        let (forward, backward) = (&batch.forward[slots.clone()], &batch.backward[slots]);
        let last = states.len() - 1;
        assert_eq!(states[0], env.initial());
        assert_eq!((backward[0], forward[last]), (NO_ACTION, last_action));
        for i in 0..last {
            assert_eq!(env.step(&states[i], forward[i]), (states[i + 1].clone(), backward[i + 1]));
            assert_eq!(env.undo(&states[i + 1], backward[i + 1]), (states[i].clone(), forward[i]));
        }
        assert_eq!(batch.object(b), &states[last]);
        assert!(objects.contains(&batch.object(b)), "{:?} is no object", batch.object(b));
        if let Walk::Backward(object) = &walks[b] {
            assert_eq!(batch.object(b), object, "walks keep their order");
        }
        assert_eq!(follow_path(env, &forward[..last]).as_ref(), Some(&states[last]));
        assert_eq!(follow_path(env, &path_to(env, &states[last])).as_ref(), Some(&states[last]));
    }
    // Distinct states: each once, and every slot finds its own.
    let distinct: Vec<&E::State> = batch.states().collect();
    assert!((0..distinct.len()).all(|i| !distinct[..i].contains(&distinct[i])));
    for (slot, row) in batch.numbers.iter().enumerate() {
        assert_eq!(batch.state(slot), distinct[*row as usize]);
    }
    // The same generator gives the same walks.
    let again = sample_walks(env, policy.as_policy(), walks, &mut stream(6, "consistency", 0));
    assert_eq!((batch.numbers, batch.forward), (again.numbers, again.forward));
}

#[test]
fn batches_are_consistent_in_both_directions() {
    check_consistency(&Grid::new(1, 6).unwrap());
    check_consistency(&Grid::new(3, 3).unwrap());
    check_consistency(&Choose::new(5, 3));
    check_consistency(&Choose::up_to(5, 2));
    check_consistency(&Arrows::new());
}

#[test]
fn no_walks_make_an_empty_batch() {
    let grid = Grid::new(2, 3).unwrap();
    let policy = policy_spec(&grid, PolicyKind::Uniform).build(0).unwrap();
    let batch = sample_walks(&grid, policy.as_policy(), Vec::new(), &mut stream(0, "none", 0));
    assert!(batch.is_empty() && batch.objects().is_empty() && batch.states().next().is_none());
}

/// A reward's target is log R of the object, and of every state where states are asked for.
fn check_target<E: Environment, R: LogReward<E> + Copy>(env: &E, reward: R) {
    let policy = policy_spec(env, PolicyKind::Uniform).build(0).unwrap();
    let batch = sample_on_policy(env, policy.as_policy(), 50, &mut stream(7, "target", 0));
    let target = RewardTarget { reward };
    assert_eq!(Target::<E>::needs(&target), Needs::default());
    let encoded = StateBatch::new(env, batch.states(), Needs::default());
    let of = |state: &E::State| reward.log_reward(env, state);
    let expected: Vec<f64> = (0..batch.len()).map(|b| of(batch.object(b))).collect();
    assert_eq!(target.trajectories(env, &batch, &encoded), expected);
    let expected: Vec<f64> = (0..batch.n_slots()).map(|slot| of(batch.state(slot))).collect();
    assert_eq!(target.states(env, &batch, &encoded), expected);
}

#[test]
fn the_target_of_a_client_is_its_reward() {
    check_target(&Grid::new(2, 4).unwrap(), HypergridReward::default());
    check_target(&Choose::up_to(5, 3), irregular as fn(&u32) -> f64);
}

#[test]
fn paths_that_are_not_legal_lead_nowhere() {
    let grid = Grid::new(2, 3).unwrap();
    assert_eq!(follow_path(&grid, &[0, 0, 1]), Some(Cell::new(&[2, 1])));
    for path in [&[0, 0, 0][..], &[2], &[NO_ACTION], &[1, 1, 0, 1]] {
        assert_eq!(follow_path(&grid, path), None, "{path:?}");
    }
    assert_eq!(follow_path(&Choose::new(4, 2), &[1, 1]), None);
}
