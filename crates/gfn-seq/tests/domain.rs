//! The domain: the environment of its settings, names of objects, clients' data, and training by its recipes.

use std::sync::Arc;

use gfn_core::Environment;
use gfn_core::domain::{Domain, Stage};
use gfn_core::exact::{StateGraph, normalise};
use gfn_core::metrics::l1;
use gfn_core::observer::Control;
use gfn_core::policy::PolicySpec;
use gfn_core::reward::RewardTarget;
use gfn_core::testing::{CheckSettings, check_environment};
use gfn_core::trainer::{Budget, Trainer};
use gfn_seq::{AdditiveReward, Sequence, SequenceDomain, SequenceSettings};

fn domain(alphabet: &str, length: usize, exact: bool) -> SequenceDomain {
    SequenceDomain::new(&SequenceSettings { alphabet: alphabet.into(), length, exact }).unwrap()
}

#[test]
fn environments_of_all_kinds_pass_the_harness() {
    for (alphabet, length, exact) in
        [("dna", 5, false), ("protein", 30, true), ("HP", 8, false), ("x", 3, true)]
    {
        let domain = domain(alphabet, length, exact);
        check_environment(domain.environment().as_ref(), &CheckSettings::default()).unwrap();
    }
}

#[test]
fn names_of_sequences_are_read_back() {
    let up_to = domain("dna", 3, false);
    for tokens in [vec![], vec![3], vec![0, 1, 2]] {
        let sequence = Sequence::new(tokens);
        assert_eq!(up_to.parse_object(&up_to.object_name(&sequence)).unwrap(), sequence);
    }
    assert_eq!(up_to.object_name(&Sequence::default()), "<empty>");
    let message = |domain: &SequenceDomain, name: &str| domain.parse_object(name).unwrap_err().to_string();
    assert!(message(&up_to, "ACGT").contains("at most 3 tokens, found 4"));
    assert!(message(&up_to, "AU").contains("column 2"));
    assert!(message(&domain("dna", 3, true), "<empty>").contains("exactly 3 tokens, found 0"));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let message = |alphabet: &str, length: usize| {
        let settings = SequenceSettings { alphabet: alphabet.into(), length, exact: true };
        SequenceDomain::new(&settings).err().expect("refused").to_string()
    };
    assert!(message("", 3).contains("1 to 255 letters"));
    assert!(message("ABA", 3).contains("each letter once"));
    assert!(message("a<b", 3).contains("<empty>"));
    assert!(message("dna", 0).contains("maximal length"));
}

#[test]
fn a_client_is_read_with_what_it_should_know() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.csv");
    std::fs::write(&path, "kmer,log_probability\nA,-1\nC,-1\nG,-1\nT,-1\n").unwrap();
    let domain = domain("dna", 2, false);
    let data = domain.read_client(&path).unwrap();
    assert_eq!((data.prior_share, data.description.as_str()), (0.0, "Markov model, 4 1-mers"));
    assert_eq!(data.warnings.len(), 1);
    let log_reward = data.reward.log_reward(domain.environment(), &Sequence::new(vec![0, 2]));
    assert!((log_reward + 2.0 * 4f64.ln()).abs() < 1e-12);
    assert_eq!(domain.log_prior().log_reward(domain.environment(), &Sequence::new(vec![1])), 0.0);
}

/// L1 after 400 steps: .016 and .005 when measured; an untrained policy is off by more than 0.3.
#[test]
fn recipes_train_a_client_and_a_centralised_policy() {
    let domain = domain("abcd", 3, false);
    let env = domain.environment();
    let reward = AdditiveReward::new(env, vec![1.0, -0.7, 0.5], vec![1.2, -0.4, 0.3, -1.0]).unwrap();
    let graph = StateGraph::enumerate(env.as_ref(), 1000).unwrap();
    let (_, expected) = normalise(&graph.log_rewards(env, &reward));
    let distance = |stage: Stage, steps: u64| {
        let recipe = domain.recipe(stage);
        let settings =
            gfn_core::trainer::TrainSettings { budget: Budget::Steps(steps), seed: 3, ..recipe.settings };
        let spec =
            PolicySpec { env: env.spec().clone(), kind: recipe.policy, learned_backward: false, flow: false };
        let target = Arc::new(RewardTarget { reward: reward.clone() });
        let policy = spec.build(1).unwrap();
        let mut trainer = Trainer::new(Arc::clone(env), target, policy, settings).unwrap();
        trainer.run(&mut |_: &_| Control::Continue).unwrap();
        let trained = trainer.finish();
        l1(&graph.distribution(&graph.edge_policy(env, trained.policy.as_policy())), &expected)
    };
    for stage in [Stage::Client, Stage::Centralised] {
        let (before, after) = (distance(stage, 1), distance(stage, 400));
        assert!(before > 0.3 && after < 0.05, "{stage:?}: {before} {after}");
    }
}
