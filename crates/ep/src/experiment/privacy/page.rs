//! The page of `privacy`: tables, pictures, and what follows from the numbers; never that anything is hidden.

use std::fmt::Write as _;

use gfn_core::Result;

use super::{EXACT, NOISY, RECOVERY, TRAINED, domain, plan};
use crate::experiment::page::{Summary, Table, mean_and_range, number};
use crate::experiment::plot::{Panel, Series, draw};
use crate::experiment::{Options, Page, Results};

type Curve = Vec<(f64, Vec<f64>)>;

/// Builds it.
pub fn page(options: &Options, results: &Results) -> Result<Page> {
    let plan = plan(options.quick);
    let own = domain(&plan, plan.rows);
    let curve = |method: &str, metric: &str| results.curve(&own, method, plan.trained, metric);
    let one = |metric: &str| results.values(&own, RECOVERY, plan.trained, metric);
    let mean = |values: &[f64]| Summary::of(values).map_or(f64::NAN, |summary| summary.mean);
    let last = |curve: &Curve| curve.last().map_or(f64::NAN, |(_, values)| mean(values));

    let mut text = format!(
        "{} clients a seed, each with {} standardised rows of {} variables of one population (a random linear-Gaussian \
         network), train policies on their BGe posteriors by the domain's recipe; the attacker has a policy, knows the \
         settings, the number of rows and the population, and can draw tables from it. Means over clients, with the range \
         over seeds.\n\n### Score differences and correlations\n\n\
         log R(G′) − log R(G) = log p_F(G′|G) + log p_F(stop|G′) − log p_B(G|G′) − log p_F(stop|G) (modified detailed \
         balance) is read off two calls of the policy. For the first edge between two nodes it is Δ₀ − ½ (n + 4) log(1 − r²) \
         with r = ρ n/(n + ½), so that |ρ| follows. *Everywhere* averages over all graphs in which the edge gives a node its first \
         parent. Root-mean-square errors:\n\n",
        plan.trained, plan.rows, plan.nodes
    );
    let metrics = ["l1", "first differences", "differences", "correlations", "correlations everywhere"];
    let mut table =
        Table::new(&["steps", "L1", "first edges, nats", "all edges, nats", "|ρ|", "|ρ|, everywhere"]);
    let curves = metrics.map(|metric| curve(RECOVERY, metric));
    for (row, (steps, _)) in curves[0].iter().enumerate() {
        let shown = curves.iter().map(|curve| mean_and_range(&curve[row].1));
        table.row(&std::iter::once(format!("{steps}")).chain(shown).collect::<Vec<_>>());
    }
    table.row(&[
        "exact scores".to_string(),
        "0".into(),
        "0".into(),
        "0".into(),
        mean_and_range(&one("correlations by exact scores")),
        "–".into(),
    ]);
    text += &table.finish();
    let (guess, recovered) = (mean(&one("guess of correlations")), last(&curves[3]));
    let everywhere = last(&curves[4]);
    let _ = writeln!(
        text,
        "Without a policy, whoever knows the population guesses |ρ| with an error of {}; trained policies leave an error of {} \
         (by first edges) or {} (everywhere), {} % of it, and the exact posterior none. Differences of first edges are read to {} nats, \
         where they vary by {}. Training longer makes a policy better and tells more; its errors are no protection that \
         anybody chose or can count on.\n",
        number(guess),
        number(recovered),
        number(everywhere),
        number(100.0 * recovered.min(everywhere) / guess),
        number(last(&curves[1])),
        number(mean(&one("spread of first differences"))),
    );

    text += "### Whether a row was in the table\n\n\
             Likelihood-ratio attack with shadow tables (Carlini et al. 2022): normal distributions of the log-score of the \
             complete graph over each set of nodes against that of the empty graph, over tables with the row and tables of other rows. AUC .5 \
             is chance; TPR is the share of rows in the table that is found where 1 % of others are named wrongly (chance: .01). Mean over \
             seeds; in brackets the lowest and highest ends of the seeds' 95 % bootstrap intervals, which resample whole \
             tables.\n\n";
    let mut table = Table::new(&["what is attacked", "rows", "AUC", "TPR at 1 % FPR"]);
    for &rows in plan.exact_rows {
        let of = |metric: &str| results.values(&domain(&plan, rows), EXACT, plan.victims, metric);
        let shown =
            |name: &str| interval(&of(name), &of(&format!("{name} low")), &of(&format!("{name} high")));
        table.row(&[EXACT.to_string(), rows.to_string(), shown("auc"), shown("tpr")]);
    }
    for method in [NOISY, TRAINED] {
        let of = |name: &str| {
            [name.to_string(), format!("{name} low"), format!("{name} high")].map(|m| curve(method, &m))
        };
        let (area, found) = (of("auc"), of("tpr"));
        for (row, (steps, _)) in area[0].iter().enumerate() {
            let shown = |[value, low, high]: &[Curve; 3]| interval(&value[row].1, &low[row].1, &high[row].1);
            let name = format!("{method}, {steps} steps");
            table.row(&[name, plan.rows.to_string(), shown(&area), shown(&found)]);
        }
    }
    text += &table.finish();
    let exact = |name: &str| mean(&results.values(&own, EXACT, plan.victims, name));
    let trained = ["auc", "auc low", "auc high"].map(|metric| curve(TRAINED, metric));
    let _ = writeln!(
        text,
        "With {} rows, the exact posterior gives rows away with an AUC of {} and a TPR of {}; exact scores with errors as large as \
         those of policies after all steps (standard deviation {} nats) {}, the trained policies themselves {}. {} This is one \
         attack on one kind of data: a stronger one, more variables or a row that stands out would find more, and an AUC \
         near .5 here would be no promise.\n",
        plan.rows,
        number(exact("auc")),
        number(exact("tpr")),
        number(last(&curve(NOISY, "noise"))),
        number(last(&curve(NOISY, "auc"))),
        number(last(&trained[0])),
        verdict(&trained),
    );
    text += "![Errors of what is read off policies](privacy-recovery.svg)\n\n![Membership inference](privacy-membership.svg)\n";

    let constant =
        |value: &[f64], like: &Curve| -> Curve { like.iter().map(|(x, _)| (*x, value.to_vec())).collect() };
    let log_steps = |title: &str, y_label: &str, log_y: bool, series: Vec<Series>| Panel {
        title: title.into(),
        x_label: "steps of training".into(),
        y_label: y_label.into(),
        log_x: true,
        log_y,
        series,
        ..Panel::default()
    };
    let recovery = [
        log_steps(
            "score differences",
            "root-mean-square error, nats",
            true,
            vec![Series::line("first edges", &curves[1]), Series::line("all edges", &curves[2])],
        ),
        log_steps(
            "|correlation| of pairs",
            "root-mean-square error",
            true,
            vec![
                Series::line("from the empty graph", &curves[3]),
                Series::line("from everywhere", &curves[4]),
                Series::line("guess without a policy", &constant(&one("guess of correlations"), &curves[3])),
            ],
        ),
    ];
    let by_rows = |metric: &str| -> Curve {
        let of =
            |&rows: &usize| (rows as f64, results.values(&domain(&plan, rows), EXACT, plan.victims, metric));
        plan.exact_rows.iter().map(of).collect()
    };
    let membership = |metric: &str, label: &str| {
        let like = curve(TRAINED, metric);
        let exact = constant(&results.values(&own, EXACT, plan.victims, metric), &like);
        let mut by_steps = vec![Series::line(TRAINED, &like), Series::line(NOISY, &curve(NOISY, metric))];
        by_steps.push(Series::line(EXACT, &exact));
        let rows = Panel {
            x_label: "rows".into(),
            ..log_steps(
                &format!("{label} by rows"),
                label,
                false,
                vec![Series::line(EXACT, &by_rows(metric))],
            )
        };
        [rows, log_steps(&format!("{label} by steps, {} rows", plan.rows), label, false, by_steps)]
    };
    let membership = [membership("auc", "AUC"), membership("tpr", "TPR at 1 % FPR")].concat();
    Ok(Page {
        markdown: text,
        pictures: vec![
            ("privacy-recovery.svg".into(), draw("Errors of what is read off policies", &recovery, 2)?),
            (
                "privacy-membership.svg".into(),
                draw("Membership inference (mean and range over seeds)", &membership, 2)?,
            ),
        ],
    })
}

/// Mean of values, with the lowest and highest ends of their intervals.
fn interval(values: &[f64], low: &[f64], high: &[f64]) -> String {
    match (Summary::of(values), Summary::of(low), Summary::of(high)) {
        (Some(value), Some(low), Some(high)) => {
            format!("{:.3} ({:.3}–{:.3})", value.mean, low.low, high.high)
        }
        _ => "–".into(),
    }
}

/// Whether trained policies were told from chance, in how many seeds.
fn verdict([_, low, _]: &[Curve; 3]) -> String {
    let Some((_, ends)) = low.last() else { return String::new() };
    let above = ends.iter().filter(|&&end| end > 0.5).count();
    format!(
        "At the end of training the interval of the trained policies lies above chance in {above} of {} seeds.",
        ends.len()
    )
}
