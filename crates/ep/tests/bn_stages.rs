//! Network structures site by site: only files travel; a late site is added and a site is withdrawn without anybody else
//! doing anything, under both models.

mod support;

use support::{Folder, Table, refuse, run, succeed};

const SITES: [&str; 3] = ["site-1", "site-2", "site-3"];
/// Steps of a client and of the server: seconds, and policies over 25 graphs that are close.
const TRAIN: [&str; 2] = ["--budget", "700steps"];
const AGGREGATE: [&str; 2] = ["--budget", "350steps"];
/// Samples, and largest error of an edge probability: training errors of up to 0.02 here, and 5 standard errors of
/// sampling (0.04). Edge probabilities of the three products below differ by more than 0.1.
const SAMPLES: &str = "4000";
const TOLERANCE: f64 = 0.06;

/// Three tables of 30 rows over three variables, and a plan for each model.
struct Sites {
    folder: Folder,
    plans: [String; 2],
}

impl Sites {
    fn new() -> Sites {
        let folder = Folder::new();
        let out = folder.name("data");
        let simulate = ["bn", "simulate", "--nodes", "3", "--edges", "2", "--sites", "3", "--rows", "30"];
        succeed(&[&simulate[..], &["--seed", "4", "--out", &out]].concat());
        let schema = folder.name("data/schema.toml");
        let plan = |name: &str, combine: &str| {
            let path = folder.name(name);
            let options = ["--columns", &schema, "--sites", "3", "--combine", combine, "--prior", "fair"];
            let said = succeed(&[&["plan", "bn"], &options[..], &["--out", &path]].concat());
            assert!(
                said.out.contains("3 clients, without data") && said.out.contains(combine),
                "{}",
                said.out
            );
            path
        };
        let plans = [plan("product.toml", "product"), plan("pooled.toml", "pooled")];
        Sites { folder, plans }
    }

    fn data(&self, site: &str) -> String {
        self.folder.name(&format!("data/{site}.csv"))
    }

    /// Aggregates files and samples; the edges.
    fn edges(&self, plan: &str, files: &[&str], name: &str) -> Table {
        let out = self.folder.name(name);
        let files: Vec<String> = files.iter().map(|file| self.folder.name(file)).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        succeed(&[&["aggregate", plan], &files[..], &["--out", &out], &AGGREGATE].concat());
        let said = succeed(&["sample", &out, "-n", SAMPLES]);
        assert!(said.out.contains("no likelihoods") && said.out.contains("not causal"), "{}", said.out);
        self.folder.csv(&format!("{name}/edges.csv"))
    }

    /// Exact edge probabilities of a product (0) or the pooled rows (1) of some sites, without any training to speak of.
    fn exact(&self, sites: &[&str]) -> [Vec<f64>; 2] {
        let out = self.folder.name(&format!("exact-{}", sites.join("-")));
        let files: Vec<String> = sites.iter().map(|site| self.data(site)).collect();
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let more = [
            "--prior",
            "fair",
            "--exact",
            "--budget",
            "2steps",
            "--rounds",
            "0",
            "--samples",
            "10",
            "--quiet",
        ];
        succeed(&[&["bn", "run"], &files[..], &["--out", &out], &more].concat());
        let table = self.folder.csv(&format!("exact-{}/exact_edges.csv", sites.join("-")));
        ["exact_product", "exact_pooled"].map(|column| table.numbers(column))
    }
}

fn largest_difference(edges: &[f64], exact: &[f64]) -> f64 {
    assert_eq!(edges.len(), exact.len());
    edges.iter().zip(exact).map(|(p, q)| (p - q).abs()).fold(0.0, f64::max)
}

#[test]
fn sites_come_and_go_under_both_models() {
    let sites = Sites::new();
    let folder = &sites.folder;
    for site in SITES {
        for (plan, ending) in sites.plans.iter().zip(["safetensors", "json"]) {
            let sent = folder.name(&format!("{site}.{ending}"));
            let budget = if ending == "json" { &[][..] } else { &TRAIN };
            succeed(&[&["train", plan, "--data", &sites.data(site), "--out", &sent], budget].concat());
        }
    }
    let subsets: [(&str, &[&str]); 3] = [("first", &SITES[..2]), ("all", &SITES), ("without-1", &SITES[1..])];
    let mut exact = Vec::new();
    for (name, some) in subsets {
        let of_some = sites.exact(some);
        for (model, ending) in ["safetensors", "json"].iter().enumerate() {
            let files: Vec<String> = some.iter().map(|site| format!("{site}.{ending}")).collect();
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let table = sites.edges(&sites.plans[model], &files, &format!("{name}-{ending}"));
            assert_eq!(table.header, ["from", "to", "probability", "either", "monte_carlo_error"]);
            let error = largest_difference(&table.numbers("probability"), &of_some[model]);
            assert!(error < TOLERANCE, "{name}, {ending}: {error}");
        }
        exact.push(of_some);
    }
    // The comparison can tell them apart.
    for model in 0..2 {
        for (a, b) in [(0, 1), (1, 2), (0, 2)] {
            let difference = largest_difference(&exact[a][model], &exact[b][model]);
            assert!(difference > TOLERANCE, "model {model}, subsets {a} and {b}: {difference}");
        }
    }
    what_files_say(&sites);
}

/// `ep inspect` and `ep status`.
fn what_files_say(sites: &Sites) {
    let folder = &sites.folder;
    let said = succeed(&["inspect", &folder.name("site-1.safetensors")]).out;
    assert!(said.contains("a function of the client's data") && said.contains("does not hide"), "{said}");
    assert!(said.contains("differences of local scores") && said.contains("30 rows"), "{said}");
    let said = succeed(&["inspect", &folder.name("site-1.json")]).out;
    assert!(
        said.contains("all means") && said.contains("covariances") && said.contains("does not hide"),
        "{said}"
    );
    let said = succeed(&["status", &folder.name("all-safetensors")]).out;
    assert!(said.contains("aggregate of site-1, site-2, site-3 after 0 extra rounds"), "{said}");
    assert!(said.contains("no file in this folder") && !said.contains("not trained"), "{said}");
    // Statistics are strictly those of the rows.
    let statistics = &folder.json("site-1.json")["statistics"];
    assert_eq!((&statistics["kind"], &statistics["n"]), (&"gaussian".into(), &30.into()));
    let rows = folder.csv("data/site-1.csv");
    let mean = rows.numbers("X1").iter().sum::<f64>() / 30.0;
    assert!((statistics["means"][1].as_f64().unwrap() - mean).abs() < 1e-12);
}

#[test]
fn what_few_rows_and_categories_give_away() {
    let folder = Folder::new();
    let plan = |schema: &str, score: &str| {
        let (columns, out) = (folder.write("schema.toml", schema), folder.name(&format!("{score}.toml")));
        let options = ["--sites", "2", "--score", score, "--combine", "pooled", "--out", &out];
        succeed(&[&["plan", "bn", "--columns", &columns], &options[..]].concat());
        out
    };
    let numbers = plan("[[columns]]\nname = \"A\"\n[[columns]]\nname = \"B\"\n", "bge");
    let go = |plan: &str, name: &str, rows: &str| {
        let (data, out) = (folder.write("data.csv", rows), folder.name(name));
        let said = succeed(&["train", plan, "--data", &data, "--out", &out]).out;
        assert_eq!(said.lines().last(), succeed(&["inspect", &out]).out.lines().last());
        said
    };
    assert!(go(&numbers, "one.json", "A,B\n1,2\n").contains("are the row itself"));
    assert!(go(&numbers, "two.json", "A,B\n1,2\n3,4\n").contains("all but give the rows away"));
    assert!(!go(&numbers, "three.json", "A,B\n1,2\n3,4\n5,5\n").contains("all but give"));
    let levels = "levels = [\"no\", \"yes\"]\n";
    let words =
        plan(&format!("[[columns]]\nname = \"A\"\n{levels}[[columns]]\nname = \"B\"\n{levels}"), "bdeu");
    let said = go(&words, "words.json", "A,B\nno,yes\nno,yes\nyes,no\n");
    assert!(said.contains("the rows themselves") && said.contains("2 of 3"), "{said}");
}

#[test]
fn a_second_message_and_stages_in_a_folder() {
    let sites = Sites::new();
    let folder = &sites.folder;
    let (product, out) = (&sites.plans[0], folder.name("centre"));
    let sent = |site: &str, round: u32| folder.name(&format!("{site}-{round}.safetensors"));
    let few = ["--budget", "30steps"];
    for site in &SITES[..2] {
        let (data, file) = (sites.data(site), sent(site, 0));
        succeed(&[&["train", product, "--data", &data, "--out", &file, "--name", site], &few[..]].concat());
    }
    let files = [sent("site-1", 0), sent("site-2", 0)];
    succeed(&[&["aggregate", product, &files[0], &files[1], "--out", &out], &few[..]].concat());
    let proposals = folder.name("centre/server/proposals-1.txt");
    let (data, file) = (sites.data("site-1"), sent("site-1", 1));
    let round = ["--previous", &files[0], "--proposals", &proposals];
    succeed(&[&["train", product, "--data", &data, "--out", &file], &round[..], &few].concat());
    succeed(&[&["aggregate", product, &file, &files[1], "--out", &out], &few[..]].concat());
    assert!(succeed(&["status", &out]).out.contains("aggregate of site-1, site-2 after 1 extra rounds"));

    // A run folder with the pooled plan: clients write statistics, the server merges what is there.
    let schema = folder.name("data/schema.toml");
    let there = folder.name("there");
    let options = ["--columns", &schema, "--sites", "2", "--combine", "pooled", "--out", &there];
    succeed(&[&["plan", "bn"], &options[..]].concat());
    for k in 0..2 {
        std::fs::create_dir_all(folder.path(&format!("there/clients/{k}"))).unwrap();
        std::fs::copy(sites.data(SITES[k]), folder.path(&format!("there/clients/{k}/data.csv"))).unwrap();
    }
    assert!(succeed(&["status", &there]).out.contains("no statistics"));
    succeed(&["train", &there, "--client", "1"]);
    refuse(&["train", &there, "--client", "1"], 3, &["round-0.json", "nothing is overwritten"]);
    refuse(&["train", &there, "--client", "2"], 2, &["--client", "from 0 to 1"]);
    refuse(&[&["aggregate", &there], &few[..]].concat(), 3, &["at least 2 trained clients", "found 1"]);
    succeed(&["train", &there, "--client", "0"]);
    let said = succeed(&[&["aggregate", &there], &few[..]].concat());
    assert!(said.out.contains("60 rows of 2 sites") && said.out.contains("look alike"), "{}", said.out);
    let said = run(&["sample", &there, "-n", "50"]);
    assert!(said.code == 0 && said.out.contains("pooled: one graph"), "{}{}", said.out, said.err);
    let said = succeed(&["status", &there]);
    assert_eq!(said.out.matches("statistics written").count(), 2, "{}", said.out);
    assert!(said.out.contains("trained on the merged statistics"), "{}", said.out);
}
