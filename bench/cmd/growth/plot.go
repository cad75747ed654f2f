package main

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

const (
	plotWidth  = 13 * vg.Inch
	plotHeight = 9.5 * vg.Inch
	plotDPI    = 96
)

// panel is how a dimension is drawn: relative to its first step, or as it is on a logarithmic axis.
type panel struct {
	dimension, title, x, y string
	relative               bool
	logX                   bool
	lines                  []figure
}

var panels = []panel{
	{
		dimension: "mailboxes", title: "Users stored", x: "users (10 messages each)", y: "ratio to the first step", relative: true, logX: true,
		lines: []figure{
			{"send/sends_per_s", "sends/s", higher}, {"send/send_p99_ms", "send p99, closed loop (ms)", lower}, {"rate/push_p99_ms", "push p99, constant rate (ms)", lower},
			{"send/server_cpu_us_a_message", "server CPU (µs a message)", lower}, {"send/mariadb_cpu_us_a_message", "MariaDB CPU (µs a message)", lower},
		},
	},
	{
		dimension: "groups", title: "Members of a group", x: "members, all online", y: "a second, or µs", logX: true,
		lines: []figure{
			{"group/pushes_per_s", "mailbox: pushes/s", either}, {"group/messages_per_s", "mailbox: messages/s", either}, {"group/server_cpu_us_a_push", "mailbox: server CPU, µs a push", either},
			{"log/pushes_per_s", "log: pushes/s", either}, {"log/messages_per_s", "log: messages/s", either}, {"log/server_cpu_us_a_push", "log: server CPU, µs a push", either},
		},
	},
	{
		dimension: "online", title: "Idle sockets beside the load", x: "idle sockets", y: "ratio to the first step", relative: true,
		lines: []figure{
			{"send/sends_per_s", "sends/s", higher}, {"rate/push_p99_ms", "push p99, constant rate (ms)", lower},
			{"send/server_cpu_us_a_message", "server CPU (µs a message)", lower}, {"idle/rss_mb", "server RSS (MB)", either},
		},
	},
	{
		dimension: "nodes", title: "Processes on one machine", x: "processes", y: "ratio to the first step", relative: true,
		lines: []figure{
			{"send/sends_per_s", "sends/s", higher}, {"rate/push_p99_ms", "push p99, constant rate (ms)", lower},
			{"send/server_cpu_us_a_message", "CPU of all nodes (µs a message)", lower}, {"send/redis_cpu_us_a_message", "Redis CPU (µs a message)", lower},
		},
	},
}

// points are a figure's over the steps that have it, divided by the first when relative. start is the first as it is.
func (d *dimension) points(f figure, relative bool) (points plotter.XYs, start float64) {
	for _, s := range d.Steps {
		v, ok := s.Figures[f.name]
		if !ok || v <= 0 {
			continue
		}
		if len(points) == 0 {
			start = v
		}
		if relative {
			v /= start
		}
		points = append(points, plotter.XY{X: s.Size, Y: v})
	}
	return points, start
}

// plot draws a panel a dimension into a PNG file.
func (r *result) plot(path string) (err error) {
	byName := map[string]*dimension{}
	for _, d := range r.Dimensions {
		byName[d.Name] = d
	}
	image := vgimg.NewWith(vgimg.UseWH(plotWidth, plotHeight), vgimg.UseDPI(plotDPI), vgimg.UseBackgroundColor(color.White))
	margin := vg.Points(14)
	tiles := draw.Tiles{Rows: 2, Cols: 2, PadX: 2 * margin, PadY: 2 * margin, PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin}
	canvas := draw.New(image)
	for i, p := range panels {
		drawn, err := p.draw(byName[p.dimension])
		if err != nil {
			return fmt.Errorf("plot %s: %w", p.dimension, err)
		}
		drawn.Draw(tiles.At(canvas, i%tiles.Cols, i/tiles.Cols))
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = vgimg.PngCanvas{Canvas: image}.WriteTo(file)
	return err
}

// draw makes the panel; without figures it is empty and says so.
func (p panel) draw(d *dimension) (*plot.Plot, error) {
	out := plot.New()
	out.Title.Text, out.X.Label.Text, out.Y.Label.Text = p.title, p.x, p.y
	out.Title.TextStyle.Font.Size = 15
	out.Title.Padding = vg.Points(6)
	for _, text := range []*font.Font{&out.Title.TextStyle.Font, &out.X.Label.TextStyle.Font, &out.Y.Label.TextStyle.Font, &out.X.Tick.Label.Font, &out.Y.Tick.Label.Font, &out.Legend.TextStyle.Font} {
		text.Variant = "Sans"
	}
	for _, axis := range []*plot.Axis{&out.X, &out.Y} {
		axis.Label.TextStyle.Font.Size, axis.Tick.Label.Font.Size = 12, 11
	}
	out.Legend.Top, out.Legend.Left = true, true
	out.Legend.TextStyle.Font.Size = 10
	out.Legend.Padding = vg.Points(2)
	out.Add(plotter.NewGrid())
	if d == nil || len(d.Steps) == 0 {
		out.Title.Text += ": not measured"
		return out, nil
	}
	low, high := math.Inf(1), math.Inf(-1)
	for i, f := range p.lines {
		points, start := d.points(f, p.relative)
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		line.Color, dots.Color = plotutil.Color(i), plotutil.Color(i)
		line.Width, line.Dashes = vg.Points(1.6), plotutil.Dashes(i)
		dots.Shape, dots.Radius = plotutil.Shape(i), vg.Points(3.5)
		out.Add(line, dots)
		name := f.title
		if p.relative {
			name += ": 1 = " + digits(start)
		}
		out.Legend.Add(name, line, dots)
		for _, at := range points {
			low, high = min(low, at.Y), max(high, at.Y)
		}
	}
	p.axes(out, d, low, high)
	return out, nil
}

// axes sets the scales, with ticks at the steps, and leaves room at the top for the legend.
func (p panel) axes(out *plot.Plot, d *dimension, low, high float64) {
	first, last := d.Steps[0].Size, d.Steps[len(d.Steps)-1].Size
	var ticks []plot.Tick
	for _, s := range d.Steps {
		ticks = append(ticks, plot.Tick{Value: s.Size, Label: short(s.Size)})
	}
	out.X.Tick.Marker = plot.ConstantTicks(ticks)
	if p.logX && first > 0 {
		out.X.Scale = plot.LogScale{}
		out.X.Min, out.X.Max = first/1.15, last*1.15
	} else {
		room := max((last-first)*0.05, 0.1)
		out.X.Min, out.X.Max = first-room, last+room
	}
	if !p.relative {
		out.Y.Scale, out.Y.Tick.Marker = plot.LogScale{}, decades{}
		if !math.IsInf(low, 0) {
			out.Y.Min = math.Pow(10, math.Floor(math.Log10(low)))
			out.Y.Max = math.Pow(10, math.Log10(high)+2.2)
		}
		return
	}
	out.Y.Min, out.Y.Max = 0, max(high, 1/limit)*1.6
	for _, at := range []float64{limit, 1 / limit} { // between these a figure is as good as at its start
		bound := plotter.NewFunction(func(float64) float64 { return at })
		bound.Color, bound.Width = color.Gray{Y: 110}, vg.Points(0.8)
		bound.XMin, bound.XMax = out.X.Min, out.X.Max
		bound.Samples = 2
		out.Add(bound)
	}
}

// decades are the ticks of a logarithmic axis: a label a power of ten.
type decades struct{}

// Ticks implements plot.Ticker.
func (decades) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for exponent := int(math.Floor(math.Log10(low))); exponent <= int(math.Floor(math.Log10(high))); exponent++ {
		at := math.Pow(10, float64(exponent))
		ticks = append(ticks, plot.Tick{Value: at, Label: short(at)})
	}
	return ticks
}

// short prints a size for a tick: 10k, 1M.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	default:
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
}
