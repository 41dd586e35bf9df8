//! Features of weighted graphs against their definitions, standard errors against repeated draws, and graphs and areas made of them.

mod shared;

use std::collections::BTreeMap;

use gfn_bn::Dag;
use gfn_bn::features::{
    FeatureProbabilities, consensus_graph, directed_cycle, distinct_graphs, edge_auc, edge_standard_errors,
    median_probability_graph,
};
use gfn_bn::render::RenderEdge;
use gfn_core::random::stream;
use rand::RngExt;
use shared::{all_dags, environment, random_dag};

fn has_path(dag: &Dag, u: usize, v: usize) -> bool {
    (0..dag.n_nodes()).any(|w| dag.has_edge(u, w) && (w == v || has_path(dag, w, v)))
}

fn in_blanket(dag: &Dag, u: usize, v: usize) -> bool {
    let common_child = (0..dag.n_nodes()).any(|w| dag.has_edge(u, w) && dag.has_edge(v, w));
    u != v && (dag.has_edge(u, v) || dag.has_edge(v, u) || common_child)
}

#[test]
fn probabilities_are_weighted_shares_of_the_definitions() {
    let mut rng = stream(1, "features", 0);
    for d in [1, 2, 5, 9] {
        let graphs: Vec<(Dag, f64)> =
            (0..40).map(|_| (random_dag(&mut rng, d, 2 * d), rng.random::<f64>() * 7.0)).collect();
        let weighted = || graphs.iter().map(|(dag, weight)| (dag, *weight));
        let features = FeatureProbabilities::of(weighted()).unwrap();
        assert_eq!(features.n_nodes, d);
        let total: f64 = weighted().map(|(_, weight)| weight).sum();
        let errors = edge_standard_errors(weighted()).unwrap();
        for (k, (u, v)) in (0..d * d).map(|k| (k, (k / d, k % d))) {
            let share = |has: &dyn Fn(&Dag) -> bool| {
                weighted().filter(|(dag, _)| has(dag)).map(|(_, weight)| weight).sum::<f64>() / total
            };
            let edge = share(&|dag| dag.has_edge(u, v));
            assert!((features.edges[k] - edge).abs() < 1e-14);
            assert!((features.paths[k] - share(&|dag| has_path(dag, u, v))).abs() < 1e-14);
            assert!((features.markov_blankets[k] - share(&|dag| in_blanket(dag, u, v))).abs() < 1e-14);
            let either = share(&|dag| dag.has_edge(u, v) || dag.has_edge(v, u));
            assert!((features.either(u, v) - either).abs() < 1e-14);
            let deviation = |(dag, weight): (&Dag, f64)| {
                (weight / total * (f64::from(dag.has_edge(u, v)) - edge)).powi(2)
            };
            let variance: f64 = weighted().map(deviation).sum();
            assert!((errors[k] - variance.sqrt()).abs() < 1e-9, "{} {}", errors[k], variance.sqrt());
        }
    }
}

#[test]
fn counts_are_exact_fractions() {
    // 48 edges in the 25 graphs over three nodes (1, 6, 12, 6 graphs of 0 to 3 edges), 8 for each of 6 ordered pairs.
    let dags = all_dags(&environment(3));
    let features = FeatureProbabilities::of(dags.iter().map(|dag| (dag, 1.0))).unwrap();
    for (u, v) in (0..9).map(|k| (k / 3, k % 3)) {
        let off_diagonal = f64::from(u != v);
        assert_eq!(features.edges[3 * u + v], off_diagonal * 8.0 / 25.0);
        // The path over the third node without the edge: of the edges between its ends, none; 1 graph.
        assert_eq!(features.paths[3 * u + v], off_diagonal * 9.0 / 25.0);
        // Parents of a common child without an edge between them; 1 graph.
        assert_eq!(features.markov_blankets[3 * u + v], off_diagonal * 17.0 / 25.0);
    }
    let scaled = FeatureProbabilities::of(dags.iter().map(|dag| (dag, 1.0 / 1024.0))).unwrap();
    assert_eq!(scaled, features);
}

#[test]
fn probabilities_never_exceed_one() {
    let (a, b): (Dag, Dag) = ("0100".parse().unwrap(), "0010".parse().unwrap());
    let mut rng = stream(2, "features", 0);
    for _ in 0..200 {
        let weights: Vec<f64> = (0..20).map(|_| rng.random::<f64>().powi(9)).collect();
        let graphs =
            weights.iter().enumerate().map(|(i, &weight)| (if i % 2 == 0 { &a } else { &b }, weight));
        let features = FeatureProbabilities::of(graphs).unwrap();
        assert!((1.0 - 1e-15..=1.0).contains(&features.either(0, 1)));
        let same = FeatureProbabilities::of(weights.iter().map(|&weight| (&a, weight))).unwrap();
        assert_eq!(same.edges, [0.0, 1.0, 0.0, 0.0]);
    }
}

#[test]
fn standard_errors_of_equal_draws_are_binomial() {
    let (a, b): (Dag, Dag) = ("0100".parse().unwrap(), "0000".parse().unwrap());
    for weight in [1.0, 0.3] {
        let draws = (0..50).map(|i| (if i < 15 { &a } else { &b }, weight));
        let errors = edge_standard_errors(draws).unwrap();
        assert!((errors[1] - (0.3 * 0.7 / 50.0_f64).sqrt()).abs() < 1e-15);
        assert_eq!((errors[0], errors[2], errors[3]), (0.0, 0.0, 0.0));
    }
}

/// The spread of 400 estimates from 1000 importance-weighted draws each, against their standard errors. The ratio of
/// variances has a relative deviation of √(2/399) = 7 %; 30 % are 4.2 of them, a false alarm in 3e-5 of runs if seeds
/// were random.
#[test]
fn standard_errors_are_the_spread_of_weighted_estimates() {
    let dags = all_dags(&environment(3));
    // Weights from 1 to e² for graphs drawn uniformly, more for those with the edge 0 → 1.
    let weight = |dag: &Dag| (dag.n_edges() as f64 / 3.0 + f64::from(dag.has_edge(0, 1))).exp();
    let mut rng = stream(3, "features", 0);
    let (mut estimates, mut squared_errors) = (Vec::new(), 0.0);
    let n_repeats = 400;
    for _ in 0..n_repeats {
        let draws: Vec<&Dag> = (0..1000).map(|_| &dags[rng.random_range(0..dags.len())]).collect();
        let weighted = || draws.iter().map(|&dag| (dag, weight(dag)));
        estimates.push(FeatureProbabilities::of(weighted()).unwrap().edges[1]);
        squared_errors += edge_standard_errors(weighted()).unwrap()[1].powi(2) / n_repeats as f64;
    }
    let mean = estimates.iter().sum::<f64>() / n_repeats as f64;
    let variance =
        estimates.iter().map(|estimate| (estimate - mean).powi(2)).sum::<f64>() / (n_repeats - 1) as f64;
    assert!((0.7..1.3).contains(&(variance / squared_errors)), "{variance} {squared_errors}");
}

#[test]
fn distinct_graphs_are_counted_and_in_order() {
    let mut rng = stream(4, "features", 0);
    // The last four of twenty nodes: names that differ late.
    let late = |dag: &Dag| {
        let mut late = Dag::empty(20).unwrap();
        dag.edges().for_each(|(from, to)| late.add_edge(from + 16, to + 16).unwrap());
        late
    };
    let mut pools = [1, 3, 4].map(|d| all_dags(&environment(d))).to_vec();
    pools.push(pools[2].iter().map(late).collect());
    for dags in pools {
        let draws: Vec<&Dag> = (0..500).map(|_| &dags[rng.random_range(0..dags.len())]).collect();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        draws.iter().for_each(|dag| *counts.entry(dag.to_string()).or_default() += 1);
        let mut expected: Vec<(String, usize)> = counts.into_iter().collect();
        expected.sort_by_key(|(_, count)| std::cmp::Reverse(*count)); // stable: ties stay in the order of names
        let table = distinct_graphs(draws.iter().map(|&dag| (dag, 1.0))).unwrap();
        assert_eq!(table.len(), expected.len());
        for ((dag, probability), (name, count)) in table.iter().zip(expected) {
            assert_eq!((dag.to_string(), *probability), (name, count as f64 / 500.0));
        }
    }
}

#[test]
fn the_median_probability_graph_may_be_cyclic() {
    let third = |text: &str| text.parse::<Dag>().unwrap();
    // Three chains along one circle: each edge of it in two of three graphs.
    let chains = [third("010001000"), third("000001100"), third("010000100")];
    let features = FeatureProbabilities::of(chains.iter().map(|dag| (dag, 1.0))).unwrap();
    let median = median_probability_graph(&features.edges);
    assert_eq!(median, [(0, 1, 2.0 / 3.0), (1, 2, 2.0 / 3.0), (2, 0, 2.0 / 3.0)]);
    let cycle = directed_cycle(3, median.iter().map(|&(u, v, _)| (u, v))).unwrap();
    let mut sorted = cycle.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2]);
    assert!((0..3).all(|i| (cycle[i] + 1) % 3 == cycle[(i + 1) % 3]), "{cycle:?} follows the edges");

    // Half is not more than half.
    let halves = FeatureProbabilities::of([(&chains[0], 1.0), (&third("000000000"), 1.0)]).unwrap();
    assert_eq!(median_probability_graph(&halves.edges), []);
    assert_eq!(directed_cycle(3, []), None);
    assert_eq!(directed_cycle(0, []), None);
}

/// Random graphs, then one edge that closes a cycle or does not, as the bit sets of [`Dag`] know.
#[test]
fn cycles_are_found_where_they_are() {
    let mut rng = stream(5, "features", 0);
    let mut found = 0;
    for _ in 0..300 {
        let d = rng.random_range(2..=12);
        let dag = random_dag(&mut rng, d, d);
        let (from, to) = (rng.random_range(0..d), rng.random_range(0..d));
        let edges: Vec<(usize, usize)> = dag.edges().chain([(from, to)]).collect();
        let closes = from == to || dag.ancestors(from) >> to & 1 == 1;
        let cycle = directed_cycle(d, edges.iter().copied());
        assert_eq!(cycle.is_some(), closes);
        if let Some(cycle) = cycle {
            found += 1;
            let next = cycle.iter().cycle().skip(1);
            assert!(cycle.iter().zip(next).all(|(&u, &v)| edges.contains(&(u, v))), "{cycle:?}");
            assert!(cycle.iter().enumerate().all(|(i, node)| !cycle[..i].contains(node)));
        }
    }
    assert!((50..250).contains(&found), "{found} of both kinds");
}

#[test]
fn the_consensus_directs_at_two_thirds() {
    let mut edges = vec![0.0; 16];
    let mut set = |u: usize, v: usize, probability: f64| edges[4 * u + v] = probability;
    set(0, 1, 0.25); // ½ together: not more than half
    set(1, 0, 0.25);
    set(0, 2, 0.30); // .9 together, .6 of it one way: two thirds
    set(2, 0, 0.60);
    set(1, 2, 0.55); // 1 together, not two thirds
    set(2, 1, 0.45);
    set(3, 1, 0.75);
    let edge = |from, to, directed, probability| RenderEdge { from, to, directed, probability };
    let expected = [edge(1, 2, false, 1.0), edge(2, 0, true, 0.6), edge(3, 1, true, 0.75)];
    assert_eq!(consensus_graph(&edges), expected);
}

#[test]
fn areas_are_shares_of_won_comparisons() {
    let mut rng = stream(6, "features", 0);
    for _ in 0..50 {
        let d = rng.random_range(2..=7);
        let reference = random_dag(&mut rng, d, 2 * d);
        // Few values, so that there are ties; eighths add up without rounding.
        let edges: Vec<f64> = (0..d * d).map(|_| f64::from(rng.random_range(0..5u8)) / 8.0).collect();
        let wins = |pairs: Vec<(f64, bool)>| {
            let (mut won, mut compared) = (0.0, 0.0);
            for (high, _) in pairs.iter().filter(|(_, positive)| *positive) {
                for (low, _) in pairs.iter().filter(|(_, positive)| !*positive) {
                    won += if high > low { 1.0 } else { f64::from(high == low) / 2.0 };
                    compared += 1.0;
                }
            }
            (compared > 0.0).then_some(won / compared)
        };
        let pairs = || (0..d * d).map(|k| (k / d, k % d));
        let has = |u, v| reference.has_edge(u, v);
        let directed = pairs().filter(|(u, v)| u != v).map(|(u, v)| (edges[u * d + v], has(u, v)));
        let skeleton = pairs()
            .filter(|(u, v)| u < v)
            .map(|(u, v)| (edges[u * d + v] + edges[v * d + u], has(u, v) || has(v, u)));
        let area = edge_auc(&edges, &reference);
        assert_eq!(area.directed, wins(directed.collect()), "{reference}");
        assert_eq!(area.skeleton, wins(skeleton.collect()), "{reference}");
    }
    // Nothing to compare with, and a perfect score.
    assert_eq!(edge_auc(&[0.0; 9], &Dag::empty(3).unwrap()).directed, None);
    let full: Dag = "010001000".parse().unwrap();
    let features = FeatureProbabilities::of([(&full, 1.0)]).unwrap();
    let perfect = edge_auc(&features.edges, &full);
    assert_eq!((perfect.directed, perfect.skeleton), (Some(1.0), Some(1.0)));
}

#[test]
fn refusals_say_what_is_wrong() {
    let (two, three) = (Dag::empty(2).unwrap(), Dag::empty(3).unwrap());
    let message = |graphs: &[(&Dag, f64)]| {
        let graphs = || graphs.iter().copied();
        let text = FeatureProbabilities::of(graphs()).unwrap_err().to_string();
        assert_eq!(edge_standard_errors(graphs()).unwrap_err().to_string(), text);
        assert_eq!(distinct_graphs(graphs()).unwrap_err().to_string(), text);
        text
    };
    assert_eq!(message(&[]), "graphs: expected at least one graph, found none; draw some samples first");
    assert!(
        message(&[(&two, 1.0), (&three, 1.0)])
            .starts_with("graph 2: expected 2 nodes, as the graphs before it, found 3 nodes")
    );
    assert!(message(&[(&two, -0.5)]).contains("weight of graph 1: expected a finite number of at least 0"));
    assert!(message(&[(&two, 1.0), (&two, f64::NAN)]).contains("weight of graph 2"));
    assert!(message(&[(&two, f64::INFINITY)]).contains("found inf"));
    assert!(message(&[(&two, 0.0)]).contains("weights: expected a positive and finite sum, found 0"));
    assert!(message(&[(&two, f64::MAX), (&two, f64::MAX)]).contains("found inf"));
    // Squares leave the range of numbers first.
    for weight in [1e-200, 1e200] {
        assert!(edge_standard_errors([(&two, weight)]).unwrap_err().to_string().contains("finite sum"));
    }
}
