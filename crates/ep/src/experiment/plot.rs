//! Charts as SVG: panels of lines or dots with ranges over seeds, logarithmic axes, one legend beside them.

use std::fmt::Display;

use gfn_core::{Error, Place, Result};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::page::Summary;

/// Colours that differ for most eyes (Okabe & Ito 2008).
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
    RGBColor(140, 140, 60),
];

/// Width and height of a panel, width of the legend without its labels and of a letter there, height of the title; pixels.
const PANEL: (u32, u32) = (440, 340);
const LEGEND_WIDTH: u32 = 60;
const LETTER_WIDTH: u32 = 8;
const TITLE_HEIGHT: u32 = 44;

/// A line or dots with ranges.
#[derive(Debug, Clone)]
pub struct Series {
    /// Label in the legend; series of the same label share a colour over all panels.
    pub label: String,
    /// x and the mean and range of y.
    pub points: Vec<(f64, Summary)>,
    /// Whether points are connected.
    pub line: bool,
}

impl Series {
    /// A line through these points, each with the values of all seeds.
    pub fn line(label: impl Into<String>, points: &[(f64, Vec<f64>)]) -> Self {
        let summarised = points.iter().filter_map(|(x, values)| Some((*x, Summary::of(values)?))).collect();
        Series { label: label.into(), points: summarised, line: true }
    }

    /// Dots instead of a line.
    pub fn dots(label: impl Into<String>, points: &[(f64, Vec<f64>)]) -> Self {
        Series { line: false, ..Series::line(label, points) }
    }
}

/// One panel.
#[derive(Debug, Clone, Default)]
pub struct Panel {
    /// Its title.
    pub title: String,
    /// What x is.
    pub x_label: String,
    /// What y is.
    pub y_label: String,
    /// Whether x is logarithmic.
    pub log_x: bool,
    /// Whether y is logarithmic; values that are not positive are left out.
    pub log_y: bool,
    /// Names for x = 0, 1, 2, …, in place of numbers.
    pub x_names: Vec<String>,
    /// What is drawn.
    pub series: Vec<Series>,
}

/// Draws panels in rows of `columns`, with one legend for all at the right.
pub fn draw(title: &str, panels: &[Panel], columns: usize) -> Result<String> {
    let columns = columns.clamp(1, panels.len().max(1));
    let rows = panels.len().div_ceil(columns).max(1);
    let mut labels: Vec<&str> = Vec::new();
    for series in panels.iter().flat_map(|panel| &panel.series) {
        if !labels.contains(&series.label.as_str()) {
            labels.push(&series.label);
        }
    }
    let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0) as u32;
    let legend = LEGEND_WIDTH + LETTER_WIDTH * longest;
    let size = (PANEL.0 * columns as u32 + legend, PANEL.1 * rows as u32 + TITLE_HEIGHT);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        area.draw(&Text::new(title.to_string(), (16, 12), ("sans-serif", 22))).map_err(failed)?;
        let (_, below) = area.split_vertically(TITLE_HEIGHT);
        let (left, right) = below.split_horizontally(PANEL.0 * columns as u32);
        draw_legend(&right, &labels)?;
        for (panel, area) in panels.iter().zip(left.split_evenly((rows, columns))) {
            draw_panel(panel, &area, &labels)?;
        }
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn failed(error: impl Display) -> Error {
    Error::input(
        Place::item("picture"),
        "a chart that can be drawn",
        error.to_string(),
        "report this as a bug",
    )
}

fn colour(labels: &[&str], label: &str) -> RGBColor {
    COLOURS[labels.iter().position(|known| *known == label).unwrap_or(0) % COLOURS.len()]
}

fn draw_legend(area: &Area, labels: &[&str]) -> Result<()> {
    for (row, label) in labels.iter().enumerate() {
        let y = 34 + 24 * row as i32;
        let style = colour(labels, label);
        area.draw(&PathElement::new(vec![(10, y), (34, y)], style.stroke_width(3))).map_err(failed)?;
        area.draw(&Circle::new((22, y), 4, style.filled())).map_err(failed)?;
        area.draw(&Text::new(label.to_string(), (42, y - 8), ("sans-serif", 16))).map_err(failed)?;
    }
    Ok(())
}

/// Axes are drawn in these coordinates: logarithms to base 10 where the axis is logarithmic.
fn place(value: f64, log: bool) -> Option<f64> {
    let placed = if log { (value > 0.0).then(|| value.log10())? } else { value };
    placed.is_finite().then_some(placed)
}

fn draw_panel(panel: &Panel, area: &Area, labels: &[&str]) -> Result<()> {
    let ends = |log: bool, values: &mut dyn Iterator<Item = f64>| {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter_map(|v| place(v, log)) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high { (0.0, 1.0) } else { (low, high) }
    };
    let points = || panel.series.iter().flat_map(|series| &series.points);
    let (mut x_low, mut x_high) = ends(panel.log_x, &mut points().map(|(x, _)| *x));
    let (mut y_low, mut y_high) = ends(panel.log_y, &mut points().flat_map(|(_, s)| [s.low, s.mean, s.high]));
    if panel.x_names.is_empty() {
        let margin = 0.03 * (x_high - x_low).max(1e-9);
        (x_low, x_high) = (x_low - margin, x_high + margin);
    } else {
        (x_low, x_high) = (-0.5, panel.x_names.len() as f64 - 0.5);
    }
    if panel.log_y {
        // Whole decades, so that the axis has a label at its ends.
        (y_low, y_high) = (y_low.floor(), y_high.ceil().max(y_low.floor() + 1.0));
    } else {
        let margin = 0.06 * (y_high - y_low).max(1e-9);
        (y_low, y_high) = (if y_low >= 0.0 { 0.0 } else { y_low - margin }, y_high + margin);
    }
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 17))
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(58)
        .build_cartesian_2d(x_low..x_high, y_low..y_high)
        .map_err(failed)?;
    let label = |value: f64, log: bool| match log {
        // Between decades there is no label.
        true if (value - value.round()).abs() > 0.02 => String::new(),
        true => decade(value.round() as i32),
        false => format!("{value:.3}").trim_end_matches('0').trim_end_matches('.').to_string(),
    };
    let named = |value: f64| {
        let index = value.round();
        let near = (value - index).abs() < 0.02 && index >= 0.0;
        if near { panel.x_names.get(index as usize).cloned().unwrap_or_default() } else { String::new() }
    };
    let n_labels = |low: f64, high: f64| if high - low < 2.5 { 13 } else { 9 };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc(&panel.x_label)
        .y_desc(&panel.y_label)
        .x_labels(if panel.x_names.is_empty() {
            n_labels(x_low, x_high)
        } else {
            2 * panel.x_names.len() + 1
        })
        .y_labels(n_labels(y_low, y_high))
        .x_label_formatter(&|x| if panel.x_names.is_empty() { label(*x, panel.log_x) } else { named(*x) })
        .y_label_formatter(&|y| label(*y, panel.log_y))
        .label_style(("sans-serif", 14))
        .axis_desc_style(("sans-serif", 15))
        .draw()
        .map_err(failed)?;
    for (number, series) in panel.series.iter().enumerate() {
        let style = colour(labels, &series.label);
        // Dots of one name stand side by side.
        let shift = if panel.x_names.is_empty() {
            0.0
        } else {
            0.6 * ((number as f64 + 0.5) / panel.series.len() as f64 - 0.5)
        };
        let placed: Vec<(f64, f64, f64, f64)> = series
            .points
            .iter()
            .filter_map(|(x, summary)| {
                let [low, mean, high] =
                    [summary.low, summary.mean, summary.high].map(|y| place(y, panel.log_y));
                let mean = mean?;
                Some((place(*x, panel.log_x)? + shift, low.unwrap_or(mean), mean, high.unwrap_or(mean)))
            })
            .collect();
        if series.line {
            let band = placed.iter().map(|&(x, low, ..)| (x, low));
            let band: Vec<(f64, f64)> =
                band.chain(placed.iter().rev().map(|&(x, .., high)| (x, high))).collect();
            if placed.len() > 1 {
                chart.draw_series([Polygon::new(band, style.mix(0.15))]).map_err(failed)?;
            }
            let line = placed.iter().map(|&(x, _, mean, _)| (x, mean));
            chart.draw_series(LineSeries::new(line, style.stroke_width(2))).map_err(failed)?;
        } else {
            let bars = placed
                .iter()
                .map(|&(x, low, _, high)| PathElement::new(vec![(x, low), (x, high)], style.stroke_width(2)));
            chart.draw_series(bars).map_err(failed)?;
        }
        let dots = placed.iter().map(|&(x, _, mean, _)| Circle::new((x, mean), 3, style.filled()));
        chart.draw_series(dots).map_err(failed)?;
    }
    Ok(())
}

/// The label of 10^exponent.
fn decade(exponent: i32) -> String {
    match exponent {
        -3..=3 => format!("{}", 10f64.powi(exponent)),
        _ => format!("1e{exponent}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_shows_its_words_and_leaves_out_what_a_logarithm_cannot_show() {
        let series = |label: &str, factor: f64| {
            let points: Vec<(f64, Vec<f64>)> =
                (1..=4).map(|i| (f64::from(i), vec![factor / f64::from(i), factor])).collect();
            Series::line(label, &points)
        };
        let panel = Panel {
            title: "grid".into(),
            x_label: "steps".into(),
            y_label: "L1".into(),
            log_x: true,
            log_y: true,
            series: vec![series("one", 0.1), series("zero", 0.0), Series::dots("two", &[(2.0, vec![0.01])])],
            ..Panel::default()
        };
        let svg = draw("Losses", &[panel.clone(), panel], 2).unwrap();
        for word in ["Losses", "grid", "steps", "L1", "one", "two", "zero", "0.01"] {
            assert!(svg.contains(word), "no {word}");
        }
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        // Two panels with two lines each: the one of zeros cannot be drawn, and dots are not connected.
        assert_eq!(svg.matches("<polygon").count(), 2);
        assert!(draw("nothing", &[], 3).is_ok());
    }
}
