//! The domain: sites read by the plan, what does not go together refused, the prior counted once, its sampler.

#[path = "shared/random_tables.rs"]
mod random_tables;
mod shared;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use gfn_bn::data::ColumnSchema;
use gfn_bn::exact::ExactPosterior;
use gfn_bn::{
    Bge, BgeSettings, Combine, Dag, DagDomain, DagEnvironment, DiscreteTable, EdgeProbability,
    GaussianStatistics, GraphPrior, Knowledge, LocalScore, NetworkSettings, PriorMean, RowCounts,
    ScoreSettings, Statistics, Table,
};
use gfn_core::aggregate::PriorPower;
use gfn_core::client::ClientMeta;
use gfn_core::domain::{ClientData, Domain};
use gfn_core::exact::StateGraph;
use gfn_core::losses::Balance;
use gfn_core::policy::{PolicyKind, PolicySpec};
use gfn_core::reward::LogReward;
use gfn_core::score::ResidualSpread;
use gfn_core::{Environment, Error, ErrorKind};
use random_tables::{names, numbers, seeded};
use tempfile::TempDir;

fn numeric(names: &[&str]) -> Vec<ColumnSchema> {
    names.iter().map(|name| ColumnSchema { name: name.to_string(), levels: None }).collect()
}

/// Columns with the levels no and yes.
fn categories(names: &[&str]) -> Vec<ColumnSchema> {
    let levels: Vec<String> = ["no", "yes"].map(String::from).into();
    names.iter().map(|name| ColumnSchema { name: name.to_string(), levels: Some(levels.clone()) }).collect()
}

fn bdeu() -> ScoreSettings {
    ScoreSettings::Bdeu { equivalent_sample_size: 1.0 }
}

fn file(content: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.csv");
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn statistics(domain: &DagDomain, content: &str) -> Statistics {
    let (_folder, path) = file(content);
    domain.read_site(&path).unwrap().statistics
}

fn gaussian(domain: &DagDomain, content: &str) -> GaussianStatistics {
    match statistics(domain, content) {
        Statistics::Gaussian(statistics) => statistics,
        Statistics::Rows(_) => panic!("columns of numbers"),
    }
}

const SITE: &str = "b,a\n2,1\n0,3\n7,8\n";

#[test]
fn sites_are_read_in_the_order_of_the_plan() {
    let domain = DagDomain::new(NetworkSettings::new(numeric(&["a", "b"]))).unwrap();
    let (_folder, path) = file(SITE);
    let site = domain.read_site(&path).unwrap();
    let columns = vec![vec![1.0, 3.0, 8.0], vec![2.0, 0.0, 7.0]];
    let table = Table::new(vec!["a".into(), "b".into()], columns).unwrap();
    assert_eq!(site.statistics, Statistics::Gaussian(GaussianStatistics::of(&table).unwrap()));
    assert_eq!((site.dropped_rows, site.description().as_str()), (0, "3 rows"));

    let client = domain.read_client(&path).unwrap();
    assert_eq!((client.prior_share, client.description.as_str()), (1.0, "3 rows"));
    let dag: Dag = "0100".parse().unwrap();
    let expected = Bge::new(&table, &BgeSettings::default()).unwrap().score(&dag);
    assert!((client.reward.log_reward(domain.environment(), &dag) / expected - 1.0).abs() < 1e-14);

    let (_folder, path) = file("b\n2\n");
    let error = domain.read_site(&path).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("site.csv") && error.to_string().contains("\"a\""), "{error}");
    // What only the score finds is told with the file, too.
    let given = BgeSettings { prior_mean: PriorMean::Given(vec![0.0; 3]), ..BgeSettings::default() };
    let settings =
        NetworkSettings { score: ScoreSettings::Bge(given), ..NetworkSettings::new(numeric(&["a", "b"])) };
    let (_folder, path) = file(SITE);
    let error = DagDomain::new(settings).unwrap().read_client(&path).err().unwrap();
    assert!(error.to_string().contains("site.csv"), "{error}");
}

#[test]
fn incomplete_rows_are_left_out_where_the_plan_says_so() {
    let content = "a,b\n1,2\n,3\n4,9\n";
    let strict = DagDomain::new(NetworkSettings::new(numeric(&["a", "b"]))).unwrap();
    let (_folder, path) = file(content);
    assert!(strict.read_site(&path).err().unwrap().to_string().contains("line 3, column \"a\""));
    let settings = NetworkSettings { complete_cases: true, ..NetworkSettings::new(numeric(&["a", "b"])) };
    let domain = DagDomain::new(settings.clone()).unwrap();
    let site = domain.read_site(&path).unwrap();
    assert_eq!((site.dropped_rows, site.description().as_str()), (1, "2 rows, 1 incomplete left out"));
    assert_eq!(site.statistics, statistics(&strict, "a,b\n1,2\n4,9\n"));
    assert!(site.warnings[0].to_string().contains("1 of 3 rows"), "{:?}", site.warnings);
    let client = domain.read_client(&path).unwrap();
    assert_eq!((client.description, client.warnings), (site.description(), site.warnings));

    let of_categories = NetworkSettings { score: bdeu(), columns: categories(&["a", "b"]), ..settings };
    let (_folder, path) = file("a,b\nyes,no\n,no\n");
    let site = DagDomain::new(of_categories).unwrap().read_site(&path).unwrap();
    assert_eq!((site.dropped_rows, site.statistics.n_rows()), (1, 1));
}

#[test]
fn columns_are_standardised_where_the_plan_says_so() {
    let settings = NetworkSettings { standardise: true, ..NetworkSettings::new(numeric(&["a", "b"])) };
    let domain = DagDomain::new(settings).unwrap();
    let found = gaussian(&domain, "a,b\n1,200\n3,-500\n8,100\n");
    for j in 0..2 {
        assert!(found.means()[j].abs() < 1e-15);
        // A standard deviation of 1 with divisor n − 1.
        assert!((found.scatter()[(j, j)] - 2.0).abs() < 1e-14);
    }
    let correlation = |x: [f64; 3], y: [f64; 3]| {
        let centred = |x: [f64; 3]| x.map(|value| value - x.iter().sum::<f64>() / 3.0);
        let product = |x: [f64; 3], y: [f64; 3]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let (x, y) = (centred(x), centred(y));
        product(x, y) / (product(x, x) * product(y, y)).sqrt()
    };
    let expected = 2.0 * correlation([1.0, 3.0, 8.0], [200.0, -500.0, 100.0]);
    assert!((found.scatter()[(0, 1)] - expected).abs() < 1e-14);
}

#[test]
fn categories_have_the_levels_of_the_plan() {
    let settings = NetworkSettings { score: bdeu(), ..NetworkSettings::new(categories(&["a", "b"])) };
    let domain = DagDomain::new(settings).unwrap();
    // No row says `yes` for a.
    let found = statistics(&domain, "b,a\nyes,no\nno,no\nyes,no\n");
    let names = ["a", "b"].map(String::from).to_vec();
    let levels = vec![["no", "yes"].map(String::from).to_vec(); 2];
    let table = DiscreteTable::new(names, levels, vec![vec![0, 0, 0], vec![1, 0, 1]]).unwrap();
    assert_eq!(found, Statistics::Rows(RowCounts::of(&table)));
    let (_folder, path) = file("a,b\nno,no\nno,perhaps\n");
    let error = domain.read_site(&path).err().unwrap().to_string();
    assert!(error.contains("site.csv, line 3, column \"b\"") && error.contains("perhaps"), "{error}");
}

/// Differences between the sites' means are no information about the graph once each site is centred.
#[test]
fn sites_are_centred_where_the_plan_says_so() {
    let pooled = NetworkSettings { combine: Combine::Pooled, ..NetworkSettings::new(numeric(&["a", "b"])) };
    let centred = NetworkSettings { center_sites: true, ..pooled.clone() };
    let (pooled, centred) = (DagDomain::new(pooled).unwrap(), DagDomain::new(centred).unwrap());
    let files = ["a,b\n1,2\n3,0\n8,7\n", "a,b\n101,-2\n104,-5\n"];
    let tables: Vec<Table> =
        [vec![vec![1.0, 3.0, 8.0], vec![2.0, 0.0, 7.0]], vec![vec![101.0, 104.0], vec![-2.0, -5.0]]]
            .into_iter()
            .map(|columns| Table::new(vec!["a".into(), "b".into()], columns).unwrap())
            .collect();
    let around_their_means: Vec<Table> = tables.iter().map(|table| table.centred().unwrap()).collect();
    let mut totals = Vec::new();
    for (domain, tables) in [(&pooled, &tables), (&centred, &around_their_means)] {
        let parts: Vec<Statistics> = files.iter().map(|content| statistics(domain, content)).collect();
        let reward = domain.pooled_reward(&parts).unwrap();
        let score = Bge::new(&Table::pooled(tables).unwrap(), &BgeSettings::default()).unwrap();
        for name in ["0000", "0100", "0010"] {
            let dag: Dag = name.parse().unwrap();
            let (found, expected) = (reward.log_reward(domain.environment(), &dag), score.score(&dag));
            assert!((found / expected - 1.0).abs() < 1e-12, "{name}: {found}, {expected}");
            totals.push(found);
        }
    }
    assert!((totals[0] - totals[3]).abs() > 1.0, "{totals:?}");
    assert_eq!(gaussian(&centred, files[1]).means(), [0.0, 0.0]);
    assert_eq!(gaussian(&centred, files[1]).scatter(), gaussian(&pooled, files[1]).scatter());
}

fn refused(settings: NetworkSettings) -> Error {
    DagDomain::new(settings).err().expect("refused")
}

#[test]
fn what_does_not_go_together_is_refused() {
    let numbers = || NetworkSettings::new(numeric(&["a", "b"]));
    let words = || NetworkSettings { score: bdeu(), ..NetworkSettings::new(categories(&["a", "b"])) };
    let center = NetworkSettings { center_sites: true, ..numbers() };
    let error = refused(center);
    assert_eq!(error.kind(), ErrorKind::Usage);
    let expected = "--center site: expected --combine pooled, found --combine product; ";
    assert!(error.to_string().starts_with(expected), "{error}");
    let combine = Combine::Pooled;
    assert!(DagDomain::new(NetworkSettings { center_sites: true, combine, ..numbers() }).is_ok());

    let error = refused(NetworkSettings { standardise: true, ..words() });
    assert_eq!(
        error.to_string(),
        "--standardise: expected columns of numbers, found categories; leave it out"
    );
    let error = refused(NetworkSettings { center_sites: true, combine, ..words() });
    assert_eq!(
        error.to_string(),
        "--center site: expected columns of numbers, found categories; leave it out"
    );
    let bic = NetworkSettings { score: ScoreSettings::Bic {}, ..words() };
    assert!(
        refused(NetworkSettings { standardise: true, ..bic.clone() }).to_string().contains("--standardise")
    );
    assert!(DagDomain::new(bic.clone()).is_ok());
    assert!(DagDomain::new(NetworkSettings { standardise: true, columns: numbers().columns, ..bic }).is_ok());

    for score in [bdeu(), ScoreSettings::K2 {}, ScoreSettings::Jeffreys {}] {
        let expected =
            format!("column \"a\": expected levels, as for the score {}, found none; ", score.name());
        let error = refused(NetworkSettings { score: score.clone(), ..numbers() });
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(DagDomain::new(NetworkSettings { score, ..words() }).is_ok());
    }
    let error = refused(NetworkSettings { score: ScoreSettings::default(), ..words() });
    let expected = "column \"a\": expected no levels, as for the score bge, found levels; ";
    assert!(error.to_string().starts_with(expected), "{error}");

    let twice = NetworkSettings { columns: numeric(&["a", "b", "a"]), ..numbers() };
    assert!(refused(twice).to_string().contains("the same name twice"));
    assert!(refused(NetworkSettings { columns: Vec::new(), ..numbers() }).to_string().contains("1 to 64"));
    let edges = vec![EdgeProbability { from: "a".into(), to: "c".into(), probability: 0.5 }];
    let prior = GraphPrior::Edges { probability: 0.5, edges };
    assert!(refused(NetworkSettings { prior, ..numbers() }).to_string().contains("found \"c\""));
    let required = vec![("a".into(), "b".into()), ("b".into(), "a".into())];
    let knowledge = Knowledge { required, ..Knowledge::default() };
    assert!(refused(NetworkSettings { knowledge, ..numbers() }).to_string().contains("a cycle"));
}

#[test]
fn names_of_graphs_are_read_back_if_they_are_graphs_of_the_plan() {
    let knowledge = Knowledge { forbidden: vec![("b".into(), "a".into())], ..Knowledge::default() };
    let domain =
        DagDomain::new(NetworkSettings { knowledge, ..NetworkSettings::new(numeric(&["a", "b", "c"])) })
            .unwrap();
    let graphs = StateGraph::enumerate(domain.environment().as_ref(), 100).unwrap();
    for dag in graphs.objects() {
        assert_eq!(domain.parse_object(&domain.object_name(dag)).unwrap(), *dag);
    }
    let message = |name: &str| domain.parse_object(name).unwrap_err().to_string();
    assert_eq!(
        message("000100000"),
        "graph: expected a graph that agrees with the plan's knowledge, found 000100000; use graphs of this plan"
    );
    assert_eq!(
        message("0100"),
        "graph: expected 9 digits, for 3 nodes, found 4 digits; use graphs of this plan"
    );
    assert!(message("0100000000000000").contains("expected 9 digits, for 3 nodes, found 16 digits"));
    assert!(message("010").contains("d · d digits"));
    assert!(message("010001100").contains("closes a directed cycle"));
    assert!(message("01x000000").contains("expected 0 or 1"));
    assert!(message("").contains("d · d digits"));
    assert_eq!(domain.objects_word(), "graphs");
}

/// What a client tells of itself; only its share of the prior matters here.
fn meta(env: &DagEnvironment, prior_share: f64) -> ClientMeta {
    ClientMeta {
        format: gfn_core::client::FORMAT,
        domain: "bn".into(),
        plan: "plan".into(),
        client: "site".into(),
        policy: PolicySpec {
            env: env.spec().clone(),
            kind: PolicyKind::Uniform,
            learned_backward: false,
            flow: false,
        },
        prior_share,
        round: 0,
        seed: 0,
        steps: 0,
        seconds: 0.0,
        residual_spread: ResidualSpread { own: 0.0, tempered: 0.0, uniform: 0.0 },
        data: String::new(),
    }
}

/// Every site's target holds the prior; the public factor of the product of n sites leaves it in once.
#[test]
fn the_prior_is_counted_once_whatever_the_number_of_sites() {
    let edges = vec![EdgeProbability { from: "X0".into(), to: "X1".into(), probability: 0.99 }];
    for prior in [GraphPrior::Fair, GraphPrior::Edges { probability: 0.1, edges }] {
        let names = names(4);
        let columns = numeric(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let domain = DagDomain::new(NetworkSettings { prior, ..NetworkSettings::new(columns) }).unwrap();
        let env = domain.environment();
        let mut rng = seeded(7);
        let graph = StateGraph::enumerate(env.as_ref(), 1000).unwrap();
        for n in [1, 2, 5] {
            let parts: Vec<Statistics> = (0..n)
                .map(|_| GaussianStatistics::of(&numbers(&mut rng, 12, &[0.0; 4])).unwrap())
                .map(Statistics::Gaussian)
                .collect();
            let parts: Vec<&Statistics> = parts.iter().collect();
            let client = |part: &&Statistics| -> ClientData<DagEnvironment> {
                domain.client_data(domain.reward(&[part], 1.0).unwrap(), String::new(), Vec::new())
            };
            let clients: Vec<_> = parts.iter().map(client).collect();
            let metas: Vec<_> = clients.iter().map(|client| (meta(env, client.prior_share), 1.0)).collect();
            let factor = PriorPower::for_product(domain.log_prior(), &metas);
            let product = domain.reward(&parts, 1.0).unwrap();
            let table = domain.score_table(&parts, 1.0).unwrap();
            for dag in graph.objects() {
                let scores: f64 = parts.iter().map(|part| domain.score(part).unwrap().score(dag)).sum();
                let expected = scores + domain.prior().log_reward(env, dag);
                let policies: f64 = clients.iter().map(|client| client.reward.log_reward(env, dag)).sum();
                let aggregated = policies + factor.log_reward(env, dag);
                for found in [aggregated, product.log_reward(env, dag), table.score(dag)] {
                    assert!((found / expected - 1.0).abs() < 1e-12, "{n} sites, {dag}: {found}, {expected}");
                }
            }
        }
    }
}

#[test]
fn settings_that_mean_another_target_have_another_meaning() {
    let columns = || numeric(&["a", "b"]);
    let plain = NetworkSettings::new(columns());
    let meaning = plain.meaning();
    let loss = Some(Balance::Trajectory);
    let same = [
        plain.clone(),
        NetworkSettings { client_loss: loss, ..plain.clone() },
        NetworkSettings { server_loss: loss, ..plain.clone() },
        NetworkSettings { server_loss: Some(Balance::Contrastive), client_loss: loss, ..plain.clone() },
    ];
    same.iter().for_each(|settings| assert_eq!(settings.meaning(), meaning));
    let mut other_names = columns();
    other_names.reverse();
    let knowledge = Knowledge { max_parents: Some(1), ..Knowledge::default() };
    let alpha = BgeSettings { alpha_mu: 2.0, ..BgeSettings::default() };
    let mean = BgeSettings { prior_mean: PriorMean::Mean, ..BgeSettings::default() };
    let edges = |probability| GraphPrior::Edges { probability, edges: Vec::new() };
    let mut more_levels = categories(&["a", "b"]);
    more_levels[0].levels.as_mut().unwrap().push("perhaps".into());
    let pooled = NetworkSettings { combine: Combine::Pooled, ..plain.clone() };
    let different = [
        plain.clone(),
        NetworkSettings { center_sites: true, ..pooled.clone() },
        pooled,
        NetworkSettings { standardise: true, ..plain.clone() },
        NetworkSettings { complete_cases: true, ..plain.clone() },
        NetworkSettings { score: ScoreSettings::Bge(alpha), ..plain.clone() },
        NetworkSettings { score: ScoreSettings::Bge(mean), ..plain.clone() },
        NetworkSettings { score: ScoreSettings::Bic {}, ..plain.clone() },
        NetworkSettings { prior: GraphPrior::Fair, ..plain.clone() },
        NetworkSettings { prior: edges(0.2), ..plain.clone() },
        NetworkSettings { prior: edges(0.3), ..plain.clone() },
        NetworkSettings { knowledge, ..plain.clone() },
        NetworkSettings { columns: other_names, ..plain.clone() },
        NetworkSettings { columns: numeric(&["a", "b", "c"]), ..plain.clone() },
        NetworkSettings { columns: categories(&["a", "b"]), score: bdeu(), ..plain.clone() },
        NetworkSettings { columns: categories(&["a", "b"]), score: ScoreSettings::K2 {}, ..plain.clone() },
        NetworkSettings { columns: more_levels, score: bdeu(), ..plain },
    ];
    let meanings: HashSet<String> = different.iter().map(NetworkSettings::meaning).collect();
    assert_eq!(meanings.len(), different.len());
    // What a plan holds means the same after it was written down and read.
    for settings in different {
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<NetworkSettings>(&text).unwrap(), settings, "{text}");
    }
}

/// The chain of a client is on the scores and the prior of its reward. Shares of edges among its graphs lie within six
/// standard deviations of independent draws a quarter as many, 2e-9 each if they were normal.
#[test]
fn a_clients_chain_draws_graphs_of_its_posterior_that_agree_with_knowledge() {
    let names = names(4);
    let edge = |from: usize, to: usize| (names[from].clone(), names[to].clone());
    let knowledge = Knowledge {
        required: vec![edge(3, 2)],
        forbidden: vec![edge(0, 3)],
        tiers: vec![vec![names[0].clone()], vec![names[1].clone()]],
        max_parents: Some(2),
    };
    let columns = numeric(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let edges = vec![EdgeProbability { from: "X0".into(), to: "X2".into(), probability: 0.9 }];
    let prior = GraphPrior::Edges { probability: 0.3, edges };
    let domain =
        DagDomain::new(NetworkSettings { prior, knowledge, ..NetworkSettings::new(columns) }).unwrap();
    let table = numbers(&mut seeded(8), 10, &[0.0; 4]);
    let part = Statistics::Gaussian(GaussianStatistics::of(&table).unwrap());
    let reward = domain.reward(&[&part], 1.0).unwrap();
    let chain = Arc::clone(&domain.client_data(reward, String::new(), Vec::new()).chain.unwrap());

    let n = 8000;
    let graphs = chain.sample(n, 1);
    assert!((n..n + 16).contains(&graphs.len()));
    assert!(graphs.iter().all(|dag| domain.environment().constraints().allow(dag)));
    assert_eq!(chain.sample(50, 1), chain.sample(50, 1));
    assert_ne!(chain.sample(50, 1), chain.sample(50, 2));

    let posterior = ExactPosterior::new(&domain.score_table(&[&part], 1.0).unwrap()).unwrap();
    for (from, to) in (0..4).flat_map(|from| (0..4).map(move |to| (from, to))) {
        let p = posterior.edges[from * 4 + to];
        let share = graphs.iter().filter(|dag| dag.has_edge(from, to)).count() as f64 / graphs.len() as f64;
        let error = (p * (1.0 - p) * 4.0 / n as f64).sqrt();
        assert!((share - p).abs() <= 6.0 * error + 1e-9, "{from} → {to}: {share}, {p}");
    }
}
