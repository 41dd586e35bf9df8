//! BGe: published-precision vectors, closed forms, score equivalence, decomposition, refusals.

#[path = "shared/random_tables.rs"]
mod random_tables;
mod shared;

use std::collections::HashMap;
use std::f64::consts::PI;

use gfn_bn::{Bge, BgeSettings, Dag, DagReward, LocalScore, PriorMean, Table};
use gfn_core::reward::LogReward;
use serde_json::Value;
use shared::{all_dags, environment, table};

/// Checks the cases of a file of vectors for which `csv` has the table; returns how many.
fn check_vectors(text: &str, csv: impl Fn(&str) -> Option<String>) -> usize {
    let file: Value = serde_json::from_str(text).unwrap();
    let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    let mut checked = 0;
    for case in file["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let Some(csv) = csv(case["csv"].as_str().unwrap()) else { continue };
        let settings = BgeSettings {
            alpha_mu: case["alpha_mu"].as_f64().unwrap(),
            alpha_w: case["alpha_w"].as_f64(),
            prior_mean: match case["nu"].as_str().unwrap() {
                "zero" => PriorMean::Zero,
                "sample" => PriorMean::Mean,
                other => panic!("{id}: {other}"),
            },
            t: case["t"].as_f64(),
        };
        let table = table(&csv);
        let score = Bge::new(&table, &settings).unwrap();
        let dag: Dag = case["adjacency"].as_str().unwrap().parse().unwrap();
        let tolerance = if id.contains("collinear") || id.contains("offset") { 1e-8 } else { 1e-10 };
        let check = |what: &str, found: f64, expected: f64| {
            assert!((found / expected - 1.0).abs() <= tolerance, "{id} {what}: {found}, not {expected}");
        };
        for (node, expected) in case["local"].as_array().unwrap().iter().enumerate() {
            check("local", score.local_score(node, dag.parents(node)), number(expected));
        }
        check("total", score.score(&dag), number(&case["log_marginal"]));
        // The default of t is the one of the file, but for the case that says otherwise.
        if id != "d4_n50_T1" {
            let default = Bge::new(&table, &BgeSettings { t: None, ..settings.clone() }).unwrap();
            check("default t", default.score(&dag), number(&case["log_marginal"]));
        }
        checked += 1;
    }
    checked
}

#[test]
fn vectors_of_simulated_tables() {
    assert_eq!(check_vectors(&shared::own("bge.json").unwrap(), shared::own), 21);
}

#[test]
fn vectors_of_real_and_large_tables() {
    match shared::shared("vectors/bn/bge.json") {
        Some(text) => {
            assert_eq!(check_vectors(&text, |csv| shared::shared(&format!("vectors/bn/{csv}"))), 24);
        }
        None => println!("skipped: no shared data"),
    }
}

/// Irregular numbers, correlated between columns.
fn rows(n: usize, d: usize) -> Table {
    let noise = |i: usize, j: usize| ((i * 31 + j * 17 + 5) as f64 * 0.731).sin() + 0.3 * j as f64;
    let columns =
        (0..d).map(|j| (0..n).map(|i| noise(i, j) + 0.6 * noise(i, (j + 1) % d)).collect()).collect();
    Table::new((0..d).map(|j| format!("X{j}")).collect(), columns).unwrap()
}

fn unusual(d: usize) -> BgeSettings {
    let prior_mean = PriorMean::Given((0..d).map(|j| 0.5 - 0.2 * j as f64).collect());
    BgeSettings { alpha_mu: 0.7, alpha_w: Some(d as f64 + 0.4), prior_mean, t: Some(1.3) }
}

/// The marginal likelihood of a complete graph is that of a Gaussian without restrictions under the normal-Wishart
/// prior, whatever its order (Geiger & Heckerman 2002, equation 18, with their T):
/// π^{−Nd/2} (α_μ/(N+α_μ))^{d/2} Γ_d((N+α_w)/2) / Γ_d(α_w/2) |T|^{α_w/2} / |R|^{(N+α_w)/2}.
#[test]
fn a_complete_graph_has_the_marginal_likelihood_of_an_unrestricted_gaussian() {
    use nalgebra::DMatrix;
    use statrs::function::gamma::ln_gamma;
    for (n, d) in [(1, 1), (1, 3), (7, 2), (12, 4), (40, 6)] {
        let (table, settings) = (rows(n, d), unusual(d));
        let (n, alpha_mu, alpha_w, t) = (n as f64, 0.7, d as f64 + 0.4, 1.3);
        // R directly from its definition, without the library's precautions.
        let mean: Vec<f64> = table.columns().iter().map(|c| c.iter().sum::<f64>() / n).collect();
        let delta = |j: usize| mean[j] - (0.5 - 0.2 * j as f64);
        let r = DMatrix::from_fn(d, d, |i, j| {
            let (x, y) = (&table.columns()[i], &table.columns()[j]);
            let scatter: f64 = x.iter().zip(y).map(|(x, y)| (x - mean[i]) * (y - mean[j])).sum();
            f64::from(u8::from(i == j)) * t + scatter + n * alpha_mu / (n + alpha_mu) * delta(i) * delta(j)
        });
        // The powers of π in the multivariate gamma functions cancel.
        let ln_gamma_d = |x: f64| (0..d).map(|j| ln_gamma(x - 0.5 * j as f64)).sum::<f64>();
        let (m, half) = (d as f64, 0.5 * (n + alpha_w));
        let expected = -0.5 * n * m * PI.ln() + 0.5 * m * (alpha_mu / (n + alpha_mu)).ln() + ln_gamma_d(half)
            - ln_gamma_d(0.5 * alpha_w)
            + 0.5 * alpha_w * m * f64::ln(t)
            - half * r.determinant().ln();
        let score = Bge::new(&table, &settings).unwrap();
        for rotation in 0..d {
            let place = |node: usize| (node + rotation) % d;
            let mut complete = Dag::empty(d).unwrap();
            for (u, v) in (0..d * d).map(|k| (k / d, k % d)).filter(|&(u, v)| place(u) < place(v)) {
                complete.add_edge(u, v).unwrap();
            }
            let found = score.score(&complete);
            assert!((found / expected - 1.0).abs() < 1e-11, "n {n} d {d}: {found}, not {expected}");
        }
    }
}

/// The formula with R and its determinants formed directly, on random data: where means are small, nothing is lost.
#[test]
fn local_scores_agree_with_the_determinants_themselves() {
    use gfn_bn::members;
    use nalgebra::DMatrix;
    use random_tables::{numbers, seeded};
    use statrs::function::gamma::ln_gamma;
    let mut rng = seeded(11);
    for (n, d) in [(1, 2), (9, 5), (300, 6)] {
        let table = numbers(&mut rng, n, &(0..d).map(|j| 0.4 * j as f64 - 1.0).collect::<Vec<_>>());
        let (n, a, alpha_mu, t) = (n as f64, 0.4, 0.7, 1.3);
        let mean: Vec<f64> = table.columns().iter().map(|c| c.iter().sum::<f64>() / n).collect();
        let delta = |j: usize| mean[j] - (0.5 - 0.2 * j as f64);
        let r = DMatrix::from_fn(d, d, |i, j| {
            let (x, y) = (&table.columns()[i], &table.columns()[j]);
            let scatter: f64 = x.iter().zip(y).map(|(x, y)| (x - mean[i]) * (y - mean[j])).sum();
            f64::from(u8::from(i == j)) * t + scatter + n * alpha_mu / (n + alpha_mu) * delta(i) * delta(j)
        });
        let log_determinant = |set: u64| {
            let nodes: Vec<usize> = members(set).collect();
            DMatrix::from_fn(nodes.len(), nodes.len(), |i, j| r[(nodes[i], nodes[j])]).determinant().ln()
        };
        let score = Bge::new(&table, &unusual(d)).unwrap();
        for node in 0..d {
            for parents in (0..1_u64 << d).filter(|set| set >> node & 1 == 0) {
                let p = f64::from(parents.count_ones());
                let expected = 0.5 * (alpha_mu / (n + alpha_mu)).ln() - 0.5 * n * PI.ln()
                    + ln_gamma(0.5 * (n + a + p + 1.0))
                    - ln_gamma(0.5 * (a + p + 1.0))
                    + 0.5 * (a + 2.0 * p + 1.0) * f64::ln(t)
                    + 0.5 * (n + a + p) * log_determinant(parents)
                    - 0.5 * (n + a + p + 1.0) * log_determinant(parents | 1 << node);
                let found = score.local_score(node, parents);
                assert!(
                    (found / expected - 1.0).abs() < 1e-10,
                    "{node} {parents:b}: {found}, not {expected}"
                );
            }
        }
    }
}

/// Skeleton and immoralities u → w ← v of non-adjacent u, v: graphs with the same are Markov equivalent (Verma & Pearl
/// 1990).
fn equivalence_class(dag: &Dag) -> (Vec<u64>, Vec<(usize, usize, usize)>) {
    let d = dag.n_nodes();
    let adjacent = |u: usize, v: usize| dag.has_edge(u, v) || dag.has_edge(v, u);
    let skeleton =
        (0..d).map(|u| (0..d).filter(|&v| adjacent(u, v)).fold(0, |set, v| set | 1 << v)).collect();
    let mut immoralities = Vec::new();
    for w in 0..d {
        for u in 0..d {
            immoralities.extend(
                (u + 1..d)
                    .filter(|&v| dag.has_edge(u, w) && dag.has_edge(v, w) && !adjacent(u, v))
                    .map(|v| (u, v, w)),
            );
        }
    }
    (skeleton, immoralities)
}

#[test]
fn markov_equivalent_graphs_have_equal_scores_and_others_do_not() {
    // Numbers of classes: Gillispie & Perlman 2002, table 1.
    for (d, n_classes) in [(2, 2), (3, 11), (4, 185)] {
        for settings in [BgeSettings::default(), unusual(d)] {
            let score = Bge::new(&rows(25, d), &settings).unwrap();
            let mut classes: HashMap<_, Vec<f64>> = HashMap::new();
            for dag in all_dags(&environment(d)) {
                classes.entry(equivalence_class(&dag)).or_default().push(score.score(&dag));
            }
            assert_eq!(classes.len(), n_classes);
            for scores in classes.values() {
                for score in scores {
                    assert!((score / scores[0] - 1.0).abs() < 1e-12, "{score} and {}", scores[0]);
                }
            }
            let mut levels: Vec<f64> = classes.values().map(|scores| scores[0]).collect();
            levels.sort_by(f64::total_cmp);
            assert!(levels.windows(2).all(|pair| pair[1] - pair[0] > 1e-9), "classes differ");
        }
    }
}

#[test]
fn an_edge_changes_the_total_by_the_local_difference() {
    let env = environment(4);
    let score = Bge::new(&rows(30, 4), &BgeSettings::default()).unwrap();
    let reward = DagReward::bge(&env, &rows(30, 4), &BgeSettings::default()).unwrap();
    for dag in all_dags(&env) {
        assert!((reward.log_reward(&env, &dag) - score.score(&dag)).abs() < 1e-10);
        for (from, to) in dag.edges() {
            let mut without = dag.clone();
            without.remove_edge(from, to).unwrap();
            let total = reward.log_reward(&env, &dag) - reward.log_reward(&env, &without);
            let local = score.local_score(to, dag.parents(to)) - score.local_score(to, without.parents(to));
            assert!((total - local).abs() < 1e-10, "{dag}: {total}, {local}");
            // Cached or not, and from a clone with the same cache.
            assert_eq!(reward.local_score(to, dag.parents(to)), score.local_score(to, dag.parents(to)));
        }
    }
}

/// A shift of the data together with the prior mean, or with their own mean as the prior mean, changes nothing.
#[test]
fn large_means_lose_no_digits() {
    let shift = 2.0_f64.powi(40);
    let moved = |table: &Table, by: f64| {
        let columns = table.columns().iter().map(|c| c.iter().map(|x| x + by).collect()).collect();
        Table::new(table.names().to_vec(), columns).unwrap()
    };
    // The shift rounds the data at 1e-4; going back rounds nothing.
    let far = moved(&rows(50, 3), shift);
    let near = moved(&far, -shift);
    let score = |table: &Table, prior_mean| {
        let score = Bge::new(table, &BgeSettings { prior_mean, ..BgeSettings::default() }).unwrap();
        score.score(&"010001000".parse().unwrap())
    };
    let given = (score(&near, PriorMean::Zero), score(&far, PriorMean::Given(vec![shift; 3])));
    assert!((given.0 / given.1 - 1.0).abs() < 1e-12, "{given:?}");
    let own = (score(&near, PriorMean::Mean), score(&far, PriorMean::Mean));
    assert!((own.0 / own.1 - 1.0).abs() < 1e-12, "{own:?}");
}

#[test]
fn hyperparameters_out_of_range_are_refused() {
    let message = |settings: BgeSettings| Bge::new(&rows(10, 3), &settings).unwrap_err().to_string();
    let default = BgeSettings::default;
    for alpha_mu in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let text = message(BgeSettings { alpha_mu, ..default() });
        assert!(text.starts_with("alpha_mu: expected a positive number, found "), "{text}");
    }
    let text = message(BgeSettings { alpha_w: Some(4.0), ..default() });
    assert!(
        text.contains("alpha_w: expected more than 4, variables + 1, as t is left to its default, found 4")
    );
    let text = message(BgeSettings { alpha_w: Some(2.0), t: Some(1.0), ..default() });
    assert!(text.contains("alpha_w: expected more than 2, variables − 1, found 2"), "{text}");
    assert!(message(BgeSettings { t: Some(0.0), ..default() }).starts_with("t: expected a positive number"));
    for values in [vec![0.0; 2], vec![0.0, f64::NAN, 0.0]] {
        let text = message(BgeSettings { prior_mean: PriorMean::Given(values), ..default() });
        assert!(text.starts_with("prior_mean: expected 3 finite numbers"), "{text}");
    }
    let settings: BgeSettings =
        serde_json::from_str(r#"{"alpha_mu": 2.0, "prior_mean": {"given": [1.0, 2.0]}}"#).unwrap();
    assert_eq!(settings.prior_mean, PriorMean::Given(vec![1.0, 2.0]));
    assert!(serde_json::from_str::<BgeSettings>(r#"{"alpha": 2.0}"#).is_err());
}

#[test]
fn columns_beyond_precision_are_refused() {
    let base: Vec<f64> = rows(20, 2).columns()[0].clone();
    let other: Vec<f64> = rows(20, 2).columns()[1].clone();
    let bge = |columns: Vec<Vec<f64>>| {
        let names = (0..columns.len()).map(|j| format!("c{j}")).collect();
        Bge::new(&Table::new(names, columns).unwrap(), &BgeSettings::default()).map_err(|e| e.to_string())
    };
    let scaled = |factor: f64| base.iter().map(|x| x * factor).collect::<Vec<f64>>();
    // The prior keeps duplicates apart in ordinary units, not in tiny ones.
    assert!(bge(vec![base.clone(), base.clone(), other.clone()]).is_ok());
    let text = bge(vec![scaled(1e9), scaled(3e9), other.clone()]).unwrap_err();
    assert!(text.contains("expected a column that the others do not determine"), "{text}");
    assert!(text.starts_with("column \"c0\"") || text.starts_with("column \"c1\""), "{text}");
    // Very different units alone are fine.
    assert!(bge(vec![scaled(1e9), other.iter().map(|x| x * 1e-9).collect()]).is_ok());
    let text = bge(vec![scaled(1.0), scaled(1e200)]).unwrap_err();
    assert!(text.starts_with("column \"c1\": expected numbers whose squares can be summed"), "{text}");
    // A constant column is no linear function up to rounding: the prior gives it a scatter of its own.
    assert!(bge(vec![base, vec![5.0; 20]]).is_ok());
}
