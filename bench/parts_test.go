package bench

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func TestKeyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := key{
			sender: rapid.IntRange(0, maxSenders-1).Draw(t, "sender"),
			index:  rapid.IntRange(0, maxMessagesASender-1).Draw(t, "index"),
			due:    time.Duration(rapid.Int64Range(0, 1<<48-1).Draw(t, "due")) * time.Microsecond,
		}
		text := appendKey(nil, want)
		id, err := uuid.ParseBytes(text)
		if err != nil || id.Version() != 8 || id.Variant() != uuid.RFC4122 {
			t.Fatalf("%s: version %d, variant %s, %v", text, id.Version(), id.Variant(), err)
		}
		if got, ok := parseKey(text); !ok || got != want {
			t.Fatalf("%s: got %+v %t, want %+v", text, got, ok, want)
		}
	})
	for _, text := range []string{"", "x", uuid.NewString(), strings.Repeat("-", 36), strings.Repeat("g", 36)} {
		if k, ok := parseKey([]byte(text)); ok {
			t.Errorf("%q is not ours, got %+v", text, k)
		}
	}
}

func TestScanFrames(t *testing.T) {
	frame := []byte(`{"type":"message","seq":12,"attempt":1,"message":{"message_id":"99","conversation_seq":7,` +
		`"body":{"text":"a \"seq\":5 and \"message_id\":\"7\" inside"},"client_msg_id" : "k" }}`)
	if got := string(frameType(frame)); got != "message" {
		t.Errorf("type: got %q", got)
	}
	if got, ok := seqField(frame); !ok || got != 12 {
		t.Errorf("seq: got %d %t, want 12", got, ok)
	}
	for key, want := range map[string]string{`"message_id"`: "99", `"client_msg_id"`: "k", `"type"`: "message"} {
		if got, ok := stringField(frame, key); !ok || got != want {
			t.Errorf("%s: got %q %t, want %q", key, got, ok, want)
		}
	}
	log := []byte(`{"type":"message","attempt":1,"message":{"conversation_seq":7}}`)
	if got, ok := seqField(log); ok {
		t.Errorf("a log message has no seq, got %d", got)
	}
	for _, text := range []string{``, `{`, `{"seq"`, `{"seq":`, `{"seq":"x"}`, `{"seq":-1}`, `{"type":"mess`} {
		if got, ok := seqField([]byte(text)); ok {
			t.Errorf("%s: got seq %d", text, got)
		}
		if got := frameType([]byte(text)); len(got) > 0 {
			t.Errorf("%s: got type %q", text, got)
		}
	}
}

func TestLedger(t *testing.T) {
	var l ledger
	for _, i := range []int{0, 1, 63, 64, 200} {
		l.accept(i, nil)
	}
	l.accept(64, nil) // a repeat's answer
	if !l.show(0) || !l.show(64) || l.show(64) {
		t.Error("a message is shown once")
	}
	l.show(5000) // accepted by the server, but the answer never came
	if l.settled() || l.lost() != 3 {
		t.Errorf("got settled %t, lost %d, want false, 3", l.settled(), l.lost())
	}
	for _, i := range []int{1, 63, 200} {
		l.show(i)
	}
	if !l.settled() || l.lost() != 0 {
		t.Errorf("got settled %t, lost %d, want true, 0", l.settled(), l.lost())
	}
}

func TestLatencyFigures(t *testing.T) {
	l := newLatency()
	for i := 1; i <= 1000; i++ {
		l.record(time.Duration(i) * time.Millisecond)
	}
	l.record(time.Hour) // counts as the longest that is told apart
	want := map[string]float64{"x_p50_ms": 501, "x_p90_ms": 901, "x_p99_ms": 991, "x_p999_ms": 1000, "x_max_ms": 60000}
	for _, f := range l.figures("x") {
		if w := want[f.Name]; f.Value < w*0.998 || f.Value > w*1.002 {
			t.Errorf("%s: got %v, want %v", f.Name, f.Value, w)
		}
		delete(want, f.Name)
	}
	if len(want) > 0 {
		t.Errorf("figures missing: %v", want)
	}
}

func TestTallyIsBounded(t *testing.T) {
	var tl tally
	for i := range 200 {
		tl.add(strings.Repeat("x", i+1))
	}
	got := tl.snapshot()
	if len(got) != maxTallyNames+1 || got["other"] != 200-maxTallyNames {
		t.Errorf("got %d names, %d others", len(got), got["other"])
	}
}

func TestMedian(t *testing.T) {
	report := func(speed, lost float64, errs map[string]int64) *Report {
		return &Report{Scenario: "send", Figures: []Figure{{"sends_per_s", speed}, {"lost", lost}}, Errors: errs}
	}
	got := Median([]*Report{report(10, 0, map[string]int64{"503": 1}), report(30, 2, nil), report(20, 0, map[string]int64{"503": 2})})
	if v, _ := got.Value("sends_per_s"); v != 20 {
		t.Errorf("sends_per_s: got %v, want the median 20", v)
	}
	if v, _ := got.Value("lost"); v != 2 {
		t.Errorf("lost: got %v, want the worst, 2", v)
	}
	if got.Err() == nil {
		t.Error("a loss is an error")
	}
	if !maps.Equal(got.Errors, map[string]int64{"503": 3}) || got.Runs != 3 {
		t.Errorf("got %v of %d runs", got.Errors, got.Runs)
	}
	even := Median([]*Report{report(10, 0, nil), report(20, 0, nil)})
	if v, _ := even.Value("sends_per_s"); v != 15 || even.Err() != nil {
		t.Errorf("got %v, %v, want 15 and no error", v, even.Err())
	}
}

func TestReportForms(t *testing.T) {
	r := &Report{Scenario: "send", Runs: 5, Figures: []Figure{{"sends_per_s", 12345.6}, {"send_p50_ms", 3.25}, {"lost", 0}}, Errors: map[string]int64{"503 x": 2, "429 y": 1}}
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"send (medians of 5)", "12346", "3.250", "errors: 429 y: 1, 503 x: 2"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Scenario string
		Figures  map[string]float64
	}
	if err := json.Unmarshal(text, &got); err != nil || got.Scenario != "send" || got.Figures["send_p50_ms"] != 3.25 {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestPaceKeepsItsTimes(t *testing.T) {
	const count, interval = 50, time.Millisecond
	start := since()
	var calls int
	pace(t.Context(), start, interval, count, func(i int, due time.Duration) {
		if i != calls || due != start+time.Duration(i)*interval {
			t.Errorf("call %d: got %d due %s, want due %s", calls, i, due-start, time.Duration(i)*interval)
		}
		if now := since(); now < due {
			t.Errorf("call %d came %s early", i, due-now)
		}
		calls++
	})
	if calls != count {
		t.Errorf("got %d calls, want %d", calls, count)
	}
}

func TestPaceEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	pace(ctx, since(), time.Millisecond, 1_000_000, func(int, time.Duration) {
		if calls++; calls == 3 {
			cancel()
		}
	})
	if calls != 3 {
		t.Errorf("got %d calls after the end at 3", calls)
	}
}

func TestMetric(t *testing.T) {
	text := []byte("# HELP a b\na{x=\"1\"} 5\nprocess_resident_memory_bytes_other 1\nprocess_resident_memory_bytes 1.2345678e+07\n")
	if got := metric(text, "process_resident_memory_bytes"); got != 12345678 {
		t.Errorf("got %d", got)
	}
	if got := metric(text, "absent"); got != 0 {
		t.Errorf("got %d, want 0", got)
	}
}

func TestOptionsCheckReportsAll(t *testing.T) {
	err := Options{URL: []string{"nonsense"}, Clients: 1}.check()
	for _, want := range []string{"nonsense", "clients", "duration", "rate"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported: %v", want, err)
		}
	}
}
