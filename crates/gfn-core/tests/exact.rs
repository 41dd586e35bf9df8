//! State graphs and exact distributions, against closed forms and path enumeration.

mod shared;

use gfn_core::environment::Environment;
use gfn_core::exact::{EdgePolicy, StateGraph, normalise, paper_bound, sharp_bound};
use gfn_core::grid::{BeaconReward, Cell, Grid, HypergridReward};
use gfn_core::policy::{PolicyKind, TrainablePolicy};
use gfn_core::reward::LogReward;
use gfn_core::testing::{CheckSettings, check_environment};
use shared::{Arrows, Choose, irregular, l1, policy_spec, product, table};

/// The exactly optimal logits by backward recursion: logit(s → s') = log F(s') + log p_B(s|s'), logit(stop) = log R(s),
/// with F(s) = R(s) + Σ F(s') p_B(s|s') (R only at objects).
fn optimal<E: Environment>(
    env: &E,
    graph: &StateGraph<E>,
    log_reward: impl Fn(&E::State) -> f64,
) -> Box<dyn TrainablePolicy> {
    let states = graph.states();
    let n_outputs = env.spec().n_forward_outputs();
    let mut logits = vec![vec![0.0; n_outputs]; states.len()];
    let mut log_flow = vec![f64::NEG_INFINITY; states.len()];
    for number in (0..states.len()).rev() {
        let mut actions = Vec::new();
        env.forward_actions(&states[number], &mut actions);
        let mut terms = Vec::new();
        for &action in &actions {
            let child = states.iter().position(|s| *s == env.step(&states[number], action).0).unwrap();
            let logit = log_flow[child] + env.log_backward_after(&states[number], action);
            logits[number][action as usize] = logit;
            terms.push(logit);
        }
        if let Some(stop) = env.spec().stop_action() {
            logits[number][stop as usize] = log_reward(&states[number]);
            terms.push(log_reward(&states[number]));
        } else if actions.is_empty() {
            terms.push(log_reward(&states[number]));
        }
        log_flow[number] = normalise(&terms).0;
    }
    table(env, states, |number| logits[number].clone())
}

#[test]
fn the_small_environments_of_the_tests_pass_the_harness() {
    check_environment(&Choose::new(4, 3), &CheckSettings::default()).unwrap();
    check_environment(&Arrows::new(), &CheckSettings::default()).unwrap();
}

#[test]
fn graphs_have_every_state_once_in_topological_order() {
    for (dimensions, side) in [(1, 5), (2, 9), (3, 4)] {
        let grid = Grid::new(dimensions, side).unwrap();
        let cells = side.pow(dimensions as u32);
        let graph = StateGraph::enumerate(&grid, cells).unwrap();
        assert_eq!(graph.states().len(), cells);
        assert_eq!(graph.objects().len(), cells);
        assert_eq!(graph.n_edges(), dimensions * side.pow(dimensions as u32 - 1) * (side - 1));
        let depth = |c: &Cell| c.coordinates.iter().sum::<u16>();
        assert!(graph.states()[0] == grid.initial());
        assert!(graph.states().windows(2).all(|pair| depth(&pair[0]) <= depth(&pair[1])));
        let error = StateGraph::enumerate(&grid, cells - 1).err().expect("too many states").to_string();
        assert!(error.contains(&format!("at most {} states", cells - 1)), "{error}");
    }
    let choose = Choose::new(4, 3);
    let graph = StateGraph::enumerate(&choose, 100).unwrap();
    assert_eq!((graph.states().len(), graph.objects().len()), (1 + 4 + 6 + 4, 4));
    // Orientations of a triangle's edges, each left out or put either way.
    assert_eq!(StateGraph::enumerate(&Arrows::new(), 100).unwrap().states().len(), 27);
}

#[test]
fn the_uniform_policy_has_its_closed_form() {
    // On a line of H cells the walk stops with probability 1/2 in each cell but the last.
    let grid = Grid::new(1, 5).unwrap();
    let graph = StateGraph::enumerate(&grid, 10).unwrap();
    let policy = policy_spec(&grid, PolicyKind::Uniform).build(0).unwrap();
    let p = graph.distribution(&graph.edge_policy(&grid, policy.as_policy()));
    assert!(l1(&p, &graph.policy_distribution(&grid, policy.as_policy())) < 1e-14);
    for (found, expected) in p.iter().zip([0.5, 0.25, 0.125, 0.0625, 0.0625]) {
        assert!((found - expected).abs() < 1e-15, "{p:?}");
    }
}

#[test]
fn the_optimal_table_gives_the_target() {
    // Logits are f32: about 6e-8 of their size each, a few of them along a path.
    let grid = Grid::new(2, 9).unwrap();
    let graph = StateGraph::enumerate(&grid, 100).unwrap();
    for reward in [HypergridReward::default(), HypergridReward { r0: 1e-4, r1: 1.0, r2: 3.0 }] {
        let policy = optimal(&grid, &graph, |c| reward.log_reward(&grid, c));
        let (_, target) = normalise(&graph.log_rewards(&grid, &reward));
        let p = graph.distribution(&graph.edge_policy(&grid, policy.as_policy()));
        assert!(l1(&p, &graph.policy_distribution(&grid, policy.as_policy())) < 1e-14);
        assert!(l1(&p, &target) < 1e-6, "{}", l1(&p, &target));
    }
    let choose = Choose::new(5, 3);
    let graph = StateGraph::enumerate(&choose, 100).unwrap();
    let policy = optimal(&choose, &graph, irregular);
    let (_, target) = normalise(&graph.log_rewards(&choose, &irregular));
    let p = graph.distribution(&graph.edge_policy(&choose, policy.as_policy()));
    assert!(l1(&p, &graph.policy_distribution(&choose, policy.as_policy())) < 1e-14);
    assert!(l1(&p, &target) < 1e-6, "{}", l1(&p, &target));
}

#[test]
fn exact_aggregation_of_perfect_clients_is_the_normalised_product() {
    let grid = Grid::new(2, 6).unwrap();
    let graph = StateGraph::enumerate(&grid, 100).unwrap();
    let beacons = [([5, 5], 1.0), ([1, 5], 2.0), ([4, 0], 0.5)];
    let rewards = beacons.map(|(beacon, beta)| BeaconReward { beacon: Cell::new(&beacon), beta });
    let logs = rewards.map(|r| graph.log_rewards(&grid, &r));
    let factor: Vec<f64> = graph.log_rewards(&grid, &HypergridReward::default());
    let policies: Vec<EdgePolicy> = rewards
        .iter()
        .map(|r| graph.edge_policy(&grid, optimal(&grid, &graph, |c| r.log_reward(&grid, c)).as_policy()))
        .collect();
    let weights = [1.0, 0.5, 2.0];
    let clients: Vec<(&EdgePolicy, f64)> = policies.iter().zip(weights).collect();
    let found = graph.aggregate(&clients, &factor);
    let parts: Vec<(&[f64], f64)> =
        logs.iter().map(|l| &l[..]).zip(weights).chain([(&factor[..], 1.0)]).collect();
    assert!(l1(&found, &product(&parts)) < 1e-5, "{}", l1(&found, &product(&parts)));
    let plain = graph.aggregate(&clients, &vec![0.0; factor.len()]);
    assert!(l1(&plain, &found) > 0.1, "the factor matters");
    // A single client with weight 1 is its own distribution, trained well or not.
    let uniform = policy_spec(&grid, PolicyKind::Uniform).build(0).unwrap();
    let uniform = graph.edge_policy(&grid, uniform.as_policy());
    let own = graph.aggregate(&[(&uniform, 1.0)], &vec![0.0; factor.len()]);
    assert!(l1(&own, &graph.distribution(&uniform)) < 1e-12);
}

/// Brute force on any environment: (object, log p_F(τ) − log p_B(τ|x), log p_B(τ|x)) of every trajectory.
fn every_path<E: Environment>(
    env: &E,
    graph: &StateGraph<E>,
    logit: impl Fn(usize, u32) -> f64,
) -> Vec<(usize, f64, f64)> {
    let number = |s: &E::State| graph.states().iter().position(|t| t == s).unwrap();
    let mut open = vec![(env.initial(), 0.0, 0.0)];
    let mut paths = Vec::new();
    while let Some((state, score, log_backward)) = open.pop() {
        let mut actions = Vec::new();
        env.forward_actions(&state, &mut actions);
        let own = number(&state);
        let mut all: Vec<u32> = actions.clone();
        all.extend(env.spec().stop_action());
        let logits: Vec<f64> = all.iter().map(|&a| logit(own, a)).collect();
        let log_z = normalise(&logits).0;
        for &action in &actions {
            let step = env.log_backward_after(&state, action);
            let log_p = logit(own, action) - log_z;
            open.push((env.step(&state, action).0, score + log_p - step, log_backward + step));
        }
        if let Some(stop) = env.spec().stop_action() {
            paths.push((own, score + logit(own, stop) - log_z, log_backward));
        } else if actions.is_empty() {
            paths.push((own, score, log_backward));
        }
    }
    paths
}

#[test]
fn distribution_aggregate_and_score_range_agree_with_path_enumeration() {
    let grid = Grid::new(2, 3).unwrap();
    compare_with_paths(&grid, &|c: &Cell| f64::from(c.coordinates[0]).sin());
    compare_with_paths(&Choose::new(4, 3), &irregular);
}

fn compare_with_paths<E: Environment>(env: &E, reward: &dyn LogReward<E>) {
    let graph = StateGraph::enumerate(env, 100).unwrap();
    let width = env.spec().n_forward_outputs();
    let of = |k: usize| move |s: usize, a: u32| f64::from(((3 * s + 5 * a as usize + 11 * k) as f32).sin());
    let edges: Vec<EdgePolicy> = (0..2)
        .map(|k| {
            let values = |s: usize| (0..width).map(|a| of(k)(s, a as u32)).collect();
            graph.edge_policy(env, table(env, graph.states(), values).as_policy())
        })
        .collect();
    let objects: Vec<usize> =
        graph.objects().map(|x| graph.states().iter().position(|s| s == x).unwrap()).collect();
    let place = |state: usize| objects.iter().position(|&o| o == state).unwrap();
    let paths = [every_path(env, &graph, of(0)), every_path(env, &graph, of(1))];
    let mut expected = vec![0.0; objects.len()];
    paths[0].iter().for_each(|&(x, score, log_b)| expected[place(x)] += (score + log_b).exp());
    assert!(l1(&graph.distribution(&edges[0]), &expected) < 1e-12);
    assert!((expected.iter().sum::<f64>() - 1.0).abs() < 1e-12);

    let factor = graph.log_rewards(env, reward);
    let mut weights = vec![0.0; objects.len()];
    for (a, b) in paths[0].iter().zip(&paths[1]) {
        assert_eq!(a.0, b.0);
        weights[place(a.0)] += (a.2 + 1.5 * a.1 + 0.5 * b.1 + factor[place(a.0)]).exp();
    }
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= total);
    let found = graph.aggregate(&[(&edges[0], 1.5), (&edges[1], 0.5)], &factor);
    assert!(l1(&found, &weights) < 1e-12, "{}", l1(&found, &weights));

    let (low, high) = graph.score_range(&edges[0], &factor);
    let residuals: Vec<f64> = paths[0].iter().map(|&(x, score, _)| score - factor[place(x)]).collect();
    let smallest = residuals.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = residuals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!((low - smallest).abs() < 1e-12 && (high - largest).abs() < 1e-12);
    assert!(high - low > 0.1, "a policy that is not balanced");
}

#[test]
fn the_bounds_hold_and_the_sharp_one_is_attained() {
    let jeffrey = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(p, q)| (p - q) * (p / q).ln()).sum::<f64>();
    // Two clients: W = 1 · (0.3 + 0.1) + 2 · (0.05 + 0.2).
    let w = paper_bound(&[(1.0, -0.3, 0.1), (2.0, -0.05, 0.2)]);
    assert!((w - 0.9).abs() < 1e-12);
    // The two-point law (1/(1 + e^(W/2)), …) attains it.
    let p = 1.0 / (1.0 + (w / 2.0f64).exp());
    let (law, other) = ([p, 1.0 - p], [1.0 - p, p]);
    let attained = jeffrey(&law, &other);
    assert!((attained - sharp_bound(w)).abs() < 1e-12, "{attained} against {}", sharp_bound(w));
    assert!(sharp_bound(w) < w && sharp_bound(0.0) == 0.0);

    // Imperfect clients on the grid: the observed divergence is within the sharp bound.
    let grid = Grid::new(2, 4).unwrap();
    let graph = StateGraph::enumerate(&grid, 100).unwrap();
    let rewards =
        [([3, 3], 1.0), ([0, 3], 2.0)].map(|(b, beta)| BeaconReward { beacon: Cell::new(&b), beta });
    let mut ranges = Vec::new();
    let mut edges = Vec::new();
    for (k, reward) in rewards.iter().enumerate() {
        let mut policy = optimal(&grid, &graph, |c| reward.log_reward(&grid, c));
        for (i, value) in policy.parameters_mut()[0].iter_mut().enumerate() {
            *value += 0.2 * ((i + 7 * k) as f32).sin();
        }
        policy.parameters_changed();
        let edge = graph.edge_policy(&grid, policy.as_policy());
        let (log_z, _) = normalise(&graph.log_rewards(&grid, reward));
        let log_pi: Vec<f64> = graph.log_rewards(&grid, reward).iter().map(|l| l - log_z).collect();
        let (low, high) = graph.score_range(&edge, &log_pi);
        assert!(low < 0.0 && high > 0.0);
        ranges.push((1.0, low, high));
        edges.push(edge);
    }
    let clients: Vec<(&EdgePolicy, f64)> = edges.iter().map(|e| (e, 1.0)).collect();
    let found = graph.aggregate(&clients, &[0.0; 16]);
    let logs = rewards.map(|r| graph.log_rewards(&grid, &r));
    let target = product(&[(&logs[0], 1.0), (&logs[1], 1.0)]);
    let divergence = jeffrey(&found, &target);
    let w = paper_bound(&ranges);
    assert!(divergence > 1e-4 && divergence <= sharp_bound(w) && sharp_bound(w) <= w);
}
