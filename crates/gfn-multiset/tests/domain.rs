//! Multisets as a domain: names there and back, clients' files and what is refused in them, training by the recipe.

use std::path::PathBuf;
use std::sync::Arc;

use gfn_core::Environment;
use gfn_core::ErrorKind;
use gfn_core::domain::{Domain, Stage};
use gfn_core::exact::{StateGraph, normalise};
use gfn_core::metrics::l1;
use gfn_core::observer::{Control, StepReport};
use gfn_core::policy::PolicySpec;
use gfn_core::reward::RewardTarget;
use gfn_core::trainer::{Budget, Trainer};
use gfn_multiset::{Item, Multiset, MultisetDomain, MultisetSettings};
use tempfile::TempDir;

const NAMES: [&str; 4] = ["apple", "solar panel", "a,b", "2 pears"];

fn domain(capacity: Option<u32>) -> MultisetDomain {
    let item = |name: &str| Item { name: name.into(), capacity };
    MultisetDomain::new(MultisetSettings { size: 5, items: NAMES.map(item).to_vec() }).unwrap()
}

fn write(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("values.csv");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn every_object_has_a_name_that_leads_back() {
    let domain = domain(Some(3));
    let graph = StateGraph::enumerate(domain.environment().as_ref(), 1000).unwrap();
    let mut names: Vec<String> = Vec::new();
    for object in graph.objects() {
        let name = domain.object_name(object);
        assert_eq!(domain.parse_object(&name).unwrap(), *object, "{name}");
        names.push(name);
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), graph.objects().len());
    assert_eq!(domain.object_name(&Multiset::new(vec![2, 1, 0, 2])), "2 apple + 1 solar panel + 2 2 pears");
    let one = domain.parse_object("1 a,b + 3 apple + 1 2 pears").unwrap();
    assert_eq!(one.counts(), [3, 0, 1, 1]);
}

#[test]
fn names_of_no_object_are_refused() {
    let domain = domain(Some(3));
    for (name, word) in [
        ("", "a count and an item"),
        ("apple", "a count and an item"),
        ("x apple", "a count before the item"),
        ("5 plum", "one of the problem's items"),
        ("0 apple + 5 2 pears", "each item once"),
        ("2 apple + 2 apple + 1 a,b", "each item once"),
        ("99999999999 apple", "a count before the item"),
        ("6 apple", "from 1 to the size"),
        ("2 apple", "5 items out of 4 kinds"),
        ("4 apple + 1 a,b", "at most 3 items, its capacity"),
    ] {
        let error = domain.parse_object(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{name}");
        assert!(error.to_string().contains(word), "{name}: {error}");
    }
}

#[test]
fn a_clients_file_is_read_by_its_columns() {
    let (domain, folder) = (domain(None), TempDir::new().unwrap());
    let object = Multiset::new(vec![2, 1, 1, 1]);
    // 2 · 1.5 − 1 + 0.25 + 4, and the pairs: apple with a,b twice, apple with apple once.
    let expected = 6.25 + 2.0 * 0.5 - 0.125;
    for text in [
        "item,with,value\napple,,1.5\nsolar panel,,-1\n\"a,b\",,0.25\n2 pears,,4\napple,\"a,b\",0.5\napple,apple,-0.125\n",
        "\u{feff}value;item;with\r\n4;2 pears;\r\n\r\n -1 ; solar panel ;\r\n0.25;a,b;\r\n1.5;apple;\r\n0.5;a,b;apple\r\n-125e-3;apple;apple\r\n",
        "item\tvalue\twith\na,b\t0.25\t\napple\t1.5\t\nsolar panel\t-1\t\n2 pears\t4\t\napple\t0.5\ta,b\napple\t-0.125\tapple",
    ] {
        let data = domain.read_client(&write(&folder, text)).unwrap();
        let found = data.reward.log_reward(domain.environment(), &object);
        assert!((found - expected).abs() < 1e-12, "{found} {text}");
        assert_eq!(data.description, "4 values, 2 interactions");
    }
    assert_eq!(domain.log_prior().log_reward(domain.environment(), &object), 0.0);
}

#[test]
fn what_is_wrong_in_a_clients_file_is_said_where_it_is() {
    let (domain, folder) = (domain(None), TempDir::new().unwrap());
    let fine = "item,value\napple,1\nsolar panel,2\n\"a,b\",3\n";
    for (text, words) in [
        ("".to_string(), &["an empty file"][..]),
        ("item,value\n".into(), &["a header only"]),
        ("apple,1\n".into(), &["line 1", "column \"apple\"", "`item`"]),
        ("item\napple\n".into(), &["line 1", "a column `value`"]),
        ("item,item,value\n".into(), &["line 1", "one column of this name, found two"]),
        (fine.into(), &["a value of each of the problem's 4 items", "none of \"2 pears\"", "2 pears,0"]),
        (
            format!("{fine}plum,1\n"),
            &["line 5", "column \"item\"", "apple, solar panel, a,b, 2 pears", "\"plum\""],
        ),
        (
            format!("{fine}\napple,1\n"),
            &["line 6", "every item and every pair once", "\"apple\" again, after line 2"],
        ),
        (format!("{fine}2 pears,much\n"), &["line 5", "column \"value\"", "a number", "\"much\""]),
        (format!("{fine}2 pears,\n"), &["line 5", "column \"value\"", "an empty cell"]),
        (format!("{fine}2 pears,inf\n"), &["line 5", "column \"value\"", "a finite number, found inf"]),
        (format!("{fine}2 pears,NaN\n"), &["line 5", "a finite number, found NaN"]),
        (format!("{fine},4\n"), &["line 5", "column \"item\"", "an empty cell"]),
        (format!("{fine}2 pears,1,2\n"), &["line 5", "2 cells, as in the header, found 3"]),
        ("item,value,with\napple,1,plum\n".into(), &["line 2", "column \"with\"", "\"plum\""]),
        (
            "item,value,with\napple,1,a\nb,2,c\na,3,apple\n".into(),
            &["line 4", "\"a\" with \"apple\" again, after line 2"],
        ),
    ] {
        let error = domain.read_client(&write(&folder, &text)).err().unwrap_or_else(|| panic!("{text}"));
        assert_eq!(error.kind(), ErrorKind::Input);
        for word in ["values.csv"].iter().chain(words) {
            assert!(error.to_string().contains(word), "{text:?} does not say {word:?}: {error}");
        }
    }
    std::fs::write(folder.path().join("values.csv"), b"item,value\n\xff,1\n").unwrap();
    let error = domain.read_client(&folder.path().join("values.csv")).err().unwrap().to_string();
    assert!(error.contains("text in UTF-8"), "{error}");
    assert!(domain.read_client(folder.path()).is_err());
    assert_eq!(domain.read_client(&folder.path().join("none")).err().unwrap().kind(), ErrorKind::Input);
}

#[test]
fn items_without_a_proper_name_are_refused() {
    for (names, word) in [
        (&["a", ""][..], "item 2"),
        (&[" a"], "without blanks around it"),
        (&["a + b"], "without ` + `"),
        (&["a\nb"], "in one line"),
        (&["a", "b", "a"], "\"a\", as of item 1"),
        (&[], "kinds: expected at least 1"),
    ] {
        let items = names.iter().map(|name| Item { name: (*name).into(), capacity: None }).collect();
        let error = MultisetDomain::new(MultisetSettings { size: 2, items }).err().unwrap().to_string();
        assert!(error.contains(word), "{names:?}: {error}");
    }
}

#[test]
fn a_client_trained_by_the_recipe_has_learned_its_values() {
    let (domain, folder) = (domain(Some(3)), TempDir::new().unwrap());
    let text =
        "item,with,value\napple,,0.9\nsolar panel,,0.1\n\"a,b\",,0.5\n2 pears,,0.3\napple,2 pears,0.4\n";
    let reward = domain.read_reward(&write(&folder, text)).unwrap();
    let env = domain.environment();
    let recipe = domain.recipe(Stage::Client);
    let spec =
        PolicySpec { env: env.spec().clone(), kind: recipe.policy, learned_backward: false, flow: false };
    let mut settings = recipe.settings;
    (settings.budget, settings.seed) = (Budget::Steps(150), 1);
    let target = Arc::new(RewardTarget { reward: reward.clone() });
    let mut trainer = Trainer::new(Arc::clone(env), target, spec.build(1).unwrap(), settings).unwrap();
    trainer.run(&mut |_: &StepReport| Control::Continue).unwrap();
    let policy = trainer.finish().policy;
    let graph = StateGraph::enumerate(env.as_ref(), 1000).unwrap();
    let (_, target) = normalise(&graph.log_rewards(env, &reward));
    let learned = graph.distribution(&graph.edge_policy(env, policy.as_policy()));
    // 0.005 was measured.
    let distance = l1(&learned, &target);
    assert!(distance < 0.03, "L1 {distance}");
    let uniform = vec![1.0 / target.len() as f64; target.len()];
    assert!(l1(&uniform, &target) > 0.3);
}
