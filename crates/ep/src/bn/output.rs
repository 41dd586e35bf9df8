//! What a posterior over network structures is written as: edges, paths, Markov blankets, graphs, classes, pictures.

use std::fmt::{Display, Write as _};
use std::path::Path;

use gfn_bn::features::{consensus_graph, median_probability_graph};
use gfn_bn::render::{RenderEdge, dot, graphml};
use gfn_bn::{Dag, NetworkSettings};
use gfn_core::Result;
use gfn_core::tensor_file::write_atomically;

use crate::bn::estimates::Estimates;
use crate::bn::plan::{EDGE_CAUTION, combine_text};
use crate::files::quoted;

/// Names of the files with results of runs over network structures.
pub const RESULT_FILES: [&str; 11] = [
    "samples.csv",
    "edges.csv",
    "paths.csv",
    "markov_blankets.csv",
    "graphs.csv",
    "classes.csv",
    "median.dot",
    "median.graphml",
    "consensus.dot",
    "consensus.graphml",
    "exact_edges.csv",
];

/// Sampled graphs with what is known of each.
pub struct GraphSamples {
    /// Graphs in the order they were drawn.
    pub graphs: Vec<Dag>,
    /// log R of each; empty where the data are not at hand.
    pub log_rewards: Vec<f64>,
    /// Normalised importance weights; empty where the data are not at hand.
    pub weights: Vec<f64>,
}

/// A text that grows line by line, and becomes a file whole or not at all.
struct Lines(String);

impl Lines {
    fn new(header: &[&str]) -> Self {
        Lines(header.join(",") + "\n")
    }

    /// A line of cells. Cells that need it are quoted already.
    fn push(&mut self, cells: &[&dyn Display]) {
        for (k, cell) in cells.iter().enumerate() {
            let _ = write!(self.0, "{}{cell}", if k > 0 { "," } else { "" });
        }
        self.0.push('\n');
    }

    /// One more cell at the end of the last line.
    fn append(&mut self, cell: impl Display) {
        self.0.pop();
        let _ = writeln!(self.0, ",{cell}");
    }

    fn write(self, path: &Path) -> Result<()> {
        write_atomically(path, self.0.as_bytes())
    }
}

/// Writes `samples.csv`: `object[,log_reward,weight]`; an object is a row-major bit string.
pub fn write_samples(path: &Path, samples: &GraphSamples) -> Result<()> {
    let with_data = !samples.weights.is_empty();
    let header: &[&str] = if with_data { &["object", "log_reward", "weight"] } else { &["object"] };
    let mut lines = Lines::new(header);
    for (i, graph) in samples.graphs.iter().enumerate() {
        lines.push(&[graph]);
        if with_data {
            lines.append(samples.log_rewards[i]);
            lines.append(samples.weights[i]);
        }
    }
    lines.write(path)
}

/// Writes `edges.csv`: `from,to,probability,either,monte_carlo_error[,reweighted,chain]`, every ordered pair.
pub fn write_edges(
    path: &Path,
    names: &[String],
    raw: &Estimates,
    reweighted: Option<&Estimates>,
    chain: Option<&[f64]>,
) -> Result<()> {
    let mut header = vec!["from", "to", "probability", "either", "monte_carlo_error"];
    header.extend(reweighted.map(|_| "reweighted"));
    header.extend(chain.map(|_| "chain"));
    let mut lines = Lines::new(&header);
    let d = names.len();
    for (u, v) in (0..d * d).map(|k| (k / d, k % d)).filter(|(u, v)| u != v) {
        let k = u * d + v;
        lines.push(&[
            &quoted(&names[u]),
            &quoted(&names[v]),
            &raw.features.edges[k],
            &raw.features.either(u, v),
            &raw.standard_errors[k],
        ]);
        reweighted.iter().for_each(|r| lines.append(r.features.edges[k]));
        chain.iter().for_each(|edges| lines.append(edges[k]));
    }
    lines.write(path)
}

/// Writes `paths.csv`: `from,to,probability[,reweighted]`, every ordered pair.
pub fn write_paths(
    path: &Path,
    names: &[String],
    raw: &Estimates,
    reweighted: Option<&Estimates>,
) -> Result<()> {
    write_pairs(path, ["from", "to"], names, |_, _| true, raw, reweighted, |e| &e.features.paths)
}

/// Writes `markov_blankets.csv`: `first,second,probability[,reweighted]`, every pair once: each is then in the Markov
/// blanket of the other.
pub fn write_markov_blankets(
    path: &Path,
    names: &[String],
    raw: &Estimates,
    reweighted: Option<&Estimates>,
) -> Result<()> {
    let once = |u: usize, v: usize| u < v;
    write_pairs(path, ["first", "second"], names, once, raw, reweighted, |e| &e.features.markov_blankets)
}

fn write_pairs(
    path: &Path,
    ends: [&str; 2],
    names: &[String],
    wanted: impl Fn(usize, usize) -> bool,
    raw: &Estimates,
    reweighted: Option<&Estimates>,
    of: impl Fn(&Estimates) -> &[f64],
) -> Result<()> {
    let mut header = vec![ends[0], ends[1], "probability"];
    header.extend(reweighted.map(|_| "reweighted"));
    let mut lines = Lines::new(&header);
    let d = names.len();
    for (u, v) in (0..d * d).map(|k| (k / d, k % d)).filter(|&(u, v)| u != v && wanted(u, v)) {
        lines.push(&[&quoted(&names[u]), &quoted(&names[v]), &of(raw)[u * d + v]]);
        reweighted.iter().for_each(|r| lines.append(of(r)[u * d + v]));
    }
    lines.write(path)
}

/// Writes `graphs.csv`: `graph,probability[,reweighted,log_score]`, most probable first; and `classes.csv`:
/// `class,probability[,reweighted]`, a class being the bit string of its completed partially directed graph.
pub fn write_graphs(out: &Path, raw: &Estimates, reweighted: Option<&Estimates>) -> Result<()> {
    let mut header = vec!["graph", "probability"];
    header.extend(reweighted.iter().flat_map(|_| ["reweighted", "log_score"]));
    let mut lines = Lines::new(&header);
    for (graph, probability) in &raw.graphs {
        lines.push(&[graph, probability]);
        if let Some(reweighted) = reweighted {
            lines.append(reweighted.graph_probability(graph));
            lines.append(raw.log_score(graph).unwrap_or(f64::NAN));
        }
    }
    lines.write(&out.join("graphs.csv"))?;
    let mut header = vec!["class", "probability"];
    header.extend(reweighted.map(|_| "reweighted"));
    let mut lines = Lines::new(&header);
    for (class, probability) in &raw.classes {
        lines.push(&[class, probability]);
        reweighted.iter().for_each(|r| lines.append(r.class_probability(class)));
    }
    lines.write(&out.join("classes.csv"))
}

/// Writes the median probability graph and the consensus as DOT and GraphML; returns the edges of both.
pub fn write_pictures(
    out: &Path,
    settings: &NetworkSettings,
    names: &[String],
    edges: &[f64],
) -> Result<[Vec<RenderEdge>; 2]> {
    let median: Vec<RenderEdge> = median_probability_graph(edges)
        .into_iter()
        .map(|(from, to, probability)| RenderEdge { from, to, directed: true, probability })
        .collect();
    let consensus = consensus_graph(edges);
    let graphs = [
        ("median", "Edges with a probability above 1/2", &median),
        (
            "consensus",
            "Pairs with an edge in more than half of the graphs; directed where two thirds agree",
            &consensus,
        ),
    ];
    for (name, title, edges) in graphs {
        let caption = format!("{title}\n{}\n{EDGE_CAUTION}", combine_text(settings));
        let comment: String = caption.lines().map(|line| format!("// {line}\n")).collect();
        let text = comment + &dot(&caption, names, edges);
        write_atomically(&out.join(format!("{name}.dot")), text.as_bytes())?;
        let text = graphml(&caption, names, edges);
        write_atomically(&out.join(format!("{name}.graphml")), text.as_bytes())?;
    }
    Ok([median, consensus])
}
