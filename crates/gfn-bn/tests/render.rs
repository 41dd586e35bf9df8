//! DOT and GraphML: a small graph as it is written, and names of any characters read back as Graphviz and XML readers do.

use std::iter::Peekable;
use std::str::Chars;

use gfn_bn::render::{RenderEdge, dot, graphml};
use proptest::prelude::*;

fn edge(from: usize, to: usize, directed: bool, probability: f64) -> RenderEdge {
    RenderEdge { from, to, directed, probability }
}

fn names() -> Vec<String> {
    ["PKA", "p \"38\" \\n & <Jnk>", "Größe\nin µm"].map(String::from).into()
}

#[test]
fn a_small_graph_as_dot() {
    let edges = [edge(2, 1, false, 0.9), edge(0, 1, true, 1.0 / 3.0)];
    let expected = r#"digraph {
  graph [label="Consensus: P > ½", labelloc=t];
  n0 [label="PKA"];
  n1 [label="p \"38\" \\n &amp; <Jnk>"];
  n2 [label="Größe\nin µm"];
  n0 -> n1 [label="0.333", penwidth=1.33];
  n1 -> n2 [dir=none, label="0.900", penwidth=2.75];
}
"#;
    assert_eq!(dot("Consensus: P > ½", &names(), &edges), expected);
    assert_eq!(dot("", &[], &[]), "digraph {\n}\n");
}

#[test]
fn a_small_graph_as_graphml() {
    let edges = [edge(2, 1, false, 0.9), edge(0, 1, true, 1.0 / 3.0)];
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key id="name" for="node" attr.name="name" attr.type="string"/>
  <key id="probability" for="edge" attr.name="probability" attr.type="double"/>
  <graph id="graph" edgedefault="directed">
    <desc>Consensus: P &gt; ½</desc>
    <node id="n0"><data key="name">PKA</data></node>
    <node id="n1"><data key="name">p "38" \n &amp; &lt;Jnk&gt;</data></node>
    <node id="n2"><data key="name">Größe&#10;in µm</data></node>
    <edge source="n0" target="n1" directed="true"><data key="probability">0.3333333333333333</data></edge>
    <edge source="n1" target="n2" directed="false"><data key="probability">0.9</data></edge>
  </graph>
</graphml>
"#;
    assert_eq!(graphml("Consensus: P > ½", &names(), &edges), expected);
    let default = |edges: &[RenderEdge]| graphml("", &names(), edges).contains("edgedefault=\"directed\"");
    assert!(default(&[]) && default(&[edges[1]]) && !default(&[edges[0]]));
}

#[test]
#[should_panic(expected = "edge 0 → 3 of a graph over 3 nodes")]
fn an_edge_to_nowhere_is_refused() {
    dot("", &names(), &[edge(0, 3, true, 1.0)]);
}

/// What stands for the characters that XML has no place for.
fn writable(text: &str) -> String {
    let forbidden = |c: char| (c < ' ' && !"\t\n\r".contains(c)) || matches!(c, '\u{FFFE}' | '\u{FFFF}');
    text.chars().map(|c| if forbidden(c) { '\u{FFFD}' } else { c }).collect()
}

/// Replaces the references that start with `&`, as XML and Graphviz do. Refuses a bare `&`.
fn without_references(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        plain.push_str(&rest[..start]);
        let end = start + rest[start..].find(';').expect("a reference ends");
        plain.push(match &rest[start + 1..end] {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            number => number.strip_prefix('#').unwrap().parse::<u8>().unwrap().into(),
        });
        rest = &rest[end + 1..];
    }
    plain + rest
}

/// Reads a quoted string of DOT, after its first quote: only `\"` means another character.
fn dot_string(input: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    loop {
        match input.next().expect("the string is closed") {
            '"' => return text,
            '\\' if input.peek() == Some(&'"') => text.push(input.next().unwrap()),
            // The scanner takes a backslash with its successor, so that `\\"` ends the string.
            '\\' => text.extend(['\\', input.next().unwrap()]),
            character => text.push(character),
        }
    }
}

/// What Graphviz shows for a label: references first, then escapes, of which only those of a backslash and a line end
/// are used.
fn shown(label: &str) -> String {
    let label = without_references(label);
    let mut characters = label.chars();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next().expect("no backslash at the end") {
                '\\' => '\\',
                'n' => '\n',
                other => panic!("escape \\{other}"),
            },
            _ => character,
        });
    }
    text
}

/// The labels of a DOT text, in order.
fn dot_labels(text: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut input = text.chars().peekable();
    while let Some(character) = input.next() {
        if character == '"' {
            labels.push(shown(&dot_string(&mut input)));
        }
    }
    labels
}

/// The texts between tags that hold more than spaces, in order; checks that the tags are balanced.
fn xml_texts(text: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut open = Vec::new();
    let mut rest = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").unwrap();
    while let Some(start) = rest.find('<') {
        let content = &rest[..start];
        assert!(!content.contains('>'));
        let is_data = matches!(open.last(), Some(&"data" | &"desc"));
        if is_data {
            texts.push(without_references(content));
        } else {
            assert!(content.trim_matches([' ', '\n']).is_empty(), "{content:?}");
        }
        let end = start + rest[start..].find('>').expect("tags end");
        let tag = &rest[start + 1..end];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty() && rest == "\n");
    texts
}

/// Any characters, those that mean something in one of the formats above all.
fn name() -> impl Strategy<Value = String> {
    let special = prop::sample::select(
        "\"\\&<>;#\n\r\tnlrN'/=-[]{} \u{0}\u{1b}\u{FFFF}é語".chars().collect::<Vec<_>>(),
    );
    let character = prop_oneof![3 => special, 1 => any::<char>()];
    prop::collection::vec(character, 0..12).prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(11),
        failure_persistence: None, // the seed is fixed: every run fails alike
        ..ProptestConfig::with_cases(400)
    })]

    #[test]
    fn names_survive(caption in name(), names in prop::collection::vec(name(), 2..5)) {
        let edges = [edge(1, 0, true, 0.25)];
        let mut expected: Vec<String> = names.iter().map(|name| writable(name)).collect();
        if !caption.is_empty() {
            expected.insert(0, writable(&caption));
        }
        let number = |text: &str| [expected.clone(), vec![text.to_string()]].concat();
        prop_assert_eq!(dot_labels(&dot(&caption, &names, &edges)), number("0.250"));
        prop_assert_eq!(xml_texts(&graphml(&caption, &names, &edges)), number("0.25"));
    }

    /// Neither the order of the edges nor that of an undirected edge's ends shows.
    #[test]
    fn the_order_is_that_of_the_nodes(
        edges in prop::collection::vec((0usize..5, 0usize..5, any::<bool>(), 0.0..1.0), 0..12),
        turns in prop::collection::vec(any::<bool>(), 12),
    ) {
        let names: Vec<String> = (0..5).map(|i| format!("X{i}")).collect();
        let edges: Vec<RenderEdge> = edges.into_iter().map(|(u, v, is, p)| edge(u, v, is, p)).collect();
        let turned: Vec<RenderEdge> = edges
            .iter()
            .zip(&turns)
            .map(|(e, &turn)| if turn && !e.directed { edge(e.to, e.from, false, e.probability) } else { *e })
            .rev()
            .collect();
        prop_assert_eq!(dot("", &names, &edges), dot("", &names, &turned));
        prop_assert_eq!(graphml("", &names, &edges), graphml("", &names, &turned));
        let text = graphml("", &names, &edges);
        let ends: Vec<&str> = text.lines().filter(|line| line.contains("<edge")).collect();
        prop_assert_eq!(ends.len(), edges.len());
        prop_assert!(ends.iter().map(|line| line.split(" directed").next()).is_sorted());
    }
}
