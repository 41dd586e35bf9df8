//! On-policy, the gradient of contrastive balance is 4 × that of KL(p_F ‖ p_B π) (paper, Theorem 3.7), exactly.

use gfn_core::environment::Environment;
use gfn_core::grid::{Grid, HypergridReward};
use gfn_core::losses::{Balance, LossGradient, LossInput};
use gfn_core::math::log_softmax_in_place;
use gfn_core::reward::LogReward;
use gfn_core::{StopRule, exact::normalise};

/// A complete trajectory: (state, position of the action among the legal ones, stop last) and log p_B, object.
struct Path {
    choices: Vec<(usize, usize)>,
    log_backward: f64,
    object: usize,
}

struct World {
    legal: Vec<usize>,
    paths: Vec<Path>,
    log_reward: Vec<f64>,
}

/// All trajectories of a 3 × 3 grid.
fn enumerate() -> World {
    let grid = Grid::new(2, 3).unwrap();
    let reward = HypergridReward { r0: 0.3, r1: 0.5, r2: 2.0 };
    let mut states = vec![grid.initial()];
    let mut legal = Vec::new();
    let mut paths = Vec::new();
    let mut open = vec![(grid.initial(), Vec::new(), 0.0)];
    while let Some((state, choices, log_backward)) = open.pop() {
        let number = states.iter().position(|s| *s == state).unwrap();
        let mut actions = Vec::new();
        grid.forward_actions(&state, &mut actions);
        legal.resize(states.len().max(legal.len()), 0);
        legal[number] = actions.len() + 1;
        let with = |choice: usize| {
            let mut choices: Vec<(usize, usize)> = choices.clone();
            choices.push((number, choice));
            choices
        };
        paths.push(Path { choices: with(actions.len()), log_backward, object: number });
        for (choice, &action) in actions.iter().enumerate() {
            let next = grid.step(&state, action).0;
            if !states.contains(&next) {
                states.push(next);
            }
            open.push((next, with(choice), log_backward + grid.log_backward_after(&state, action)));
        }
    }
    let log_reward = states.iter().map(|s| reward.log_reward(&grid, s)).collect();
    World { legal, paths, log_reward }
}

impl World {
    fn log_forward(&self, logits: &[Vec<f64>]) -> Vec<f64> {
        let mut log_p = logits.to_vec();
        log_p.iter_mut().for_each(|l| log_softmax_in_place(l));
        self.paths.iter().map(|p| p.choices.iter().map(|&(s, c)| log_p[s][c]).sum()).collect()
    }

    /// KL(p_F ‖ p_B π) over trajectories.
    fn divergence(&self, logits: &[Vec<f64>]) -> f64 {
        let (log_z, _) = normalise(&self.log_reward);
        let log_forward = self.log_forward(logits);
        let terms = self.paths.iter().zip(&log_forward);
        terms.map(|(p, l)| l.exp() * (l - p.log_backward - (self.log_reward[p.object] - log_z))).sum()
    }

    /// E_{τ, τ'} (δ(τ) − δ(τ'))², the law `weights` of the trajectories held fixed.
    fn contrast(&self, logits: &[Vec<f64>], weights: &[f64]) -> f64 {
        let log_forward = self.log_forward(logits);
        let delta: Vec<f64> = self
            .paths
            .iter()
            .zip(&log_forward)
            .map(|(p, l)| l - p.log_backward - self.log_reward[p.object])
            .collect();
        let mut sum = 0.0;
        for a in 0..delta.len() {
            for b in 0..delta.len() {
                sum += weights[a] * weights[b] * (delta[a] - delta[b]).powi(2);
            }
        }
        sum
    }
}

fn logits(world: &World) -> Vec<Vec<f64>> {
    let value = |s: usize, c: usize| 1.3 * ((7 * s + 3 * c) as f64).sin();
    world.legal.iter().enumerate().map(|(s, &n)| (0..n).map(|c| value(s, c)).collect()).collect()
}

/// Central differences in every logit.
fn differences(logits: &[Vec<f64>], value: impl Fn(&[Vec<f64>]) -> f64) -> Vec<f64> {
    let step = 1e-4;
    let mut gradient = Vec::new();
    for s in 0..logits.len() {
        for c in 0..logits[s].len() {
            let at = |shift: f64| {
                let mut moved = logits.to_vec();
                moved[s][c] += shift;
                value(&moved)
            };
            // Fourth order: the error is of the order of step⁴.
            let (near, far) = (at(step) - at(-step), at(2.0 * step) - at(-2.0 * step));
            gradient.push((8.0 * near - far) / (12.0 * step));
        }
    }
    gradient
}

#[test]
fn contrastive_gradient_is_four_times_the_divergence_gradient() {
    let world = enumerate();
    // Monotone paths to (x, y): C(x + y, x) each, 1+2·(1+1)+2+... = 19 on a 3 × 3 grid.
    assert_eq!(world.paths.len(), 19);
    let logits = logits(&world);
    let weights: Vec<f64> = world.log_forward(&logits).iter().map(|l| l.exp()).collect();
    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let contrast = differences(&logits, |l| world.contrast(l, &weights));
    let divergence = differences(&logits, |l| world.divergence(l));
    let largest = divergence.iter().fold(0.0f64, |m, g| m.max(g.abs()));
    assert!(largest > 0.1, "a test point with a gradient");
    for (c, d) in contrast.iter().zip(&divergence) {
        assert!((c - 4.0 * d).abs() <= 1e-6 * (4.0 * d.abs()).max(1e-2 * largest), "{c} against 4 × {d}");
    }
}

#[test]
fn the_loss_of_the_crate_is_that_contrast_and_so_is_its_gradient() {
    // Every pair of distinct trajectories once: uniform weights over trajectories, a ≠ b.
    let world = enumerate();
    let logits = logits(&world);
    let n = world.paths.len();
    let mut offsets = vec![0];
    world.paths.iter().for_each(|p| offsets.push(offsets[offsets.len() - 1] + p.choices.len()));
    let evaluate = |logits: &[Vec<f64>]| {
        let mut log_p = logits.to_vec();
        log_p.iter_mut().for_each(|l| log_softmax_in_place(l));
        let log_forward: Vec<f64> =
            world.paths.iter().flat_map(|p| p.choices.iter().map(|&(s, c)| log_p[s][c])).collect();
        let log_backward: Vec<f64> = world
            .paths
            .iter()
            .flat_map(|p| std::iter::once(p.log_backward).chain(vec![0.0; p.choices.len() - 1]))
            .collect();
        let log_target: Vec<f64> = world.paths.iter().map(|p| world.log_reward[p.object]).collect();
        let input = LossInput {
            offsets: &offsets,
            stop: StopRule::Always,
            log_forward: &log_forward,
            log_backward: &log_backward,
            log_stop: &[],
            log_flow: &[],
            log_target: &log_target,
            state_log_reward: &[],
            log_z: 0.0,
        };
        let mut gradient = LossGradient::zeros(&input);
        let value = Balance::Contrastive.build(None).evaluate(&input, &mut gradient);
        (value, gradient.log_forward)
    };
    let uniform = vec![1.0 / n as f64; n];
    // All ordered pairs a ≠ b: n² / (n (n − 1)) of the mean over all pairs.
    let scale = n as f64 / (n as f64 - 1.0);
    let (value, slopes) = evaluate(&logits);
    let expected = scale * world.contrast(&logits, &uniform);
    assert!((value - expected).abs() < 1e-9 * expected, "{value} against {expected}");
    // The chain rule through the softmax, by hand.
    let mut gradient: Vec<Vec<f64>> = logits.iter().map(|l| vec![0.0; l.len()]).collect();
    let mut log_p = logits.clone();
    log_p.iter_mut().for_each(|l| log_softmax_in_place(l));
    let choices: Vec<(usize, usize)> = world.paths.iter().flat_map(|p| p.choices.clone()).collect();
    for (&(s, c), slope) in choices.iter().zip(&slopes) {
        for other in 0..log_p[s].len() {
            gradient[s][other] += slope * (f64::from(u8::from(other == c)) - log_p[s][other].exp());
        }
    }
    let numeric = differences(&logits, |l| scale * world.contrast(l, &uniform));
    for (a, b) in gradient.iter().flatten().zip(numeric) {
        assert!((a - b).abs() < 1e-7 * (1.0 + b.abs()), "{a} against {b}");
    }
}
