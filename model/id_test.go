package model

import (
	"encoding/json"
	"testing"
	"time"
)

func TestParseID(t *testing.T) {
	t.Parallel()
	for text, id := range map[string]UserID{"1": 1, "9223372036854775807": 1<<63 - 1, "1000000000000000000": 1e18} {
		got, err := ParseID[UserID](text)
		ok(t, err)
		want(t, text, got, id)
		want(t, "back", got.String(), text)
	}
	for _, text := range []string{"", "0", "-1", "+1", "01", "1.0", "1e3", " 1", "1 ", "a", "９", "9223372036854775808", "10000000000000000000", "99999999999999999999"} {
		if id, err := ParseID[UserID](text); err == nil {
			t.Errorf("%q is id %d", text, id)
		}
	}
}

// TestIDsInJSON are strings, as values and as keys.
func TestIDsInJSON(t *testing.T) {
	t.Parallel()
	type all struct {
		U UserID
		C ConversationID
		M MessageID
		T Millis
		J JSON
		K map[UserID]int
	}
	in := all{1 << 62, 2, 3, MillisOf(time.Date(2026, 2, 3, 4, 5, 6, 7_000_000, time.FixedZone("", 3600))), `{"a":1}`, map[UserID]int{5: 6}}
	text, err := json.Marshal(in)
	ok(t, err)
	want(t, "JSON", string(text), `{"U":"4611686018427387904","C":"2","M":"3","T":"2026-02-03T03:05:06.007Z","J":{"a":1},"K":{"5":6}}`)
	var out all
	ok(t, json.Unmarshal(text, &out))
	want(t, "user", out.U, in.U)
	want(t, "time", out.T, in.T)
	for _, text := range []string{`{"U":1}`, `{"U":"0"}`, `{"C":"x"}`, `{"M":""}`, `{"T":"yesterday"}`} {
		if json.Unmarshal([]byte(text), &out) == nil {
			t.Errorf("%s was read", text)
		}
	}
}
