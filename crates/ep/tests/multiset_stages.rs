//! Multisets stage by stage: only files travel, weights are the server's choice, a round goes on with its proposals.

mod support;

use support::{Folder, succeed};

const CLIENTS: [(&str, &str); 2] =
    [("first", "item,value\na,1\nb,0\nc,-1\n"), ("second", "item,value\nc,0.5\nb,0.5\na,-0.5\n")];

/// Exact expected count of `a` among multisets of 3 items, with log-values per item.
fn expected_a(values: [f64; 3]) -> f64 {
    let (mut sum, mut z) = (0.0, 0.0);
    for a in 0..=3 {
        for b in 0..=(3 - a) {
            let r = (f64::from(a) * values[0] + f64::from(b) * values[1] + f64::from(3 - a - b) * values[2])
                .exp();
            sum += f64::from(a) * r;
            z += r;
        }
    }
    sum / z
}

#[test]
fn only_files_travel() {
    let folder = Folder::new();
    // Nobody's data are needed for a plan.
    let spec = "size = 3\nitems = [\"a\", \"b\", \"c\"]\n[[clients]]\nname = \"first\"\n[[clients]]\nname = \"second\"\n";
    let (spec, plan) = (folder.write("spec.toml", spec), folder.name("plan.toml"));
    let said = succeed(&["plan", "multiset", &spec, "--out", &plan]);
    assert!(
        said.out.contains("2 clients, without data") && said.out.contains("3 items out of 3 kinds"),
        "{}",
        said.out
    );
    succeed(&["plan", "multiset", &spec, "--out", &plan]);
    for (name, text) in CLIENTS {
        let data = folder.write(&format!("{name}.csv"), text);
        let sent = folder.name(&format!("{name}.safetensors"));
        succeed(&["train", &plan, "--data", &data, "--out", &sent, "--budget", "200steps"]);
    }
    let files = CLIENTS.map(|(name, _)| folder.name(&format!("{name}.safetensors")));
    let said = succeed(&["inspect", &files[0]]);
    assert!(
        said.out.contains("\"multiset\"") && said.out.contains("every value can be read off"),
        "{}",
        said.out
    );
    for (weights, values) in [("1,1", [0.5, 0.5, -0.5]), ("2,0.5", [1.75, 0.25, -1.75])] {
        let out = folder.name(&format!("server {weights}"));
        let options = ["--weights", weights, "--out", &out, "--budget", "100steps"];
        succeed(&[&["aggregate", &plan, &files[0], &files[1]], &options[..]].concat());
        let said = succeed(&["sample", &out, "-n", "4000"]);
        assert!(
            said.out.contains("distinct multisets") && said.out.contains("no likelihoods"),
            "{}",
            said.out
        );
        let marginals = folder.csv(&format!("server {weights}/marginals.csv"));
        assert_eq!(marginals.header, ["item", "expected", "monte_carlo_error"]);
        // Five standard errors, once in a million; training errors are a fraction of the rest.
        let (found, error) = (marginals.numbers("expected")[0], marginals.numbers("monte_carlo_error")[0]);
        let expected = expected_a(values);
        assert!((found - expected).abs() < 5.0 * error + 0.02, "{found} {expected} ± {error}");
        assert_eq!(folder.csv(&format!("server {weights}/best.csv")).header, ["object", "share"]);
        assert!(!folder.path(&format!("server {weights}/front.csv")).exists());
    }
    assert!((expected_a([0.5, 0.5, -0.5]) - expected_a([1.75, 0.25, -1.75])).abs() > 0.3);

    // A round: the first client goes on with the server's proposals.
    let proposals = folder.name("server 1,1/server/proposals-1.txt");
    let (data, later) = (folder.name("first.csv"), folder.name("first-1.safetensors"));
    let options = ["--proposals", &proposals, "--previous", &files[0], "--budget", "50steps"];
    succeed(&[&["train", &plan, "--data", &data, "--out", &later], &options[..]].concat());
    assert!(succeed(&["inspect", &later]).out.contains("\"round\": 1"));
}

#[test]
fn a_run_folder_is_made_with_data_and_finished_by_run() {
    let folder = Folder::new();
    let mut spec = "size = 3\n".to_string();
    for (name, text) in CLIENTS {
        folder.write(&format!("{name}.csv"), text);
        spec += &format!("[[clients]]\ndata = \"{name}.csv\"\n");
    }
    let (spec, out) = (folder.write("spec.toml", spec), folder.name("run"));
    let training = ["--budget", "100steps"];
    let said = succeed(&[&["plan", "multiset", &spec, "--out", &out], &training[..]].concat());
    assert!(said.out.contains("with their data"), "{}", said.out);
    succeed(&["train", &out, "--client", "1"]);
    let status = succeed(&["status", &out]).out;
    assert!(status.contains("client 0 (first): not trained"), "{status}");
    assert!(status.contains("client 1 (second): trained"), "{status}");
    let said =
        succeed(&[&["multiset", "run", &spec, "--out", &out, "--samples", "500"], &training[..]].concat());
    assert!(said.err.contains("trained by `ep train`: it is used as it is"), "{}", said.err);
    assert!(
        folder.json("run/report.json")["importance"]["effective_sample_fraction"].as_f64().unwrap() > 0.9
    );
}
