//! A run over objects that `ep` knows nothing of: whatever the domain, the stages and their files are the same.

mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ep::plan::Plan;
use ep::proposals::{n_proposals, read_objects};
use ep::report::{Findings, RunReport, WeightReport};
use ep::run::{RunSettings, StageRunner};
use ep::samples::{residual_deviation, weight_report};
use gfn_core::domain::{ClientData, Domain, Recipe, Stage};
use gfn_core::exact::StateGraph;
use gfn_core::optimizer::AdamSettings;
use gfn_core::policy::{MlpSettings, PolicyKind};
use gfn_core::reward::LogReward;
use gfn_core::server::ServerModel;
use gfn_core::trainer::TrainSettings;
use gfn_core::{Environment, Error, Place, Result, Warning};
use gfn_multiset::{AdditiveReward, Multiset, Multisets};
use serde::Serialize;
use support::Folder;

/// Multisets of 3 items out of 4 kinds: 20 objects. A client's file holds the value of each kind.
struct Bags(Arc<Multisets>);

impl Bags {
    fn new() -> Bags {
        Bags(Arc::new(Multisets::new(4, 3).unwrap()))
    }

    fn data(&self, values: &str) -> Result<ClientData<Multisets>> {
        let values = values.split_whitespace().map(|v| v.parse().unwrap()).collect();
        Ok(ClientData {
            reward: Arc::new(AdditiveReward::new(&self.0, values)?),
            prior_share: 0.0,
            chain: None,
            description: "4 values".into(),
            warnings: vec![Warning::new("made up", "none")],
        })
    }
}

impl Domain for Bags {
    type Env = Multisets;

    fn name(&self) -> &'static str {
        "bags"
    }

    fn environment(&self) -> &Arc<Multisets> {
        &self.0
    }

    fn read_client(&self, path: &Path) -> Result<ClientData<Multisets>> {
        self.data(&std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", &e))?)
    }

    fn log_prior(&self) -> Arc<dyn LogReward<Multisets>> {
        Arc::new(|_: &Multiset| 0.0)
    }

    fn object_name(&self, object: &Multiset) -> String {
        object.counts().iter().map(|c| c.to_string()).collect::<Vec<_>>().join(",")
    }

    fn parse_object(&self, name: &str) -> Result<Multiset> {
        let counts = name.split(',').map(str::parse).collect::<std::result::Result<_, _>>();
        let refuse = |_| Error::input(Place::item("bag"), "counts", name.to_string(), "correct it");
        let object = Multiset::new(counts.map_err(refuse)?);
        self.0.check_object(&object).map(|()| object)
    }

    fn objects_word(&self) -> &'static str {
        "bags"
    }

    fn data_extension(&self) -> &'static str {
        "values"
    }

    fn objects_extension(&self) -> &'static str {
        "bags"
    }

    fn recipe(&self, stage: Stage) -> Recipe {
        // Sizes tell the stages apart.
        let (width, output_scale) = match stage {
            Stage::Client | Stage::ClientRound => (16, 0.1),
            Stage::Server => (24, 0.0),
            Stage::Centralised => (32, 0.1),
        };
        let settings = TrainSettings {
            batch_size: 32,
            optimizer: AdamSettings { rate: 0.01, ..AdamSettings::default() },
            ..TrainSettings::default()
        };
        let policy = MlpSettings { hidden: vec![width], output_scale, ..MlpSettings::default() };
        Recipe { policy: PolicyKind::Mlp(policy), settings, chain_objects: 0 }
    }
}

/// The values of two clients, and their sum.
const VALUES: [&str; 3] = ["1.5 0 0 -1", "-0.5 0.8 0 1", "1 0.8 0 0"];

/// A plan for two clients. The section with the model is one for trees: a runner reads what all domains share.
fn plan() -> Plan {
    let text = "version = 2\nseed = 3\nbudget = \"300steps\"\nrounds = 1\nclients = [\"north\", \"south\"]\n\
                [phylo]\ntaxa = [\"a\", \"b\", \"c\", \"d\"]\noutgroup = \"a\"\n[phylo.model]\nname = \"JC69\"\n\
                [phylo.branch_lengths]\nkind = \"fixed\"\nlength = 0.1\n";
    Plan::parse(text).unwrap()
}

fn settings(out: PathBuf, threads: usize) -> RunSettings {
    RunSettings { out, threads, samples: 2000, exact: true, quiet: true }
}

fn dealt() -> impl Iterator<Item = String> {
    VALUES[..2].iter().map(|v| v.to_string())
}

/// What only this domain reports.
#[derive(Serialize)]
struct Mean {
    mean_of_first_kind: f64,
}

/// All stages; the report, with what else the weights say of objects that are given.
fn run(domain: &Bags, settings: &RunSettings) -> (RunReport<Mean>, f64) {
    let plan = plan();
    let runner = StageRunner::open(&plan, settings, domain, dealt()).unwrap();
    let whole = domain.data(VALUES[2]).unwrap();
    let work = || {
        let warnings = runner.client_warnings(&[])?;
        let server = runner.train()?;
        let env = domain.0.as_ref();
        let given = [vec![3, 0, 0, 0], vec![2, 1, 0, 0], vec![1, 1, 0, 1], vec![0, 0, 0, 3]];
        let given = given.map(Multiset::new).to_vec();
        let spread = residual_deviation(env, server.policy.as_ref(), whole.reward.as_ref(), &given, 1)?;
        let graph = StateGraph::enumerate(env, 1000)?;
        let exact = graph.policy_distribution(env, server.policy.as_ref());
        let exact: HashMap<&Multiset, f64> = graph.objects().zip(exact).collect();
        let (results, importance) = runner.sample(&server, |samples| {
            // .009; of one walk to each object instead of 16, the error would be .035.
            let pairs = samples.objects.iter().zip(&samples.log_probabilities);
            let errors: Vec<f64> = pairs.map(|(x, log_p)| log_p - exact[x].ln()).collect();
            let square = errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64;
            assert!(square.sqrt() < 0.015, "{}", square.sqrt());
            let total: u32 = samples.objects.iter().map(|x| x.counts()[0]).sum();
            let weights = samples.log_weights(env, whole.reward.as_ref());
            let mean = Mean { mean_of_first_kind: f64::from(total) / samples.objects.len() as f64 };
            Ok((mean, weight_report(&weights, Some(spread))))
        })?;
        let data = runner.all_client_data()?;
        let clients: Vec<_> = data.iter().map(|d| d.reward.as_ref()).collect();
        let exact = Some(runner.exact(&server, whole.reward.as_ref(), &clients)?);
        let findings = Findings { samples: 2000, results, importance: Some(importance), exact, warnings };
        Ok((runner.report(&server, findings)?, spread))
    };
    runner.on_threads(work).unwrap()
}

#[test]
fn clients_and_server_over_other_objects() {
    let folder = Folder::new();
    let domain = Bags::new();
    let (report, spread) = run(&domain, &settings(folder.path("a"), 2));
    // Against enumeration, and log Z against its closed form.
    let exact = report.exact.as_ref().unwrap();
    assert_eq!(exact.objects, 20);
    let reward = AdditiveReward::new(&domain.0, vec![1.0, 0.8, 0.0, 0.0]).unwrap();
    assert!((exact.log_marginal_likelihood - reward.log_partition(3)).abs() < 1e-12);
    assert!(exact.l1 < 0.05, "{exact:?}");
    let importance = report.importance.as_ref().unwrap();
    assert!((importance.log_marginal_likelihood - reward.log_partition(3)).abs() < 0.05, "{importance:?}");
    assert!(spread < 0.3, "{spread}");

    // exact.csv by names of the domain; its columns give the distance of the report.
    let table = folder.csv("a/exact.csv");
    assert_eq!(table.header.join(","), "object,target,learned,target_0,learned_0,target_1,learned_1");
    let (target, learned) = (table.numbers("target"), table.numbers("learned"));
    let l1: f64 = target.iter().zip(&learned).map(|(p, q)| (p - q).abs()).sum();
    assert!((l1 - exact.l1).abs() < 1e-9);
    let mean: f64 = table.texts("object").iter().zip(&learned).map(|(x, p)| f64::from(first(x)) * p).sum();
    // A count of 0 to 3 has a standard deviation of at most 1.5, the mean of 2000 one of 0.034: six of them. A false
    // alarm has odds of less than 1 in 10^8.
    assert!((mean - report.results.mean_of_first_kind).abs() < 0.21);

    // The domain's part of the report stands beside the common one, and its word in the summary.
    let json = folder.json("a/report.json");
    assert_eq!(json["mean_of_first_kind"].as_f64(), Some(report.results.mean_of_first_kind));
    assert_eq!(json["clients"][1]["name"], "south");
    assert_eq!(json["clients"][1]["steps"], 450);
    assert_eq!(json["warnings"][0]["message"], "north: made up");
    assert_eq!(json["importance"]["independent_residual_deviation"].as_f64(), Some(spread));
    assert!(json.get("objects_word").is_none());
    assert!(report.opening_lines().contains("Posterior over bags from 2 clients, 1 extra rounds"));
    let closing = report.closing_lines(&folder.path("a"));
    assert!(closing.contains("over bags found independently") && closing.contains("warning: south: made up"));

    // Files are named as the domain says, and what the server proposes can be read.
    assert_eq!(folder.read("a/clients/1/data.values"), VALUES[1]);
    let proposals = read_objects(&folder.path("a/server/proposals-1.bags"), &domain).unwrap();
    assert_eq!(proposals.len(), n_proposals(domain.environment().spec()));
    let empty = folder.write("none.bags", "\n");
    let refused = read_objects(Path::new(&empty), &domain).unwrap_err().to_string();
    assert!(refused.contains("expected bags, one a line, found none"), "{refused}");

    // The number of threads changes nothing; neither does doing it again.
    run(&domain, &settings(folder.path("b"), 1));
    let policy = folder.path("b/server/round-1.safetensors");
    let bytes = std::fs::read(&policy).unwrap();
    let (again, _) = run(&domain, &settings(folder.path("b"), 2));
    assert_eq!(again.processes, 2);
    assert_eq!(std::fs::read(&policy).unwrap(), bytes);
    assert_eq!(folder.read("a/exact.csv"), folder.read("b/exact.csv"));
}

fn first(name: &str) -> u32 {
    name.split(',').next().unwrap().parse().unwrap()
}

/// One policy on data that the caller brings, in a fresh process as it were.
fn train_centrally(domain: &Bags, settings: &RunSettings, values: &str) -> ServerModel {
    let plan = plan();
    let runner = StageRunner::open(&plan, settings, domain, dealt()).unwrap();
    runner.on_threads(|| runner.train_centrally(&domain.data(values)?)).unwrap()
}

#[test]
fn one_policy_on_data_that_the_server_was_given() {
    let folder = Folder::new();
    let domain = Bags::new();
    let settings = settings(folder.path("out"), 1);
    let server = train_centrally(&domain, &settings, VALUES[2]);
    let [(meta, weight)] = &server.meta.clients[..] else { panic!("{:?}", server.meta) };
    assert_eq!((meta.client.as_str(), meta.data.as_str(), *weight), ("centralised", "4 values", 1.0));
    assert_eq!((server.meta.round, server.meta.steps, &server.meta.residual), (0, 300, &None));
    assert_eq!(server.policy.spec().kind, domain.recipe(Stage::Centralised).policy);

    // It is the posterior of the data it was given, not of a client's.
    let plan = plan();
    let runner = StageRunner::open(&plan, &settings, &domain, dealt()).unwrap();
    let whole = domain.data(VALUES[2]).unwrap();
    let exact = runner.exact(&server, whole.reward.as_ref(), &[whole.reward.as_ref()]).unwrap();
    assert!(exact.l1 < 0.05 && exact.l1_clients == [exact.l1], "{exact:?}");
    drop(runner);

    let names = folder.files("out");
    let expected = [
        "clients/0/data.values",
        "clients/1/data.values",
        "exact.csv",
        "lock",
        "manifest.json",
        "plan.toml",
        "server/log.jsonl",
        "server/round-0.safetensors",
        "times.json",
    ];
    assert_eq!(names, expected, "no checkpoint is left");
    assert_eq!(folder.json("out/manifest.json")["server/round-0.safetensors"]["steps"], 300);
    assert_eq!(folder.json("out/times.json")["stages"][0]["stage"], "centralised");
    assert_eq!(folder.read("out/server/log.jsonl").lines().count(), 1);

    // Done once; a changed file is made again, to the same numbers.
    let file = folder.path("out/server/round-0.safetensors");
    let learned = folder.csv("out/exact.csv").texts("learned").join(" ");
    train_centrally(&domain, &settings, VALUES[2]);
    assert_eq!(folder.read("out/server/log.jsonl").lines().count(), 1);
    std::fs::write(&file, "damaged").unwrap();
    let server = train_centrally(&domain, &settings, VALUES[2]);
    assert_eq!(folder.read("out/server/log.jsonl").lines().count(), 2);
    let runner = StageRunner::open(&plan, &settings, &domain, dealt()).unwrap();
    runner.exact(&server, whole.reward.as_ref(), &[whole.reward.as_ref()]).unwrap();
    assert_eq!(folder.csv("out/exact.csv").texts("learned").join(" "), learned);
}

/// A process that is killed between writing a result and removing the checkpoint that led there leaves both.
#[test]
fn a_checkpoint_that_outlived_its_process_is_dropped() {
    let folder = Folder::new();
    let domain = Bags::new();
    let settings = settings(folder.path("out"), 1);
    let plan = plan();
    let train = || {
        let runner = StageRunner::open(&plan, &settings, &domain, dealt()).unwrap();
        runner.on_threads(|| runner.train().map(drop)).unwrap();
    };
    train();
    let checkpoints = [
        "out/clients/0/round-0.checkpoint",
        "out/clients/1/round-1.checkpoint",
        "out/server/round-0.checkpoint",
    ];
    checkpoints.iter().for_each(|name| drop(folder.write(name, "left over")));
    train();
    // The same before the result was noted as complete.
    let before = folder.files("out");
    std::fs::remove_file(folder.path("out/manifest.json")).unwrap();
    folder.write(checkpoints[0], "left over");
    train();
    assert_eq!(folder.files("out"), before);
    assert!(!before.iter().any(|name| name.ends_with("checkpoint")), "{before:?}");
}

#[test]
fn other_data_or_another_plan_are_refused() {
    let folder = Folder::new();
    let domain = Bags::new();
    let settings = settings(folder.path("out"), 1);
    let plan = plan();
    let open = |plan: &Plan, data: [&str; 2]| {
        let data = data.map(String::from);
        StageRunner::open(plan, &settings, &domain, data).map(drop).unwrap_err().to_string()
    };
    drop(StageRunner::open(&plan, &settings, &domain, dealt()).unwrap());
    let refused = open(&plan, [VALUES[0], VALUES[2]]);
    assert!(refused.contains("data.values: expected the same part of the same data"), "{refused}");
    let refused = open(&Plan { seed: 4, ..plan.clone() }, [VALUES[0], VALUES[1]]);
    assert!(refused.contains("plan.toml: expected the plan of this command"), "{refused}");
    let refused = open(&Plan { phylo: None, ..plan.clone() }, [VALUES[0], VALUES[1]]);
    assert!(refused.contains("exactly one section with a model"), "{refused}");
}

#[test]
fn weights_call_for_warnings() {
    let fine = WeightReport {
        log_marginal_likelihood: 0.0,
        lower_bound: 0.0,
        effective_sample_size: 100.0,
        effective_sample_fraction: 0.5,
        pareto_k: 0.3,
        residual_deviation: 0.5,
        independent_residual_deviation: Some(0.9),
    };
    let said = |report: WeightReport| {
        report.warnings("bags").iter().map(|w| format!("{w}")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(said(fine.clone()), "");
    let few = said(WeightReport { effective_sample_fraction: 0.05, ..fine.clone() });
    assert!(few.contains("effective sample size is 5.0 % of the samples"), "{few}");
    let heavy = said(WeightReport { pareto_k: 0.8, ..fine.clone() });
    assert!(heavy.contains("Pareto k of the importance weights is 0.80"), "{heavy}");
    // Where all weights are nearly equal, k is an estimate of nothing.
    let equal = WeightReport { pareto_k: 0.8, effective_sample_fraction: 0.95, ..fine.clone() };
    assert_eq!(said(equal), "");
    assert_eq!(said(WeightReport { pareto_k: f64::INFINITY, ..fine.clone() }), "");
    let missed = said(WeightReport { independent_residual_deviation: Some(1.6), ..fine.clone() });
    assert!(missed.contains("the aggregate misses bags"), "{missed}");
    assert_eq!(said(WeightReport { independent_residual_deviation: Some(1.4), ..fine }), "");
}
