//! Plots as SVG text.

use crate::load::measure::{Point, Totals};
use hdrhistogram::Histogram;
use plotters::coord::ranged1d::Ranged;
use plotters::prelude::*;
use std::error::Error;

const SIZE: (u32, u32) = (900, 320);
/// Pixels to the left of the lines, and right of them.
const LEFT: u32 = 90;
/// Pixels of a letter, about.
const CHARACTER: f64 = 5.6;
/// Points that are drawn one by one at most, for a line of one point is none.
const POINTS_SHOWN_MAX: usize = 3;
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

impl Series {
    /// Whether it is worth a line: it is not 0 all the time.
    fn says_something(&self) -> bool {
        self.points.iter().any(|it| it.1 != 0.0)
    }
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
    let all: Vec<&Series> = series.iter().collect();
    let svg = draw(|builder| {
        let x_max = last(&series, |it| it.0).max(1.0);
        let (low, high) = (first(&series).max(1e-3), last(&series, |it| it.1).max(1e-2));
        let y = (low * 0.8..high * 1.2).log_scale();
        let mut chart = builder.build_cartesian_2d(0.0..x_max, y)?;
        let mut mesh = chart.configure_mesh();
        let x_label = |at: &f64| label(*at);
        mesh.x_label_formatter(&x_label).y_label_formatter(&of_decades).x_labels(6);
        mesh.y_desc("ms").light_line_style(WHITE).draw()?;
        draw_lines(&mut chart, &all)
    });
    svg + &names(&all)
}

/// How the vertical axis grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// By as much for as much.
    Linear,
    /// By as much for ten times as much.
    Logarithmic,
}

/// Values over so many seconds.
pub fn over_time(
    unit: &str,
    scale: Scale,
    series: &[Series],
    marks: &[Mark],
    seconds: f64,
) -> String {
    let all: Vec<&Series> = series.iter().filter(|it| it.says_something()).collect();
    let y_max = last(series, |it| it.1).max(1e-3);
    let y_min = (first(series) / 2.0).clamp(1e-3, y_max);
    let svg = draw(|builder| {
        let x = 0.0..seconds.max(1e-3);
        let x_label = |at: &f64| format!("{}", (at * 10.0).round() / 10.0);
        let y_label = |at: &f64| number(*at);
        // The texts of marks stand above all lines.
        let rows = rows(marks, seconds);
        let room = 1.1 + 0.08 * rows.iter().max().map_or(0.0, |it| *it as f64 + 1.0);
        if scale == Scale::Linear {
            let mut chart = builder.build_cartesian_2d(x, 0.0..y_max * room)?;
            let mut mesh = chart.configure_mesh();
            mesh.x_label_formatter(&x_label).y_label_formatter(&y_label);
            mesh.x_desc("s").y_desc(unit).light_line_style(WHITE).draw()?;
            draw_marks(&mut chart, marks, &rows, |row| y_max * (room - 0.08 * row), 0.0)?;
            return draw_lines(&mut chart, &all);
        }
        // The same share of the height, where each tenth of it is a factor.
        let decades = (y_max / y_min).log10().max(0.5);
        let top = |share: f64| y_max * 10f64.powf(decades * share);
        let mut chart = builder.build_cartesian_2d(x, (y_min..top(room - 1.0)).log_scale())?;
        let mut mesh = chart.configure_mesh();
        mesh.x_label_formatter(&x_label).y_label_formatter(&of_decades);
        mesh.x_desc("s").y_desc(unit).light_line_style(WHITE).draw()?;
        draw_marks(&mut chart, marks, &rows, |row| top(room - 1.0 - 0.08 * row), y_min)?;
        draw_lines(&mut chart, &all)
    });
    svg + &names(&all)
}

/// In which row the text of each mark stands, so that none is written over another.
fn rows(marks: &[Mark], seconds: f64) -> Vec<usize> {
    let width = f64::from(SIZE.0 - LEFT) / seconds.max(1e-3);
    let mut ends: Vec<f64> = Vec::new();
    let mut order: Vec<usize> = (0..marks.len()).collect();
    order.sort_by(|a, b| marks[*a].at.total_cmp(&marks[*b].at));
    let mut rows = vec![0; marks.len()];
    for it in order {
        let (from, end) = place(&marks[it], width);
        let row = ends.iter().position(|it| *it <= from).unwrap_or(ends.len());
        if row == ends.len() {
            ends.push(0.0);
        }
        ends[row] = end;
        rows[it] = row;
    }
    rows
}

/// Where a mark's text begins and ends, in pixels; `width` is that of a second. At the right edge
/// it stands before its line.
fn place(mark: &Mark, width: f64) -> (f64, f64) {
    let (at, len) = (mark.at * width, mark.text.chars().count() as f64 * CHARACTER + 8.0);
    if f64::from(SIZE.0 - LEFT) < at + len { (at - len, at) } else { (at, at + len) }
}

fn draw_marks<X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, Y>>,
    marks: &[Mark],
    rows: &[usize],
    height: impl Fn(f64) -> f64,
    bottom: f64,
) -> Drawn
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let width = {
        let range = chart.x_range();
        f64::from(SIZE.0 - LEFT) / (range.end - range.start)
    };
    for (mark, row) in marks.iter().zip(rows) {
        let line = [(mark.at, bottom), (mark.at, height(0.0))];
        chart.draw_series(LineSeries::new(line, BLACK.mix(0.4)))?;
        let at = (place(mark, width).0 + 3.0) / width;
        let at = (at, height(*row as f64 + 0.1));
        chart.draw_series([Text::new(mark.text.clone(), at, ("sans-serif", 12))])?;
    }
    Ok(())
}

/// A number, if there is room for it on an axis that grows by factors: its first digit is 1, 2 or
/// 5.
fn of_decades(of: &f64) -> String {
    let first = of / 10f64.powf(of.log10().floor());
    let has_room = [1.0, 2.0, 5.0, 10.0].iter().any(|it| (first - it).abs() < 0.01);
    if has_room { number(*of) } else { String::new() }
}

/// A number with no more digits than it needs, and its thousands apart.
fn number(of: f64) -> String {
    if of < 10.0 {
        return format!("{}", (of * 1_000.0).round() / 1_000.0);
    }
    let digits = format!("{of:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at) % 3 == 0 {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// Requests and errors per second.
pub fn throughput(totals: &Totals) -> Vec<Series> {
    let line = |name: &str, value: fn(&Point) -> f64| Series {
        name: name.to_owned(),
        points: totals.points.iter().map(|it| (middle(it), value(it))).collect(),
    };
    vec![line("answered", Point::rate), line("errors", |it| it.errors as f64 / it.length)]
}

/// Latencies over time, in ms.
pub fn latencies(totals: &Totals) -> Vec<Series> {
    let line = |name: &str, value: fn(&Point) -> u64| Series {
        name: name.to_owned(),
        points: totals
            .points
            .iter()
            .filter(|it| it.count != 0)
            .map(|it| (middle(it), value(it) as f64 / 1e6))
            .collect(),
    };
    vec![line("p50", |it| it.p50), line("p99", |it| it.p99), line("p99.9", |it| it.p999)]
}

/// What is counted in a second stands in its middle.
fn middle(point: &Point) -> f64 {
    f64::from(point.second) + point.length.min(1.0) / 2.0
}

fn last(series: &[Series], of: fn(&(f64, f64)) -> f64) -> f64 {
    series.iter().flat_map(|it| &it.points).map(of).fold(0.0, f64::max)
}

fn first(series: &[Series]) -> f64 {
    series.iter().flat_map(|it| &it.points).map(|it| it.1).fold(f64::MAX, f64::min)
}

/// Draws a line for each series, and a point where there is no line.
fn draw_lines<X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, Y>>,
    series: &[&Series],
) -> Drawn
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    for (at, it) in series.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        chart.draw_series(LineSeries::new(it.points.iter().copied(), colour.stroke_width(2)))?;
        if it.points.len() <= POINTS_SHOWN_MAX {
            let point = |it: &(f64, f64)| Circle::new(*it, 3, colour.filled());
            chart.draw_series(it.points.iter().map(point))?;
        }
    }
    Ok(())
}

/// The names of the lines, under the plot, where they hide nothing.
fn names(series: &[&Series]) -> String {
    let name = |(at, it): (usize, &&Series)| {
        let RGBColor(r, g, b) = COLOURS[at % COLOURS.len()];
        let name = escaped(&it.name);
        format!("<span><b style=\"color:rgb({r},{g},{b})\">&#9632;</b> {name}</span>")
    };
    format!("<p class=\"names\">{}</p>", series.iter().enumerate().map(name).collect::<String>())
}

/// Text as a page has it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What is drawn, or a word on why it is not.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_mark_is_written_over_another() {
        let mark = |at, text: &str| Mark { at, text: text.to_owned() };
        let marks =
            [mark(0.0, "step 2000"), mark(0.1, "pause n2"), mark(5.0, "cut"), mark(9.9, "cut")];
        assert_eq!(rows(&marks, 10.0), [0, 1, 0, 0]);
        let width = f64::from(SIZE.0 - LEFT) / 10.0;
        assert!(place(&marks[3], width).1 <= f64::from(SIZE.0 - LEFT), "it would be cut off");
    }

    #[test]
    fn numbers_have_no_more_digits_than_they_need() {
        for (of, text) in [(0.1, "0.1"), (2.0, "2"), (150.4, "150"), (12345.0, "12\u{202f}345")] {
            assert_eq!(number(of), text);
        }
    }

    #[test]
    fn one_second_is_a_point_and_nothing_is_no_line() {
        let series = |name: &str, points| Series { name: name.to_owned(), points };
        let all = [series("a<b", vec![(0.5, 3.0)]), series("errors", vec![(0.5, 0.0)])];
        for scale in [Scale::Linear, Scale::Logarithmic] {
            let svg = over_time("ms", scale, &all, &[], 1.0);
            assert!(svg.contains("<circle") && svg.contains("a&lt;b"), "{svg}");
            assert!(!svg.contains("errors") && !svg.contains("no plot"), "{svg}");
        }
    }
}
