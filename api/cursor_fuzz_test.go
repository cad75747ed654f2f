package api

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"ackbox/model"
)

// FuzzCursor: a cursor is one of ours, or a mistake of the client; one that is taken names the same place when it is
// written again.
func FuzzCursor(f *testing.F) {
	for _, plain := range []string{"1.1", "0.1", "1700000000000.9223372036854775807", "-1.1", "+1.1", "1.0", "1.01", "1.1.1", "1", ".", "1. 1", "9223372036854775808.1", "1' OR '1'='1.1", "\x00.\xff"} {
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(plain)))
	}
	for _, raw := range []string{"", "=", "MS4x=", "MS4x\n", "M S4x", "%", "ä", "MS4xx"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		if err != nil {
			if model.CodeOf(err) != model.CodeValidation {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if text == "" {
			return
		}
		if c.UpdatedAt < 0 || c.ID <= 0 {
			t.Fatalf("%q is taken as %+v", text, c)
		}
		if again, err := parseCursor(formatCursor(c)); err != nil || again != c {
			t.Fatalf("%q is %+v, written again %+v, %v", text, c, again, err)
		}
	})
}

// FuzzPosition: what a socket is opened with is a device and a place within bounds, or a mistake of the client.
func FuzzPosition(f *testing.F) {
	for _, query := range []string{
		"device_id=laptop", "device_id=laptop&last_seq=0", "device_id=laptop&last_seq=9223372036854775807&last_id=1", "device_id=laptop&last_id=1",
		"device_id=&last_seq=", "device_id=a&device_id=b", "device_id=%00", "device_id=a;last_seq=1", "device_id=a&last_seq=-1", "device_id=a&last_seq=+1",
		"device_id=a&last_seq=1_0", "device_id=a&last_seq=0x1", "device_id=a&last_seq=1&last_id=0", "device_id=a%0a", "%zz", "device_id=a&last_seq=9223372036854775808",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, text string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			return // answered before us
		}
		key, seq, id, err := position(query)
		switch {
		case err != nil:
			if model.CodeOf(err) != model.CodeValidation {
				t.Fatalf("%q is refused with %v", text, err)
			}
		case key.UserID != 0, !model.ValidDeviceID(string(key.DeviceID)), string(key.DeviceID) != query.Get("device_id"):
			t.Fatalf("%q: device %+v", text, key)
		case seq != nil && *seq < 0, (seq != nil) != query.Has("last_seq"):
			t.Fatalf("%q: seq %v", text, seq)
		case id < 0, (id != 0) != query.Has("last_id"), id != 0 && seq == nil:
			t.Fatalf("%q: id %d", text, id)
		}
	})
}

// FuzzDecode: a body is refused in words for a client, or is JSON in UTF-8 within its depth; a send that is read from it
// says what its text says.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{"client_msg_id":"k","to_user_id":"7","type":"text","body":{"text":"hi"},"ext":{"a":[1,2]},"reply_to":null}`,
		`{"to_user_id":7}`, `{"to_user_id":"0"}`, `{"to_user_id":"9223372036854775808"}`, `{"TO_USER_ID":"7"}`, `{"to_user_id":"7","to_user_id":"8"}`,
		`{"body":[]}`, `{"body":null}`, `{"body":{"a":1e999}}`, `{"type":5}`, `[]`, `null`, `1e400`, `"\ud800"`, "\"\xff\"", "\ufeff{}", `{} {}`, `{"a":1,}`, "", " ",
		strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65) + strings.Repeat("]", 65), `{"a":"[[[[{{{{\"[[["}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var loose any
		if err := decode(data, &loose); err != nil {
			forClients(t, err)
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) || depth(loose) > maxDepth {
			t.Fatalf("%q is taken", data)
		}
		var send Send
		if err := decode(data, &send); err != nil {
			forClients(t, err)
			return
		}
		if send.ToUserID < 0 || send.ConversationID < 0 || (send.ReplyTo != nil && *send.ReplyTo <= 0) {
			t.Fatalf("%q is read as %+v", data, send)
		}
		for _, object := range []model.JSON{send.Body, send.Ext} {
			if object != "" && !json.Valid([]byte(object)) {
				t.Fatalf("%q: %q is no JSON", data, object)
			}
		}
	})
}

func forClients(t *testing.T, err error) {
	t.Helper()
	for _, leak := range []string{"Go ", "struct", "model.", "api.", "json:", "interface"} {
		if strings.Contains(err.Error(), leak) {
			t.Fatalf("the client is told %q", err)
		}
	}
}

func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, inner := range v {
			deepest = max(deepest, depth(inner))
		}
	case []any:
		for _, inner := range v {
			deepest = max(deepest, depth(inner))
		}
	default:
		return 0
	}
	return deepest + 1
}
