//! Pretraining: maximum likelihood of given objects gives the policy whose walks they are.

mod shared;

use std::sync::Arc;

use gfn_core::Environment;
use gfn_core::StopRule;
use gfn_core::exact::{StateGraph, normalise};
use gfn_core::likelihood::Pretraining;
use gfn_core::observer::{Control, StepReport};
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{MlpSettings, PolicyKind};
use gfn_core::random::stream;
use gfn_core::reward::RewardTarget;
use gfn_core::rollout::{Share, Source};
use gfn_core::trainer::{Budget, TrainSettings, Trainer};
use rand::RngExt;
use shared::{Choose, irregular, l1, policy_spec};

/// A thousand draws from the target, as a chain would give them.
fn draws(env: &Choose) -> Vec<u32> {
    let graph = StateGraph::enumerate(env, 1000).unwrap();
    let (_, target) = normalise(&graph.log_rewards(env, &(irregular as fn(&u32) -> f64)));
    let objects: Vec<u32> = graph.objects().copied().collect();
    let mut rng = stream(4, "draws", 0);
    let draw = |_| {
        let mut u = rng.random::<f64>();
        let hit = target.iter().position(|p| {
            u -= p;
            u < 0.0
        });
        objects[hit.unwrap_or(objects.len() - 1)]
    };
    (0..1000).map(draw).collect()
}

fn settings(until: f64, transitions: usize) -> TrainSettings {
    TrainSettings {
        budget: Budget::Steps(1500),
        batch_size: 16,
        optimizer: AdamSettings { rate: 0.02, clip_norm: Some(10.0), ..AdamSettings::default() },
        behaviour: vec![Share { share: 1.0, source: Source::Chain }],
        pretraining: Some(Pretraining { until, walks: 32, transitions, rate: 0.02 }),
        seed: 5,
        ..TrainSettings::default()
    }
}

fn train(
    env: &Arc<Choose>,
    settings: TrainSettings,
    chain: Vec<u32>,
    watch: &mut dyn FnMut(&StepReport),
) -> Vec<f64> {
    let target = Arc::new(RewardTarget { reward: irregular as fn(&u32) -> f64 });
    let policy = policy_spec(env.as_ref(), PolicyKind::Tabular).build(1).unwrap();
    let trainer = Trainer::new(Arc::clone(env), target, policy, settings).unwrap();
    let mut trainer = trainer.with_chain(chain);
    trainer
        .run(&mut |report: &StepReport| {
            watch(report);
            Control::Continue
        })
        .unwrap();
    let graph = StateGraph::enumerate(env.as_ref(), 1000).unwrap();
    graph.distribution(&graph.edge_policy(env.as_ref(), trainer.finish().policy.as_policy()))
}

/// Against the frequencies of the given objects themselves, so that no sampling noise is in the comparison; walks of
/// different lengths (sets of up to three), one and all of their transitions a step.
#[test]
fn the_optimum_draws_the_given_objects_as_often_as_they_are_given() {
    for (env, transitions) in [(Choose::up_to(5, 3), 1), (Choose::up_to(5, 3), 4), (Choose::new(5, 3), 2)] {
        let env = Arc::new(env);
        let chain = draws(&env);
        let graph = StateGraph::enumerate(env.as_ref(), 1000).unwrap();
        let share = |x: &u32| chain.iter().filter(|y| *y == x).count() as f64 / chain.len() as f64;
        let frequencies: Vec<f64> = graph.objects().map(share).collect();
        let mut losses = Vec::new();
        let found = train(&env, settings(1.0, transitions), chain.clone(), &mut |report| {
            assert_eq!(report.residual_deviation, None);
            losses.push(report.loss);
        });
        let distance = l1(&found, &frequencies);
        assert!(distance < 0.06, "{:?}, {transitions} transitions: L1 {distance}", env.spec().stop);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        assert!(mean(&losses[..100]) > mean(&losses[1400..]));
    }
}

/// The balance loss that follows corrects what the objects have wrong: here the chain gives them all equally often.
#[test]
fn the_balance_loss_follows_and_has_the_last_word() {
    let env = Arc::new(Choose::up_to(5, 3));
    let graph = StateGraph::enumerate(env.as_ref(), 1000).unwrap();
    let (_, target) = normalise(&graph.log_rewards(env.as_ref(), &(irregular as fn(&u32) -> f64)));
    let all: Vec<u32> = graph.objects().copied().collect();
    let (mut first, mut second) = (0, 0);
    let found = train(&env, settings(0.3, 2), all.clone(), &mut |report| match report.residual_deviation {
        None => first += 1,
        Some(_) => second += 1,
    });
    assert_eq!((first, second), (450, 1050));
    let uniform = vec![1.0 / all.len() as f64; all.len()];
    assert!(l1(&found, &target) < 0.02 && l1(&uniform, &target) > 0.5, "{}", l1(&found, &target));
}

/// Without objects there is nothing to make likely, and the balance loss has the whole budget.
#[test]
fn without_objects_there_is_no_first_phase() {
    let env = Arc::new(Choose::up_to(4, 2));
    train(&env, settings(0.5, 2), Vec::new(), &mut |report| assert!(report.residual_deviation.is_some()));
    assert_eq!(env.spec().stop, StopRule::Always);
}

/// Two groups, and parameters that all states share.
#[test]
fn a_network_learns_it_too() {
    let env = Arc::new(Choose::up_to(5, 3));
    let chain = draws(&env);
    let kind = PolicyKind::Mlp(MlpSettings { hidden: vec![32], ..MlpSettings::default() });
    let policy = policy_spec(env.as_ref(), kind).build(1).unwrap();
    let mut settings = settings(1.0, 2);
    settings.pretraining = Some(Pretraining { until: 1.0, walks: 32, transitions: 2, rate: 0.01 });
    settings.groups = 2;
    let target = Arc::new(RewardTarget { reward: irregular as fn(&u32) -> f64 });
    let mut trainer =
        Trainer::new(Arc::clone(&env), target, policy, settings).unwrap().with_chain(chain.clone());
    trainer.run(&mut |_: &StepReport| Control::Continue).unwrap();
    let graph = StateGraph::enumerate(env.as_ref(), 1000).unwrap();
    let found = graph.distribution(&graph.edge_policy(env.as_ref(), trainer.finish().policy.as_policy()));
    let share = |x: &u32| chain.iter().filter(|y| *y == x).count() as f64 / chain.len() as f64;
    let frequencies: Vec<f64> = graph.objects().map(share).collect();
    assert!(l1(&found, &frequencies) < 0.1, "{}", l1(&found, &frequencies));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let env = Arc::new(Choose::up_to(4, 2));
    for pretraining in [
        Pretraining { until: 0.0, walks: 4, transitions: 1, rate: 0.1 },
        Pretraining { until: 1.1, walks: 4, transitions: 1, rate: 0.1 },
        Pretraining { until: 0.5, walks: 0, transitions: 1, rate: 0.1 },
        Pretraining { until: 0.5, walks: 4, transitions: 0, rate: 0.1 },
        Pretraining { until: 0.5, walks: 4, transitions: 1, rate: 0.0 },
    ] {
        let settings = TrainSettings { pretraining: Some(pretraining), ..TrainSettings::default() };
        let target = Arc::new(RewardTarget { reward: irregular as fn(&u32) -> f64 });
        let policy = policy_spec(env.as_ref(), PolicyKind::Tabular).build(1).unwrap();
        let error = Trainer::new(Arc::clone(&env), target, policy, settings).err().expect("refused");
        assert!(error.to_string().contains("pretraining"), "{error}");
    }
}
