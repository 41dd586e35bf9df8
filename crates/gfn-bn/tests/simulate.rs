//! Simulated tables have the distribution of their networks, and sites differ in what they should.

use gfn_bn::simulate::{
    DiscreteSettings, Edges, GaussianNetwork, SimulationSettings, Sites, simulate_discrete, simulate_gaussian,
};
use gfn_bn::{Dag, DiscreteTable, Table, members};
use gfn_core::ErrorKind;
use gfn_core::math::mean_and_deviation;
use nalgebra::{DMatrix, DVector};

/// Deviations beyond this many standard errors fail. A normal variable is there with probability 5.7e-7; the numbers
/// compared are at most 200 in a test, so that under another generator a test would fail by chance once in 8000 times.
/// (Seeds are fixed: it fails always or never.)
const STANDARD_ERRORS: f64 = 5.0;

fn settings(nodes: usize, rows: &[usize], sites: Sites) -> SimulationSettings {
    SimulationSettings { nodes, edges: Edges::Probability(0.5), rows: rows.to_vec(), sites, seed: 11 }
}

/// X = intercepts + BᵀX + ε: the mean and covariance, by inversion of 1 − Bᵀ.
fn mean_and_covariance(network: &GaussianNetwork) -> (DVector<f64>, DMatrix<f64>) {
    let d = network.dag.n_nodes();
    let mut system = DMatrix::identity(d, d);
    for node in 0..d {
        for (parent, weight) in members(network.dag.parents(node)).zip(&network.coefficients[node]) {
            system[(node, parent)] = -weight;
        }
    }
    let inverse = system.try_inverse().unwrap();
    (&inverse * DVector::from_vec(network.intercepts.clone()), &inverse * inverse.transpose())
}

fn assert_has_distribution_of(network: &GaussianNetwork, table: &Table) {
    let (mean, covariance) = mean_and_covariance(network);
    let (n, d) = (table.n_rows() as f64, table.n_columns());
    let means: Vec<f64> = table.columns().iter().map(|column| column.iter().sum::<f64>() / n).collect();
    for i in 0..d {
        let error = (covariance[(i, i)] / n).sqrt();
        assert!((means[i] - mean[i]).abs() < STANDARD_ERRORS * error, "mean {i}: {}, {}", means[i], mean[i]);
        for j in 0..=i {
            let pairs = table.columns()[i].iter().zip(&table.columns()[j]);
            let found = pairs.map(|(x, y)| (x - means[i]) * (y - means[j])).sum::<f64>() / (n - 1.0);
            // Variance of a sample covariance under the Wishart distribution: (σ_ii σ_jj + σ_ij²) / (n − 1).
            let expected = covariance[(i, j)];
            let error = ((covariance[(i, i)] * covariance[(j, j)] + expected * expected) / (n - 1.0)).sqrt();
            assert!((found - expected).abs() < STANDARD_ERRORS * error, "{i}, {j}: {found}, {expected}");
        }
    }
}

#[test]
fn gaussian_tables_have_the_implied_means_and_covariances() {
    for sites in [Sites::Homogeneous, Sites::ShiftedMeans { deviation: 2.0 }, Sites::OtherCoefficients] {
        let simulation = simulate_gaussian(&settings(6, &[20_000, 10_000], sites)).unwrap();
        assert!(simulation.dag.n_edges() >= 3, "{}", simulation.dag);
        for (network, table) in simulation.networks.iter().zip(&simulation.tables) {
            assert_eq!(network.dag, simulation.dag);
            let mut coefficients = network.coefficients.iter().flatten();
            assert!(coefficients.all(|weight| (0.3..1.0).contains(&weight.abs())));
            assert_has_distribution_of(network, table);
        }
        assert_eq!(simulation.tables[1].names(), ["X0", "X1", "X2", "X3", "X4", "X5"]);
        assert_eq!(simulation.tables[1].n_rows(), 10_000);
    }
}

#[test]
fn sites_share_what_they_should() {
    let simulate = |sites| simulate_gaussian(&settings(5, &[40, 40, 30], sites)).unwrap();
    let homogeneous = simulate(Sites::Homogeneous);
    let shifted = simulate(Sites::ShiftedMeans { deviation: 2.0 });
    let other = simulate(Sites::OtherCoefficients);
    for site in 0..3 {
        assert_eq!(homogeneous.networks[site], homogeneous.networks[0]);
        assert!(homogeneous.networks[site].intercepts.iter().all(|&intercept| intercept == 0.0));
        // Shifted sites differ from homogeneous ones in the mean of every column and in nothing else.
        assert_eq!(shifted.networks[site].coefficients, homogeneous.networks[site].coefficients);
        let (mean, _) = mean_and_covariance(&shifted.networks[site]);
        let both = shifted.tables[site].columns().iter().zip(homogeneous.tables[site].columns());
        for (j, columns) in both.enumerate() {
            let mut differences = columns.0.iter().zip(columns.1).map(|(x, y)| x - y);
            assert!(differences.all(|difference| (difference - mean[j]).abs() < 1e-12));
        }
    }
    assert_ne!(shifted.networks[0].intercepts, shifted.networks[1].intercepts);
    assert_ne!(other.networks[0].coefficients, other.networks[1].coefficients);
    assert_ne!(homogeneous.tables[0], homogeneous.tables[1]);
    assert_eq!((&shifted.dag, &other.dag), (&homogeneous.dag, &homogeneous.dag));

    let discrete =
        |sites| simulate_discrete(&settings(5, &[40, 40], sites), &DiscreteSettings::default()).unwrap();
    let (homogeneous, other) = (discrete(Sites::Homogeneous), discrete(Sites::OtherCoefficients));
    assert_eq!(homogeneous.networks[0], homogeneous.networks[1]);
    assert_ne!(homogeneous.tables[0], homogeneous.tables[1]);
    assert_ne!(other.networks[0].tables, other.networks[1].tables);
    assert_eq!(other.networks[1].dag, homogeneous.dag);
}

#[test]
fn shifts_have_the_deviation_that_was_asked_for() {
    let simulation =
        simulate_gaussian(&settings(40, &[1; 50], Sites::ShiftedMeans { deviation: 3.0 })).unwrap();
    let shifts: Vec<f64> =
        simulation.networks.iter().flat_map(|network| network.intercepts.clone()).collect();
    let n = shifts.len() as f64;
    let square = shifts.iter().map(|shift| shift * shift).sum::<f64>() / n;
    // The mean of n squares of N(0, 9) has standard deviation 9 √(2/n).
    assert!((square - 9.0).abs() < STANDARD_ERRORS * 9.0 * (2.0 / n).sqrt(), "{square}");
}

#[test]
fn the_same_seed_gives_the_same_tables() {
    let settings = settings(7, &[30, 20], Sites::OtherCoefficients);
    let other_seed = SimulationSettings { seed: 12, ..settings.clone() };
    let gaussian = |settings| simulate_gaussian(settings).unwrap();
    assert_eq!(gaussian(&settings), gaussian(&settings));
    assert_ne!(gaussian(&settings).tables, gaussian(&other_seed).tables);
    assert_ne!(gaussian(&settings).dag, gaussian(&other_seed).dag);
    let discrete = |settings| simulate_discrete(settings, &DiscreteSettings::default()).unwrap();
    assert_eq!(discrete(&settings), discrete(&settings));
    assert_eq!(discrete(&settings).dag, gaussian(&settings).dag);
    assert_ne!(discrete(&settings).tables, discrete(&other_seed).tables);
    // A site that comes later changes nothing at the others.
    let more = SimulationSettings { rows: vec![30, 20, 10], ..settings.clone() };
    assert_eq!(gaussian(&more).tables[..2], gaussian(&settings).tables);
}

/// Compares the frequencies of a node's levels, where its parents have the levels of a configuration, with its table.
fn assert_has_frequencies_of(dag: &Dag, tables: &[Vec<f64>], table: &DiscreteTable, r: usize) -> usize {
    let mut n_compared = 0;
    for node in 0..dag.n_nodes() {
        let parents: Vec<usize> = members(dag.parents(node)).collect();
        for configuration in 0..r.pow(parents.len() as u32) {
            let level = |k: usize| configuration / r.pow(k as u32) % r;
            let fits = |row: &usize| {
                parents
                    .iter()
                    .enumerate()
                    .all(|(k, &parent)| usize::from(table.columns()[parent][*row]) == level(k))
            };
            let rows: Vec<usize> = (0..table.n_rows()).filter(fits).collect();
            for k in 0..r {
                let p = tables[node][configuration * r + k];
                let n = rows.len() as f64;
                // Where the normal approximation of the binomial distribution holds.
                if n * p * (1.0 - p) < 100.0 {
                    continue;
                }
                let count =
                    rows.iter().filter(|&&row| usize::from(table.columns()[node][row]) == k).count() as f64;
                let error = (p * (1.0 - p) / n).sqrt();
                assert!(
                    (count / n - p).abs() < STANDARD_ERRORS * error,
                    "{node}, {configuration}, {k}: {count}/{n}, {p}"
                );
                n_compared += 1;
            }
        }
    }
    n_compared
}

#[test]
fn discrete_tables_have_the_frequencies_of_their_networks() {
    for sites in [Sites::Homogeneous, Sites::OtherCoefficients] {
        let discrete = DiscreteSettings::default();
        let simulation = simulate_discrete(&settings(5, &[30_000, 20_000], sites), &discrete).unwrap();
        assert!(
            simulation.dag.parent_sets().iter().any(|parents| parents.count_ones() >= 2),
            "{}",
            simulation.dag
        );
        for (network, table) in simulation.networks.iter().zip(&simulation.tables) {
            for distribution in network.tables.iter().flat_map(|table| table.chunks(3)) {
                assert!(
                    (distribution.iter().sum::<f64>() - 1.0).abs() < 1e-12
                        && distribution.iter().all(|&p| p >= 0.0)
                );
            }
            let n_compared = assert_has_frequencies_of(&simulation.dag, &network.tables, table, 3);
            assert!((20..=200).contains(&n_compared), "{n_compared}");
        }
    }
}

#[test]
fn conditional_tables_follow_the_dirichlet_distribution() {
    // Var p = (1/r)(1 − 1/r)/(r α + 1) of each component, for r levels; the error of its estimate is estimated too.
    for concentration in [0.5, 0.05, 20.0] {
        let discrete = DiscreteSettings { levels: 3, concentration };
        let simulation = simulate_discrete(&settings(30, &[1; 100], Sites::OtherCoefficients), &discrete);
        // 30 nodes with probability ½ have far too many parents for tables; a sparse graph has not.
        assert!(simulation.unwrap_err().to_string().contains("probabilities in the table of a node"));
        let sparse = SimulationSettings {
            edges: Edges::Expected(30.0),
            ..settings(30, &[1; 100], Sites::OtherCoefficients)
        };
        let networks = simulate_discrete(&sparse, &discrete).unwrap().networks;
        let tables = networks.iter().flat_map(|network| &network.tables);
        let first: Vec<f64> =
            tables.flat_map(|table| table.chunks(3).map(|distribution| distribution[0])).collect();
        let n = first.len() as f64;
        let squares: Vec<f64> = first.iter().map(|p| (p - 1.0 / 3.0).powi(2)).collect();
        let (variance, spread) = mean_and_deviation(&squares);
        let expected = 2.0 / 9.0 / (3.0 * concentration + 1.0);
        assert!(
            (variance - expected).abs() < STANDARD_ERRORS * spread / n.sqrt(),
            "{concentration}: {variance}, {expected}"
        );
    }
}

#[test]
fn graphs_have_the_expected_number_of_edges_and_no_preferred_order() {
    // 400 graphs over 6 nodes. A count of edges is a sum of 15 · 400 independent draws; that of u → v one of 400 draws of
    // probability p/2. 32 comparisons in all.
    let simulate = |edges, seed| {
        let settings = SimulationSettings { nodes: 6, edges, rows: vec![1], sites: Sites::Homogeneous, seed };
        simulate_gaussian(&settings).unwrap().dag
    };
    for (edges, p) in [(Edges::Expected(6.0), 0.4), (Edges::Probability(0.4), 0.4)] {
        let dags: Vec<Dag> = (0..400).map(|seed| simulate(edges, seed)).collect();
        let total: usize = dags.iter().map(Dag::n_edges).sum();
        let n = 15.0 * 400.0;
        assert!((total as f64 - n * p).abs() < STANDARD_ERRORS * (n * p * (1.0 - p)).sqrt(), "{total}");
        for (u, v) in (0..36).map(|k| (k / 6, k % 6)).filter(|(u, v)| u != v) {
            let count = dags.iter().filter(|dag| dag.has_edge(u, v)).count() as f64;
            let q: f64 = p / 2.0;
            assert!(
                (count - 400.0 * q).abs() < STANDARD_ERRORS * (400.0 * q * (1.0 - q)).sqrt(),
                "{u} → {v}: {count}"
            );
        }
    }
    assert_eq!(simulate(Edges::Probability(0.0), 1).n_edges(), 0);
    assert_eq!(simulate(Edges::Expected(15.0), 1).n_edges(), 15);
    let single = SimulationSettings { edges: Edges::Expected(0.0), ..settings(1, &[1], Sites::Homogeneous) };
    assert_eq!(simulate_gaussian(&single).unwrap().dag, Dag::empty(1).unwrap());
}

#[test]
fn settings_outside_their_range_are_refused() {
    let valid = settings(4, &[5], Sites::Homogeneous);
    assert!(simulate_gaussian(&valid).is_ok());
    let shifted =
        |deviation| SimulationSettings { sites: Sites::ShiftedMeans { deviation }, ..valid.clone() };
    let edges = |edges| SimulationSettings { edges, ..valid.clone() };
    for (settings, item) in [
        (SimulationSettings { nodes: 65, ..valid.clone() }, "nodes"),
        (SimulationSettings { nodes: 0, ..valid.clone() }, "nodes"),
        (SimulationSettings { rows: vec![], ..valid.clone() }, "rows"),
        (SimulationSettings { rows: vec![5, 0], ..valid.clone() }, "rows"),
        (shifted(-1.0), "deviation"),
        (shifted(f64::NAN), "deviation"),
        (edges(Edges::Expected(6.5)), "expected number of edges"),
        (edges(Edges::Expected(-1.0)), "expected number of edges"),
        (edges(Edges::Probability(1.5)), "probability of an edge"),
        (edges(Edges::Probability(f64::NAN)), "probability of an edge"),
    ] {
        let error = simulate_gaussian(&settings).unwrap_err();
        assert_eq!((error.kind(), error.place().item.as_deref()), (ErrorKind::Usage, Some(item)), "{error}");
    }
    let discrete =
        |levels, concentration| simulate_discrete(&valid, &DiscreteSettings { levels, concentration });
    assert!(discrete(2, 0.5).is_ok());
    for (levels, concentration) in
        [(1, 0.5), (1001, 0.5), (3, 0.0), (3, -1.0), (3, f64::NAN), (3, f64::INFINITY)]
    {
        assert_eq!(discrete(levels, concentration).unwrap_err().kind(), ErrorKind::Usage);
    }
    let error = simulate_discrete(&shifted(1.0), &DiscreteSettings::default()).unwrap_err();
    assert!(error.to_string().contains("shifted means, which categories do not have"), "{error}");
}
