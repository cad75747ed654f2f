package main

import (
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ackbox/bench"
)

func dimensionOf(name string, steps ...*step) *dimension {
	return &dimension{Name: name, What: "users", Started: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Setup: map[string]string{"Runs": "three"}, Steps: steps}
}

func stepOf(size int, figures map[string]float64) *step {
	s := newStep(size, digits(float64(size)))
	s.Figures = figures
	return s
}

func TestKept(t *testing.T) {
	for _, c := range []struct {
		sense      sense
		start, now float64
		share      float64
		ok         bool
	}{
		{higher, 1000, 800, 0.8, true},
		{higher, 1000, 2000, 2, true},
		{lower, 100, 125, 0.8, true},
		{lower, 100, 50, 2, true},
		{either, 100, 1, 0, false},
		{lower, 0, 10, 0, false},
		{higher, 10, 0, 0, false},
	} {
		share, ok := figure{sense: c.sense}.kept(c.start, c.now)
		if ok != c.ok || math.Abs(share-c.share) > 1e-9 {
			t.Errorf("%+v: got %v %v", c, share, ok)
		}
	}
}

func TestMarkdown(t *testing.T) {
	first := stepOf(10_000, map[string]float64{"send/sends_per_s": 8000, "send/send_p99_ms": 40, "send/others_cpu_pct": 3.21, "store/message_bytes": 900})
	second := stepOf(1_000_000, map[string]float64{"send/sends_per_s": 6400, "send/send_p99_ms": 51, "send/others_cpu_pct": 9, "store/message_bytes": 950})
	second.Errors["send: 503 unavailable"] = 2
	r := &result{}
	r.put(dimensionOf("nodes", stepOf(1, map[string]float64{"send/sends_per_s": 1})), order)
	r.put(dimensionOf("mailboxes", stepOf(1, nil)), order)
	r.put(dimensionOf("mailboxes", first, second), order)
	var b strings.Builder
	if err := r.writeMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{
		"### Mailboxes\n\nMeasured 2026-11-01. Runs: three.\n\n| users | 10,000 | 1,000,000 |\n|---|---:|---:|\n",
		"| sends/s, closed loop | 8,000 | 6,400 (0.80) |\n",
		"| … send p99, ms | 40 | 51 (1.27) |\n",
		"| CPU that others took of the machine, % | 3.21 | 9 |\n",
		"**missed**: … send p99, ms at 1,000,000: 51, was 40 (78% kept).",
		"Errors at 1,000,000: send: 503 unavailable: 2\n",
		"### Nodes\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "was 8,000") || strings.Count(got, "### ") != 2 || strings.Index(got, "### Mailboxes") > strings.Index(got, "### Nodes") {
		t.Errorf("got\n%s", got)
	}
	second.Figures["send/send_p99_ms"] = 50 // 80% exactly
	b.Reset()
	if err := r.writeMarkdown(&b); err != nil || !strings.Contains(b.String(), "125%): **met**.") {
		t.Errorf("%v in\n%s", err, b.String())
	}
}

// The CPU of all nodes is one figure, Redis counts for each message, and all of it comes back from the file.
func TestSteps(t *testing.T) {
	s := newStep(2, "2")
	s.take(&bench.Report{Scenario: "send", Figures: []bench.Figure{
		{Name: "sent", Value: 100}, {Name: "server_cpu_us_a_message", Value: 100}, {Name: "server2_cpu_us_a_message", Value: 50}, {Name: "mariadb_cpu_us_a_message", Value: 7},
	}, Errors: map[string]int64{"503 x": 1}})
	s.takeRedis("send", "total_commands_processed", 600, 3)
	s.perPush("send", 5)
	want := map[string]float64{"send/sent": 100, "send/server_cpu_us_a_message": 150, "send/mariadb_cpu_us_a_message": 7, "send/redis_commands_a_message": 2,
		"send/server_cpu_us_a_push": 30, "send/mariadb_cpu_us_a_push": 1.4}
	for name, v := range want {
		if s.Figures[name] != v {
			t.Errorf("%s is %v, want %v", name, s.Figures[name], v)
		}
	}
	first, idle := newStep(100, "100"), newStep(1100, "1,100")
	first.Figures = map[string]float64{"idle/rss_mb": 10, "idle/server_cpu_us_a_s": 1000}
	idle.Figures = map[string]float64{"idle/rss_mb": 30, "idle/server_cpu_us_a_s": 31000}
	idle.aSocket(first)
	first.aSocket(first)
	if idle.Figures["idle/rss_kb_a_socket"] != 20.48 || idle.Figures["idle/server_cpu_us_a_socket_s"] != 30 || len(first.Figures) != 2 {
		t.Errorf("an idle socket takes %v, the first %v", idle.Figures, first.Figures)
	}
	if len(s.Figures) != len(want) || s.Errors["send: 503 x"] != 1 {
		t.Errorf("got %+v", s)
	}
	path := filepath.Join(t.TempDir(), "growth.json")
	if r, err := readResult(path); err != nil || len(r.Dimensions) != 0 {
		t.Errorf("no file: got %+v, %v", r, err)
	}
	if err := (&result{Dimensions: []*dimension{dimensionOf("nodes", s)}}).write(path); err != nil {
		t.Fatal(err)
	}
	r, err := readResult(path)
	if err != nil || len(r.Dimensions) != 1 || r.Dimensions[0].Steps[0].Figures["send/server_cpu_us_a_message"] != 150 {
		t.Errorf("read %+v, %v", r, err)
	}
	if err := os.WriteFile(path, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readResult(path); err == nil {
		t.Error("a list of reports was taken for a result")
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1.2345: "1.23", 123.45: "123", 98765.4: "98,765", 1000: "1,000", 1e6: "1,000,000", -1234: "-1,234", -123: "-123", 0.01234: "0.0123"} {
		if got := digits(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{200: "200", 5000: "5000", 10_000: "10k", 250_000: "250k", 1e6: "1M", 0.1: "0.1"} {
		if got := short(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}

func TestPoints(t *testing.T) {
	d := dimensionOf("mailboxes", stepOf(10, map[string]float64{"a": 4}), stepOf(100, map[string]float64{"b": 1}), stepOf(1000, map[string]float64{"a": 6}))
	points, start := d.points(figure{name: "a"}, true)
	if len(points) != 2 || start != 4 || points[0].Y != 1 || points[1].X != 1000 || points[1].Y != 1.5 {
		t.Errorf("got %v from %v", points, start)
	}
	if points, _ := d.points(figure{name: "a"}, false); points[1].Y != 6 {
		t.Errorf("got %v", points)
	}
}

// The picture is a picture, of all dimensions or of few.
func TestPlot(t *testing.T) {
	full := &result{}
	for _, p := range panels {
		d := dimensionOf(p.dimension, stepOf(1, map[string]float64{}), stepOf(3, map[string]float64{}))
		for i, f := range p.lines {
			if !slices.ContainsFunc(shown[p.dimension], func(s figure) bool { return s.name == f.name }) {
				t.Errorf("%s draws %s, which is not in its table", p.dimension, f.name)
			}
			d.Steps[0].Figures[f.name], d.Steps[1].Figures[f.name] = float64(i+1), float64(2*i+1)
		}
		full.put(d, order)
	}
	for name, r := range map[string]*result{"full": full, "empty": {}, "one step": {Dimensions: []*dimension{dimensionOf("online", stepOf(0, map[string]float64{"send/sends_per_s": 5}))}}} {
		path := filepath.Join(t.TempDir(), "growth.png")
		if err := r.plot(path); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		image, err := png.Decode(file)
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		if err != nil || image.Bounds().Dx() != 13*plotDPI {
			t.Errorf("%s: %v, %v", name, image, err)
		}
	}
}

func TestFlagsAreChecked(t *testing.T) {
	sound := func() growth {
		return growth{Sizes: []int{10_000, 20_000}, Members: []int{5}, LogMembers: []int{200}, Online: []int{0, 10}, Nodes: []int{1}, SocketsAUser: 1, Base: 10_000, Repeat: 1, Clients: 256,
			BufferPool: 512, RedoLog: 512, FillConnections: 2, live: io.Discard}
	}
	g := sound()
	if err := g.check(); err != nil {
		t.Error(err)
	}
	for what, spoil := range map[string]func(*growth){
		"sizes: 10000 does not come after 20000": func(g *growth) { g.Sizes = []int{20_000, 10_000} },
		"sizes: 3 is not between":                func(g *growth) { g.Sizes = []int{3} },
		"nodes: none given":                      func(g *growth) { g.Nodes = nil },
		"repeat: 0 is not between":               func(g *growth) { g.Repeat = 0 },
		"members: 101 is not between":            func(g *growth) { g.Members = []int{101} },
	} {
		g := sound()
		spoil(&g)
		if err := g.check(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want %s", err, what)
		}
	}
}

func TestFillLine(t *testing.T) {
	got := fillLine(15_000, 30_000, 5_000, 10*time.Second)
	if got != "fill: [###############...............] 15000 of 30000 users, "+"24500 rows/s, 30s left" {
		t.Errorf("got %q", got)
	}
}
