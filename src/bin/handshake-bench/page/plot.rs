//! One plot, as SVG.
//!
//! Colours are those of Okabe and Ito, which people with any colour vision tell apart; without colours,
//! dashes and marks do.

use plotters::coord::types::RangedCoordf64;
use plotters::coord::{CoordTranslate, Shift};
use plotters::prelude::*;

/// Small, so that its text is readable on a phone without being enlarged.
const SIZE: (u32, u32) = (420, 300);
const FONT: &str = "sans-serif";
const TEXT: u32 = 15;
/// Above the axes, for the legend.
const LEGEND: u32 = 26;

/// Colour, length of dashes, mark of each series in turn.
const STYLES: [(RGBColor, u32, Mark); 5] = [
    (RGBColor(0, 0, 0), 6, Mark::Square),
    (RGBColor(0, 114, 178), 0, Mark::Dot),
    (RGBColor(213, 94, 0), 3, Mark::Triangle),
    (RGBColor(0, 158, 115), 12, Mark::Cross),
    (RGBColor(204, 121, 167), 1, Mark::Ring),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mark {
    Square,
    Dot,
    Triangle,
    Cross,
    Ring,
}

/// How values lie along an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scale {
    /// Evenly spaced values, from zero.
    Linear,
    /// By powers of this base.
    Log(f64),
    /// By whole numbers from one to this.
    Whole(usize),
    /// By number, one name for each; bars.
    Names(Vec<String>),
    /// The same for lines: values in order, at even distances.
    Steps(Vec<String>),
}

impl Scale {
    fn place(&self, value: f64) -> f64 {
        match self {
            Self::Log(base) => value.max(1e-3).ln() / base.ln(),
            Self::Linear | Self::Whole(_) | Self::Names(_) | Self::Steps(_) => value,
        }
    }

    /// The ends of the axis that shows all of these.
    fn range(&self, values: impl Iterator<Item = f64>) -> (f64, f64) {
        let placed: Vec<f64> = values.filter(|v| v.is_finite()).map(|v| self.place(v)).collect();
        let least = placed.iter().copied().fold(f64::INFINITY, f64::min);
        let most = placed.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match self {
            _ if placed.is_empty() => (0.0, 1.0),
            Self::Names(names) | Self::Steps(names) => (-0.5, names.len() as f64 - 0.5),
            Self::Whole(last) => (0.5, *last as f64 + 0.5),
            Self::Linear if most > 0.0 => (0.0, most * 1.08),
            Self::Linear => (0.0, 1.0),
            Self::Log(_) => {
                // A logarithm of a power may miss the whole number.
                let bottom = (least + 1e-9).floor();
                (bottom, (most - 1e-9).ceil().max(bottom + 1.0))
            }
        }
    }

    fn label(&self, place: f64) -> String {
        let whole = (place - place.round()).abs() < 1e-6;
        match self {
            Self::Linear => number(place),
            Self::Whole(_) if whole => number(place),
            Self::Log(base) if whole => number(base.powf(place.round())),
            Self::Names(names) | Self::Steps(names) if whole && place > -0.5 => {
                names.get(place.round() as usize).cloned().unwrap_or_default()
            }
            Self::Whole(_) | Self::Log(_) | Self::Names(_) | Self::Steps(_) => String::new(),
        }
    }
}

/// A number as it is read best: without more digits than it needs.
fn number(value: f64) -> String {
    match value {
        v if v >= 1e6 && v % 1e5 < 1e-6 => format!("{}M", v / 1e6),
        v if v >= 10_000.0 && v % 1000.0 < 1e-6 => format!("{}k", (v / 1000.0).round()),
        v if v >= 10.0 || (v - v.round()).abs() < 1e-9 => format!("{}", v.round()),
        v => format!("{}", (v * 1000.0).round() / 1000.0),
    }
}

/// The values of one thing along the horizontal axis.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A plot; of names bars, of numbers lines.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) x_label: String,
    /// With its unit.
    pub(crate) y_label: String,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    pub(crate) series: Vec<Series>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

impl Plot {
    /// The plot as an SVG element.
    pub(crate) fn svg(&self) -> Result<String, String> {
        let mut text = String::new();
        self.draw(&SVGBackend::with_string(&mut text, SIZE).into_drawing_area())
            .map_err(|e| format!("{}: {e}", self.title))?;
        Ok(text)
    }

    fn draw(&self, root: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
        root.fill(&WHITE)?;
        let (top, below) = root.split_vertically(LEGEND);
        self.draw_legend(&top)?;
        let points = || self.series.iter().flat_map(|series| &series.points);
        let (left, right) = self.x.range(points().map(|point| point.0));
        let (bottom, upper) = self.y.range(points().map(|point| point.1));
        let mut chart = ChartBuilder::on(&below)
            .margin_right(18)
            .margin_top(4)
            .x_label_area_size(46)
            .y_label_area_size(66)
            .build_cartesian_2d(left..right, bottom..upper)?;
        let labels = match &self.x {
            Scale::Names(names) | Scale::Steps(names) => names.len() + 1,
            Scale::Log(_) => (right - left) as usize + 1,
            Scale::Whole(last) => last + 1,
            Scale::Linear => 6,
        };
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(RGBColor(220, 220, 220))
            .label_style((FONT, TEXT))
            .axis_desc_style((FONT, TEXT))
            .x_labels(labels)
            .y_labels(6)
            .x_label_formatter(&|x| self.x.label(*x))
            .y_label_formatter(&|y| self.y.label(*y))
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .draw()?;
        for (index, series) in self.series.iter().enumerate() {
            match self.x {
                Scale::Names(_) => self.draw_bars(&mut chart, index, series)?,
                _ => self.draw_line(&mut chart, index, series)?,
            }
        }
        root.present()?;
        Ok(())
    }

    fn draw_legend(&self, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let mut x = 8;
        for (index, series) in self.series.iter().enumerate().filter(|(_, s)| !s.name.is_empty()) {
            let (color, ..) = STYLES[index % STYLES.len()];
            match self.x {
                Scale::Names(_) => {
                    area.draw(&Rectangle::new([(x, 7), (x + 22, 19)], bar_fill(index)))?;
                    area.draw(&Rectangle::new([(x, 7), (x + 22, 19)], color.stroke_width(1)))?;
                }
                _ => {
                    let line = PathElement::new([(x, 13), (x + 24, 13)], color.stroke_width(2));
                    area.draw(&line)?;
                    draw_mark(area, (x + 12, 13), index)?;
                }
            }
            area.draw(&Text::new(series.name.clone(), (x + 30, 5), (FONT, TEXT)))?;
            x += 44 + 8 * series.name.chars().count() as i32;
        }
        Ok(())
    }

    fn draw_line(
        &self,
        chart: &mut Chart<'_, '_>,
        index: usize,
        series: &Series,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let (color, dash, _) = STYLES[index % STYLES.len()];
        let finite = series.points.iter().filter(|point| point.1.is_finite());
        let placed: Vec<_> = finite.map(|(x, y)| (self.x.place(*x), self.y.place(*y))).collect();
        if dash == 0 {
            chart.draw_series(LineSeries::new(placed.iter().copied(), color.stroke_width(2)))?;
        } else {
            let line = placed.clone().into_iter();
            chart.draw_series(DashedLineSeries::new(line, dash, 4, color.stroke_width(2)))?;
        }
        for point in placed {
            draw_mark(chart.plotting_area(), point, index)?;
        }
        Ok(())
    }

    /// A bar for each name, those of all series side by side.
    fn draw_bars(
        &self,
        chart: &mut Chart<'_, '_>,
        index: usize,
        series: &Series,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let width = 0.8 / self.series.len() as f64;
        let (color, ..) = STYLES[index % STYLES.len()];
        for (x, y) in &series.points {
            let left = x - 0.4 + width * index as f64;
            let corners = [(left + 0.02, 0.0), (left + width - 0.02, *y)];
            chart.draw_series([
                Rectangle::new(corners, bar_fill(index)),
                Rectangle::new(corners, color.stroke_width(1)),
            ])?;
        }
        Ok(())
    }
}

/// The first series is light, so that two differ in grey, too.
fn bar_fill(index: usize) -> ShapeStyle {
    let (color, ..) = STYLES[index % STYLES.len()];
    if index == 0 { color.mix(0.2).filled() } else { color.filled() }
}

fn draw_mark<C>(
    area: &DrawingArea<SVGBackend<'_>, C>,
    at: C::From,
    index: usize,
) -> Result<(), Box<dyn std::error::Error>>
where
    C: CoordTranslate,
    C::From: Clone,
{
    let (color, _, mark) = STYLES[index % STYLES.len()];
    match mark {
        Mark::Dot => area.draw(&Circle::new(at, 4, color.filled()))?,
        Mark::Ring => area.draw(&Circle::new(at, 4, color.stroke_width(2)))?,
        Mark::Triangle => area.draw(&TriangleMarker::new(at, 5, color.filled()))?,
        Mark::Cross => area.draw(&Cross::new(at, 4, color.stroke_width(2)))?,
        Mark::Square => {
            area.draw(&(EmptyElement::at(at) + Rectangle::new([(-4, -4), (4, 4)], color.stroke_width(2))))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_show_all_values_with_round_labels() {
        assert_eq!(Scale::Linear.range([3.0, 100.0].into_iter()), (0.0, 108.0));
        assert_eq!(Scale::Log(2.0).range([1.0, 2048.0].into_iter()), (0.0, 11.0));
        assert_eq!(Scale::Log(10.0).range([950.0, 12_000.0].into_iter()), (2.0, 5.0));
        assert_eq!(Scale::Log(10.0).range([1000.0].into_iter()), (3.0, 4.0));
        assert_eq!(Scale::Linear.range(std::iter::empty()), (0.0, 1.0));
        let names = Scale::Names(vec!["a".into(), "b".into()]);
        assert_eq!(names.range([0.0, 1.0].into_iter()), (-0.5, 1.5));
        assert_eq!(
            (names.label(1.0), names.label(0.5), names.label(-0.5)),
            ("b".into(), "".into(), "".into())
        );
        let steps = Scale::Steps(vec!["5 %".into(), "saturated".into()]);
        assert_eq!(
            (steps.range([0.0, 1.0].into_iter()), steps.label(1.0)),
            ((-0.5, 1.5), "saturated".into())
        );
        assert_eq!((Scale::Log(2.0).label(11.0), Scale::Log(2.0).label(1.5)), ("2048".into(), "".into()));
        assert_eq!([0.25, 7.0, 650.0, 20_000.0, 1e7].map(number), ["0.25", "7", "650", "20k", "10M"]);
    }

    #[test]
    fn a_plot_has_its_labels_and_every_mark() {
        let series = |name: &str| Series { name: name.into(), points: vec![(1.0, 3.0), (8.0, 4.0)] };
        let mut plot = Plot {
            title: "title".into(),
            x_label: "clients".into(),
            y_label: "latency, µs".into(),
            x: Scale::Log(2.0),
            y: Scale::Linear,
            series: vec![series("baseline"), series("multibuffer")],
        };
        let svg = plot.svg().unwrap();
        for wanted in ["clients", "latency, µs", "baseline", "multibuffer", "<circle"] {
            assert!(svg.contains(wanted), "{wanted} in {svg}");
        }
        plot.x = Scale::Names(vec!["rsa2048".into(), "p256".into()]);
        assert!(!plot.svg().unwrap().contains("<circle"), "bars have no marks");
        plot.series.clear();
        plot.svg().unwrap();
    }
}
