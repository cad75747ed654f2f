package client_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"ackbox/client"
)

// FuzzFrame: whatever a server pushes, a client reads it or says that it can't; what it has read, it reads again from its
// own writing.
func FuzzFrame(f *testing.F) {
	const message = `{"message_id":"5","conversation_id":"3","conversation_seq":7,"sender_id":"1","client_msg_id":"k","type":"text","body":{"text":"hi"},"ext":{},"reply_to":null,"created_at":"2026-11-21T12:00:00.000Z","recalled_at":null}`
	for _, frame := range []string{
		`{"type":"hello","connection_id":"a","user_id":"1","device_id":"laptop","node":"0","acked":0,"head":3,"floor":1,"heartbeat_ms":25000,"ack_timeout_ms":3000,"token_expires_at":"2026-11-21T12:00:00.000Z","reset":true}`,
		`{"type":"message","seq":12,"attempt":1,"message":` + message + `}`, `{"type":"message","attempt":2,"message":` + message + `}`,
		`{"type":"behind","head":12}`, `{"type":"behind","conversation_id":"3","head":12}`, `{"type":"synced","up_to":12}`,
		`{"type":"receipt","kind":"read","conversation_id":"3","user_id":"1","up_to":7,"at":"2026-11-21T12:00:00.000Z"}`,
		`{"type":"conversation","event":"removed","conversation_id":"3"}`, `{"type":"ping","at":"2026-11-21T12:00:00.000Z","head":12}`, `{"type":"bye","code":1012,"retry_after_ms":500}`,
		`{"type":"tomorrows","new":{"a":[1]}}`, `{"type":5}`, `{}`, `null`, `[]`, `{"seq":1e400}`, `{"seq":9223372036854775808}`, `{"at":"yesterday"}`, `{"message":[]}`, "\xff", `{"type":"\ud800"}`,
	} {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var frame, again client.Frame
		if json.Unmarshal(data, &frame) != nil {
			return
		}
		text, err := json.Marshal(frame)
		if err != nil {
			t.Fatalf("%q is read as what can't be written: %v", data, err)
		}
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("%q is written as %s: %v", data, text, err)
		}
		if again.Type != frame.Type || again.Seq != frame.Seq || again.Head != frame.Head || again.Message.MessageID != frame.Message.MessageID || !again.At.Equal(frame.At) {
			t.Fatalf("%q is %+v, and %+v when it is read again", data, frame, again)
		}
	})
}

// FuzzProblem: an answer is a problem document with all that the contract asks for, or it is none.
func FuzzProblem(f *testing.F) {
	f.Add(404, "application/problem+json", []byte(`{"type":"/docs/errors#not_found","title":"Not found","status":404,"detail":"no such user","code":"not_found","request_id":"a-1"}`))
	f.Add(422, "application/problem+json; charset=utf-8", []byte(`{"type":"t","title":"t","status":422,"detail":"d","code":"validation_failed","request_id":"r","errors":[{"location":"body.x","message":"m","value":{"a":1}}]}`))
	f.Add(409, "application/problem+json", []byte(`{"type":"t","title":"t","status":409,"detail":"d","code":"position_lost","request_id":"r","head":3,"floor":1}`))
	f.Add(502, "text/html", []byte(`<html>`))
	f.Add(500, "", []byte(nil))
	f.Add(404, "application/problem+json", []byte(`{"status":200}`))
	f.Add(404, "application/problem+json;", []byte(`{"code":"Not_Found"}`))
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		p, err := client.Answer{Status: status, Header: http.Header{"Content-Type": {contentType}}, Body: body}.Problem()
		if err != nil {
			if err.Error() == "" || p != nil {
				t.Fatalf("%q: a problem %+v and an error %v", body, p, err)
			}
			return
		}
		if p.Status != status || p.Code == "" || p.Type == "" || p.Title == "" || p.Detail == "" || p.RequestID == "" {
			t.Fatalf("%q is taken as %+v", body, p)
		}
	})
}
