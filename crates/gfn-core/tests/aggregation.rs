//! Aggregating balance and its one-step form reach the product of the clients, exactly as enumeration gives it.

mod shared;

use std::sync::Arc;

use gfn_core::aggregate::{ClientEnsemble, ClientLogits};
use gfn_core::encoding::StateBatch;
use gfn_core::exact::{EdgePolicy, StateGraph};
use gfn_core::grid::{BeaconReward, Cell, Grid};
use gfn_core::losses::Balance;
use gfn_core::observer::Control;
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{LogProbabilities, MlpSettings, Policy, PolicyKind, Residual, TrainablePolicy};
use gfn_core::random::stream;
use gfn_core::reward::{LogReward, RewardTarget, Target};
use gfn_core::rollout::{Share, Source};
use gfn_core::score::{path_spread, residual_spread};
use gfn_core::server::as_policy;
use gfn_core::trainer::{Budget, TrainSettings, Trainer};
use gfn_core::{Environment, Error, ErrorKind};
use shared::{Choose, l1, policy_spec, product, table};

type Reward<E> = Arc<dyn Fn(&<E as Environment>::State) -> f64 + Send + Sync>;

/// A reward behind a pointer.
struct Shared<E: Environment>(Reward<E>);

impl<E: Environment> LogReward<E> for Shared<E> {
    fn log_reward(&self, _env: &E, object: &E::State) -> f64 {
        (self.0)(object)
    }
}

fn train<E: Environment>(env: &Arc<E>, target: Arc<dyn Target<E>>, loss: Balance) -> Box<dyn Policy> {
    let settings = TrainSettings {
        loss,
        batch_size: 64,
        budget: Budget::Steps(1500),
        optimizer: AdamSettings {
            rate: 0.1,
            final_fraction: 1e-3,
            clip_norm: None,
            ..AdamSettings::default()
        },
        behaviour: vec![
            Share { share: 0.4, source: Source::on_policy(0.1) },
            Share { share: 0.6, source: Source::UniformPolicy },
        ],
        seed: 1,
        ..TrainSettings::default()
    };
    let policy = policy_spec(env.as_ref(), PolicyKind::Tabular).build(0).unwrap();
    let mut trainer = Trainer::new(Arc::clone(env), target, policy, settings).unwrap();
    trainer.run(&mut |_: &_| Control::Continue).unwrap();
    as_policy(trainer.finish().policy)
}

struct Case<E: Environment> {
    env: E,
    /// What the clients own.
    rewards: Vec<Reward<E>>,
    weights: Vec<f64>,
    /// The public prior that every client's target holds once; none for a product without one.
    log_prior: Option<Reward<E>>,
    loss: Balance,
}

/// Trains the clients and the server, and compares the server with both things it should be.
fn check<E: Environment>(case: Case<E>) {
    let env = Arc::new(case.env);
    let graph = StateGraph::enumerate(env.as_ref(), 1000).unwrap();
    let none: Reward<E> = Arc::new(|_| 0.0);
    let prior = case.log_prior.clone().unwrap_or(none);
    let clients: Vec<Arc<dyn Policy>> = case
        .rewards
        .iter()
        .map(|reward| {
            let (reward, prior) = (Arc::clone(reward), Arc::clone(&prior));
            let reward: Reward<E> = Arc::new(move |x| reward(x) + prior(x));
            let target = Arc::new(RewardTarget { reward: Shared::<E>(reward) });
            let policy = train(&env, Arc::clone(&target) as Arc<dyn Target<E>>, Balance::Contrastive);
            // A perfect client scores every trajectory of an object alike, whatever law draws them.
            let mut rng = stream(2, "spread", 0);
            let spread = residual_spread(env.as_ref(), policy.as_ref(), target.as_ref(), 300, &mut rng);
            let widest = spread.own.max(spread.tempered).max(spread.uniform);
            assert!(widest < 1e-3, "{spread:?}");
            Arc::from(policy)
        })
        .collect();
    // The product holds the prior to the power Σ w; it should hold it once.
    let total: f64 = case.weights.iter().sum();
    let power = 1.0 - total;
    let factor = case.log_prior.clone().map(|prior| {
        let factor: Reward<E> = Arc::new(move |x| power * prior(x));
        Arc::new(Shared::<E>(factor)) as Arc<dyn LogReward<E>>
    });
    let log_factor = match &factor {
        Some(factor) => graph.log_rewards(env.as_ref(), factor.as_ref()),
        None => vec![0.0; graph.objects().len()],
    };
    let edges: Vec<EdgePolicy> =
        clients.iter().map(|c| graph.edge_policy(env.as_ref(), c.as_ref())).collect();
    let weighted: Vec<(&EdgePolicy, f64)> = edges.iter().zip(case.weights.iter().copied()).collect();
    let exact = graph.aggregate(&weighted, &log_factor);
    let log_rewards: Vec<Vec<f64>> = case
        .rewards
        .iter()
        .chain([&prior])
        .map(|r| graph.log_rewards(env.as_ref(), &Shared::<E>(Arc::clone(r))))
        .collect();
    let powers = case.weights.iter().copied().chain([1.0]);
    let parts: Vec<(&[f64], f64)> = log_rewards.iter().map(|l| &l[..]).zip(powers).collect();
    let target = product(&parts);

    let logits = ClientLogits::new(clients.into_iter().zip(case.weights).collect()).unwrap();
    assert_eq!(logits.total_weight(), total);
    let ensemble = ClientEnsemble::new(Arc::new(logits), factor);
    let server = train(&env, Arc::new(ensemble), case.loss);
    let found = graph.distribution(&graph.edge_policy(env.as_ref(), server.as_ref()));
    let (from_exact, from_target) = (l1(&found, &exact), l1(&found, &target));
    assert!(from_exact <= 1e-3, "L1 to exact aggregation: {from_exact}");
    assert!(from_target <= 1e-3, "L1 to the product of the rewards: {from_target}");
    for part in &parts[..parts.len() - 1] {
        assert!(l1(&target, &product(&[*part])) > 0.1, "no client is the product by itself");
    }
    if case.log_prior.is_some() {
        let without = graph.aggregate(&weighted, &vec![0.0; log_factor.len()]);
        assert!(l1(&without, &target) > 0.1, "the prior matters");
    }
}

fn beacons() -> Vec<Reward<Grid>> {
    let grid = Grid::new(2, 4).unwrap();
    [([3, 3], 1.0), ([0, 3], 2.0), ([3, 1], 1.5)]
        .map(|(beacon, beta)| -> Reward<Grid> {
            let (grid, reward) = (grid.clone(), BeaconReward { beacon: Cell::new(&beacon), beta });
            Arc::new(move |cell| reward.log_reward(&grid, cell))
        })
        .to_vec()
}

fn corner_prior() -> Reward<Grid> {
    Arc::new(|cell| -0.4 * f64::from(cell.coordinates[0]) - 0.2 * f64::from(cell.coordinates[1]))
}

fn set_rewards() -> Vec<Reward<Choose>> {
    [1u32, 2, 3]
        .map(|n| -> Reward<Choose> {
            Arc::new(move |set| (f64::from(set.wrapping_mul(2_654_435_761)) * 1e-9 + f64::from(n)).sin())
        })
        .to_vec()
}

fn sets() -> Case<Choose> {
    Case {
        env: Choose::new(5, 3),
        rewards: set_rewards(),
        weights: vec![1.0; 3],
        log_prior: None,
        loss: Balance::Contrastive,
    }
}

fn grid() -> Case<Grid> {
    Case {
        env: Grid::new(2, 4).unwrap(),
        rewards: beacons(),
        weights: vec![1.0; 3],
        log_prior: None,
        loss: Balance::Contrastive,
    }
}

#[test]
fn aggregating_balance_reaches_the_product_on_the_grid() {
    check(grid());
}

#[test]
fn aggregating_balance_reaches_the_product_on_sets_of_many_orders() {
    check(sets());
}

#[test]
fn aggregating_balance_reaches_the_weighted_pool() {
    check(Case { weights: vec![1.0, 0.5, 1.5], ..sets() });
}

#[test]
fn a_public_factor_puts_the_prior_right() {
    check(Case { log_prior: Some(corner_prior()), ..grid() });
}

#[test]
fn aggregated_modified_detailed_balance_reaches_the_product_on_single_transitions() {
    check(Case { loss: Balance::ModifiedDetailed, ..grid() });
}

#[test]
fn aggregated_modified_detailed_balance_takes_weights_and_the_public_factor() {
    check(Case {
        weights: vec![0.5, 1.0, 1.5],
        log_prior: Some(corner_prior()),
        loss: Balance::ModifiedDetailed,
        ..grid()
    });
}

/// A table of irregular logits on all states.
fn irregular_table<E: Environment>(env: &E, n: usize) -> Arc<dyn Policy> {
    let graph = StateGraph::enumerate(env, 1000).unwrap();
    let width = env.spec().n_forward_outputs();
    let logits = |s: usize| (0..width).map(|a| ((3 * s + 5 * a + 7 * n) as f64).sin()).collect();
    Arc::from(as_policy(table(env, graph.states(), logits)))
}

/// With a residual of zero the server is Σ w log p_F − (Σ w − 1) log p_B, number by number.
fn check_start<E: Environment>(env: &E, kind: PolicyKind) {
    let weights = [1.0, 0.25, 2.0];
    let clients: Vec<Arc<dyn Policy>> = (0..3).map(|n| irregular_table(env, n)).collect();
    let pairs = || clients.iter().cloned().zip(weights).collect();
    let base = Arc::new(ClientLogits::new(pairs()).unwrap());
    let inner: Box<dyn TrainablePolicy> = policy_spec(env, kind).build(3).unwrap();
    let server = Residual::new(inner, base);
    let graph = StateGraph::enumerate(env, 1000).unwrap();
    let edges: Vec<EdgePolicy> = clients.iter().map(|c| graph.edge_policy(env, c.as_ref())).collect();
    let sum =
        |of: &dyn Fn(&EdgePolicy) -> f64| edges.iter().zip(weights).map(|(e, w)| w * of(e)).sum::<f64>();
    let mut expected = Vec::new();
    let mut edge = 0;
    for (number, state) in graph.states().iter().enumerate() {
        let mut actions = Vec::new();
        env.forward_actions(state, &mut actions);
        for &action in &actions {
            let log_backward = env.log_backward_after(state, action);
            expected.push(sum(&|e| e.forward[edge]) - (3.25 - 1.0) * log_backward);
            edge += 1;
        }
        if env.spec().stop_action().is_some() {
            expected.push(sum(&|e| e.stop[number]));
        }
    }
    let batch = StateBatch::new(env, graph.states(), server.needs());
    let found = server.forward(&batch).forward;
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} against {b}");
    }
    // Once more from the memo, and in another order with states twice: the same bits.
    assert_eq!(found, server.forward(&batch).forward);
    let backwards = StateBatch::new(env, graph.states().iter().rev().chain(graph.states()), server.needs());
    let again = server.forward(&backwards).forward;
    assert_eq!(found[..], again[found.len()..]);
}

#[test]
fn the_server_starts_at_the_sum_of_the_clients_logits() {
    let zero = || PolicyKind::Mlp(MlpSettings { output_scale: 0.0, ..MlpSettings::default() });
    for kind in [zero(), PolicyKind::Tabular, PolicyKind::Uniform] {
        check_start(&Grid::new(2, 4).unwrap(), kind.clone());
        // Here p_B is not uniform.
        check_start(&Choose::new(5, 3), kind);
    }
}

/// Probability under p_B and score of every path from the initial state to `state`, the stop left out.
fn paths_to<E: Environment>(env: &E, policy: &dyn Policy, state: &E::State) -> Vec<(f64, f64)> {
    let (mut actions, mut weights) = (Vec::new(), Vec::new());
    env.backward_actions(state, &mut actions, &mut weights);
    if actions.is_empty() {
        return vec![(1.0, 0.0)];
    }
    let total: f64 = weights.iter().sum();
    let mut paths = Vec::new();
    for (action, weight) in actions.into_iter().zip(weights) {
        let (previous, forward) = env.undo(state, action);
        let encoded = StateBatch::new(env, [&previous], policy.needs());
        let log_p = LogProbabilities::new(&encoded, &policy.forward(&encoded));
        let step = log_p.forward[encoded.forward_position(0, forward)] - (weight / total).ln();
        let before = paths_to(env, policy, &previous).into_iter();
        paths.extend(before.map(|(p, score)| (p * weight / total, score + step)));
    }
    paths
}

#[test]
fn clients_disagree_with_themselves_by_the_spread_over_all_paths() {
    let env = Choose::new(5, 3);
    let graph = StateGraph::enumerate(&env, 100).unwrap();
    let objects: Vec<_> = graph.objects().cloned().collect();
    let (a, b) = (irregular_table(&env, 1), irregular_table(&env, 2));
    let variance = |object| {
        let scores = paths_to(&env, a.as_ref(), object).into_iter().zip(paths_to(&env, b.as_ref(), object));
        let sums: Vec<(f64, f64)> = scores.map(|((p, a), (_, b))| (p, a + 2.0 * b)).collect();
        let mean: f64 = sums.iter().map(|(p, s)| p * s).sum();
        sums.iter().map(|(p, s)| p * (s - mean) * (s - mean)).sum::<f64>()
    };
    let expected = (objects.iter().map(variance).sum::<f64>() / objects.len() as f64).sqrt();
    let logits = ClientLogits::new(vec![(a, 1.0), (b, 2.0)]).unwrap();
    let ensemble = ClientEnsemble::new(Arc::new(logits), None);
    let mut rng = stream(1, "paths", 0);
    let found = path_spread(&env, &ensemble, &objects, 2000, &mut rng);
    // Ten objects with 2000 walks: a relative standard error below .01, of which this is five.
    assert!((found / expected - 1.0).abs() < 0.05 && expected > 0.1, "{found}, expected {expected}");
    // A reward does not depend on the path, and neither do the scores of one that is balanced.
    let reward: Arc<dyn Target<Choose>> = Arc::new(RewardTarget { reward: Shared(set_rewards().remove(0)) });
    assert_eq!(path_spread(&env, reward.as_ref(), &objects, 4, &mut rng), 0.0);
    assert_eq!(path_spread(&env, reward.as_ref(), &[], 4, &mut rng), 0.0);
}

fn refused(clients: Vec<(Arc<dyn Policy>, f64)>) -> Error {
    ClientLogits::new(clients).err().expect("refused")
}

#[test]
fn clients_that_cannot_be_multiplied_are_refused_with_the_reason() {
    let (small, large) = (Grid::new(2, 3).unwrap(), Grid::new(2, 4).unwrap());
    let error = refused(vec![(irregular_table(&small, 0), 1.0), (irregular_table(&large, 0), 1.0)]);
    assert_eq!(error.kind(), ErrorKind::Input);
    let text = error.to_string();
    assert!(text.contains("client 1") && text.contains(&small.spec().fingerprint), "{text}");
    assert!(text.contains(&large.spec().fingerprint) && text.contains("one plan"), "{text}");
    for weight in [-0.5, f64::NAN, f64::INFINITY] {
        let error = refused(vec![(irregular_table(&small, 0), 1.0), (irregular_table(&small, 1), weight)]);
        assert_eq!(error.kind(), ErrorKind::Usage);
        let text = error.to_string();
        assert!(text.contains("weight of client 1") && text.contains(&weight.to_string()), "{text}");
    }
    let text = refused(Vec::new()).to_string();
    assert!(text.contains("clients") && text.contains("at least one"), "{text}");
}
