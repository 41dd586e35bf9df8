//! The page of `scale`: tables and a picture of each sweep, where it stops, and whose error that is.

use std::fmt::Write as _;

use gfn_core::Result;

use super::cases::{BATCH, Case, SWEEPS, Sweep};
use super::{CENTRALISED, EP, UNIFORM, UNTRAINED};
use crate::experiment::page::{Summary, Table, mean_and_range, number};
use crate::experiment::plot::{Panel, Series, draw};
use crate::experiment::{Options, Page, Results};

/// Divergence in nats, the sum of both directions, up to which a policy counts as right.
const RIGHT: f64 = 0.1;

/// The methods with their labels.
const METHODS: [(&str, &str); 4] = [
    (UNIFORM, "uniform policy"),
    (UNTRAINED, "untrained server: the clients' logits"),
    (EP, "EP"),
    (CENTRALISED, "centralised"),
];

/// Builds it.
pub fn page(options: &Options, results: &Results) -> Result<Page> {
    let mut text = format!(
        "Values and weights of every client are random and scaled so that those of the product have variance 1 whatever the \
         number of clients; the hypergrid's product is the published reward (Bengio et al. 2021, R₀ = .01). log Z and exact \
         draws come from closed forms: complete homogeneous symmetric polynomials, products over positions, counts of cells. \
         The recipes are those of the domains with {BATCH} trajectories per step, as many steps as a minute allows, and a server that starts at the \
         clients' logits.\n\n\
         *forward* is KL(product ‖ policy) of trajectories, from exact draws, which sees what the policy misses; *reverse* is \
         KL(policy ‖ product) of trajectories from the policy's own, with its lower bound for objects. Both are in nats and \
         bound the divergence of objects from above. *error of log Z* is that of the estimate from the policy's own samples. *Clients* and *server* are the \
         variances over the product's trajectories of Σ S_n − log π, which no server can mend, and of S − Σ S_n, which is \
         the server's own. A size counts as right where forward and reverse together are at most {RIGHT} nats. Mean and range over seeds.\n\n"
    );
    for sweep in SWEEPS {
        let _ = writeln!(text, "### {}\n", sweep.title());
        let cases = sweep.cases(options.quick);
        text += &table(sweep, &cases, results);
        text += &verdict(sweep, &cases, results);
    }
    text += "![Divergence from the product by size](scale.svg)\n";
    let panels = SWEEPS.map(|sweep| panel(sweep, &sweep.cases(options.quick), results));
    let title = "Forward and reverse divergence of trajectories together (mean and range over seeds)";
    Ok(Page { markdown: text, pictures: vec![("scale.svg".into(), draw(title, &panels, 3)?)] })
}

fn values(case: &Case, method: &str, metric: &str, results: &Results) -> Vec<f64> {
    results.values(&case.name(), method, case.clients, metric)
}

/// Forward and reverse divergence of trajectories together, by seed.
fn both(case: &Case, method: &str, results: &Results) -> Vec<f64> {
    let forward = values(case, method, "forward", results);
    forward.iter().zip(values(case, method, "reverse", results)).map(|(f, r)| f + r).collect()
}

fn mean(values: &[f64]) -> f64 {
    Summary::of(values).map_or(f64::NAN, |summary| summary.mean)
}

fn table(sweep: Sweep, cases: &[Case], results: &Results) -> String {
    let mut table = Table::new(&[
        sweep.unit(),
        "steps",
        "uniform: forward",
        "untrained server: forward",
        "EP: forward",
        "EP: reverse (at least)",
        "centralised: forward",
        "EP: error of log Z",
        "EP: effective samples",
        "clients",
        "server",
        "parameters",
        "s per client",
        "s of the server",
    ]);
    for case in cases {
        let shown = |method, metric| mean_and_range(&values(case, method, metric, results));
        let errors: Vec<f64> = values(case, EP, "log z error", results).iter().map(|e| e.abs()).collect();
        let short = |metric| number(mean(&values(case, EP, metric, results)));
        table.row(&[
            case.size.to_string(),
            case.steps.to_string(),
            shown(UNIFORM, "forward"),
            shown(UNTRAINED, "forward"),
            shown(EP, "forward"),
            format!("{} ({})", short("reverse"), short("reverse at least")),
            shown(CENTRALISED, "forward"),
            mean_and_range(&errors),
            short("effective"),
            short("variance of clients"),
            short("variance of server"),
            format!("{:.0}", mean(&values(case, EP, "client bytes", results)) / 4.0),
            short("client seconds"),
            short("server seconds"),
        ]);
    }
    table.finish()
}

/// Up to where it is right, and what carries the error beyond.
fn verdict(sweep: Sweep, cases: &[Case], results: &Results) -> String {
    let of = |case: &Case, method| mean(&both(case, method, results));
    let mut text = String::new();
    let right = cases.iter().take_while(|case| of(case, EP) <= RIGHT).last();
    let Some(wrong) = cases.iter().find(|case| of(case, EP) > RIGHT) else {
        let last = cases.last().expect("a sweep has sizes");
        return format!(
            "EP is right at all sizes: {} nats at {} {}.\n\n",
            number(of(last, EP)),
            last.size,
            sweep.unit()
        );
    };
    let _ = match right {
        Some(case) => {
            write!(text, "EP is right up to {} {} ({} nats). ", case.size, sweep.unit(), number(of(case, EP)))
        }
        None => write!(text, "**EP is right at none of these sizes.** "),
    };
    let of_clients = mean(&values(wrong, EP, "variance of clients", results));
    let of_server = mean(&values(wrong, EP, "variance of server", results));
    let (whose, times) = if of_clients > of_server {
        ("the clients' errors are", of_clients / of_server)
    } else {
        ("the server's error is", of_server / of_clients)
    };
    let _ = write!(
        text,
        "At {} {} it is {} nats away, a centralised policy after as many steps {}: {whose} the larger part, {} times the other. ",
        wrong.size,
        sweep.unit(),
        number(of(wrong, EP)),
        number(of(wrong, CENTRALISED)),
        number(times),
    );
    let last = cases.last().expect("a sweep has sizes");
    if let Some(visits) = last.visits() {
        let _ = write!(
            text,
            "A training at {} {} holds each kind {} times in all of its trajectories. ",
            last.size,
            sweep.unit(),
            number(visits)
        );
    }
    let share = of(last, EP) / of(last, UNIFORM);
    let _ = write!(
        text,
        "At {} {} EP is left with {} % of the uniform policy's divergence.\n\n",
        last.size,
        sweep.unit(),
        number(100.0 * share)
    );
    text
}

fn panel(sweep: Sweep, cases: &[Case], results: &Results) -> Panel {
    let line = |&(method, label): &(&str, &str)| {
        let points: Vec<(f64, Vec<f64>)> =
            cases.iter().map(|case| (case.size as f64, both(case, method, results))).collect();
        Series::line(label, &points)
    };
    Panel {
        title: sweep.title(),
        x_label: sweep.unit().into(),
        y_label: "nats".into(),
        log_x: sweep == Sweep::Kinds,
        log_y: true,
        series: METHODS.iter().map(line).collect(),
        ..Panel::default()
    }
}
