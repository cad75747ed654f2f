package config

import (
	"reflect"
	"testing"
	"time"
)

// TestParseRates: layers, off, and what is no rate.
func TestParseRates(t *testing.T) {
	for text, want := range map[string][]Rate{
		"off": nil, "3/5s": {{3, 5 * time.Second}}, "3/5s, 5/30s,100/1h": {{3, 5 * time.Second}, {5, 30 * time.Second}, {100, time.Hour}}, "1000000/24h": {{1_000_000, 24 * time.Hour}},
	} {
		if got, err := ParseRates(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "on", "3", "3/", "/5s", "3/5", "0/5s", "-1/5s", "3/0s", "3/-5s", "3/25h", "3/5s,,", "1000001/1s", "3/5s;5/30s", "100/5s,50/5s", "60/1m,50/60s"} {
		if got, err := ParseRates(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}
