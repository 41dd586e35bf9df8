//! Properties of all scores: all local scores at once against one by one, Markov equivalence.

#[path = "shared/random_tables.rs"]
mod random_tables;

use std::sync::Arc;

use gfn_bn::{
    BgeSettings, Dag, GaussianStatistics, LocalScore, PriorMean, RowCounts, ScoreSettings, Statistics,
    spread, squeeze,
};
use random_tables::{categories, numbers, random_dag, seeded};

fn bdeu(equivalent_sample_size: f64) -> ScoreSettings {
    ScoreSettings::Bdeu { equivalent_sample_size }
}

/// Scores of d variables of every kind, with those whose value depends on the equivalence class alone marked.
fn scores(d: usize, n: usize) -> Vec<(ScoreSettings, bool, Arc<dyn LocalScore>)> {
    let mut rng = seeded(d as u64);
    let means: Vec<f64> = (0..d).map(|j| j as f64 - 1.5).collect();
    let gaussian = Statistics::Gaussian(GaussianStatistics::of(&numbers(&mut rng, n, &means)).unwrap());
    let n_levels: Vec<usize> = (0..d).map(|j| [2, 3, 2, 5, 4, 1][j % 6]).collect();
    let mixed = Statistics::Rows(RowCounts::of(&categories(&mut rng, n, &n_levels)));
    let binary = Statistics::Rows(RowCounts::of(&categories(&mut rng, n, &vec![2; d])));
    let unusual = BgeSettings {
        alpha_mu: 0.7,
        alpha_w: Some(d as f64 + 0.4),
        prior_mean: PriorMean::Mean,
        t: Some(1.3),
    };
    let mut scores = Vec::new();
    for (settings, equivalent) in [
        (ScoreSettings::default(), true),
        (ScoreSettings::Bge(unusual), true),
        (bdeu(1.0), true),
        (bdeu(17.0), true),
        (ScoreSettings::K2 {}, false),
        (ScoreSettings::Jeffreys {}, false),
        (ScoreSettings::Bic {}, true),
    ] {
        for (discrete, statistics) in [(false, &gaussian), (true, &mixed), (true, &binary)] {
            if settings.is_discrete().is_none_or(|needed| needed == discrete) {
                scores.push((settings.clone(), equivalent, settings.score(statistics).unwrap()));
            }
        }
    }
    assert_eq!(scores.len(), 2 + 4 * 2 + 3);
    scores
}

#[test]
fn all_scores_at_once_are_those_taken_one_by_one() {
    for (d, n) in [(1, 5), (2, 7), (8, 60), (8, 2000)] {
        for (settings, _, score) in scores(d, n) {
            let all = score.all_scores();
            assert_eq!(all.len(), d);
            for node in 0..d {
                assert_eq!(all[node].len(), 1 << (d - 1));
                assert_eq!(all[node], score.all_local_scores(node), "{settings:?}");
                for (index, &found) in all[node].iter().enumerate() {
                    let parents = spread(index as u64, node);
                    assert_eq!(squeeze(parents, node), index as u64);
                    let expected = score.local_score(node, parents);
                    assert!(
                        (found - expected).abs() <= 1e-10 * expected.abs().max(1e-3),
                        "{settings:?} {node} {parents:b}: {found}, not {expected}"
                    );
                }
            }
        }
    }
}

/// The graph with `from` → `to` reversed, where that edge is covered: `to` has `from` and the parents of `from` as its
/// parents. The reversal leads to an equivalent graph, and such reversals to all of them (Chickering 1995).
fn reverse_covered(dag: &Dag, from: usize, to: usize) -> Option<Dag> {
    if dag.parents(to) != dag.parents(from) | 1 << from {
        return None;
    }
    let mut other = dag.clone();
    other.remove_edge(from, to).unwrap();
    other.add_edge(to, from).unwrap();
    Some(other)
}

#[test]
fn equivalent_graphs_have_equal_scores_except_under_k2_and_jeffreys() {
    let d = 7;
    for (settings, equivalent, score) in scores(d, 90) {
        let mut rng = seeded(9);
        let (mut pairs, mut largest) = (0, 0.0_f64);
        for _ in 0..60 {
            let dag = random_dag(&mut rng, d);
            for (from, to) in dag.edges() {
                let Some(other) = reverse_covered(&dag, from, to) else { continue };
                let (one, two) = (score.score(&dag), score.score(&other));
                largest = largest.max((one / two - 1.0).abs());
                pairs += 1;
            }
        }
        assert!(pairs > 50, "{pairs}");
        assert_eq!(largest < 1e-11, equivalent, "{settings:?}: {largest}");
        assert!(equivalent || largest > 1e-4, "{settings:?}: {largest}");
    }
}
