//! Recipes: whatever the size and the stage, what a recipe says can be built, and trains.

#[path = "shared/random_tables.rs"]
mod random_tables;
mod shared;

use std::sync::Arc;

use gfn_bn::data::ColumnSchema;
use gfn_bn::{
    Combine, Dag, DagDomain, DagEnvironment, DagReward, GaussianStatistics, GraphPrior, Knowledge,
    NetworkSettings, ScoreSettings, Statistics,
};
use gfn_core::Environment;
use gfn_core::aggregate::{ClientEnsemble, ClientLogits};
use gfn_core::domain::{Domain, Recipe, Stage};
use gfn_core::losses::Balance;
use gfn_core::policy::{Policy, PolicySpec, Residual, TrainablePolicy};
use gfn_core::reward::{RewardTarget, Target};
use gfn_core::rollout::Source;
use gfn_core::server::as_policy;
use gfn_core::trainer::{Budget, TrainSettings, Trainer};
use rand::RngExt;
use random_tables::{names, numbers, seeded};

const SIZES: [usize; 5] = [3, 5, 11, 20, 50];
const STAGES: [Stage; 4] = [Stage::Client, Stage::ClientRound, Stage::Server, Stage::Centralised];
/// One of pretraining, where a recipe has some for part of the time, and two of its loss.
const STEPS: u64 = 3;

/// Numbers over d columns, few parents: walks of an untrained policy are then short.
fn domain(d: usize, client_loss: Option<Balance>, server_loss: Option<Balance>) -> DagDomain {
    let column = |name| ColumnSchema { name, levels: None };
    DagDomain::new(NetworkSettings {
        combine: Combine::Product,
        center_sites: false,
        standardise: false,
        complete_cases: false,
        score: ScoreSettings::default(),
        prior: GraphPrior::Fair,
        knowledge: Knowledge { max_parents: Some(if d > 20 { 1 } else { 2 }), ..Knowledge::default() },
        client_loss,
        server_loss,
        columns: names(d).into_iter().map(column).collect(),
    })
    .unwrap()
}

fn reward(domain: &DagDomain, seed: u64) -> DagReward {
    let d = domain.environment().n_nodes();
    let table = numbers(&mut seeded(seed), 60, &vec![0.0; d]);
    let statistics = Statistics::Gaussian(GaussianStatistics::of(&table).unwrap());
    domain.reward(&[&statistics], 1.0).unwrap()
}

/// Graphs with fewer edges than nodes, in place of those that a chain or the server would find.
fn sparse_graphs(env: &DagEnvironment, n: usize) -> Vec<Dag> {
    let (d, mut rng) = (env.n_nodes(), seeded(9));
    let graph = |_| {
        let mut dag = Dag::empty(d).unwrap();
        for _ in 0..2 * d {
            let (from, to) = (rng.random_range(0..d), rng.random_range(0..d));
            if dag.parents(to) == 0 && dag.can_add_edge(from, to) {
                dag.add_edge(from, to).unwrap();
            }
        }
        dag
    };
    (0..n).map(graph).collect()
}

fn spec(env: &DagEnvironment, recipe: &Recipe) -> PolicySpec {
    PolicySpec { env: env.spec().clone(), kind: recipe.policy.clone(), learned_backward: false, flow: false }
}

fn numbers_of(policy: &dyn TrainablePolicy) -> Vec<Vec<f32>> {
    policy.tensors().into_iter().map(|tensor| tensor.values.to_vec()).collect()
}

/// A few steps as the recipe says; the policy, which has moved.
fn train(
    domain: &DagDomain,
    stage: Stage,
    target: Arc<dyn Target<DagEnvironment>>,
    policy: Box<dyn TrainablePolicy>,
) -> Box<dyn TrainablePolicy> {
    let env = domain.environment();
    let recipe = domain.recipe(stage);
    let mut settings = recipe.settings;
    settings.budget = Budget::Steps(STEPS);
    settings.check().unwrap();
    let asks = |source: Source| settings.behaviour.iter().any(|share| share.source == source);
    // What a recipe draws from must be there, and nothing is drawn in vain.
    let chain = if recipe.chain_objects > 0 { sparse_graphs(env, 20) } else { Vec::new() };
    assert_eq!(!chain.is_empty(), asks(Source::Chain) || settings.pretraining.is_some());
    assert_eq!(asks(Source::Proposals), stage == Stage::ClientRound);
    let proposals = if stage == Stage::ClientRound { sparse_graphs(env, 20) } else { Vec::new() };
    let before = numbers_of(policy.as_ref());
    let mut trainer = Trainer::new(Arc::clone(env), target, policy, settings)
        .unwrap()
        .with_chain(chain)
        .with_proposals(proposals);
    for step in 1..=STEPS {
        let report = trainer.step().unwrap();
        assert_eq!(report.step, step);
        assert!(report.loss.is_finite() && report.gradient_norm > 0.0, "{stage:?}: {report:?}");
    }
    assert!(trainer.progress() >= 1.0);
    let policy = trainer.finish().policy;
    let after = numbers_of(policy.as_ref());
    assert_ne!(before, after);
    assert!(after.iter().flatten().all(|x| x.is_finite()));
    policy
}

/// A client, an extra round of it, the server on two clients, and a central client.
fn run_all_stages(domain: &DagDomain) {
    let env = domain.environment();
    let own =
        |seed| -> Arc<dyn Target<DagEnvironment>> { Arc::new(RewardTarget { reward: reward(domain, seed) }) };
    let fresh = |stage| spec(env, &domain.recipe(stage)).build(3).unwrap();
    let mut clients: Vec<(Arc<dyn Policy>, f64)> = Vec::new();
    for seed in [1, 2] {
        let client = train(domain, Stage::Client, own(seed), fresh(Stage::Client));
        // A round goes on with the policy of the client, so its recipe must be for the same family.
        assert_eq!(domain.recipe(Stage::ClientRound).policy, domain.recipe(Stage::Client).policy);
        let client = train(domain, Stage::ClientRound, own(seed), client);
        clients.push((Arc::from(as_policy(client)), 1.0));
    }
    train(domain, Stage::Centralised, own(1), fresh(Stage::Centralised));
    let logits = Arc::new(ClientLogits::new(clients).unwrap());
    let target = Arc::new(ClientEnsemble::new(Arc::clone(&logits), Some(domain.log_prior())));
    let residual = Box::new(Residual::new(fresh(Stage::Server), logits));
    train(domain, Stage::Server, target, residual);
}

#[test]
fn every_stage_trains_at_any_size() {
    for d in SIZES {
        run_all_stages(&domain(d, None, None));
    }
}

/// The losses that `ep` offers.
#[test]
fn a_plans_loss_takes_the_place_of_the_recipes() {
    for client in [Balance::Trajectory, Balance::Contrastive, Balance::ModifiedDetailed] {
        for server in [Balance::Contrastive, Balance::ModifiedDetailed] {
            for d in SIZES {
                let domain = domain(d, Some(client), Some(server));
                for stage in STAGES {
                    let expected = if stage == Stage::Server { server } else { client };
                    assert_eq!(domain.recipe(stage).settings.loss, expected);
                }
            }
            run_all_stages(&domain(3, Some(client), Some(server)));
        }
    }
    run_all_stages(&domain(11, Some(Balance::ModifiedDetailed), Some(Balance::ModifiedDetailed)));
    run_all_stages(&domain(11, Some(Balance::Trajectory), None));
}

/// What a recipe says passes the check of settings for any number of nodes, depends on a plan's loss in nothing but the
/// loss, and outlives a file.
#[test]
fn recipes_are_settings() {
    let trajectory = Some(Balance::Trajectory);
    for d in 1..=64 {
        let (own, other) = (domain(d, None, None), domain(d, trajectory, trajectory));
        for stage in STAGES {
            let recipe = own.recipe(stage);
            let settings = recipe.settings.clone();
            settings.check().unwrap();
            let mut same = other.recipe(stage);
            same.settings.loss = settings.loss;
            assert_eq!(same, recipe);
            let text = toml::to_string(&settings).unwrap();
            assert_eq!(toml::from_str::<TrainSettings>(&text).unwrap(), settings);
        }
    }
}
