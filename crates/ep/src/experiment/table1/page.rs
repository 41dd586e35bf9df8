//! The page of `table1`: every method next to the published figures, what was reached, and the scale of sequences.

use std::fmt::Write as _;

use gfn_core::Result;

use super::{FLOOR_DRAWS, published, reach};
use crate::experiment::page::{Summary, Table, mean_and_range, number};
use crate::experiment::plot::{Panel, Series, draw};
use crate::experiment::problems::{DOMAINS, Domain};
use crate::experiment::{Options, Page, Results};

/// Methods in the order of the table, and how they are called there.
const METHODS: [(&str, &str); 7] = [
    ("centralised", "centralised"),
    ("ep", "EP (aggregating balance)"),
    ("exact aggregation", "exact aggregation of the clients"),
    ("product of policies", "product of policies, untrained"),
    ("pcvi", "PCVI"),
    ("averaged weights", "averaged weights (FedAvg, one round)"),
    ("perfect draws", "a perfect sampler, counted"),
];

/// Seconds that a client may take.
const CLIENT_SECONDS: f64 = 15.0;

pub(super) fn page(options: &Options, results: &Results) -> Result<Page> {
    let l1 = |domain: Domain, method: &str| results.values(domain.name(), method, domain.n_clients(), "l1");
    let mut text = String::from(
        "Exact L1, from 0 to 2, between what a method samples and the product of the clients' rewards: mean (range over \
         seeds), and the published figure in brackets where there is one.\n\n",
    );
    let mut titles = vec!["L1"];
    titles.extend(DOMAINS.map(Domain::name));
    let mut table = Table::new(&titles);
    for (method, title) in METHODS {
        let mut row = vec![title.to_string()];
        row.extend(DOMAINS.map(|domain| {
            let ours = mean_and_range(&l1(domain, method));
            published(domain, method).map_or(ours.clone(), |figure| format!("{ours} [{figure}]"))
        }));
        table.row(&row);
    }
    text += &table.finish();
    let _ = writeln!(
        text,
        "The last row is no method: it is the L1 that the frequencies of {FLOOR_DRAWS} draws of a perfect sampler have in \
         expectation, the floor of every estimate by counting. The rows above it are computed from the policies over all \
         states, and have no floor.\n\n![L1 by domain and method](table1.svg)\n",
    );
    text += &details(results);
    text += &verdict(options, &l1);
    text += &mean_field(results);
    text += &scale(options, results);
    let series = METHODS.map(|(method, title)| {
        let points: Vec<(f64, Vec<f64>)> =
            DOMAINS.iter().enumerate().map(|(x, &domain)| (x as f64, l1(domain, method))).collect();
        Series::dots(title, &points)
    });
    let figures = |(x, &domain): (usize, &Domain)| Some((x as f64, vec![published(domain, "ep")?]));
    let figures: Vec<(f64, Vec<f64>)> = DOMAINS.iter().enumerate().filter_map(figures).collect();
    let panel = Panel {
        y_label: "L1".into(),
        log_y: true,
        x_names: DOMAINS.map(|domain| domain.name().to_string()).to_vec(),
        series: series.into_iter().chain([Series::dots("EP, published", &figures)]).collect(),
        ..Panel::default()
    };
    let picture = draw("Exact L1 to the product (range over seeds)", &[panel], 1)?;
    Ok(Page { markdown: text, pictures: vec![("table1.svg".into(), picture)] })
}

fn details(results: &Results) -> String {
    let titles = [
        "EP",
        "clients",
        "objects",
        "perplexity",
        "worst client's own L1",
        "seconds per client",
        "seconds of the server",
        "server to exact aggregation, L1",
        "bytes per client",
    ];
    let mut table = Table::new(&titles);
    for domain in DOMAINS {
        let (name, clients) = (domain.name(), domain.n_clients());
        let ep = |metric: &str| mean_and_range(&results.values(name, "ep", clients, metric));
        let problem = |metric: &str| mean_and_range(&results.values(name, "perfect draws", clients, metric));
        table.row(&[
            name.to_string(),
            clients.to_string(),
            results
                .values(name, "perfect draws", clients, "objects")
                .first()
                .map_or("–".into(), |n| n.to_string()),
            problem("perplexity"),
            ep("client l1"),
            ep("client seconds"),
            ep("server seconds"),
            ep("l1 to exact aggregate"),
            results
                .values(name, "ep", clients, "client bytes")
                .first()
                .map_or("–".into(), |n| n.to_string()),
        ]);
    }
    table.finish()
}

/// What was to be reached, and where the method it is compared with is better.
fn verdict(options: &Options, l1: &dyn Fn(Domain, &str) -> Vec<f64>) -> String {
    let mut text = String::new();
    for domain in DOMAINS {
        let name = domain.name();
        let Some(ep) = Summary::of(&l1(domain, "ep")) else { continue };
        let _ = write!(text, "- **{name}**: EP has L1 {} in the mean", number(ep.mean));
        if !options.quick {
            let reached = if ep.mean <= reach(domain) { "as asked" } else { "more than asked" };
            let _ = write!(text, ", {reached} (≤ {})", reach(domain));
            if let Some(figure) = published(domain, "ep") {
                let floor = Summary::of(&l1(domain, "perfect draws")).map_or(0.0, |floor| floor.mean);
                let _ = if figure < floor {
                    write!(
                        text,
                        " (no factor is claimed: the published {figure} lies below the {} that {FLOOR_DRAWS} draws of a \
                         perfect sampler would show)",
                        number(floor)
                    )
                } else {
                    write!(text, ", {} times below the published {figure}", number(figure / ep.mean))
                };
            }
        }
        let ratio = |method: &str| Some(ep.mean / Summary::of(&l1(domain, method))?.mean);
        if let Some(ratio) = ratio("centralised") {
            let _ = write!(text, "; {} times the centralised run's", number(ratio));
        }
        if let Some(ratio) = ratio("exact aggregation") {
            let _ = write!(text, " and {} times that of exact aggregation", number(ratio));
        }
        let better =
            METHODS[3..6].iter().filter(|(method, _)| ratio(method).is_some_and(|ratio| ratio > 1.0));
        let better: Vec<&str> = better.map(|(_, title)| *title).collect();
        if better.is_empty() {
            text.push_str(". No baseline without server training comes near.\n");
        } else {
            let _ = writeln!(text, ". **Better without server training: {}.**", better.join(", "));
        }
    }
    if !options.quick {
        let _ = writeln!(
            text,
            "\nA client was to take at most {CLIENT_SECONDS} seconds on one core; the table has what it took."
        );
    }
    text + "\n"
}

fn mean_field(results: &Results) -> String {
    let mut text = String::from(
        "PCVI: each client fits a product of independent categoricals by least KL(q ‖ π_n), with exact gradients over all \
         objects: on the grid the two coordinates; on multisets one categorical for each of the items drawn; on sequences a \
         token or the end at each position, which represents every client exactly, so that its product is exact as well \
         (the published figure needs another parameterisation); on networks no edge or one of two directions for each pair \
         of nodes, renormalised over acyclic graphs. Trees have no parts that are independent categoricals, so there is no \
         figure. The server multiplies densities over objects or factor by factor, whichever is better for PCVI:",
    );
    for domain in DOMAINS {
        let values = |metric| results.values(domain.name(), "pcvi", domain.n_clients(), metric);
        let (densities, factors) = (values("l1 of densities"), values("l1 of factors"));
        if !densities.is_empty() {
            let name = domain.name();
            let _ = write!(text, " {name} {} and {};", mean_and_range(&densities), mean_and_range(&factors));
        }
    }
    text.pop();
    text + ".\n\n"
}

/// The floor of counted perfect draws against the scale of the sequences' log-rewards.
fn scale(options: &Options, results: &Results) -> String {
    let curve = results.curve("sequences", "floor by scale", 0, "floor");
    let mut table = Table::new(&["scale of log R, sequences", "floor of 10⁶ perfect draws"]);
    for (scale, floors) in &curve {
        table.row(&[number(*scale), mean_and_range(floors)]);
    }
    let mut text = table.finish();
    if options.quick {
        return text;
    }
    let figure = published(Domain::Sequences, "ep").unwrap_or(f64::INFINITY);
    let possible = curve.iter().find(|(_, floors)| Summary::of(floors).is_some_and(|s| s.mean < figure));
    let _ = writeln!(
        text,
        "The published figures for sequences (centralised .003, EP {figure}) cannot come from 10⁶ counted draws under standard \
         normal p and t (scale 1). {}",
        match possible {
            Some((scale, _)) =>
                format!("They could from scale {} on, where few sequences hold the mass.", number(*scale)),
            None => "At none of the scales tried could they.".to_string(),
        }
    );
    text
}
