//! What is known beforehand: constraints and their environments against the definition, contradictions, and identity.

#[path = "shared/random_tables.rs"]
mod random_tables;
mod shared;

use std::collections::{HashMap, HashSet};

use gfn_bn::{Constraints, Dag, DagEnvironment, Knowledge};
use gfn_core::exact::StateGraph;
use gfn_core::{Environment, ErrorKind};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use random_tables::{names, seeded};
use shared::{all_dags, environment};

/// Whether the graph is one that the knowledge speaks of, by the words of its fields.
fn agrees(knowledge: &Knowledge, names: &[String], dag: &Dag) -> bool {
    let node = |name: &String| names.iter().position(|own| own == name).unwrap();
    let has = |(from, to): &(String, String)| dag.has_edge(node(from), node(to));
    let tier = |node: usize| knowledge.tiers.iter().position(|group| group.contains(&names[node]));
    let forward = |(from, to): (usize, usize)| match (tier(from), tier(to)) {
        (Some(earlier), Some(later)) => earlier <= later,
        _ => true,
    };
    let most = knowledge.max_parents.unwrap_or(usize::MAX);
    knowledge.required.iter().all(has)
        && !knowledge.forbidden.iter().any(has)
        && dag.edges().all(forward)
        && (0..names.len()).all(|node| dag.edges().filter(|edge| edge.1 == node).count() <= most)
}

/// Anything that can be written down without naming a variable in two tiers.
fn random_knowledge(rng: &mut ChaCha8Rng, names: &[String]) -> Knowledge {
    let mut knowledge = Knowledge::default();
    for (from, to) in names.iter().flat_map(|from| names.iter().map(move |to| (from, to))) {
        let edge = (from.clone(), to.clone());
        if rng.random_bool(if from == to { 0.01 } else { 0.12 }) {
            knowledge.required.push(edge.clone());
        }
        if rng.random_bool(0.15) {
            knowledge.forbidden.push(edge);
        }
    }
    if rng.random_bool(0.5) {
        knowledge.tiers = vec![Vec::new(); 3];
        for name in names {
            if let Some(group) = knowledge.tiers.get_mut(rng.random_range(0..4)) {
                group.push(name.clone());
            }
        }
    }
    if rng.random_bool(0.5) {
        knowledge.max_parents = Some(rng.random_range(0..=names.len()));
    }
    knowledge
}

/// The graphs of the environment.
fn graphs(env: &DagEnvironment) -> HashSet<Dag> {
    let states = StateGraph::enumerate(env, 1000).unwrap().states().to_vec();
    let n_states = states.len();
    let graphs: HashSet<Dag> = states.into_iter().collect();
    assert_eq!(graphs.len(), n_states);
    graphs
}

fn fingerprint(names: &[String], knowledge: &Knowledge) -> String {
    DagEnvironment::with_knowledge(names.to_vec(), knowledge).unwrap().spec().fingerprint.clone()
}

#[test]
fn an_environment_has_the_graphs_that_agree_and_no_others() {
    let mut rng = seeded(1);
    for d in 1..=4 {
        let (names, all) = (names(d), all_dags(&environment(d)));
        let (mut accepted, mut refused) = (0, 0);
        // What a fingerprint stands for.
        let mut meanings: HashMap<String, HashSet<Dag>> = HashMap::new();
        for _ in 0..300 {
            let knowledge = random_knowledge(&mut rng, &names);
            let expected: HashSet<Dag> =
                all.iter().filter(|dag| agrees(&knowledge, &names, dag)).cloned().collect();
            let found = DagEnvironment::with_knowledge(names.clone(), &knowledge);
            let Ok(env) = found else {
                assert!(expected.is_empty(), "refused, though {expected:?} agree: {knowledge:?}");
                refused += 1;
                continue;
            };
            accepted += 1;
            assert!(!expected.is_empty(), "accepted, though no graph agrees: {knowledge:?}");
            assert_eq!(graphs(&env), expected, "{knowledge:?}");

            let constraints = knowledge.resolve(&names).unwrap();
            assert_eq!(&constraints, env.constraints());
            assert!(all.iter().all(|dag| constraints.allow(dag) == expected.contains(dag)), "{knowledge:?}");
            // Walks begin at the required edges and nothing else.
            let required: HashSet<(String, String)> = knowledge.required.iter().cloned().collect();
            let initial = constraints.initial();
            let edges = initial.edges().map(|(from, to)| (names[from].clone(), names[to].clone()));
            assert_eq!(edges.collect::<HashSet<_>>(), required);
            for node in 0..d {
                assert_eq!(constraints.required(node), initial.parents(node));
                assert_eq!(constraints.required(node) & !constraints.allowed(node), 0);
            }
            let meaning = meanings.entry(env.spec().fingerprint.clone()).or_insert(expected.clone());
            assert_eq!(*meaning, expected, "one fingerprint for different graphs: {knowledge:?}");
        }
        assert!(accepted > 50 && (d == 1 || refused > 20), "{d} nodes: {accepted}, {refused}");
        assert!(d < 3 || meanings.len() > 20);
    }
}

#[test]
fn the_order_of_writing_makes_no_difference() {
    let mut rng = seeded(2);
    let names = names(4);
    let mut several = 0;
    for _ in 0..300 {
        let knowledge = random_knowledge(&mut rng, &names);
        let Ok(constraints) = knowledge.resolve(&names) else { continue };
        let mut other = knowledge.clone();
        other.required.reverse();
        other.forbidden.reverse();
        other.forbidden.extend(knowledge.forbidden.iter().cloned());
        other.required.extend(knowledge.required.iter().cloned());
        other.tiers.iter_mut().for_each(|group| group.reverse());
        other.tiers.insert(1.min(other.tiers.len()), Vec::new());
        several += usize::from(knowledge.required.len() > 1 && knowledge.forbidden.len() > 1);
        assert_eq!(other.resolve(&names).unwrap(), constraints, "{knowledge:?}");
        assert_eq!(fingerprint(&names, &other), fingerprint(&names, &knowledge));
    }
    assert!(several > 5, "{several}");
}

fn edges(edges: &[(&str, &str)]) -> Vec<(String, String)> {
    edges.iter().map(|(from, to)| (from.to_string(), to.to_string())).collect()
}

fn tiers(tiers: &[&[&str]]) -> Vec<Vec<String>> {
    tiers.iter().map(|group| group.iter().map(|name| name.to_string()).collect()).collect()
}

#[test]
fn equal_graphs_by_other_words_are_the_same_and_other_graphs_are_not() {
    let names = names(4);
    let none = Knowledge::default();
    let by_tiers = Knowledge { tiers: tiers(&[&["X2"], &["X0", "X3"]]), ..none.clone() };
    let by_edges = Knowledge { forbidden: edges(&[("X3", "X2"), ("X0", "X2")]), ..none.clone() };
    let both = Knowledge { forbidden: by_edges.forbidden[1..].to_vec(), ..by_tiers.clone() };
    for other in [&by_edges, &both] {
        assert_eq!(fingerprint(&names, &by_tiers), fingerprint(&names, other));
    }
    for most in [3, 4, 100] {
        let knowledge = Knowledge { max_parents: Some(most), ..none.clone() };
        assert_eq!(fingerprint(&names, &knowledge), fingerprint(&names, &none));
    }
    assert_eq!(&none.resolve(&names).unwrap(), DagEnvironment::new(names.clone()).unwrap().constraints());
    assert_eq!(none.resolve(&names).unwrap(), Constraints::none(4).unwrap());
    assert!(none.is_empty() && !by_tiers.is_empty());

    let different = [
        none.clone(),
        by_tiers.clone(),
        Knowledge { tiers: tiers(&[&["X0", "X3"], &["X2"]]), ..none.clone() },
        Knowledge { tiers: tiers(&[&["X2"], &["X0"], &["X3"]]), ..none.clone() },
        Knowledge { forbidden: edges(&[("X0", "X2")]), ..none.clone() },
        Knowledge { forbidden: edges(&[("X2", "X0")]), ..none.clone() },
        Knowledge { required: edges(&[("X0", "X2")]), ..none.clone() },
        Knowledge { required: edges(&[("X2", "X0")]), ..none.clone() },
        Knowledge { required: edges(&[("X2", "X0")]), ..by_tiers },
        Knowledge { max_parents: Some(2), ..none.clone() },
        Knowledge { max_parents: Some(1), ..none.clone() },
        Knowledge { max_parents: Some(0), ..none },
    ];
    let fingerprints: HashSet<String> = different.iter().map(|k| fingerprint(&names, k)).collect();
    assert_eq!(fingerprints.len(), different.len());
}

#[test]
fn contradictions_are_refused_by_name() {
    let names: Vec<String> = ["rain", "wet", "slip", "cold"].map(String::from).into();
    let message = |knowledge: Knowledge| {
        let error = knowledge.resolve(&names).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        error.to_string()
    };
    let known = Knowledge::default;
    let cycle = [("rain", "wet"), ("wet", "slip"), ("slip", "rain")];
    assert_eq!(
        message(Knowledge { required: edges(&cycle), ..known() }),
        "required edge slip → rain: expected knowledge that some acyclic graph agrees with, found a required path \
         the other way: a cycle; remove one of the two"
    );
    let there_and_back = Knowledge { required: edges(&[("wet", "slip"), ("slip", "wet")]), ..known() };
    assert!(message(there_and_back).starts_with("required edge slip → wet: "));
    let text = message(Knowledge { required: edges(&[("wet", "wet")]), ..known() });
    assert!(text.starts_with("required edge wet → wet: ") && text.contains("found a loop"), "{text}");
    let forbidden = "found the same edge forbidden, by name or by tiers";
    let edge = edges(&[("cold", "wet")]);
    let text = message(Knowledge { required: edge.clone(), forbidden: edge.clone(), ..known() });
    assert!(text.starts_with("required edge cold → wet: ") && text.contains(forbidden), "{text}");
    let later = tiers(&[&["wet"], &["cold"]]);
    let text = message(Knowledge { required: edge.clone(), tiers: later, ..known() });
    assert!(text.starts_with("required edge cold → wet: ") && text.contains(forbidden), "{text}");
    let earlier = tiers(&[&["cold"], &["wet"]]);
    assert!(Knowledge { required: edge, tiers: earlier, ..known() }.resolve(&names).is_ok());

    let crowd = Knowledge { required: edges(&[("rain", "wet"), ("cold", "wet")]), ..known() };
    let text = message(Knowledge { max_parents: Some(1), ..crowd.clone() });
    assert!(text.starts_with("max_parents 1: "), "{text}");
    assert!(text.contains("found 2 required parents of wet: rain, cold"), "{text}");
    assert!(Knowledge { max_parents: Some(2), ..crowd }.resolve(&names).is_ok());

    for groups in [tiers(&[&["wet"], &["rain", "wet"]]), tiers(&[&["wet", "wet"]])] {
        let text = message(Knowledge { tiers: groups, ..known() });
        assert!(text.starts_with("tiers, \"wet\": ") && text.contains("in two places"), "{text}");
    }
    let unknown = edges(&[("rain", "wet"), ("snow", "wet")]);
    let among = "expected a variable among rain, wet, slip, cold, found \"snow\"; correct the name";
    for (knowledge, what) in [
        (Knowledge { required: unknown.clone(), ..known() }, "required edge"),
        (Knowledge { forbidden: unknown, ..known() }, "forbidden edge"),
        (Knowledge { tiers: tiers(&[&["rain"], &["snow"]]), ..known() }, "tier"),
    ] {
        assert_eq!(message(knowledge), format!("{what}: {among}"));
    }
}

/// The widest sets: bits must neither be lost nor run over.
#[test]
fn sixty_four_nodes_fit() {
    let names = names(64);
    let knowledge = Knowledge {
        required: edges(&[("X63", "X0"), ("X0", "X62")]),
        forbidden: edges(&[("X63", "X1")]),
        tiers: tiers(&[&["X63"], &["X0"]]),
        max_parents: Some(63),
    };
    let constraints = knowledge.resolve(&names).unwrap();
    assert_eq!((constraints.n_nodes(), constraints.max_parents()), (64, 63));
    assert_eq!((constraints.required(0), constraints.required(62)), (1 << 63, 1));
    assert_eq!(constraints.allowed(63), u64::MAX >> 1 & !1);
    assert_eq!(constraints.allowed(1), u64::MAX >> 1 & !0b10);
    assert_eq!(constraints.allowed(5), !(1 << 5));
    assert!(constraints.allows(0, 1 << 63 | 0b10) && !constraints.allows(0, 0b10));
}

#[test]
fn plans_hold_it_as_text() {
    let text = "required = [[\"a\", \"b\"]]\ntiers = [[\"a\"], [\"b\", \"c\"]]\nmax_parents = 2\n";
    let knowledge: Knowledge = toml::from_str(text).unwrap();
    assert_eq!(toml::to_string(&knowledge).unwrap(), text);
    assert_eq!(knowledge.required, edges(&[("a", "b")]));
    assert_eq!(toml::to_string(&Knowledge::default()).unwrap(), "");
    assert!(toml::from_str::<Knowledge>("most_parents = 2").is_err());
}
