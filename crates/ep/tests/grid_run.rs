//! `ep grid run`: the paper's grid world, maps and exact files, larger worlds, stages, and bad input.

mod support;

use support::{Folder, data_set, refuse, succeed};

#[test]
fn the_grid_world_of_the_paper() {
    let folder = Folder::new();
    let (spec, out) = (data_set("grid/spec.toml"), folder.name("out"));
    let options = ["--budget", "1000steps", "--samples", "1000", "--threads", "1", "--quiet"];
    let said = succeed(&[&["grid", "run", &spec, "--exact", "--out", &out], &options[..]].concat());
    for word in ["9 to the power 2, for 4 clients", "beacon (8, 1), beta 2", "learned", "target", "████"]
    {
        assert!(said.out.contains(word.trim_end_matches('█')), "no `{word}` in {}", said.out);
    }
    let report = folder.json("out/report.json");
    let l1 = report["exact"]["l1"].as_f64().unwrap();
    assert!(l1 < 0.15, "{l1}; an untrained policy is off by more than 1");
    assert_eq!((&report["exact"]["objects"], &report["map_is_exact"]), (&81.into(), &true.into()));
    let exact = folder.csv("out/exact.csv");
    // π(x) ∝ Π_n (1 + 1.22 d_n)^(−β_n), by hand at two cells.
    let log_reward = |x: i32, y: i32| -> f64 {
        let beacons = [(8, 8, 1.0), (1, 8, 2.0), (8, 1, 2.0), (1, 1, 0.5)];
        let term = |(a, b, beta): (i32, i32, f64)| {
            let distance = f64::from((x - a).abs() + (y - b).abs());
            -beta * (1.0 + 1.22 * distance).ln()
        };
        beacons.into_iter().map(term).sum()
    };
    let (names, target) = (exact.texts("object"), exact.numbers("target"));
    let of = |name: &str| target[names.iter().position(|other| *other == name).unwrap()].ln();
    for (name, x, y) in [("1 8", 1, 8), ("3 5", 3, 5), ("0 0", 0, 0)] {
        let difference = (of(name) - of("8 8")) - (log_reward(x, y) - log_reward(8, 8));
        assert!(difference.abs() < 1e-9, "{name}: {difference}");
    }
    let svg = folder.read("out/map.svg");
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert_eq!(svg.matches("<rect x=").count(), 2 * 81);
    assert!(svg.contains("<title>(1, 8) 1.280e-1</title>"), "the target's mode");
    let marginals = folder.csv("out/marginals.csv");
    assert_eq!(marginals.header[..2], ["axis", "coordinate"]);
    assert!((marginals.numbers("expected")[..9].iter().sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn hypergrids_of_more_axes() {
    let folder = Folder::new();
    folder.write("a.toml", "[hypergrid]\nr0 = 0.1\nr1 = 0.5\nr2 = 2.0\n");
    folder.write("b.toml", "beacon = [6, 1, 6]\nbeta = 1.5\n");
    let clients = "[[clients]]\ndata = \"a.toml\"\n[[clients]]\ndata = \"b.toml\"\nweight = 0.5\n";
    let spec = folder.write("spec.toml", format!("dimensions = 3\nside = 8\n{clients}"));
    let out = folder.name("out");
    let options = ["--budget", "200steps", "--samples", "500", "--threads", "1", "--quiet"];
    let said = succeed(&[&["grid", "run", &spec, "--exact", "--out", &out], &options[..]].concat());
    assert!(said.out.contains("the first two of 3 axes"), "{}", said.out);
    let report = folder.json("out/report.json");
    let (z, enumerated) = (&report["log_partition"], &report["exact"]["log_marginal_likelihood"]);
    assert!((z.as_f64().unwrap() - enumerated.as_f64().unwrap()).abs() < 1e-9);
    assert_eq!(folder.read("out/map.svg").matches("<rect x=").count(), 2 * 64);

    // Eight axes: too many cells for exact maps, which are then those of the samples.
    folder.write("b.toml", "beacon = [6, 1, 6, 6, 6, 6, 6, 6]\nbeta = 1.5\n");
    let spec = folder.write("wide.toml", format!("dimensions = 8\nside = 8\n{clients}"));
    let (out, options) = (folder.name("wide"), ["--budget", "4steps", "--samples", "200", "--quiet"]);
    let said = succeed(&[&["grid", "run", &spec, "--out", &out], &options[..]].concat());
    assert!(said.out.contains("samples, reweighted"), "{}", said.out);
    assert_eq!(folder.json("wide/report.json")["map_is_exact"], false);
    refuse(&["grid", "run", &spec, "--exact", "--out", &folder.name("no")], 2, &["--exact", "states"]);
}

#[test]
fn sites_train_on_their_own_files() {
    let folder = Folder::new();
    let (plan, out) = (folder.name("plan.toml"), folder.name("out"));
    succeed(&["plan", "grid", &data_set("grid/spec.toml"), "--out", &plan]);
    let mut sent = Vec::new();
    for name in ["upper", "right"] {
        let (data, file) =
            (data_set(&format!("grid/{name}.toml")), folder.name(&format!("{name}.safetensors")));
        succeed(&["train", &plan, "--data", &data, "--out", &file, "--budget", "200steps"]);
        sent.push(file);
    }
    succeed(&["aggregate", &plan, &sent[0], &sent[1], "--out", &out, "--budget", "200steps"]);
    let said = succeed(&["sample", &out, "-n", "500"]);
    assert!(said.out.contains("learned") && !said.out.contains("target"), "{}", said.out);
    assert_eq!(folder.read("out/map.svg").matches("<rect x=").count(), 81);
}

#[test]
fn bad_specs_and_clients() {
    let folder = Folder::new();
    let out = folder.name("out");
    let spec = |head: &str| format!("{head}\n[[clients]]\ndata = \"client.toml\"\n");
    let go = |head: &str, client: &str, words: &[&str]| {
        folder.write("client.toml", client);
        let spec = folder.write("spec.toml", spec(head));
        refuse(&["grid", "run", &spec, "--out", &out, "--budget", "2steps"], 3, words);
        assert!(!folder.path("out").exists());
    };
    let (head, good) = ("dimensions = 2\nside = 9", "beacon = [7, 1]\nbeta = 2.0\n");
    go("dimensions = 2\nside = 1", good, &["spec.toml", "side", "2 to 65536", "found 1"]);
    go("dimensions = 9\nside = 3", good, &["spec.toml", "dimensions", "1 to 8", "found 9"]);
    go("dimensions = 2\nside = -1", good, &["spec.toml", "line 2"]);
    go("dimensions = 2", good, &["spec.toml", "side"]);
    go("dimensions = 2\nside = 9\nsize = 3", good, &["spec.toml", "line 3", "size"]);
    go(head, "beacon = [9, 1]\nbeta = 2.0\n", &["client.toml", "beacon", "2 coordinates from 0 to 8"]);
    go(head, "beacon = [-1, 1]\nbeta = 2.0\n", &["client.toml", "beacon"]);
    go(head, "beacon = [7, 1, 1]\nbeta = 2.0\n", &["client.toml", "2 coordinates"]);
    go(head, "beacon = [7, 1]\nbeta = inf\n", &["client.toml", "beta", "a finite number"]);
    go(head, "beacon = [7, 1]\nbeta = -1.0\n", &["client.toml", "beta", "at least 0"]);
    go(head, "beacon = [7, 1]\n", &["client.toml", "either"]);
    go(head, "", &["client.toml", "either"]);
    go(head, "beacon = [7, 1]\nbeta = 1.0\nradius = 3\n", &["client.toml", "line 3", "radius"]);
    go(head, "beacon = [7, 1\n", &["client.toml", "line 1"]);
    go(head, "[hypergrid]\nr0 = 0.0\nr1 = 0.5\nr2 = 2.0\n", &["client.toml", "r0", "more than 0"]);
    go(head, "[hypergrid]\nr0 = 0.1\nr1 = 0.5\n", &["client.toml", "r2"]);
    go(head, "[hypergrid]\nr0 = 0.1\nr1 = nan\nr2 = 1.0\n", &["client.toml", "r1"]);
    let spec = folder.write("spec.toml", spec(head).replace("client.toml", "nowhere.toml"));
    refuse(&["grid", "run", &spec, "--out", &out], 3, &["nowhere.toml", "check the path"]);
}
