package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"ackbox/bench"
)

// column is what was measured on one backend.
type column struct {
	name    string
	reports []*bench.Report
}

func (c column) report(scenario string) *bench.Report {
	for _, r := range c.reports {
		if r.Scenario == scenario {
			return r
		}
	}
	return nil
}

func (c column) value(scenario, figure string) (float64, bool) {
	if r := c.report(scenario); r != nil {
		return r.Value(figure)
	}
	return 0, false
}

// goal is a speed that the project has set itself, for one backend.
type goal struct {
	what, backend, scenario, figure string
	atLeast, atMost                 float64 // one of them, the other is 0
}

var goals = []goal{
	{what: "durable sends a second at 256 clients", backend: "mariadb", scenario: "send", figure: "sends_per_s", atLeast: 10_000},
	{what: "durable sends a second at 256 clients, SQLite", backend: "embedded", scenario: "send", figure: "sends_per_s", atLeast: 6000},
	{what: "send to push at 300/s, p50 in ms", backend: "mariadb", scenario: "rate", figure: "push_p50_ms", atMost: 2},
	{what: "send to push at 300/s, p99 in ms", backend: "mariadb", scenario: "rate", figure: "push_p99_ms", atMost: 4},
	{what: "messages a second into groups of 20", backend: "mariadb", scenario: "group", figure: "messages_per_s", atLeast: 2500},
	{what: "10,000 clients back at once, 100 messages waiting for each: all synced, s", backend: "mariadb", scenario: "reconnect", figure: "all_synced_s", atMost: 60},
	{what: "push p99 of healthy clients with 1,000 sockets that do not read, against without", backend: "mariadb", scenario: "slow", figure: "ratio_push_p99", atMost: 1.1},
	{what: "… against as many sockets that are read", backend: "mariadb", scenario: "slow", figure: "ratio_to_reading_push_p99", atMost: 1.1},
	{what: "send to last push among 10,000 members, median in ms", backend: "mariadb", scenario: "log", figure: "last_push_p50_ms", atMost: 100},
	{what: "pushes a second in a burst to 10,000 members", backend: "mariadb", scenario: "log", figure: "pushes_per_s", atLeast: 120_000},
	{what: "server memory an idle connection, KB", backend: "mariadb", scenario: "idle", figure: "rss_kb_a_connection", atMost: 13.5},
}

func (g goal) met(v float64) bool { return v >= g.atLeast && (g.atMost == 0 || v <= g.atMost) }

// writeMarkdown prints the goals and, for each scenario, a row a figure with a column a backend and their ratio.
func writeMarkdown(w io.Writer, columns []column) error {
	var b strings.Builder
	b.WriteString("\n| goal | wanted | measured | |\n|---|---:|---:|---|\n")
	for _, g := range goals {
		for _, c := range columns {
			if c.name != g.backend {
				continue
			}
			wanted := "≥ " + digits(g.atLeast)
			if g.atMost > 0 {
				wanted = "≤ " + digits(g.atMost)
			}
			if v, ok := c.value(g.scenario, g.figure); ok {
				verdict := "missed"
				if g.met(v) {
					verdict = "met"
				}
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", g.what, wanted, digits(v), verdict)
			}
		}
	}
	for _, scenario := range bench.Scenarios() {
		var present []column
		for _, c := range columns {
			if c.report(scenario) != nil {
				present = append(present, c)
			}
		}
		if len(present) == 0 {
			continue
		}
		writeScenario(&b, scenario, present)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeScenario(b *strings.Builder, scenario string, columns []column) {
	title := scenario
	if runs := columns[0].report(scenario).Runs; runs > 1 {
		title += " (medians of " + strconv.Itoa(runs) + ")"
	}
	fmt.Fprintf(b, "\n| %s |", title)
	rule := "|---|"
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", c.name)
		rule += "---:|"
	}
	if len(columns) == 2 {
		fmt.Fprintf(b, " %s / %s |", columns[1].name, columns[0].name)
		rule += "---:|"
	}
	fmt.Fprintf(b, "\n%s\n", rule)
	for _, figure := range figures(scenario, columns) {
		fmt.Fprintf(b, "| %s |", figure)
		values := make([]float64, len(columns))
		for i, c := range columns {
			v, ok := c.value(scenario, figure)
			if values[i] = math.NaN(); ok {
				values[i] = v
			}
			fmt.Fprintf(b, " %s |", digits(values[i]))
		}
		if len(columns) == 2 {
			fmt.Fprintf(b, " %s |", digits(values[1]/values[0]))
		}
		b.WriteByte('\n')
	}
	for _, c := range columns {
		errs := c.report(scenario).Errors
		for _, name := range slices.Sorted(maps.Keys(errs)) {
			fmt.Fprintf(b, "\nErrors on %s: %s: %d\n", c.name, name, errs[name])
		}
	}
}

// figures are the names in the order of the first column that has them.
func figures(scenario string, columns []column) []string {
	var names []string
	seen := map[string]bool{}
	for _, c := range columns {
		for _, f := range c.report(scenario).Figures {
			if !seen[f.Name] {
				seen[f.Name] = true
				names = append(names, f.Name)
			}
		}
	}
	return names
}

// digits prints three significant digits, or all of a whole number's.
func digits(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == math.Trunc(v) || math.Abs(v) >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}
