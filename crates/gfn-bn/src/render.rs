//! Graphs as DOT and GraphML.
//!
//! Both are written here: in `petgraph::dot` all edges of a graph have one kind, and attributes are not quoted. Names
//! of any characters come back as they were, except those that XML 1.0 has no place for (control characters other
//! than tab and line ends, U+FFFE, U+FFFF): U+FFFD stands for them in both formats. Nodes are in the order of their
//! names, edges by their nodes, whatever the order they are given in.

use std::fmt::Write;

/// An edge of a graph that has directed and undirected edges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RenderEdge {
    /// Where a directed edge begins; either end of an undirected one.
    pub from: usize,
    /// Where a directed edge points to.
    pub to: usize,
    /// Whether it has a direction.
    pub directed: bool,
    /// Its probability, 0 to 1.
    pub probability: f64,
}

/// The graph as DOT text for Graphviz (its reference, "The DOT Language" and "escString").
///
/// Node i is `n<i>` with `names[i]` as its label; edges are labelled with their probabilities, and the wider the more
/// probable. The caption is written above the picture: what the graph is, and what its edges do not mean. Panics on
/// edges to nodes without a name.
///
/// ```
/// use gfn_bn::render::{RenderEdge, dot};
///
/// let names = ["rain", "wet"].map(String::from);
/// let edge = RenderEdge { from: 0, to: 1, directed: true, probability: 0.75 };
/// assert!(dot("", &names, &[edge]).contains(r#"n0 -> n1 [label="0.750", penwidth=2.38];"#));
/// ```
pub fn dot(caption: &str, names: &[String], edges: &[RenderEdge]) -> String {
    let mut text = String::from("digraph {\n");
    if !caption.is_empty() {
        line(&mut text, format_args!("  graph [label={}, labelloc=t];", quoted(caption)));
    }
    for (node, name) in names.iter().enumerate() {
        line(&mut text, format_args!("  n{node} [label={}];", quoted(name)));
    }
    for edge in in_order(names, edges) {
        let RenderEdge { from, to, directed, probability } = edge;
        let direction = if directed { "" } else { "dir=none, " };
        // From a hairline to three points: visible at 0, and not a beam at 1.
        let width = 0.5 + 2.5 * probability;
        let attributes = format_args!("{direction}label=\"{probability:.3}\", penwidth={width:.2}");
        line(&mut text, format_args!("  n{from} -> n{to} [{attributes}];"));
    }
    text.push_str("}\n");
    text
}

/// The graph as GraphML (Brandes et al. 2002): `name` is the text of a node, `probability` a number of an edge.
///
/// Every edge says whether it is `directed`, as the format allows; `edgedefault` is `undirected` only where all edges
/// are, for readers that cannot mix the two. The caption is the description of the graph. Panics on edges to nodes
/// without a name.
pub fn graphml(caption: &str, names: &[String], edges: &[RenderEdge]) -> String {
    let mut text = String::from(concat!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n",
        "  <key id=\"name\" for=\"node\" attr.name=\"name\" attr.type=\"string\"/>\n",
        "  <key id=\"probability\" for=\"edge\" attr.name=\"probability\" attr.type=\"double\"/>\n",
    ));
    let all_undirected = !edges.is_empty() && edges.iter().all(|edge| !edge.directed);
    let default = if all_undirected { "undirected" } else { "directed" };
    line(&mut text, format_args!("  <graph id=\"graph\" edgedefault=\"{default}\">"));
    if !caption.is_empty() {
        line(&mut text, format_args!("    <desc>{}</desc>", xml(caption)));
    }
    for (node, name) in names.iter().enumerate() {
        let data = format_args!("<data key=\"name\">{}</data>", xml(name));
        line(&mut text, format_args!("    <node id=\"n{node}\">{data}</node>"));
    }
    for RenderEdge { from, to, directed, probability } in in_order(names, edges) {
        let data = format_args!("<data key=\"probability\">{probability:?}</data>");
        let ends = format_args!("source=\"n{from}\" target=\"n{to}\"");
        line(&mut text, format_args!("    <edge {ends} directed=\"{directed}\">{data}</edge>"));
    }
    text.push_str("  </graph>\n</graphml>\n");
    text
}

/// The edges by from and to, undirected ones from their smaller node.
fn in_order(names: &[String], edges: &[RenderEdge]) -> Vec<RenderEdge> {
    let mut edges = edges.to_vec();
    for edge in &mut edges {
        let d = names.len();
        assert!(edge.from.max(edge.to) < d, "edge {} → {} of a graph over {d} nodes", edge.from, edge.to);
        if !edge.directed && edge.from > edge.to {
            std::mem::swap(&mut edge.from, &mut edge.to);
        }
    }
    edges.sort_by(|a, b| {
        (a.from, a.to, a.directed)
            .cmp(&(b.from, b.to, b.directed))
            .then(a.probability.total_cmp(&b.probability))
    });
    edges
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("strings can be written to");
}

/// A label for Graphviz. It replaces entities such as `&lt;` first, then escapes such as `\n`.
fn quoted(label: &str) -> String {
    let mut text = String::from("\"");
    for character in label.chars().map(writable) {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("&#13;"),
            '&' => text.push_str("&amp;"),
            _ => text.push(character),
        }
    }
    text.push('"');
    text
}

/// Text between two tags. Line ends and tabs are written as references, as readers may normalise them.
fn xml(content: &str) -> String {
    let mut text = String::new();
    for character in content.chars().map(writable) {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '\t' | '\n' | '\r' => text.push_str(&format!("&#{};", character as u32)),
            _ => text.push(character),
        }
    }
    text
}

/// The character, or U+FFFD for one that XML 1.0 (§2.2) has no place for.
fn writable(character: char) -> char {
    match character {
        '\t' | '\n' | '\r' => character,
        '\0'..'\u{20}' | '\u{FFFE}' | '\u{FFFF}' => char::REPLACEMENT_CHARACTER,
        _ => character,
    }
}
