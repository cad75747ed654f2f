package main

import (
	"strings"
	"testing"

	"ackbox/bench"
	"ackbox/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestMarkdown(t *testing.T) {
	send := func(speed, p99 float64) *bench.Report {
		return &bench.Report{Scenario: "send", Runs: 5, Figures: []bench.Figure{{Name: "sends_per_s", Value: speed}, {Name: "send_p99_ms", Value: p99}}}
	}
	rate := &bench.Report{Scenario: "rate", Figures: []bench.Figure{{Name: "push_p50_ms", Value: 1.25}, {Name: "push_p99_ms", Value: 12.5}}, Errors: map[string]int64{"503 x": 2}}
	var b strings.Builder
	if err := writeMarkdown(&b, []column{{"mariadb", []*bench.Report{send(8000, 30.04), rate}}, {"embedded", []*bench.Report{send(16000, 15)}}}); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{
		"| durable sends a second at 256 clients | ≥ 10000 | 8000 | missed |\n| durable sends a second at 256 clients, SQLite | ≥ 6000 | 16000 | met |",
		"| send to push at 300/s, p50 in ms | ≤ 2 | 1.25 | met |",
		"| send to push at 300/s, p99 in ms | ≤ 4 | 12.5 | missed |",
		"| send (medians of 5) | mariadb | embedded | embedded / mariadb |\n|---|---:|---:|---:|\n| sends_per_s | 8000 | 16000 | 2 |\n| send_p99_ms | 30 | 15 | 0.499 |\n",
		"| rate | mariadb |\n|---|---:|\n| push_p50_ms | 1.25 |\n",
		"Errors on mariadb: 503 x: 2",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "idle") {
		t.Errorf("tells of idle, which was not run:\n%s", got)
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1.2345: "1.23", 12.345: "12.3", 123.45: "123", 98765.4: "98765", 20: "20", 0.01234: "0.0123"} {
		if got := digits(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}
