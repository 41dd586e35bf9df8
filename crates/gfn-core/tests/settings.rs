//! What a trainer refuses and why, how long it runs, and what observers see and may do.

mod shared;

use std::sync::{Arc, Mutex};

use gfn_core::encoding::StateBatch;
use gfn_core::environment::{Environment, Heads};
use gfn_core::grid::{Cell, Grid, HypergridReward};
use gfn_core::losses::Balance;
use gfn_core::observer::{Control, Observer, StepReport, Stopped};
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{MlpSettings, Policy, PolicyKind, PolicySpec, SetEncoderSettings};
use gfn_core::reward::{RewardTarget, Target};
use gfn_core::rollout::{Share, Source};
use gfn_core::trainer::{Annealing, Budget, TrainSettings, Trainer};
use gfn_core::trajectory::TrajectoryBatch;
use gfn_core::{Error, ErrorKind, Result};
use shared::{Choose, irregular, policy_spec};

fn grid() -> Arc<Grid> {
    Arc::new(Grid::new(2, 4).unwrap())
}

fn trainer(settings: TrainSettings) -> Result<Trainer<Grid>> {
    let policy = policy_spec(grid().as_ref(), PolicyKind::Tabular).build(0)?;
    Trainer::new(grid(), Arc::new(RewardTarget { reward: HypergridReward::default() }), policy, settings)
}

/// The error names the setting and says what to do.
fn check_usage(error: &Error, setting: &str, found: &str) {
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    assert_eq!(error.place().item.as_deref(), Some(setting), "{error}");
    assert!(error.found().contains(found), "{found} is not in: {error}");
    assert!(!error.advice().is_empty(), "{error}");
}

/// Changes one of the default settings.
type Change = fn(&mut TrainSettings);

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    fn own(scale: f64, epsilon: f64, tilt: f64) -> Vec<Share> {
        vec![Share { share: 1.0, source: Source::Own { scale, random_scale: false, epsilon, tilt } }]
    }
    fn share(share: f64) -> Vec<Share> {
        vec![Share { share, source: Source::UniformPolicy }]
    }
    let cases: [(&str, &str, Change); 40] = [
        ("batch_size", "1", |s| s.batch_size = 1),
        ("batch_size", "0", |s| s.batch_size = 0),
        ("budget", "0", |s| s.budget = Budget::Seconds(0.0)),
        ("budget", "-1", |s| s.budget = Budget::Seconds(-1.0)),
        ("budget", "NaN", |s| s.budget = Budget::Seconds(f64::NAN)),
        ("budget", "inf", |s| s.budget = Budget::Seconds(f64::INFINITY)),
        ("rate", "0", |s| s.optimizer.rate = 0.0),
        ("rate", "-1", |s| s.optimizer.rate = -1.0),
        ("rate", "NaN", |s| s.optimizer.rate = f64::NAN),
        ("rate", "inf", |s| s.optimizer.rate = f64::INFINITY),
        ("final_fraction", "1.5", |s| s.optimizer.final_fraction = 1.5),
        ("final_fraction", "NaN", |s| s.optimizer.final_fraction = f64::NAN),
        ("beta1", "1", |s| s.optimizer.beta1 = 1.0),
        ("beta2", "-0.1", |s| s.optimizer.beta2 = -0.1),
        ("clip_norm", "0", |s| s.optimizer.clip_norm = Some(0.0)),
        ("clip_norm", "NaN", |s| s.optimizer.clip_norm = Some(f64::NAN)),
        ("log_z_rate", "0", |s| s.optimizer.log_z_rate = 0.0),
        ("log_z_rate", "NaN", |s| s.optimizer.log_z_rate = f64::NAN),
        ("huber", "-1", |s| s.huber = Some(-1.0)),
        ("huber", "0", |s| s.huber = Some(0.0)),
        ("huber", "NaN", |s| s.huber = Some(f64::NAN)),
        ("averaging", "1.0", |s| s.averaging = Some(1.0)),
        ("averaging", "-0.5", |s| s.averaging = Some(-0.5)),
        ("averaging", "NaN", |s| s.averaging = Some(f64::NAN)),
        ("annealing", "start: 0.0", |s| s.annealing = Some(Annealing { start: 0.0, until: 0.5 })),
        ("annealing", "start: 1.5", |s| s.annealing = Some(Annealing { start: 1.5, until: 0.5 })),
        ("annealing", "until: 0.0", |s| s.annealing = Some(Annealing { start: 0.5, until: 0.0 })),
        ("annealing", "until: NaN", |s| s.annealing = Some(Annealing { start: 0.5, until: f64::NAN })),
        ("behaviour", "[]", |s| s.behaviour.clear()),
        ("behaviour", "0.0", |s| s.behaviour = share(0.0)),
        ("behaviour", "-1.0", |s| s.behaviour = share(-1.0)),
        ("behaviour", "NaN", |s| s.behaviour = share(f64::NAN)),
        ("behaviour", "epsilon: 2.0", |s| s.behaviour = own(1.0, 2.0, 0.0)),
        ("behaviour", "epsilon: -0.1", |s| s.behaviour = own(1.0, -0.1, 0.0)),
        ("behaviour", "epsilon: NaN", |s| s.behaviour = own(1.0, f64::NAN, 0.0)),
        ("behaviour", "scale: -1.0", |s| s.behaviour = own(-1.0, 0.1, 0.0)),
        ("behaviour", "scale: inf", |s| s.behaviour = own(f64::INFINITY, 0.1, 0.0)),
        ("behaviour", "tilt: -1.0", |s| s.behaviour = own(1.0, 0.1, -1.0)),
        ("behaviour", "tilt: inf", |s| s.behaviour = own(1.0, 0.1, f64::INFINITY)),
        ("lambda", "0", |s| s.loss = Balance::SubTrajectory { lambda: 0.0 }),
    ];
    for (setting, found, change) in cases {
        let mut settings = TrainSettings::default();
        change(&mut settings);
        let error = trainer(settings).err().unwrap_or_else(|| panic!("{setting} {found} is accepted"));
        check_usage(&error, setting, found);
    }
    trainer(TrainSettings::default()).unwrap();
    // The ends of the ranges that belong to them.
    trainer(TrainSettings {
        batch_size: 2,
        annealing: Some(Annealing { start: 1.0, until: 1.0 }),
        averaging: Some(0.0),
        behaviour: own(0.0, 1.0, 0.0),
        optimizer: AdamSettings { final_fraction: 0.0, beta1: 0.0, ..AdamSettings::default() },
        ..TrainSettings::default()
    })
    .unwrap();
}

#[test]
fn what_the_environment_does_not_offer_is_refused() {
    let choose = Arc::new(Choose::new(4, 3));
    let make = |kind: PolicyKind, settings: TrainSettings| {
        let policy = policy_spec(choose.as_ref(), kind).build(0)?;
        Trainer::new(Arc::clone(&choose), Arc::new(RewardTarget { reward: irregular }), policy, settings)
    };
    let uniform = vec![Share { share: 1.0, source: Source::UniformObjects }];
    let settings = TrainSettings { behaviour: uniform, ..TrainSettings::default() };
    trainer(settings.clone()).expect("the grid draws cells");
    let error = make(PolicyKind::Tabular, settings).err().expect("no objects to draw");
    check_usage(&error, "behaviour", "uniform-objects");

    let settings = TrainSettings { loss: Balance::ModifiedDetailed, ..TrainSettings::default() };
    let error = make(PolicyKind::Tabular, settings).err().expect("no stop action");
    check_usage(&error, "loss modified-detailed", "choose");

    // A policy of another environment.
    let policy = policy_spec(&Choose::new(5, 3), PolicyKind::Tabular).build(0).unwrap();
    let target = Arc::new(RewardTarget { reward: irregular });
    let error = Trainer::new(Arc::clone(&choose), target, policy, TrainSettings::default());
    check_usage(&error.err().expect("another environment"), "policy", &Choose::new(5, 3).spec().fingerprint);
    let settings = TrainSettings { loss: Balance::Detailed, ..TrainSettings::default() };
    check_usage(&make(PolicyKind::Tabular, settings).err().expect("no flow"), "policy", "none");

    // A table needs keys, which the grid does not give.
    let with_table = PolicyKind::Mlp(MlpSettings { table_bits: Some(8), ..MlpSettings::default() });
    make(with_table.clone(), TrainSettings::default()).expect("sets have keys");
    let policy = policy_spec(grid().as_ref(), with_table).build(0).unwrap();
    let target = Arc::new(RewardTarget { reward: HypergridReward::default() });
    let error = Trainer::new(grid(), target, policy, TrainSettings::default()).err().expect("no keys");
    check_usage(&error, "table_bits", "grid");
}

#[test]
fn policies_of_impossible_sizes_are_refused_by_name() {
    let build = |kind: PolicyKind| policy_spec(grid().as_ref(), kind).build(0).err().expect("refused");
    let mlp = |change: fn(&mut MlpSettings)| {
        let mut settings = MlpSettings::default();
        change(&mut settings);
        build(PolicyKind::Mlp(settings))
    };
    check_usage(&mlp(|s| s.hidden.clear()), "hidden", "[]");
    check_usage(&mlp(|s| s.hidden = vec![8, 0]), "hidden", "0");
    check_usage(&mlp(|s| s.table_bits = Some(3)), "table_bits", "3");
    check_usage(&mlp(|s| s.table_bits = Some(25)), "table_bits", "25");
    check_usage(&mlp(|s| s.output_scale = f64::NAN), "output_scale", "NaN");
    check_usage(&mlp(|s| s.output_scale = f64::INFINITY), "output_scale", "inf");
    for (hidden, pair_width) in [(0, 4), (4, 0)] {
        let settings = SetEncoderSettings { hidden, pair_width, ..SetEncoderSettings::default() };
        check_usage(&build(PolicyKind::SetEncoder(settings)), "hidden", "0");
    }
    // Pair actions that are not one per pair of rows.
    let mut spec: PolicySpec =
        policy_spec(grid().as_ref(), PolicyKind::SetEncoder(SetEncoderSettings::default()));
    spec.build(0).unwrap();
    spec.env.heads = Heads::Pairs;
    check_usage(&spec.build(0).err().expect("refused"), "set encoder", "2 actions and 2 rows");
}

/// Remembers every report; stops where it is told to.
struct Recorder {
    reports: Vec<StepReport>,
    stop_after: u64,
}

impl Observer for Recorder {
    fn after_step(&mut self, report: &StepReport) -> Control {
        self.reports.push(*report);
        if report.step == self.stop_after { Control::Stop } else { Control::Continue }
    }
}

#[test]
fn observers_see_every_step_and_may_stop_a_run_that_goes_on_later() {
    let settings = TrainSettings { batch_size: 8, budget: Budget::Steps(20), ..TrainSettings::default() };
    let mut trainer = trainer(settings.clone()).unwrap();
    let mut recorder = Recorder { reports: Vec::new(), stop_after: 7 };
    assert_eq!(trainer.run(&mut recorder).unwrap(), Stopped::Interrupted);
    assert_eq!((trainer.steps(), trainer.progress()), (7, 0.35));
    assert_eq!(trainer.run(&mut recorder).unwrap(), Stopped::BudgetSpent);
    assert_eq!((trainer.steps(), trainer.progress()), (20, 1.0));
    let reports = recorder.reports;
    assert_eq!(reports.iter().map(|r| r.step).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    for (report, step) in reports.iter().zip(1..) {
        assert_eq!(report.progress, f64::from(step) / 20.0);
        assert!(report.loss.is_finite() && report.loss > 0.0 && report.gradient_norm > 0.0);
        // Contrastive balance is twice the variance of the residuals.
        assert!((report.loss - 2.0 * report.residual_deviation.unwrap().powi(2)).abs() < 1e-9 * report.loss);
    }
    assert!(reports.windows(2).all(|pair| pair[0].seconds < pair[1].seconds));
    assert_eq!(trainer.seconds(), reports[19].seconds);
    // Nothing is left to do.
    let mut none = Recorder { reports: Vec::new(), stop_after: 0 };
    assert_eq!(trainer.run(&mut none).unwrap(), Stopped::BudgetSpent);
    assert!(none.reports.is_empty());
    let trained = trainer.finish();
    assert_eq!((trained.steps, trained.log_z), (20, 0.0));
    // A stop at the last step is an interruption all the same: the observer asked for it.
    let mut last = self::trainer(settings).unwrap();
    let mut recorder = Recorder { reports: Vec::new(), stop_after: 20 };
    assert_eq!(last.run(&mut recorder).unwrap(), Stopped::Interrupted);
}

#[test]
fn reasons_and_reports_are_values_that_files_hold() {
    let text = |stopped: Stopped| serde_json::to_string(&stopped).unwrap();
    assert_eq!(text(Stopped::BudgetSpent), "\"budget-spent\"");
    assert_eq!(text(Stopped::Interrupted), "\"interrupted\"");
    let settings = TrainSettings {
        behaviour: vec![
            Share { share: 0.5, source: Source::scaled(0.25, 0.1) },
            Share { share: 0.5, source: Source::UniformObjects },
        ],
        annealing: Some(Annealing { start: 0.1, until: 0.3 }),
        ..TrainSettings::default()
    };
    let text = serde_json::to_string(&settings).unwrap();
    assert_eq!(serde_json::from_str::<TrainSettings>(&text).unwrap(), settings);
    assert_eq!(serde_json::from_str::<TrainSettings>("{}").unwrap(), TrainSettings::default());
    let error = serde_json::from_str::<TrainSettings>("{\"batchsize\": 4}").unwrap_err().to_string();
    assert!(error.contains("batchsize") && error.contains("batch_size"), "{error}");
}

#[test]
fn budgets_of_nothing_and_of_time_end() {
    let budget = |budget| TrainSettings { batch_size: 4, budget, ..TrainSettings::default() };
    let mut none = trainer(budget(Budget::Steps(0))).unwrap();
    assert_eq!(none.run(&mut |_: &_| Control::Continue).unwrap(), Stopped::BudgetSpent);
    assert_eq!(none.steps(), 0);
    let mut short = trainer(budget(Budget::Seconds(0.02))).unwrap();
    assert_eq!(short.run(&mut |_: &_| Control::Continue).unwrap(), Stopped::BudgetSpent);
    assert!(short.seconds() >= 0.02 && short.steps() > 0 && short.progress() == 1.0);
}

#[test]
fn a_run_that_leaves_the_numbers_says_so() {
    // An infinite target: the loss of the first step is not finite.
    let policy = policy_spec(grid().as_ref(), PolicyKind::Tabular).build(0).unwrap();
    let target = Arc::new(RewardTarget { reward: |_: &Cell| f64::INFINITY });
    let mut trainer = Trainer::new(grid(), target, policy, TrainSettings::default()).unwrap();
    let error = trainer.step().expect_err("not finite").to_string();
    assert!(error.contains("training step 1") && error.contains("finite loss"), "{error}");
}

/// Hands on a target and remembers the objects and the lengths of each batch.
struct Watched<T> {
    target: T,
    batches: Mutex<Vec<Vec<Cell>>>,
}

impl<T: Target<Grid>> Target<Grid> for Watched<T> {
    fn trajectories(&self, env: &Grid, batch: &TrajectoryBatch<Grid>, encoded: &StateBatch) -> Vec<f64> {
        self.batches.lock().unwrap().push(batch.objects().into_iter().copied().collect());
        self.target.trajectories(env, batch, encoded)
    }

    fn states(&self, env: &Grid, batch: &TrajectoryBatch<Grid>, encoded: &StateBatch) -> Vec<f64> {
        self.target.states(env, batch, encoded)
    }
}

/// Batches of a run on a grid so large that only a source that knows it ends in the far corner.
fn watched(behaviour: Vec<Share>, steps: u64, reward: fn(&Cell) -> f64) -> Vec<Vec<Cell>> {
    let env = Arc::new(Grid::new(8, 60).unwrap());
    let target = Arc::new(Watched { target: RewardTarget { reward }, batches: Mutex::default() });
    let settings = TrainSettings {
        batch_size: 10,
        budget: Budget::Steps(steps),
        behaviour,
        replay_capacity: 1,
        ..TrainSettings::default()
    };
    let policy = policy_spec(env.as_ref(), PolicyKind::Uniform).build(0).unwrap();
    let mut trainer =
        Trainer::new(env, Arc::clone(&target) as _, policy, settings).unwrap().with_proposals(vec![corner()]);
    trainer.run(&mut |_: &_| Control::Continue).unwrap();
    target.batches.lock().unwrap().clone()
}

fn corner() -> Cell {
    Cell::new(&[59; 8])
}

#[test]
fn each_source_gets_its_share_of_every_batch_and_its_due_over_time() {
    let behaviour = vec![
        Share { share: 2.0, source: Source::UniformPolicy },
        Share { share: 0.75, source: Source::Proposals },
        Share { share: 0.25, source: Source::UniformPolicy },
    ];
    // A quarter of 10: 2 or 3 in each batch, 2.5 on average.
    let batches = watched(behaviour, 400, |_| 0.0);
    let counts: Vec<usize> = batches.iter().map(|b| b.iter().filter(|x| **x == corner()).count()).collect();
    assert!(batches.iter().all(|b| b.len() == 10));
    assert!(counts.iter().all(|c| (2..=3).contains(c)), "{counts:?}");
    let mean = counts.iter().sum::<usize>() as f64 / 400.0;
    // 5 standard errors of a mean of 400 draws from {2, 3}: a false alarm in 2 million seeds.
    assert!((mean - 2.5).abs() < 5.0 * 0.5 / 20.0, "{mean}");
}

#[test]
fn replay_returns_the_best_objects_and_leaves_its_place_while_it_has_none() {
    let behaviour = vec![
        Share { share: 0.5, source: Source::UniformPolicy },
        Share { share: 0.5, source: Source::Replay },
    ];
    let total = |x: &Cell| f64::from(x.coordinates.iter().sum::<u16>());
    let batches = watched(behaviour, 50, |x| f64::from(x.coordinates.iter().sum::<u16>()));
    let mut best: Option<Cell> = None;
    for batch in &batches {
        assert_eq!(batch.len(), 10);
        if let Some(best) = best {
            // With room for one it is the best so far that is walked back from.
            assert!(batch.iter().filter(|x| **x == best).count() >= 5, "{best:?} in {batch:?}");
        }
        for x in batch {
            if best.is_none_or(|b| total(x) > total(&b)) {
                best = Some(*x);
            }
        }
    }
}

#[test]
fn proposals_that_are_missing_leave_their_place_to_the_policy() {
    let settings = TrainSettings {
        batch_size: 8,
        budget: Budget::Steps(3),
        behaviour: vec![Share { share: 1.0, source: Source::Proposals }],
        ..TrainSettings::default()
    };
    let mut trainer = trainer(settings).unwrap();
    assert_eq!(trainer.run(&mut |_: &_| Control::Continue).unwrap(), Stopped::BudgetSpent);
}

/// The average is that of its definition: in step t the decay is min(d, (1 + t) / (10 + t)), and what training began with
/// is soon forgotten.
#[test]
fn averages_follow_their_definition_and_forget_the_start() {
    let policy = || policy_spec(grid().as_ref(), PolicyKind::Mlp(MlpSettings::default())).build(0).unwrap();
    let settings =
        TrainSettings { budget: Budget::Steps(40), averaging: Some(0.999), ..TrainSettings::default() };
    let target = Arc::new(RewardTarget { reward: HypergridReward::default() });
    let mut trainer = Trainer::new(grid(), target, policy(), settings).unwrap();
    let parameters = |policy: &dyn Policy| -> Vec<f32> {
        policy.tensors().into_iter().flat_map(|tensor| tensor.values).collect()
    };
    let mut expected: Vec<f64> = Vec::new();
    let mut share_of_first = 1.0;
    for t in 0..40 {
        trainer.step().unwrap();
        let values = parameters(trainer.policy().as_policy());
        let decay = 0.999f64.min((1 + t) as f64 / (10 + t) as f64);
        if t == 0 {
            expected = values.iter().map(|&v| f64::from(v)).collect();
        } else {
            share_of_first *= decay;
            for (average, value) in expected.iter_mut().zip(values) {
                *average = decay * *average + (1.0 - decay) * f64::from(value);
            }
        }
    }
    let found = parameters(trainer.finish().policy.as_policy());
    for (found, expected) in found.iter().zip(&expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{found} {expected}");
    }
    assert!(share_of_first < 1e-5, "{share_of_first}");
}
