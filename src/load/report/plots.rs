//! Plots as SVG text.

use crate::load::measure::{Point, Totals};
use hdrhistogram::Histogram;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use std::error::Error;

const SIZE: (u32, u32) = (900, 320);
const COLOURS: [RGBColor; 8] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(255, 127, 14),
    RGBColor(23, 190, 207),
    RGBColor(140, 86, 75),
    RGBColor(127, 127, 127),
];

/// A line of a plot.
pub struct Series {
    /// What it is.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// A moment that a plot marks.
pub struct Mark {
    /// When, in seconds.
    pub at: f64,
    /// What begins then.
    pub text: String,
}

type Builder<'a, 'b, 's> = ChartBuilder<'a, 'b, SVGBackend<'s>>;
type Drawn = Result<(), Box<dyn Error>>;

/// Latency in ms by percentile; the axis is stretched towards 100 %.
pub fn by_percentile(all: &[(String, &Histogram<u64>)]) -> String {
    let quantiles = (0..=60).map(|it| 1.0 - 10f64.powf(-f64::from(it) / 12.0));
    let quantiles: Vec<f64> = quantiles.collect();
    let series = all.iter().map(|(name, histogram)| {
        let point = |it: &f64| {
            let ms = histogram.value_at_quantile(*it) as f64 / 1e6;
            (-(1.0 - it).log10(), ms.max(1e-3))
        };
        // Where there are fewer requests than the percentile needs, the line ends.
        let reaches = |it: &&f64| 1.0 <= (1.0 - **it) * histogram.len() as f64;
        Series { name: name.clone(), points: quantiles.iter().filter(reaches).map(point).collect() }
    });
    let series: Vec<Series> = series.collect();
    let label = |at: f64| match (at * 10.0).round() as i64 {
        0 => "0 %".to_owned(),
        10 => "90 %".to_owned(),
        20 => "99 %".to_owned(),
        30 => "99.9 %".to_owned(),
        40 => "99.99 %".to_owned(),
        50 => "99.999 %".to_owned(),
        _ => String::new(),
    };
    draw(|builder| {
        let x_max = last(&series, |it| it.0).max(1.0);
        let (low, high) = (first(&series).max(1e-3), last(&series, |it| it.1).max(1e-2));
        let y = (low * 0.8..high * 1.2).log_scale();
        let mut chart = builder.build_cartesian_2d(0.0..x_max, y)?;
        let mut mesh = chart.configure_mesh();
        let x_label = |at: &f64| label(*at);
        mesh.x_label_formatter(&x_label).x_labels(6).y_desc("ms").light_line_style(WHITE).draw()?;
        draw_lines(&mut chart, &series, SeriesLabelPosition::UpperLeft)
    })
}

/// Values over time.
pub fn over_time(unit: &str, series: &[Series], marks: &[Mark]) -> String {
    draw(|builder| {
        let x_max = last(series, |it| it.0).max(1.0);
        let y_max = last(series, |it| it.1).max(1e-3) * 1.1;
        let mut chart = builder.build_cartesian_2d(0.0..x_max, 0.0..y_max)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc("s").y_desc(unit).light_line_style(WHITE).draw()?;
        for mark in marks {
            let line = [(mark.at, 0.0), (mark.at, y_max)];
            chart.draw_series(LineSeries::new(line, BLACK.mix(0.4)))?;
            let text = Text::new(mark.text.clone(), (mark.at, y_max * 0.98), ("sans-serif", 12));
            chart.draw_series([text])?;
        }
        draw_lines(&mut chart, series, SeriesLabelPosition::MiddleRight)
    })
}

/// Requests and errors per second.
pub fn throughput(totals: &Totals) -> Vec<Series> {
    let line = |name: &str, value: fn(&Point) -> f64| Series {
        name: name.to_owned(),
        points: totals.points.iter().map(|it| (f64::from(it.second), value(it))).collect(),
    };
    vec![line("answered", |it| it.count as f64), line("errors", |it| it.errors as f64)]
}

/// Latencies over time, in ms.
pub fn latencies(totals: &Totals) -> Vec<Series> {
    let line = |name: &str, value: fn(&Point) -> u64| Series {
        name: name.to_owned(),
        points: totals
            .points
            .iter()
            .map(|it| (f64::from(it.second), value(it) as f64 / 1e6))
            .collect(),
    };
    vec![line("p50", |it| it.p50), line("p99", |it| it.p99), line("p99.9", |it| it.p999)]
}

fn last(series: &[Series], of: fn(&(f64, f64)) -> f64) -> f64 {
    series.iter().flat_map(|it| &it.points).map(of).fold(0.0, f64::max)
}

fn first(series: &[Series]) -> f64 {
    series.iter().flat_map(|it| &it.points).map(|it| it.1).fold(f64::MAX, f64::min)
}

/// What is drawn, or a word on why it is not.
/// Draws a line for each series, and their names there.
fn draw_lines<'c, 's: 'c, X, Y>(
    chart: &mut ChartContext<'c, SVGBackend<'s>, Cartesian2d<X, Y>>,
    series: &[Series],
    names_at: SeriesLabelPosition,
) -> Drawn
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    for (at, it) in series.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        chart
            .draw_series(LineSeries::new(it.points.iter().copied(), colour.stroke_width(2)))?
            .label(it.name.as_str())
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour));
    }
    let mut names = chart.configure_series_labels();
    names.border_style(BLACK).background_style(WHITE.mix(0.8)).position(names_at).draw()?;
    Ok(())
}

fn draw(with: impl FnOnce(&mut Builder<'_, '_, '_>) -> Drawn) -> String {
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        with(ChartBuilder::on(&area).margin(10).x_label_area_size(30).y_label_area_size(70))
            .and_then(|()| Ok(area.present()?))
    };
    match drawn {
        Ok(()) => svg,
        Err(why) => format!("<p>no plot: {why}</p>"),
    }
}
