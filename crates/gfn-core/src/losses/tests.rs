//! Every loss against central differences, slow definitions and closed forms.

use rand::RngExt;

use super::*;
use crate::environment::Heads;
use crate::error::ErrorKind;
use crate::random::{ChaCha8Rng, stream};

/// A [`LossInput`] that owns its numbers.
#[derive(Clone)]
struct Batch {
    offsets: Vec<usize>,
    stop: StopRule,
    /// log_forward, log_backward, log_stop, log_flow.
    parts: [Vec<f64>; 4],
    log_target: Vec<f64>,
    state_log_reward: Vec<f64>,
    log_z: f64,
}

impl Batch {
    /// Trajectories of the given numbers of states, with random numbers where the interface has them.
    fn random(lengths: &[usize], stop: StopRule, rng: &mut ChaCha8Rng) -> Self {
        let mut offsets = vec![0];
        lengths.iter().for_each(|k| offsets.push(offsets[offsets.len() - 1] + k));
        let slots = offsets[lengths.len()];
        let mut draw =
            |n: usize, low: f64| -> Vec<f64> { (0..n).map(|_| rng.random_range(low..low + 3.0)).collect() };
        let n_stop = if stop == StopRule::Always { slots } else { 0 };
        let parts = [draw(slots, -3.0), draw(slots, -3.0), draw(n_stop, -3.0), draw(slots, -1.0)];
        let mut batch = Batch {
            parts,
            log_target: draw(lengths.len(), -2.0),
            state_log_reward: draw(slots, -2.0),
            log_z: 0.4,
            offsets,
            stop,
        };
        for window in batch.offsets.windows(2) {
            batch.parts[1][window[0]] = 0.0;
            if stop == StopRule::Exhausted {
                batch.parts[0][window[1] - 1] = 0.0;
            }
        }
        batch
    }

    fn input(&self) -> LossInput<'_> {
        LossInput {
            offsets: &self.offsets,
            stop: self.stop,
            log_forward: &self.parts[0],
            log_backward: &self.parts[1],
            log_stop: &self.parts[2],
            log_flow: &self.parts[3],
            log_target: &self.log_target,
            state_log_reward: &self.state_log_reward,
            log_z: self.log_z,
        }
    }

    fn evaluate(&self, loss: &dyn BalanceLoss) -> (f64, LossGradient) {
        let mut gradient = LossGradient::zeros(&self.input());
        let value = loss.evaluate(&self.input(), &mut gradient);
        (value, gradient)
    }

    fn residuals(&self) -> Vec<f64> {
        (0..self.log_target.len()).map(|b| trajectory_residual(&self.input(), b)).collect()
    }

    /// The nodes of trajectory `b` as (log F of each, step to the next), from the definition.
    fn nodes(&self, b: usize) -> (Vec<f64>, Vec<f64>) {
        let [forward, backward, _, flow] = &self.parts;
        let (first, last) = (self.offsets[b], self.offsets[b + 1] - 1);
        let mut flows = flow[first..=last].to_vec();
        let mut steps: Vec<f64> = (first..last).map(|i| forward[i] - backward[i + 1]).collect();
        match self.stop {
            StopRule::Always => {
                flows.push(self.log_target[b]);
                steps.push(forward[last]);
            }
            StopRule::Exhausted => flows[last - first] = self.log_target[b],
        }
        (flows, steps)
    }
}

const RAGGED: [usize; 7] = [1, 4, 2, 1, 6, 3, 5];

fn spec(stop: StopRule) -> EnvSpec {
    EnvSpec {
        name: "test".into(),
        fingerprint: String::new(),
        rows: 1,
        width: 1,
        n_forward: 1,
        n_backward: 1,
        heads: Heads::Flat,
        stop,
    }
}

fn names() -> [Balance; 6] {
    [
        Balance::Trajectory,
        Balance::Detailed,
        Balance::SubTrajectory { lambda: 0.8 },
        Balance::SubTrajectory { lambda: 1.0 },
        Balance::Contrastive,
        Balance::ModifiedDetailed,
    ]
}

/// Every loss on every stop rule it accepts, as squares and with a Huber threshold that cuts some residuals.
fn for_each_case(mut body: impl FnMut(&str, &dyn BalanceLoss, StopRule)) {
    for name in names() {
        for huber in [None, Some(1.3)] {
            for stop in [StopRule::Always, StopRule::Exhausted] {
                let loss = name.build(huber);
                if loss.check(&spec(stop)).is_ok() {
                    body(&format!("{name:?} {huber:?} {stop:?}"), loss.as_ref(), stop);
                }
            }
        }
    }
}

fn close(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * (1.0 + a.abs().max(b.abs()))
}

#[test]
fn losses_have_the_derivatives_of_central_differences() {
    for_each_case(|case, loss, stop| {
        for seed in 0..3 {
            let batch = Batch::random(&RAGGED, stop, &mut stream(seed, "losses", 0));
            let (value, gradient) = batch.evaluate(loss);
            assert!(value > 0.0, "{case}");
            let numeric = |change: &dyn Fn(&mut Batch, f64)| {
                let side = |step: f64| {
                    let mut moved = batch.clone();
                    change(&mut moved, step);
                    moved.evaluate(loss).0
                };
                (side(1e-5) - side(-1e-5)) / 2e-5
            };
            let parts =
                [&gradient.log_forward, &gradient.log_backward, &gradient.log_stop, &gradient.log_flow];
            for (part, derivatives) in parts.into_iter().enumerate() {
                for (slot, &derivative) in derivatives.iter().enumerate() {
                    let expected = numeric(&|moved, step| moved.parts[part][slot] += step);
                    assert!(
                        close(derivative, expected, 1e-7),
                        "{case}, part {part}, slot {slot}: {derivative} {expected}"
                    );
                }
            }
            let expected = numeric(&|moved, step| moved.log_z += step);
            assert!(close(gradient.log_z, expected, 1e-7), "{case}, log Z: {} {expected}", gradient.log_z);
        }
    });
}

#[test]
fn losses_add_to_the_gradient_they_are_given() {
    for_each_case(|case, loss, stop| {
        let batch = Batch::random(&RAGGED, stop, &mut stream(1, "losses", 0));
        let (_, once) = batch.evaluate(loss);
        let mut twice = once.clone();
        loss.evaluate(&batch.input(), &mut twice);
        for (a, b) in once.log_forward.iter().zip(&twice.log_forward) {
            assert!(close(2.0 * a, *b, 1e-14), "{case}");
        }
        assert!(close(2.0 * once.log_z, twice.log_z, 1e-14), "{case}");
    });
}

#[test]
fn contrastive_losses_are_the_mean_over_ordered_pairs() {
    for seed in 0..20 {
        let batch = Batch::random(&RAGGED, StopRule::Exhausted, &mut stream(seed, "losses", 0));
        let residuals = batch.residuals();
        let n = residuals.len();
        let mut sum = 0.0;
        let mut slopes = vec![0.0; n];
        for a in 0..n {
            for b in (0..n).filter(|&b| b != a) {
                let difference = residuals[a] - residuals[b];
                sum += difference * difference;
                slopes[a] += 2.0 * difference;
                slopes[b] -= 2.0 * difference;
            }
        }
        let pairs = (n * (n - 1)) as f64;
        let (value, gradient) = batch.evaluate(&Contrastive::default());
        assert!(close(value, sum / pairs, 1e-12));
        for b in 0..n {
            assert!(close(gradient.log_forward[batch.offsets[b]], slopes[b] / pairs, 1e-12));
        }
    }
}

#[test]
fn detailed_and_sub_trajectory_losses_match_their_definitions() {
    for stop in [StopRule::Always, StopRule::Exhausted] {
        for lambda in [1e-3, 0.5, 0.9, 1.0] {
            let batch = Batch::random(&RAGGED, stop, &mut stream(5, "losses", 0));
            let (mut detailed, mut transitions) = (0.0, 0);
            let (mut sub, mut trajectories) = (0.0, 0);
            for b in 0..RAGGED.len() {
                let (flows, steps) = batch.nodes(b);
                let (mut sum, mut weights) = (0.0, 0.0);
                for i in 0..steps.len() {
                    for j in i + 1..flows.len() {
                        let residual = flows[i] + steps[i..j].iter().sum::<f64>() - flows[j];
                        let weight = f64::powi(lambda, (j - i) as i32);
                        sum += weight * residual * residual;
                        weights += weight;
                        if j == i + 1 {
                            detailed += residual * residual;
                            transitions += 1;
                        }
                    }
                }
                if weights > 0.0 {
                    sub += sum / weights;
                    trajectories += 1;
                }
            }
            let robust = Robust::default();
            let found = batch.evaluate(&Detailed { robust }).0;
            assert!(close(found, detailed / transitions as f64, 1e-12), "{stop:?}: {found}");
            let found = batch.evaluate(&SubTrajectory { lambda, robust }).0;
            assert!(close(found, sub / trajectories as f64, 1e-12), "{stop:?}, λ {lambda}: {found}");
        }
    }
}

#[test]
fn losses_of_single_transitions_have_closed_forms() {
    // One trajectory of two states, then the stop.
    let batch = Batch {
        offsets: vec![0, 2],
        stop: StopRule::Always,
        parts: [vec![-0.5, -0.25], vec![0.0, -1.0], vec![-2.0, -0.25], vec![3.0, 1.5]],
        log_target: vec![0.75],
        state_log_reward: vec![-1.0, 0.75],
        log_z: 2.0,
    };
    let squares = |name: Balance| batch.evaluate(name.build(None).as_ref()).0;
    let (first, second) = (3.0 - 0.5 - 1.5 + 1.0, 1.5 - 0.25 - 0.75);
    assert!(close(squares(Balance::Trajectory), f64::powi(-0.75 + 1.0 - 0.75 + 2.0, 2), 1e-14));
    assert!(close(squares(Balance::Detailed), (first * first + second * second) / 2.0, 1e-14));
    let whole = first + second;
    let expected = (0.5 * (first * first + second * second) + 0.25 * whole * whole) / 1.25;
    assert!(close(squares(Balance::SubTrajectory { lambda: 0.5 }), expected, 1e-14));
    assert_eq!(squares(Balance::Contrastive), 0.0);
    let modified = 0.75 - 1.0 - 2.0 + 1.0 + 0.5 + 0.25;
    assert!(close(squares(Balance::ModifiedDetailed), modified * modified, 1e-14));
    let huber = batch.evaluate(Balance::ModifiedDetailed.build(Some(0.1)).as_ref()).0;
    assert!(close(huber, 2.0 * 0.1 * f64::abs(modified) - 0.01, 1e-14));
}

#[test]
fn losses_vanish_where_flows_and_rewards_agree() {
    // p_F = F'·p_B/F on the line s0 → s1 → s2, every state an object with R = 1, 2, 3: F = 6, 5, 3.
    let (rewards, flows) = ([1.0f64, 2.0, 3.0], [6.0f64, 5.0, 3.0]);
    let mut batch = Batch {
        offsets: vec![0],
        stop: StopRule::Always,
        parts: Default::default(),
        log_target: Vec::new(),
        state_log_reward: Vec::new(),
        log_z: 6f64.ln(),
    };
    for k in 1..=3 {
        for i in 0..k {
            let stop = (rewards[i] / flows[i]).ln();
            batch.parts[0].push(if i + 1 == k { stop } else { (flows[i + 1] / flows[i]).ln() });
            batch.parts[1].push(0.0);
            batch.parts[2].push(stop);
            batch.parts[3].push(flows[i].ln());
            batch.state_log_reward.push(rewards[i].ln());
        }
        batch.offsets.push(batch.parts[0].len());
        batch.log_target.push(rewards[k - 1].ln());
    }
    for name in names() {
        let (value, gradient) = batch.evaluate(name.build(None).as_ref());
        assert!(value < 1e-28, "{name:?}: {value}");
        assert!(gradient.log_forward.iter().all(|g| g.abs() < 1e-14), "{name:?}");
    }
}

#[test]
fn losses_leave_out_trajectories_of_impossible_objects() {
    for_each_case(|case, loss, stop| {
        let lengths = [1, 4, 2, 3, 1, 5];
        let dropped = [1, 4];
        let mut batch = Batch::random(&lengths, stop, &mut stream(3, "losses", 0));
        let mut rest = batch.clone();
        for &b in &dropped {
            batch.log_target[b] = f64::NEG_INFINITY;
            batch.state_log_reward[batch.offsets[b + 1] - 1] = f64::NEG_INFINITY;
        }
        let keep = |b: &usize| !dropped.contains(b);
        let slots: Vec<usize> =
            (0..6).filter(keep).flat_map(|b| batch.offsets[b]..batch.offsets[b + 1]).collect();
        let pick = |from: &[f64]| {
            if from.is_empty() { Vec::new() } else { slots.iter().map(|&i| from[i]).collect() }
        };
        rest.parts = [0, 1, 2, 3].map(|part| pick(&batch.parts[part]));
        rest.state_log_reward = pick(&batch.state_log_reward);
        rest.log_target = (0..6).filter(keep).map(|b| batch.log_target[b]).collect();
        rest.offsets = vec![0];
        (0..6)
            .filter(keep)
            .for_each(|b| rest.offsets.push(rest.offsets[rest.offsets.len() - 1] + lengths[b]));

        let (value, gradient) = batch.evaluate(loss);
        let (expected, of_rest) = rest.evaluate(loss);
        assert!(value > 0.0 && close(value, expected, 1e-14), "{case}: {value} {expected}");
        assert_eq!(pick(&gradient.log_forward), of_rest.log_forward, "{case}");
        assert_eq!(pick(&gradient.log_flow), of_rest.log_flow, "{case}");
        for b in dropped {
            for slot in batch.offsets[b]..batch.offsets[b + 1] {
                assert_eq!([gradient.log_forward[slot], gradient.log_backward[slot]], [0.0; 2], "{case}");
            }
        }
    });
}

#[test]
fn losses_without_anything_to_compare_are_zero() {
    for_each_case(|case, loss, stop| {
        let mut batch = Batch::random(&[3, 2], stop, &mut stream(4, "losses", 0));
        batch.log_target.fill(f64::NEG_INFINITY);
        batch.state_log_reward.fill(f64::NEG_INFINITY);
        assert_eq!(
            batch.evaluate(loss),
            (0.0, LossGradient::zeros(&batch.input())),
            "{case}: impossible objects"
        );
        let empty = Batch::random(&[], stop, &mut stream(4, "losses", 0));
        assert_eq!(empty.evaluate(loss).0, 0.0, "{case}: empty");
    });
    let mut rng = stream(4, "losses", 1);
    let short = Batch::random(&[1, 1], StopRule::Always, &mut rng);
    assert_eq!(short.evaluate(&ModifiedDetailed::default()), (0.0, LossGradient::zeros(&short.input())));
    let one = Batch::random(&[4], StopRule::Always, &mut rng);
    assert_eq!(one.evaluate(&Contrastive::default()), (0.0, LossGradient::zeros(&one.input())));
    let still = Batch::random(&[1, 1], StopRule::Exhausted, &mut rng);
    assert_eq!(still.evaluate(&Detailed::default()).0, 0.0);
    assert_eq!(still.evaluate(&SubTrajectory { lambda: 0.9, robust: Robust::default() }).0, 0.0);
}

#[test]
fn losses_do_not_hide_a_policy_that_is_not_a_number() {
    for_each_case(|case, loss, stop| {
        let mut batch = Batch::random(&RAGGED, stop, &mut stream(6, "losses", 0));
        batch.parts[0][1] = f64::NAN;
        assert!(batch.evaluate(loss).0.is_nan(), "{case}");
    });
}

#[test]
fn losses_refuse_what_makes_no_sense() {
    let error = ModifiedDetailed::default().check(&spec(StopRule::Exhausted)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("every state is an object"), "{error}");
    for lambda in [0.0, -0.5, 1.001, f64::NAN, f64::INFINITY] {
        let error = Balance::SubTrajectory { lambda }.build(None).check(&spec(StopRule::Always)).unwrap_err();
        assert!(error.to_string().starts_with("lambda: expected a number in (0, 1]"), "{error}");
    }
    for name in names() {
        assert!(name.build(None).check(&spec(StopRule::Always)).is_ok(), "{name:?}");
    }
}

#[test]
fn losses_say_what_they_need() {
    let needs = |name: Balance| {
        let loss = name.build(None);
        [loss.needs_flow(), loss.needs_state_rewards(), loss.needs_log_z()]
    };
    assert_eq!(needs(Balance::Trajectory), [false, false, true]);
    assert_eq!(needs(Balance::Detailed), [true, false, false]);
    assert_eq!(needs(Balance::SubTrajectory { lambda: 0.9 }), [true, false, false]);
    assert_eq!(needs(Balance::Contrastive), [false, false, false]);
    assert_eq!(needs(Balance::ModifiedDetailed), [false, true, false]);
}
