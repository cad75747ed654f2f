package bench

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// quick are options for a run of some hundred milliseconds, with 15 s of patience only where something is missing.
func quick(f *fakeService) Options {
	return Options{
		URL: []string{f.URL}, Clients: 4, SetupParallel: 4, Duration: 200 * time.Millisecond, Warmup: 20 * time.Millisecond,
		Settle: 15 * time.Second, Timeout: 5 * time.Second, Rate: 200, Text: 40, Connections: 30, IdleUsers: 7,
		Waiting: 7, FillGroup: 4, ReconnectClients: 10, ReconnectLimit: 15 * time.Second, SlowSockets: 5, SlowRate: 100, SlowText: 8000, SlowRounds: 1, AckDevices: 3,
		Groups: 6, GroupSize: 3, LogMembers: 12, LogSingles: 4, LogSpacing: 5 * time.Millisecond, LogBursts: 2, LogBurst: 30, LogAckDelay: 20 * time.Millisecond,
	}
}

func measureOne(t *testing.T, o Options, scenario string) *Report {
	t.Helper()
	reports, err := Measure(t.Context(), o, []string{scenario}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	return reports[0]
}

func value(t *testing.T, r *Report, name string) float64 {
	t.Helper()
	v, ok := r.Value(name)
	if !ok {
		t.Fatalf("there is no figure %s in %v", name, r.Figures)
	}
	return v
}

func TestSendAgainstASoundService(t *testing.T) {
	f := newFakeService(t)
	r := measureOne(t, quick(f), "send")
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if len(r.Errors) > 0 {
		t.Errorf("got errors %v", r.Errors)
	}
	f.look()
	if int(value(t, r, "sent")) != f.sends || f.sends == 0 {
		t.Errorf("sent %v, the service had %d", value(t, r, "sent"), f.sends)
	}
	for _, name := range []string{"sends_per_s", "pushes_per_s", "send_p50_ms", "push_p99_ms", "acks"} {
		if value(t, r, name) <= 0 {
			t.Errorf("%s is %v", name, value(t, r, name))
		}
	}
	for _, u := range f.users { // the last acks are let out before the end
		if u.acked != len(u.entries) {
			t.Errorf("user %s acked %d of %d", u.id, u.acked, len(u.entries))
		}
	}
	// Every 20 entries: twice as many acks would be too many for the contract, and a load that isn't real.
	if entries := 2 * f.sends; f.acks > entries/10+5*len(f.users) {
		t.Errorf("%d acks for %d entries", f.acks, entries)
	}
}

func TestSendTellsWhatIsBroken(t *testing.T) {
	for _, tc := range []struct {
		name   string
		broken func(*fakeService)
		figure string
	}{
		{"lost", func(f *fakeService) { f.losePush = 50 }, "lost"},
		{"doubled", func(f *fakeService) { f.doubled = 50 }, "duplicates"},
		{"hole", func(f *fakeService) { f.skipPush = 50 }, "disorder"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFakeService(t)
			tc.broken(f)
			o := quick(f)
			o.Settle = 200 * time.Millisecond
			r := measureOne(t, o, "send")
			f.look()
			if value(t, r, tc.figure) == 0 || r.Err() == nil {
				t.Errorf("%s is 0 after %d sends, error %v", tc.figure, f.sends, r.Err())
			}
		})
	}
}

func TestSendRidesOutWhatTheContractAllows(t *testing.T) {
	for _, tc := range []struct {
		name    string
		allowed func(*fakeService)
		figure  string
		error   string
	}{
		{"pushed again", func(f *fakeService) { f.pushTwice = 10 }, "pushed_again", ""},
		{"behind", func(f *fakeService) { f.goesBehind = true }, "pulls", ""},
		{"unavailable once", func(f *fakeService) { f.refuse = 20 }, "sent", "503 unavailable"},
		{"answer lost", func(f *fakeService) { f.hangUp = 20 }, "repeated_answers", "broken connection"},
		{"rejected", func(f *fakeService) { f.reject = 20 }, "failed", "422 validation"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFakeService(t)
			tc.allowed(f)
			r := measureOne(t, quick(f), "send")
			if err := r.Err(); err != nil {
				t.Error(err)
			}
			f.look()
			if value(t, r, tc.figure) == 0 {
				t.Errorf("%s is 0 after %d sends", tc.figure, f.sends)
			}
			if tc.error != "" && r.Errors[tc.error] == 0 {
				t.Errorf("errors are %v, want some %q", r.Errors, tc.error)
			}
		})
	}
}

func TestRate(t *testing.T) {
	f := newFakeService(t)
	r := measureOne(t, quick(f), "rate")
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	f.look()
	if f.sends != 44 { // 200/s for 220 ms
		t.Errorf("the service had %d sends, want 44", f.sends)
	}
	if value(t, r, "dropped") != 0 || value(t, r, "push_p50_ms") <= 0 {
		t.Errorf("got %+v", r.Figures)
	}
}

// While the service stands still, sends become due; each of them has waited, though only one a client was under way.
func TestRateCountsFromWhenASendWasDue(t *testing.T) {
	f := newFakeService(t)
	f.stall = 30
	o := quick(f)
	o.Duration = 600 * time.Millisecond // 120 sends, of which 40 are due in the first 200 ms of the stall
	r := measureOne(t, o, "rate")
	for _, name := range []string{"send_p90_ms", "push_p90_ms"} {
		if got := value(t, r, name); got < 100 {
			t.Errorf("%s is %v: the stall counts for those who were under way only", name, got)
		}
	}
}

func TestIdle(t *testing.T) {
	f := newFakeService(t)
	o := quick(f)
	o.Duration, o.MemorySettle, o.ServerPID = 10*time.Millisecond, 10*time.Millisecond, os.Getpid()
	r := measureOne(t, o, "idle")
	if value(t, r, "connections") != 30 || value(t, r, "closed_early") != 0 || len(r.Errors) > 0 {
		t.Errorf("got %+v, errors %v", r.Figures, r.Errors)
	}
	for _, name := range []string{"rss_kb_a_connection", "go_memory_kb_a_connection"} {
		value(t, r, name)
	}
}

func TestRepeatsRenewTokensAndCarryPositionsOn(t *testing.T) {
	f := newFakeService(t)
	f.expires = time.Minute // less than a run may take
	o := quick(f)
	o.Duration = 50 * time.Millisecond
	reports, err := Measure(t.Context(), o, []string{"send", "rate"}, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		if err := r.Err(); err != nil || r.Runs != 3 {
			t.Errorf("%s: %v, %d runs, want 3", r.Scenario, err, r.Runs)
		}
	}
	f.look()
	if f.renewed != 6*o.Clients {
		t.Errorf("%d tokens renewed, want %d", f.renewed, 6*o.Clients)
	}
}

func TestCancelEndsARun(t *testing.T) {
	for _, scenario := range Scenarios() {
		f := newFakeService(t) // the one before still answers what was cut off
		o := quick(f)
		o.Duration, o.LogSpacing = time.Hour, time.Minute
		if scenario == "reconnect" { // somebody is never synced
			f.losePush = 5
		}
		o.Waiting, o.AckDevices = 40, 90 // acks for longer than that
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		_, err := Measure(ctx, o, []string{scenario}, 1, nil)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want the context's error", scenario, err)
		}
	}
}

func TestUnreachableIsAnError(t *testing.T) {
	f := newFakeService(t)
	o := quick(f)
	f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := Measure(ctx, o, []string{"send"}, 1, nil); err == nil {
		t.Error("want an error")
	}
}

func TestCommandLine(t *testing.T) {
	var cli struct {
		Bench Command `cmd:""`
	}
	parser, err := kong.New(&cli, kong.BindTo(t.Context(), (*context.Context)(nil)))
	if err != nil {
		t.Fatal(err)
	}
	f := newFakeService(t)
	file := filepath.Join(t.TempDir(), "out", "figures.json")
	parsed, err := parser.Parse([]string{
		"bench", "--url", f.URL, "--suite", "--repeat=2", "--clients=3", "--duration=50ms", "--warmup=0s", "--memory-settle=50ms",
		"--connections=5", "--rate=100", "--groups=2", "--group-size=3", "--fill-group=4", "--reconnect-clients=8", "--waiting=5", "--slow-sockets=4", "--slow-rounds=1", "--log-members=8", "--log-singles=2", "--log-spacing=1ms", "--watch", "other=1", "--server-pid=1", "--json", file,
	})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	cli.Bench.out = &table
	if err := parsed.Run(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"send (medians of 2)", "rate (medians of 2)", "group (medians of 2)", "acks (medians of 2)", "reconnect", "slow", "log", "idle", "sends_per_s"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, table.String())
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []struct {
		Scenario string
		Figures  map[string]float64
	}
	if err := json.Unmarshal(text, &got); err != nil || len(got) != 8 {
		t.Fatalf("got %s, %v", text, err)
	}
	f.losePush = 1
	cli.Bench.Settle = 0
	cli.Bench.Suite, cli.Bench.Scenario = false, "send"
	if err := cli.Bench.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "lost") {
		t.Errorf("got %v, want an error that tells of the loss", err)
	}
}
